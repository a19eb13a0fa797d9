//! What the library adds to `e#…`/`e`: what has become of an event, on the event's own item.
//!
//! There is no node that an event belongs to. Each change raises the version, and needs the one before it; a lease's token is
//! the version that it was taken with.

use std::collections::VecDeque;

use hookward_core::{EventParts, Intake, Timestamp};

use super::{
    Attributes, EXPIRES, Item,
    body::Stored,
    bytes,
    event::{self, OWNER, RECEIPT, ReceiptId, STATUS},
    expiry_secs, held_until,
    mark::MarkName,
    number, text,
    ticket::{pack, reason_from, reason_text, unpack},
};
use crate::{ATTEMPTS_KEPT_MAX, Attempt, DeadReason, State, StoreError};

/// One higher with each change, from the time of receipt in microseconds on: so no event that comes after one that expired
/// has a version that it had.
pub(crate) const VERSION: &str = "v";
/// When the lease lapses.
pub(crate) const UNTIL: &str = "u";
const DUE: &str = "du";
/// The name of its mark.
pub(crate) const MARK: &str = "m";
const REASON: &str = "y";
const REPLAYS: &str = "re";
const SINCE: &str = "ps";
const HISTORY: &str = "hy";

/// An event item, as the library sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimItem {
    /// The event without its body.
    pub(crate) event: EventParts,
    pub(crate) stored: Stored,
    /// That of whoever changed it last.
    pub(crate) receipt: ReceiptId,
    pub(crate) keeper: Keeper,
}

/// Who keeps an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Whoever has its lease.
    Library(Standing),
    /// A gateway's node, which writes down elsewhere what becomes of it. The state is what the event itself says, if it does.
    Node(Option<State>),
}

/// What has become of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) version: u64,
    pub(crate) state: State,
    pub(crate) dead: Option<DeadReason>,
    /// When the lease lapses, where somebody has one.
    pub(crate) until: Option<Timestamp>,
    /// When it is due, leases aside, while it is pending.
    pub(crate) due_at: Option<Timestamp>,
    /// Its mark, where it has one.
    pub(crate) mark: Option<MarkName>,
    pub(crate) attempts: u32,
    pub(crate) replays: u32,
    /// When it was replayed last.
    pub(crate) replayed_at: Option<Timestamp>,
    /// The latest attempts, oldest first.
    pub(crate) history: VecDeque<Attempt>,
    /// When it was done, for people.
    pub(crate) processed_at: Option<Box<str>>,
}

impl Standing {
    /// That of an event that has just come.
    pub(crate) fn new(
        event: &EventParts,
        until: Option<Timestamp>,
        mark: Option<MarkName>,
    ) -> Self {
        let (state, dead) = State::at_intake(event.intake);
        Self {
            version: event.received_at.as_micros(),
            state,
            dead,
            until,
            due_at: (state == State::Pending).then_some(event.received_at),
            mark,
            attempts: 0,
            replays: 0,
            replayed_at: None,
            history: VecDeque::new(),
            processed_at: None,
        }
    }

    /// Whether somebody has it at `now`.
    pub(crate) fn is_leased(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// When somebody may have it next, while it is pending.
    pub(crate) fn free_at(&self) -> Option<Timestamp> {
        self.until.or(self.due_at)
    }

    /// Since when it is pending.
    pub(crate) fn since(&self, event: &EventParts) -> Timestamp {
        self.replayed_at.unwrap_or(event.received_at)
    }

    /// The next version of it, under a lease.
    pub(crate) fn leased(&self, until: Timestamp) -> Self {
        Self { version: self.version + 1, until: Some(until), ..self.clone() }
    }

    /// The next version of it, as nobody's.
    pub(crate) fn given_back(&self) -> Self {
        Self { version: self.version + 1, until: None, ..self.clone() }
    }

    /// The next version of it, finished.
    pub(crate) fn finished(&self, state: State, dead: Option<DeadReason>) -> Self {
        Self { state, dead, due_at: None, mark: None, ..self.given_back() }
    }

    /// The same after an attempt.
    #[must_use]
    pub(crate) fn tried(mut self, attempt: Attempt) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        self.history.push_back(attempt.clipped());
        while self.history.len() > ATTEMPTS_KEPT_MAX {
            self.history.pop_front();
        }
        self
    }

