//! Claims on a table, for processes that come and go: web workers, functions, management commands, a worker process.
//!
//! There is no node, no task in the background, and nothing in memory that anything depends on: any process may do any
//! step. Two kinds of items say everything:
//!
//! - the **event** ([`item::claim`]) has its state on itself: status, due time, lease, attempts, and a version. Each change is
//!   one conditional write that needs the version before it and raises it. A lease's token is the version that it was taken
//!   with, so whoever was overtaken is fenced by the same condition.
//! - a **mark** ([`item::mark`]) in one of a few partitions, ordered by time, finds what waits without an index or a scan: at
//!   the event's due time, and for a claimed event at the end of its lease, so that what a dead worker had is found.
//!
//! Why nothing that was acknowledged is lost:
//!
//! 1. Each mark has a name of its own, and is written and removed once. An event names its mark (`m`).
//! 2. A mark is durable before the event names it, or, for a new event, before anybody is told; and it is removed only after the
//!    event, by a durable write, has named another one or is finished. So a pending event of which somebody was told has a
//!    mark, at the latest at the time when there is something to do.
//! 3. Whoever polls reads the event of each mark that is due. It takes the event only if the event names that mark and is
//!    nobody's. A mark that its event does not name is of an operation that is on its way, or was left by one that broke off:
//!    it is removed [`WITHOUT_EFFECT`] after somebody first saw it so. An operation that took longer than [`PROMPT`] by its own
//!    clock, which counts suspended time, writes its mark again before it answers.
//! 4. A new event and its mark are written side by side. An append that broke off between the two was not acknowledged: its
//!    sender comes again, and whoever says "duplicate" of a waiting event has seen its mark, or written it again.
//! 5. A write carries a random receipt: a retry that meets its own first try knows it. Receipts come from the operating
//!    system, since a forked process would roll the same dice as its siblings.
//!
//! A gateway's events ([`Keeper::Node`](item::claim::Keeper)) are left to the gateway.

mod keep;
mod marks;
mod people;
mod work;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use hookward_core::{Event, EventKey, EventParts, SourceName, Timestamp};

pub use self::people::Tally;
use super::{
    bodies::{self, LargeBodies},
    item::{
        self, EXPIRES,
        body::{Place, Stored},
        claim::{self, ClaimItem, Keeper, Standing},
        event::{self, ReceiptId},
    },
    options::{BootClock, Clock},
    resolve,
    table::{For, Guard, Table, Written},
    trouble::Trouble,
    usage::Purpose,
};
use crate::{
    Claim, Counts, DeadReason, Expired, Kept, Lease, Outcome, Page, Query, Receipt, State, Store,
    StoreError, Usage, Work,
};

/// How often somebody else may be faster before that is no coincidence any more.
const RACES_MAX: usize = 5;

/// A signed request is taken for 15 minutes at most. A mark that no event names for so long will never be named.
pub(crate) const WITHOUT_EFFECT: Duration = resolve::WITHOUT_EFFECT;

/// An operation that took longer does not rely on its mark being there still. Half of [`WITHOUT_EFFECT`]: whoever removes marks may
/// have a clock that is minutes off.
pub(crate) const PROMPT: Duration = Duration::from_mins(10);

/// So many leases are remembered, so that settling them costs no read. What is not remembered is read.
const REMEMBERED_MAX: usize = 1_024;

/// A store on a table for processes that come and go.
///
/// Opening it asks nothing of DynamoDB. It belongs to the process that made it: make it after a fork. Calls of one store belong
/// to one runtime, which its client's connections end with.
#[derive(Debug)]
pub struct Claims {
    table: Table,
    options: Options,
    /// What is known of events that were leased here, by the token of the lease.
    leased: Mutex<HashMap<EventKey, ClaimItem>>,
    /// The time of the latest [`Store::expire`], by which its reads are judged.
    forgotten_at: AtomicU64,
    /// The latest time that was seen.
    latest: AtomicU64,
    closed: AtomicBool,
}

/// How claims work.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table.
    pub table: String,
    /// Who looks after a claimed event whose worker died. [`Recovery::Swept`].
    pub recovery: Recovery,
    /// How far back dead letters are looked for where nothing else is said. 92 days.
    pub look_back: Duration,
    /// Where bodies are kept that do not fit into an item; their events are refused without. `None`.
    pub large_bodies: Option<LargeBodies>,
    /// The clock that operations are timed by.
    pub clock: Arc<dyn Clock>,
    /// What is wrong with it, for the tests that must find it.
    #[cfg(feature = "conformance")]
    pub flaw: Option<Flaw>,
}

