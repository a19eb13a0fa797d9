//! `r#…`/`r`: what has become of an event that was not simply delivered at its first attempt.
//!
//! Who has no ticket is what its number at its owner says. Who has one is what the ticket says, and its owner is the
//! ticket's: so an event can be given to another node, tried again or given up without touching its large item.

use std::collections::VecDeque;

use hookward_core::{EventKey, Timestamp};

use super::{
    Attributes, EXPIRES, Item, Key, bytes, event::ReceiptId, event::quarantine_from, expiry_secs,
    key_text, number, text,
};
use crate::{
    Attempt, DeadReason, StoreError,
    embedded::codec::{Put, Reader},
};

const PK_PREFIX: &str = "r#";
const SK_TICKET: &str = "r";
/// The receipt of the event that it belongs to: a ticket of one that expired says nothing about the next.
pub(crate) const RECEIPT: &str = "r";
pub(crate) const VERSION: &str = "v";
const OWNER: &str = "o";
const STATE: &str = "st";
const DUE: &str = "d";
const REASON: &str = "y";
const ATTEMPTS: &str = "n";
const REPLAYS: &str = "re";
const SINCE: &str = "ps";
const HISTORY: &str = "hy";

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) key: EventKey,
    pub(crate) receipt: ReceiptId,
    /// One higher with each change; only the next one may be written.
    pub(crate) version: u64,
    /// The node that has to finish it while it is pending.
    pub(crate) owner: u64,
    pub(crate) state: TicketState,
    pub(crate) attempts: u32,
    pub(crate) replays: u32,
    /// When it was replayed last: since then it is pending, if it is.
    pub(crate) replayed_at: Option<Timestamp>,
    /// The latest attempts, oldest first.
    pub(crate) history: VecDeque<Attempt>,
    /// When the key is forgotten, and the ticket with it.
    pub(crate) expires_at: Option<Timestamp>,
}

/// What it waits for, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketState {
    Pending { due_at: Timestamp },
    Done,
    Dead(DeadReason),
    Dropped,
}

/// Where the ticket of this event is, if it has one.
pub(crate) fn key_of(key: EventKey) -> Key {
    Key { pk: format!("{PK_PREFIX}{}", key_text(key)), sk: SK_TICKET.to_owned() }
}

impl Ticket {
    pub(crate) fn encode(&self) -> Item {
        let mut item = key_of(self.key).item();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(RECEIPT, bytes(self.receipt.0));
        set(VERSION, number(self.version));
        set(OWNER, number(self.owner));
        let state = match self.state {
            TicketState::Pending { due_at } => {
                set(DUE, number(due_at.as_micros()));
                "pending"
            }
            TicketState::Done => "done",
            TicketState::Dead(reason) => {
                set(REASON, text(reason_text(reason)));
                "dead"
            }
            TicketState::Dropped => "dropped",
        };
        set(STATE, text(state));
        set(ATTEMPTS, number(self.attempts.into()));
        if self.replays > 0 {
            set(REPLAYS, number(self.replays.into()));
        }
        if let Some(at) = self.replayed_at {
            set(SINCE, number(at.as_micros()));
        }
        if !self.history.is_empty() {
            set(HISTORY, bytes(pack(&self.history)));
        }
        if let Some(at) = self.expires_at {
            set(EXPIRES, number(expiry_secs(at)));
        }
        item
    }

    /// The expiry is read in whole seconds.
    pub(crate) fn decode(key: EventKey, item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let counter = |name| {
            let value = read.maybe_number(name)?.unwrap_or_default();
            u32::try_from(value).map_err(|_| read.damaged(name))
        };
        let state = match read.text(STATE)? {
            "pending" => TicketState::Pending { due_at: read.time(DUE)? },
            "done" => TicketState::Done,
            "dead" => {
                let reason = reason_from(read.text(REASON)?);
                TicketState::Dead(reason.ok_or_else(|| read.damaged(REASON))?)
            }
            "dropped" => TicketState::Dropped,
            _ => return Err(read.damaged(STATE)),
        };
        let receipt = read.bytes(RECEIPT)?.try_into().map(ReceiptId);
        let history = read.maybe_bytes(HISTORY)?.unwrap_or_default();
        Ok(Self {
            key,
            receipt: receipt.map_err(|_| read.damaged(RECEIPT))?,
            version: read.number(VERSION)?,
            owner: read.number(OWNER)?,
            state,
            attempts: counter(ATTEMPTS)?,
            replays: counter(REPLAYS)?,
            replayed_at: read.maybe_time(SINCE)?,
            history: unpack(history).ok_or_else(|| read.damaged(HISTORY))?,
            expires_at: read.maybe_number(EXPIRES)?.map(Timestamp::from_secs),
        })
    }
}

pub(crate) const fn reason_text(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Undeliverable => "undeliverable",
        DeadReason::Quarantined(why) => why.as_str(),
    }
}

pub(crate) fn reason_from(text: &str) -> Option<DeadReason> {
    match text {
        "undeliverable" => Some(DeadReason::Undeliverable),
        other => quarantine_from(other).map(DeadReason::Quarantined),
    }
}

pub(crate) fn pack(history: &VecDeque<Attempt>) -> Vec<u8> {
    let mut packed = Vec::new();
    for attempt in history {
        packed.put_time(attempt.at);
        packed.put_varint(attempt.status.map_or(0, |status| u64::from(status) + 1));
        packed.put_sized(attempt.note.as_bytes());
    }
    packed
}

pub(crate) fn unpack(packed: &[u8]) -> Option<VecDeque<Attempt>> {
    let mut reader = Reader::new(packed);
    let mut history = VecDeque::new();
    while !reader.is_empty() {
        history.push_back(Attempt {
            at: reader.time()?,
            status: match reader.varint()? {
                0 => None,
                status => Some(u16::try_from(status - 1).ok()?),
            },
            note: reader.text()?.into(),
        });
    }
    Some(history)
}

#[cfg(test)]
mod tests {
    use hookward_core::Quarantine;
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_ticket_is_read_as_it_was_written(
            key: [u8; 16], receipt: [u8; 8], version: u64, owner: u64, which in 0..5_usize, at: u64, attempts: u32, replays: u32, replayed: Option<u64>,
            history in vec((any::<u64>(), any::<Option<u16>>(), ".{0,100}"), 0..16), expires in option::of(0..u32::MAX),
        ) {
            let attempt = |(at, status, note): (u64, Option<u16>, String)| Attempt {
                at: Timestamp::from_micros(at),
                status,
                note: note.into(),
            };
            let ticket = Ticket {
                key: EventKey::from_bytes(key),
                receipt: ReceiptId(receipt),
                version,
                owner,
                state: [
                    TicketState::Pending { due_at: Timestamp::from_micros(at) },
                    TicketState::Done,
                    TicketState::Dead(DeadReason::Undeliverable),
                    TicketState::Dead(DeadReason::Quarantined(Quarantine::NotJson)),
                    TicketState::Dropped,
                ][which],
                attempts,
                replays,
                replayed_at: replayed.map(Timestamp::from_micros),
                history: history.into_iter().map(attempt).collect(),
                expires_at: expires.map(|secs| Timestamp::from_secs(secs.into())),
            };
            let read = Ticket::decode(ticket.key, &ticket.encode()).unwrap();
            prop_assert_eq!(read, ticket);
        }
    }
}
