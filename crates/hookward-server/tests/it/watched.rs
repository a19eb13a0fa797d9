//! A store that tells when it has settled something, and stays readable after it was closed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, SourceName, Timestamp};
use hookward_store::{
    Claim, Counts, Expired, Kept, Lease, Outcome, Page, Query, Receipt, Store, StoreError, Work,
};
use tokio::sync::watch;

/// What the gateway gets for a store.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Store>,
    settled: Arc<watch::Sender<usize>>,
    kept_house: Arc<watch::Sender<usize>>,
    closed: Arc<watch::Sender<bool>>,
    hangs: Arc<AtomicBool>,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            settled: Arc::new(watch::Sender::new(0)),
            kept_house: Arc::new(watch::Sender::new(0)),
            closed: Arc::new(watch::Sender::new(false)),
            hangs: Arc::default(),
        }
    }

    /// How many deliveries were settled, whatever their outcome.
    pub(crate) fn settled(&self) -> watch::Receiver<usize> {
        self.settled.subscribe()
    }

    /// How often it was asked to forget what has expired, and has.
    pub(crate) fn kept_house(&self) -> watch::Receiver<usize> {
        self.kept_house.subscribe()
    }

    /// From now on it never ends to close.
    pub(crate) fn hangs_at_the_end(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

#[async_trait]
impl Store for Watched {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        self.inner.append(event, claim).await
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        self.inner.lease(sources, now, until, limit).await
    }

    async fn extend(
        &self,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.inner.extend(lease, now, until).await
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let settled = self.inner.settle(lease, outcome, now).await;
        self.settled.send_modify(|count| *count += 1);
        settled
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.inner.list(query).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.inner.counts().await
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.inner.requeue(key, now).await
    }

    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.inner.discard(key, now).await
    }

    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        let expired = self.inner.expire(now).await;
        self.kept_house.send_modify(|count| *count += 1);
        expired
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.inner.health().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.send_replace(true);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
