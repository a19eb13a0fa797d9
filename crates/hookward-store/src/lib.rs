//! Where admitted events are kept until they are delivered, and remembered afterwards.
//!
//! [`Store`] is the contract; its doc comments are the promises, and [`conformance`] is their meaning:
//! every store and every wrapper passes the same suite. A store knows nothing of HTTP.
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dynamodb;
pub mod embedded;
#[cfg(feature = "conformance")]
pub mod fault;
pub mod memory;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp};

/// What every store promises.
///
/// Times are arguments: a store never asks the clock what time it is. Errors say what the caller can do
/// about them; an `Err` from [`append`](Self::append) means *not acknowledged*, never *not kept*.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Keeps the event unless its key is already held, in one atomic step, and answers after that is
    /// durable: once `Ok` is returned, no crash of this process or machine loses the event.
    ///
    /// Of any number of concurrent appends of one key, exactly one is [`Receipt::Kept`]. A key is held
    /// from its first append until its `key_expires_at` (for ever when that is `None`), also after the
    /// event was delivered, dropped, or its body forgotten, and always as long as its body is kept. The held key answers
    /// [`Receipt::Duplicate`] when the content digest is the same, otherwise [`Receipt::Conflict`].
    ///
    /// Dropping the future does not undo the append.
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError>;

    /// Leases up to `limit` events of the given sources that are due at `now` and that nobody holds, oldest
    /// due first. The events of other sources cost nothing and delay nothing: each destination asks for its own.
    ///
    /// A leased event is nobody else's until `until`. An event whose lease has lapsed is due again, and
    /// its former holder's token is dead. After a restart no lease is held.
    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError>;

    /// Moves the end of a lease. [`StoreError::Fenced`] when it is no longer the caller's.
    async fn extend(
        &self,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError>;

    /// Says how the work under a lease ended, and gives the lease back.
    ///
    /// Only the latest holder may: a lease that lapsed and was given to somebody else, or whose event was
    /// settled, requeued or dropped meanwhile, answers [`StoreError::Fenced`] and changes nothing. `Ok` means that the outcome is
    /// durable or will be with the next group; losing it in a crash means that the event is delivered again.
    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The event under this key with all that is known of it; `None` when the key is not held.
    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError>;

    /// Events in the order of their arrival, newest first, filtered, a page at a time. Bodies are left out, and so
    /// are events whose body was forgotten.
    async fn list(&self, query: &Query) -> Result<Page, StoreError>;

    /// How many events are in each state, and the oldest that waits.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// An operator's replay: makes an event due at once, whatever its state, with its attempts back at zero and its
    /// replay number one higher (so that its delivery id is new and the application does not swallow it).
    ///
    /// [`StoreError::NotFound`] when the key is not held, [`StoreError::BodyExpired`] when its body was forgotten.
    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError>;

    /// An operator's decision that a dead letter is done with: [`State::Dropped`], its key still held.
    ///
    /// [`StoreError::NotFound`] when the key is not held, the event is not dead, or its body was forgotten.
    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError>;

    /// Forgets what has expired at `now`: bodies past their time of events that are finished (delivered, archived,
    /// dropped), dead letters past their body's time, and keys past theirs. Never an event that still has to be delivered.
    ///
    /// `now` is about what is there and finished by then, and about nothing that comes or ends later: a clock that was wrong
    /// once costs what had to expire by it, and no more.
    ///
    /// What has expired cannot be seen any more when this returns. A store may give its space back later, and then
    /// reports it with the call that did.
    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError>;

    /// Whether appends can be expected to succeed.
    async fn health(&self) -> Result<(), StoreError>;

    /// What was consumed of what is billed by use, since the store was opened. Nothing, for a store that is not.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Makes durable what can be, and stops: later calls answer [`StoreError::Closed`]. Losing a store without
    /// this loses nothing acknowledged.
    async fn close(&self) -> Result<(), StoreError>;
}

/// How an append wants the event: for the queue, or at once under a lease of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// For whoever leases next.
    Queue,
    /// For the caller, until the given time.
    Lease {
        /// When the lease lapses.
        until: Timestamp,
    },
}