impl Options {
    /// The defaults for a table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            recovery: Recovery::Swept,
            look_back: Duration::from_hours(92 * 24),
            large_bodies: None,
            clock: Arc::new(BootClock),
            #[cfg(feature = "conformance")]
            flaw: None,
        }
    }

    #[cfg(feature = "conformance")]
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    #[cfg(not(feature = "conformance"))]
    #[expect(clippy::unused_self, reason = "a sound store has no flaws")]
    const fn has(&self, _: Flaw) -> bool {
        false
    }
}

/// Who looks after a claimed event whose worker died before it settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Whoever leases next, after the claim's lease has lapsed: each claim writes a mark, and takes it away again.
    Swept,
    /// The sender, who was not answered and tries again. A claim writes no mark, which saves two write units; an event whose sender
    /// never tries again is not run. What is given back has a mark in any case.
    BySender,
}

/// Something that is wrong with a store, planted so that the tests show that they would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Takes its own retry for somebody else's write.
    IgnoresReceipts,
    /// Writes without looking at the version.
    DoesNotFence,
    /// Removes a mark as soon as no event names it.
    RemovesMarksTooEarly,
    /// Removes an event's mark before the event is finished.
    RemovesMarksFirst,
    /// Takes a lease for lapsed that is not.
    IgnoresLeases,
    /// Never takes a lease that has lapsed.
    IgnoresLapses,
    /// Tells of a new event before its mark is durable.
    TellsBeforeTheMark,
    /// Says "duplicate" without having seen the mark.
    TrustsDuplicates,
}

/// The answer to [`Claims::claim`] and [`Claims::accept`]. In each case the key is durably held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What there is.
    pub standing: Held,
    /// Attempts that ended since the event came or was last replayed.
    pub attempts: u32,
    /// How often it was replayed.
    pub replays: u32,
    /// Whether this call made it durable.
    pub new: bool,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The caller has the lease.
    Claimed(Lease),
    /// It is durable, and waits for whoever leases next; or it is kept and nothing is to be done about it.
    Kept,
    /// Somebody else has the lease until then; without a time it waits, or a gateway works on it.
    Running {
        /// When the lease lapses.
        until: Option<Timestamp>,
    },
    /// It is done: delivered, archived, or dropped by a person.
    Done(State),
    /// It is a dead letter, and why.
    Dead(DeadReason),
    /// Other content holds the key. This event was kept as a dead letter of its own.
    Conflict,
}

/// What became of a change.
#[derive(Debug)]
enum Changed {
    /// It is durable. This is the event now.
    Done(Box<ClaimItem>),
    /// It did not take place: the event is another one by now, or is not there any more.
    Behind(Option<Box<ClaimItem>>),
}

impl Claims {
    /// A store on a table.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            table: Table::new(client, &options.table, &Arc::default(), &options.clock),
            options,
            leased: Mutex::default(),
            forgotten_at: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether events can be kept: asks the table for one that is not there.
    pub async fn health(&self) -> Result<(), StoreError> {
        self.open()?;
        let key = event::key_of(EventKey::from_bytes([0; 16]));
        self.table.get(key, For::all(Purpose::Read)).await?;
        Ok(())
    }