    const fn status(&self) -> &'static str {
        match self.state {
            State::Pending if self.attempts == 0 => "pending",
            State::Pending => "failed",
            State::Done => "processed",
            State::Archived => "archived",
            State::Dead => "dead",
            State::Dropped => "dropped",
        }
    }

    /// The attributes that say it.
    ///
    /// The item of an event that waits has no time to live: nothing unfinished expires. One under a lease that nobody but its
    /// sender looks after has one: its sender may never come back.
    pub(crate) fn attributes(&self, event: &EventParts, receipt: ReceiptId) -> Item {
        let mut item = Item::new();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(VERSION, number(self.version));
        set(RECEIPT, bytes(receipt.0));
        set(STATUS, text(self.status()));
        set(event::ATTEMPTS, number(self.attempts.into()));
        if let Some(until) = self.until {
            set(UNTIL, number(until.as_micros()));
        }
        if let Some(at) = self.due_at {
            set(DUE, number(at.as_micros()));
        }
        if let Some(mark) = self.mark {
            set(MARK, text(mark.to_string()));
        }
        if let Some(reason) = self.dead {
            set(REASON, text(reason_text(reason)));
        }
        if self.replays > 0 {
            set(REPLAYS, number(self.replays.into()));
        }
        if let Some(at) = self.replayed_at {
            set(SINCE, number(at.as_micros()));
        }
        if !self.history.is_empty() {
            set(HISTORY, bytes(pack(&self.history)));
        }
        if let Some(at) = &self.processed_at {
            set(event::PROCESSED_AT, text(&**at));
        }
        let waits = self.state == State::Pending && (self.mark.is_some() || self.until.is_none());
        if let Some(at) = held_until(event).filter(|_| !waits) {
            set(EXPIRES, number(expiry_secs(at)));
        }
        item
    }

    fn decode(read: Attributes<'_>) -> Result<Self, StoreError> {
        let counter = |name| {
            let value = read.maybe_number(name)?.unwrap_or_default();
            u32::try_from(value).map_err(|_| read.damaged(name))
        };
        let state = state_from(read.text(STATUS)?).ok_or_else(|| read.damaged(STATUS))?;
        let dead = read.maybe_text(REASON)?.map(|reason| {
            let reason = reason_from(reason);
            reason.ok_or_else(|| read.damaged(REASON))
        });
        let mark = read.maybe_text(MARK)?.map(|mark| {
            let mark = MarkName::parse(mark);
            mark.ok_or_else(|| read.damaged(MARK))
        });
        let history = unpack(read.maybe_bytes(HISTORY)?.unwrap_or_default());
        Ok(Self {
            version: read.number(VERSION)?,
            state,
            dead: dead.transpose()?,
            until: read.maybe_time(UNTIL)?,
            due_at: read.maybe_time(DUE)?,
            mark: mark.transpose()?,
            attempts: counter(event::ATTEMPTS)?,
            replays: counter(REPLAYS)?,
            replayed_at: read.maybe_time(SINCE)?,
            history: history.ok_or_else(|| read.damaged(HISTORY))?,
            processed_at: read.maybe_text(event::PROCESSED_AT)?.map(Into::into),
        })
    }
}

fn state_from(status: &str) -> Option<State> {
    Some(match status {
        "pending" | "failed" => State::Pending,
        "processed" => State::Done,
        "archived" => State::Archived,
        "dead" => State::Dead,
        "dropped" => State::Dropped,
        _ => return None,
    })
}

