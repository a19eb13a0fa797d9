//! Looking at a table without being a node of it: nothing is written, and nobody notices.

use std::sync::Arc;

use hookward_core::{EventKey, Timestamp};

use super::{Options, Shared};
use crate::{Kept, Page, Query, StoreError};

/// A table as somebody sees it who is no node of it and writes nothing.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// Looks at a table. Fails when it is not there or not for us.
    pub async fn open(
        client: aws_sdk_dynamodb::Client,
        options: Options,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self { shared: Shared::looking(client, options, now).await? })
    }

    /// [`Store::get`](crate::Store::get), as good as can be told without asking a node.
    pub async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        self.shared.get(key).await
    }

    /// [`Store::list`](crate::Store::list), as good as can be told without asking a node.
    pub async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.shared.list(query).await
    }
}

impl Shared {
    /// Somebody who is no node, and knows what is not shown any more.
    pub(super) async fn looking(
        client: aws_sdk_dynamodb::Client,
        options: Options,
        now: Timestamp,
    ) -> Result<Arc<Self>, StoreError> {
        let shared = Self::new(client, options, now);
        let forgotten_at = shared.read_forgotten().await?;
        shared.book().forgotten_at = forgotten_at;
        Ok(shared)
    }
}