/// What the store says to an append. In each case the key is durably held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The event is new and durable.
    Kept {
        /// The lease, if one was claimed and the event is one to deliver.
        lease: Option<Lease>,
    },
    /// The same event was kept before.
    Duplicate {
        /// What has become of the first one.
        state: State,
    },
    /// Another event with the same key and other content was kept before; this one was not.
    Conflict {
        /// What has become of the first one.
        state: State,
    },
}

impl Receipt {
    /// What to say when the key is held already.
    pub(crate) const fn for_held(state: State, same_content: bool) -> Self {
        if same_content { Self::Duplicate { state } } else { Self::Conflict { state } }
    }
}

/// The exclusive, expiring, token-fenced right to work on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The event.
    pub key: EventKey,
    /// The fencing token: higher for each lease of this event; only the highest may settle.
    pub token: u64,
    /// When the lease lapses.
    pub until: Timestamp,
}

/// What [`Store::lease`] hands out.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The leased events, oldest due first.
    pub leased: Vec<Leased>,
    /// When the next event of these sources that was not handed out is due or its lease lapses; `None` when
    /// nothing waits. In the past when there is more work than `limit`.
    pub next_due: Option<Timestamp>,
}

/// An event under a lease.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The right to work on it.
    pub lease: Lease,
    /// The event.
    pub event: Arc<EventParts>,
    /// How many attempts have ended since it was appended or last requeued.
    pub attempts: u32,
    /// How often it was requeued.
    pub replays: u32,
}

/// How the work under a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; it is never due again unless requeued.
    Done(Attempt),
    /// It is due again at a time.
    Again {
        /// When it is due.
        at: Timestamp,
        /// What happened.
        attempt: Attempt,
    },
    /// It was not tried, or not for a reason of its own: due again at a time, attempts unchanged.
    Release {
        /// When it is due.
        at: Timestamp,
    },
    /// It needs a person.
    Dead(Attempt),
}

/// One delivery try, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The HTTP status of the destination's answer, if it answered.
    pub status: Option<u16>,
    /// What happened, in a sentence without bodies or secrets; at most [`ATTEMPT_NOTE_BYTES_MAX`] bytes are kept.
    pub note: Box<str>,
}

impl Attempt {
    /// The same with its note cut to what is kept, at a character.
    #[must_use]
    pub(crate) fn clipped(mut self) -> Self {
        if self.note.len() > ATTEMPT_NOTE_BYTES_MAX {
            let end = self.note.floor_char_boundary(ATTEMPT_NOTE_BYTES_MAX);
            self.note = self.note.get(..end).unwrap_or_default().into();
        }
        self
    }
}

/// The longest [`Attempt::note`] that is kept, in bytes: enough for an error chain, little beside an event.
pub const ATTEMPT_NOTE_BYTES_MAX: usize = 512;

/// How many of an event's latest attempts are kept: what a person reads, not an archive.
pub const ATTEMPTS_KEPT_MAX: usize = 16;

/// What has become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Waits for its delivery, or is being delivered.
    Pending,
    /// Delivered.
    Done,
    /// Kept without a destination.
    Archived,
    /// Needs a person: attempts exhausted, quarantined, or not readable any more.
    Dead,
    /// Was dead; a person decided that it is done with.
    Dropped,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Done, Self::Archived, Self::Dead, Self::Dropped];

    /// The stable name, for people, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Archived => "archived",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }

    /// What an event is when it has just been kept.
    pub(crate) const fn at_intake(intake: Intake) -> (Self, Option<DeadReason>) {
        match intake {
            Intake::Deliver => (Self::Pending, None),
            Intake::Archive => (Self::Archived, None),
            Intake::Quarantine(why) => (Self::Dead, Some(DeadReason::Quarantined(why))),
        }
    }
}

