//! Writing tickets, where an answer may be lost: what this node wrote without hearing of it is still this node's.

use std::{sync::Arc, time::Duration};

use hookward_core::EventKey;

use super::{
    Shared,
    book::Waiting,
    duplicate::RACES_MAX,
    item::{
        self,
        ticket::{self, Ticket, TicketState},
    },
    resolve::WITHOUT_EFFECT,
    table::{For, Guard, Written},
    tenure::Tenure,
    trouble::Trouble,
    usage::Purpose,
};
use crate::{Attempt, StoreError};

/// What became of a ticket that was to be written.
#[derive(Debug)]
pub(super) enum Placed {
    /// It is there.
    There,
    /// Another one is there than the one that it follows, or none.
    Behind(Option<Ticket>),
}

/// Tickets of one event of which nobody knows whether they were written. If they were, the event is this node's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undecided {
    /// The highest version of them.
    version: u64,
    /// What the journal holds the event under for them.
    numbers: Vec<u64>,
    /// When the last of them was tried, by this node's clock.
    since: Duration,
}

impl Shared {
    /// Writes the next ticket of an event, if the one that is there is the one that it follows.
    pub(super) async fn write_ticket(
        &self,
        ticket: &Ticket,
        why: For<'_>,
    ) -> Result<Placed, StoreError> {
        // The first one of this event also replaces that of an event that expired.
        let guard = if ticket.version == 1 {
            Guard::when("attribute_not_exists(pk) OR #r <> :r")
        } else {
            Guard::when("#r = :r AND #v = :v")
                .name("#v", ticket::VERSION)
                .value(":v", item::number(ticket.version - 1))
        };
        let guard = guard.name("#r", ticket::RECEIPT).value(":r", item::bytes(ticket.receipt.0));
        let there = match self.table.put(ticket.encode(), guard, why).await? {
            Written::Done => return Ok(Placed::There),
            Written::Refused(there) => there,
        };
        let there = there.map(|there| Ticket::decode(ticket.key, &there)).transpose()?;
        // A retry that met its own first try.
        let is_this = there.as_ref() == Some(ticket);
        Ok(if is_this { Placed::There } else { Placed::Behind(there) })
    }

    /// Writes what is to become of an event that this node has, under the event's turn. `false` when it is not what the
    /// caller takes it for any more: memory has it then as its ticket says.
    pub(super) async fn place_ticket(
        &self,
        tenure: &Arc<Tenure>,
        waiting: &mut Waiting,
        state: TicketState,
        attempt: Option<&Attempt>,
        why: For<'_>,
    ) -> Result<bool, StoreError> {
        let key = waiting.facts.key;
        for _ in 0..RACES_MAX {
            let ticket = waiting.next_ticket(tenure.node, state);
            let there = match self.write_ticket(&ticket, why).await {
                Ok(Placed::There) => {
                    waiting.ticket = ticket.version;
                    waiting.ticket_is_in_doubt = false;
                    return Ok(true);
                }
                Ok(Placed::Behind(there)) => there,
                Err(error) => {
                    let mut book = self.book();
                    if Arc::ptr_eq(&book.tenure, tenure) {
                        book.change(key, |waiting| waiting.ticket_is_in_doubt = true);
                    }
                    return Err(error);
                }
            };
            let mut book = self.book();
            if !Arc::ptr_eq(&book.tenure, tenure) {
                return Ok(false);
            }
            // Only this node writes tickets with its name: this is one of which it did not hear.
            let Some(own) = there.filter(|there| there.owner == tenure.node) else {
                book.give_up(key);
                return Ok(false);
            };
            let is_pending = matches!(own.state, TicketState::Pending { .. });
            if !is_pending || own.replays != waiting.replays {
                book.follow(key, own);
                return Ok(false);
            }
            waiting.follow(own);
            if let Some(attempt) = attempt {
                waiting.tried(attempt.clone());
            }
        }
        Err(Trouble::not_tried("the ticket of this event changes all the time").into())
    }

    /// Nobody knows whether a ticket was written that makes an event this node's: its number stays open until that is found
    /// out.
    pub(super) fn leave_undecided(&self, tenure: &Arc<Tenure>, ticket: &Ticket, number: u64) {
        let now = self.options.clock.elapsed();
        let mut book = self.book();
        if Arc::ptr_eq(&book.tenure, tenure) {
            let undecided = book.undecided.entry(ticket.key).or_default();
            undecided.version = undecided.version.max(ticket.version);
            undecided.numbers.push(number);
            undecided.since = now;
        }
    }

    /// Finds out which tickets were written that had no answer, and takes their events in.
    pub(super) async fn decide(&self) -> Result<(), StoreError> {
        let (tenure, keys) = {
            let book = self.open_book()?;
            let keys: Vec<EventKey> = book.undecided.keys().copied().collect();
            (Arc::clone(&book.tenure), keys)
        };
        for key in keys {
            let _turn = self.turn(key).await;
            let record = self.record(key, For::all(Purpose::Resolved)).await?;
            let now = self.options.clock.elapsed();
            let mut book = self.book();
            if !Arc::ptr_eq(&book.tenure, &tenure) {
                return Ok(());
            }
            let Some(undecided) = book.undecided.get(&key).cloned() else { continue };
            let ticket = record.as_ref().and_then(|record| record.ticket.clone());
            let version = ticket.as_ref().map_or(0, |ticket| ticket.version);
            let is_late = now.saturating_sub(undecided.since) >= WITHOUT_EFFECT;
            // Another one in its place keeps it out for good.
            if record.is_some() && version < undecided.version && !is_late {
                continue;
            }
            book.undecided.remove(&key);
            let is_ours = |ticket: &Ticket| {
                ticket.owner == tenure.node && matches!(ticket.state, TicketState::Pending { .. })
            };
            let before = book.waiting(key).map(|waiting| waiting.ticket);
            match (record, ticket.filter(is_ours), before) {
                (Some(record), Some(ticket), None) => {
                    let event = self.at_hand(&record.item);
                    let waiting =
                        Waiting::ticketed(record.facts(), event, undecided.numbers, ticket);
                    book.insert(waiting, self.options.cache_bytes_max);
                    continue;
                }
                (_, Some(ticket), Some(before)) if before < ticket.version => {
                    book.follow(key, ticket);
                }
                _ => {}
            }
            for number in undecided.numbers {
                book.progress.finish(number);
            }
        }
        Ok(())
    }
}
