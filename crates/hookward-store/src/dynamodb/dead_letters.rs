//! The marks of dead letters on a table, which nodes and claims have in common: written, taken away, and read for lists.

use std::cmp::Reverse;

use hookward_core::{EventParts, SourceName};

use super::{
    item::dead::{self, DeadMark},
    table::{For, Guard, Range, Table},
    usage::Purpose,
};
use crate::StoreError;

impl Table {
    /// Lets lists find a dead letter of this source.
    pub(super) async fn mark_dead(
        &self,
        source: &SourceName,
        mark: DeadMark,
    ) -> Result<(), StoreError> {
        let why = For { source: Some(source), purpose: Purpose::Dead };
        self.put(mark.encode(), Guard::always(), why).await?;
        Ok(())
    }

    /// Takes a dead letter's mark away. That it could not be is no harm: lists look at the event itself.
    pub(super) async fn unmark_dead(&self, event: &EventParts, why: For<'_>) {
        let mark = DeadMark::of(event);
        if let Err(trouble) = self.delete(mark.key(), Guard::always(), why).await {
            tracing::debug!(key = %event.key, %trouble, "the mark of a former dead letter stays until it expires");
        }
    }

    /// The dead letters of a day, newest first.
    pub(super) async fn dead_marks(&self, day: u64) -> Result<Vec<DeadMark>, StoreError> {
        let shards = (0..dead::SHARDS).map(|shard| {
            self.query_all(Range::all(dead::partition(day, shard)), For::all(Purpose::Read))
        });
        let mut marks = Vec::new();
        for items in futures_util::future::try_join_all(shards).await? {
            for item in &items {
                marks.push(DeadMark::decode(item)?);
            }
        }
        marks.sort_unstable_by_key(|mark| Reverse((mark.received_at, mark.key)));
        Ok(marks)
    }
}