    /// What was consumed since this store was made.
    pub fn usage(&self) -> Usage {
        self.table.meter.usage()
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Relaxed) { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn saw(&self, now: Timestamp) {
        self.latest.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.options.has(flaw)
    }

    /// The event under a key as it is now.
    async fn read(&self, key: EventKey, why: For<'_>) -> Result<Option<ClaimItem>, StoreError> {
        let item = self.table.get(event::key_of(key), why).await?;
        item.as_ref().map(ClaimItem::decode).transpose()
    }

    /// Makes the next version of an event out of the one that was read.
    async fn change(
        &self,
        before: &ClaimItem,
        was: &Standing,
        now: Standing,
        why: For<'_>,
    ) -> Result<Changed, StoreError> {
        let receipt = ReceiptId(random()?);
        let (old, new) =
            (was.attributes(&before.event, before.receipt), now.attributes(&before.event, receipt));
        let condition =
            if self.has(Flaw::DoesNotFence) { "attribute_exists(#v)" } else { "#v = :was" };
        let mut guard = Guard::when(condition).name("#v", claim::VERSION);
        if !self.has(Flaw::DoesNotFence) {
            guard = guard.value(":was", item::number(was.version));
        }
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        // A lease's end and a mark may have changed under the same version.
        let apart = [claim::UNTIL, claim::MARK, EXPIRES];
        for (name, value) in &new {
            if old.get(name) != Some(value) || apart.contains(&&**name) {
                guard =
                    guard.name(&format!("#{name}"), name).value(&format!(":{name}"), value.clone());
                set.push(format!("#{name} = :{name}"));
            }
        }
        let gone = old.keys().map(String::as_str).chain(apart).collect::<BTreeSet<_>>();
        for name in gone.into_iter().filter(|name| !new.contains_key(*name)) {
            guard = guard.name(&format!("#{name}"), name);
            removed.push(format!("#{name}"));
        }
        let mut change = format!("SET {}", set.join(", "));
        if !removed.is_empty() {
            change = format!("{change} REMOVE {}", removed.join(", "));
        }
        let key = event::key_of(before.event.key);
        let (written, _) = self.table.update(key, &change, guard, why).await?;
        let done = || {
            let keeper = Keeper::Library(now.clone());
            Changed::Done(Box::new(ClaimItem { receipt, keeper, ..before.clone() }))
        };
        Ok(match written {
            Written::Done => done(),
            Written::Refused(None) => Changed::Behind(None),
            Written::Refused(Some(there)) => {
                let there = ClaimItem::decode(&there)?;
                // A retry that met its own first try.
                if there.receipt == receipt && !self.has(Flaw::IgnoresReceipts) {
                    done()
                } else {
                    Changed::Behind(Some(Box::new(there)))
                }
            }
        })
    }

    /// The body of an event that was read.
    async fn body(&self, item: &ClaimItem) -> Result<bytes::Bytes, StoreError> {
        if item.stored.dictionary.is_some() {
            return Err(Trouble::not_tried(
                "a gateway compressed this event's body with a dictionary: look at it there",
            )
            .into());
        }
        let bytes = match &item.stored.place {
            Place::Item(bytes) => bytes.clone(),
            Place::Object(key) => bodies::object(self.options.large_bodies.as_ref(), key).await?,
        };
        let body = item.stored.unpack(&bytes, None);
        body.ok_or_else(|| Stored::damaged(&event::key_of(item.event.key)))
    }

    /// Remembers an event that was leased here, without its body.
    fn remember(&self, item: &ClaimItem) {
        let stored = Stored::plain(bytes::Bytes::new());
        let light = ClaimItem { stored, ..item.clone() };
        let mut leased = self.leased.lock().unwrap_or_else(PoisonError::into_inner);
        if leased.len() >= REMEMBERED_MAX {
            leased.clear();
        }
        leased.insert(light.event.key, light);
    }

    fn recall(&self, key: EventKey) -> Option<ClaimItem> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }
}

/// Why an event of a gateway's node is a dead letter, as far as the event itself says.
fn nodes_reason(event: &EventParts) -> DeadReason {
    let (_, quarantined) = State::at_intake(event.intake);
    quarantined.unwrap_or(DeadReason::Undeliverable)
}

/// Random bytes that no other process has, whatever it was forked from.
fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(Arc::new(std::io::Error::other(error))))?;
    Ok(bytes)
}

/// The contract of all stores, for what reads and forgets by the times that it is told: [`expire`](Store::expire) deletes nothing,
/// DynamoDB does, and what has expired by the latest time that it was given is not shown any more.
///
/// Leases outlive the process that took them. Lists are of what is pending and of what is dead. Counts are of those two.
#[async_trait]
impl Store for Claims {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        Self::append(self, event, claim).await
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        Self::lease(self, sources, now, until, limit).await
    }

    async fn extend(
        &self,
        lease: &Lease,
        _now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        Self::extend(self, lease, until).await
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        Self::settle(self, &lease, outcome, now).await
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        Self::get(self, key, self.told()).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let latest = Timestamp::from_micros(self.latest.load(Ordering::Relaxed));
        self.list_as_of(query, latest, self.told()).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let latest = Timestamp::from_micros(self.latest.load(Ordering::Relaxed));
        let Tally { pending, dead, oldest_pending } = self.tally_as_of(latest, self.told()).await?;
        Ok(Counts { pending, dead, oldest_pending, ..Counts::default() })
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.requeue_as_of(key, now, self.told()).await
    }

    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.discard_as_of(key, now, self.told()).await
    }

    /// DynamoDB deletes what has expired. From now on, reads are as of this time.
    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        self.open()?;
        self.forgotten_at.store(now.as_micros(), Ordering::Relaxed);
        Ok(Expired::default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        Self::health(self).await
    }

    fn usage(&self) -> Usage {
        Self::usage(self)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.open()?;
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Claims {
    /// The time that it was last told to forget by.
    fn told(&self) -> Timestamp {
        Timestamp::from_micros(self.forgotten_at.load(Ordering::Relaxed))
    }
}