/// What a store knows of one event.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The event. Its body is empty when it was forgotten, and in lists.
    pub event: Arc<EventParts>,
    /// The size of the body in bytes, also where the body is left out.
    pub body_bytes: usize,
    /// What has become of it.
    pub state: State,
    /// Why it is dead, when it is.
    pub dead: Option<DeadReason>,
    /// Attempts that ended since it was appended or last requeued.
    pub attempts: u32,
    /// How often it was requeued.
    pub replays: u32,
    /// When it is next due, while it is pending.
    pub due_at: Option<Timestamp>,
    /// The latest attempts, oldest first; in lists at most the last one.
    pub history: Vec<Attempt>,
    /// Whether the body was forgotten: it can be looked at, not replayed.
    pub body_expired: bool,
}

/// Why an event is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// It was verified but is nothing to deliver.
    Quarantined(Quarantine),
    /// Delivery was given up.
    Undeliverable,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only received at or after this time.
    pub since: Option<Timestamp>,
    /// Only received before this time.
    pub before: Option<Timestamp>,
    /// Go on after this cursor.
    pub cursor: Option<Cursor>,
    /// At most so many; a store may return fewer with a cursor.
    pub limit: usize,
}

impl Query {
    /// Whether an event in this state is asked for; cursor and limit are the caller's.
    pub(crate) fn matches(&self, event: &EventParts, state: State) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
            && self.matches_facts(&event.source, event.received_at)
    }

    /// The same without the state.
    pub(crate) fn matches_facts(&self, source: &SourceName, received_at: Timestamp) -> bool {
        self.source.as_ref().is_none_or(|wanted| wanted == source)
            && self.since.is_none_or(|since| since <= received_at)
            && self.before.is_none_or(|before| received_at < before)
    }
}

/// Where a list goes on: opaque, of one store, valid as long as its event is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// Some events of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first, without bodies.
    pub events: Vec<Kept>,
    /// Where it goes on; `None` at the end.
    pub next: Option<Cursor>,
}

/// How many events a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting or being delivered.
    pub pending: u64,
    /// Of those, under a lease.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// Delivered, archived or dropped, body not yet forgotten (or its space not yet given back).
    pub finished: u64,
    /// Since when the event that has been pending for longest is pending: it was received then, or last replayed. A retry
    /// does not begin anew.
    pub oldest_pending: Option<Timestamp>,
    /// Bytes that the store takes up on its medium.
    pub stored_bytes: u64,
}

/// What a store consumed of what is billed by use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Units, by what they were used for.
    pub units: Vec<UsedUnits>,
    /// How many calls were throttled, by the reason that was given.
    pub throttled: Vec<(String, u64)>,
}

/// Units that were used for one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedUnits {
    /// The source whose events they were used for, where it was one: what sources share has none, such as a journal.
    pub source: Option<SourceName>,
    /// What for: a stable name, such as `accepted`, `duplicate` or `journal`.
    pub outcome: &'static str,
    /// Read units.
    pub reads: f64,
    /// Write units.
    pub writes: f64,
}

/// What [`Store::expire`] forgot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Events whose body was forgotten.
    pub bodies: u64,
    /// Keys that were forgotten.
    pub keys: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease is no longer the caller's: stop working on the event.
    #[error("the lease is no longer held")]
    Fenced,
    /// No such event.
    #[error("no event with this key")]
    NotFound,
    /// The event's body was forgotten; it cannot be delivered again.
    #[error("the body of this event has expired")]
    BodyExpired,
    /// Too much waits already: try again later. Nothing was kept.
    #[error("the queue is full")]
    Full,
    /// Its source has spent what it may: try again later. Nothing was written.
    #[error("the source is over its budget of write units for {:.3} s more", retry_after.as_secs_f64())]
    OverBudget {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The event is larger than this store can keep. Trying again is of no use.
    #[error("the event is larger than the {max} bytes that this store keeps")]
    TooLarge {
        /// The largest event, in bytes.
        max: usize,
    },
    /// This store cannot do it, whenever it is asked.
    #[error("{what}")]
    Unsupported {
        /// Why, and what can be done in place of it.
        what: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The medium failed or cannot be reached; whether the event was kept is not known. Try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The medium holds something that this store did not write, or did not finish. A person must look.
    #[error("the store is damaged: {place}")]
    Damaged {
        /// Where: file, offset, what was expected.
        place: String,
    },
}
