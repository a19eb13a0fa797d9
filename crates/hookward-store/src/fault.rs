//! A store that fails, delays or forgets on cue, around one that works: for the tests of whoever uses a store.
//!
//! Nothing here sleeps: a [`Gate`] holds calls until the test lets them go, and tells when they have arrived.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, SourceName, Timestamp};
use tokio::sync::{Semaphore, watch};

use crate::{
    Claim, Counts, Expired, Kept, Lease, Outcome, Page, Query, Receipt, Store, StoreError, Work,
};

/// A wrapper that does what the script says, and otherwise what the inner store does.
///
/// Cloning gives another handle on the same script, so a test keeps one and the code under test gets the other.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    script: Arc<Mutex<HashMap<Op, Script>>>,
}

/// An operation of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Op {
    Append,
    Lease,
    Extend,
    Settle,
    Get,
    List,
    Counts,
    Requeue,
    Discard,
    Expire,
    Health,
    Close,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: lets one call pass, to say which later one fails.
    Pass,
    /// Not done; answers [`StoreError::Unavailable`].
    Unavailable,
    /// Done, but the reply is lost: answers [`StoreError::Unavailable`].
    ReplyLost,
    /// Not done; answers [`StoreError::Full`].
    Full,
    /// Not done; answers [`StoreError::Fenced`].
    Fenced,
    /// Not done; answers [`StoreError::TooLarge`].
    TooLarge,
    /// Not done; answers [`StoreError::Damaged`].
    Damaged,
    /// Not done; answers [`StoreError::Closed`].
    Closed,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Fault>,
    always: Option<Fault>,
    gate: Option<Gate>,
    calls: usize,
}

impl Faulty {
    /// Around a store, without any fault yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, script: Arc::default() }
    }

    /// The next call that has no fault of its own yet gets this one.
    pub fn next(&self, op: Op, fault: Fault) {
        self.script().entry(op).or_default().next.push_back(fault);
    }

    /// All calls get this fault, after those of [`next`](Self::next), until [`heal`](Self::heal).
    pub fn always(&self, op: Op, fault: Fault) {
        self.script().entry(op).or_default().always = Some(fault);
    }

    /// Forgets all faults of an operation and lets go what is held.
    pub fn heal(&self, op: Op) {
        if let Some(script) = self.script().get_mut(&op) {
            script.next.clear();
            script.always = None;
            if let Some(gate) = script.gate.take() {
                gate.open();
            }
        }
    }

    /// From now on calls wait, before they do anything, until the gate lets them go.
    pub fn hold(&self, op: Op) -> Gate {
        let gate =
            Gate { permits: Arc::new(Semaphore::new(0)), arrived: Arc::new(watch::Sender::new(0)) };
        self.script().entry(op).or_default().gate = Some(gate.clone());
        gate
    }

    /// How often an operation was called.
    pub fn calls(&self, op: Op) -> usize {
        self.script().get(&op).map_or(0, |script| script.calls)
    }

    fn script(&self) -> MutexGuard<'_, HashMap<Op, Script>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        op: Op,
        real: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let (fault, gate) = {
            let mut scripts = self.script();
            let script = scripts.entry(op).or_default();
            script.calls += 1;
            (script.next.pop_front().or(script.always).unwrap_or(Fault::Pass), script.gate.clone())
        };
        if let Some(gate) = gate {
            gate.pass().await;
        }
        match fault {
            Fault::Pass => real.await,
            Fault::Unavailable => Err(unavailable()),
            Fault::ReplyLost => real.await.and(Err(unavailable())),
            Fault::Full => Err(StoreError::Full),
            Fault::Fenced => Err(StoreError::Fenced),
            Fault::TooLarge => Err(StoreError::TooLarge { max: 0 }),
            Fault::Damaged => Err(StoreError::Damaged { place: "as scripted".into() }),
            Fault::Closed => Err(StoreError::Closed),
        }
    }
}

/// Holds calls of one operation until a test lets them go.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    arrived: Arc<watch::Sender<usize>>,
}

impl Gate {
    /// Waits until so many calls have arrived here since the gate was made.
    pub async fn arrived(&self, calls: usize) {
        self.arrived
            .subscribe()
            .wait_for(|arrived| *arrived >= calls)
            .await
            .map(drop)
            .unwrap_or_default();
    }

    /// Lets so many calls go, those that wait or those to come.
    pub fn release(&self, calls: usize) {
        self.permits.add_permits(calls);
    }

    /// Lets all calls go, for good.
    pub fn open(&self) {
        self.permits.close();
    }

    async fn pass(&self) {
        self.arrived.send_modify(|arrived| *arrived += 1);
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(Arc::new(io::Error::other("scripted fault")))
}

#[async_trait]
impl Store for Faulty {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        self.call(Op::Append, self.inner.append(event, claim)).await
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        self.call(Op::Lease, self.inner.lease(sources, now, until, limit)).await
    }

    async fn extend(
        &self,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.call(Op::Extend, self.inner.extend(lease, now, until)).await
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.call(Op::Settle, self.inner.settle(lease, outcome, now)).await
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        self.call(Op::Get, self.inner.get(key)).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.call(Op::List, self.inner.list(query)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.call(Op::Counts, self.inner.counts()).await
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.call(Op::Requeue, self.inner.requeue(key, now)).await
    }

    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.call(Op::Discard, self.inner.discard(key, now)).await
    }

    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        self.call(Op::Expire, self.inner.expire(now)).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.call(Op::Health, self.inner.health()).await
    }

    fn usage(&self) -> crate::Usage {
        self.inner.usage()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.call(Op::Close, self.inner.close()).await
    }
}