/// The item of an event that has just come; `stored` is its body.
pub(crate) fn encode(
    event: &EventParts,
    stored: Stored,
    standing: &Standing,
    receipt: ReceiptId,
) -> Item {
    let mut item = event::encode_facts(event, stored, receipt);
    item.remove(EXPIRES);
    item.extend(standing.attributes(event, receipt));
    item
}

/// Whether the library keeps this event, and no node does.
pub(crate) fn is_one(item: &Item) -> bool {
    item.contains_key(VERSION) && !item.contains_key(OWNER)
}

impl ClaimItem {
    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let (event, stored, receipt) = event::decode_facts(item)?;
        let keeper = if item.contains_key(OWNER) {
            // What a node says there is said late, and never with `completion = "checkpoint"`.
            let said = read.maybe_text(STATUS)?.and_then(state_from);
            let said = said.filter(|state| *state != State::Pending);
            let (taken, _) = State::at_intake(event.intake);
            Keeper::Node(match event.intake {
                Intake::Deliver => said,
                Intake::Archive | Intake::Quarantine(_) => Some(taken),
            })
        } else {
            Keeper::Library(Standing::decode(read)?)
        };
        Ok(Self { event, stored, receipt, keeper })
    }

    /// Whether nobody holds this key any more at `now`, for its time is over. Never of what waits.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.state() != Some(State::Pending)
            && held_until(&self.event).is_some_and(|until| until <= now)
    }

    /// Whether its body may not be seen any more at `now`.
    pub(crate) fn is_body_over(&self, now: Timestamp) -> bool {
        self.state() != Some(State::Pending) && self.event.body_expires_at <= now
    }

    /// Its state, where that is known from the event.
    pub(crate) const fn state(&self) -> Option<State> {
        match &self.keeper {
            Keeper::Library(standing) => Some(standing.state),
            Keeper::Node(state) => *state,
        }
    }
}

#[cfg(test)]
mod tests {
    use hookward_core::Quarantine;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::dynamodb::item::event::tests::event;

    proptest! {
        #[test]
        fn an_event_is_read_as_it_was_written(
            event in event(), receipt: [u8; 8], version: u64, which in 0..6_usize, until: Option<u64>, due: Option<u64>, mark: Option<(u64, [u8; 6])>,
            attempts: u32, replays: u32, replayed: Option<u64>, history in vec((any::<u64>(), any::<Option<u16>>(), ".{0,100}"), 0..16),
        ) {
            let attempt = |(at, status, note): (u64, Option<u16>, String)| Attempt {
                at: Timestamp::from_micros(at),
                status,
                note: note.into(),
            };
            let (state, dead) = [
                (State::Pending, None),
                (State::Done, None),
                (State::Archived, None),
                (State::Dead, Some(DeadReason::Undeliverable)),
                (State::Dead, Some(DeadReason::Quarantined(Quarantine::NotJson))),
                (State::Dropped, None),
            ][which];
            let standing = Standing {
                version,
                state,
                dead,
                until: until.map(Timestamp::from_micros),
                due_at: due.map(Timestamp::from_micros),
                mark: mark.map(|(due, dice)| MarkName { due: Timestamp::from_micros(due), dice }),
                attempts,
                replays,
                replayed_at: replayed.map(Timestamp::from_micros),
                history: history.into_iter().map(attempt).collect(),
                processed_at: (state == State::Done).then(|| "2026-11-24T00:00:00Z".into()),
            };
            let receipt = ReceiptId(receipt);
            let stored = Stored::pack(&event.body, None);
            let item = encode(&event, stored.clone(), &standing, receipt);
            prop_assert_eq!(
                item.contains_key(EXPIRES),
                event.key_expires_at.is_some() && (state != State::Pending || (until.is_some() && mark.is_none()))
            );
            let event = EventParts { body: bytes::Bytes::new(), ..event };
            let keeper = Keeper::Library(standing);
            prop_assert_eq!(ClaimItem::decode(&item).unwrap(), ClaimItem { event, stored, receipt, keeper });
        }
    }
}
