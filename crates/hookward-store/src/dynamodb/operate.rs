//! What operators decide, and what time does.

use std::sync::Arc;

use hookward_core::{EventKey, Timestamp};

use super::{
    Shared,
    book::{Facts, Waiting},
    duplicate::{RACES_MAX, Record},
    item::{
        journal::EntryKind,
        ticket::{Ticket, TicketState},
    },
    options::Completion,
    table::For,
    tickets::Placed,
    trouble::Trouble,
    usage::Purpose,
};
use crate::{Expired, State, StoreError};

impl Shared {
    pub(super) async fn requeue(
        self: &Arc<Self>,
        key: EventKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _turn = self.turn(key).await;
        for _ in 0..RACES_MAX {
            let (tenure, forgotten_at) = {
                let mut book = self.open_book()?;
                book.latest = book.latest.max(now);
                (Arc::clone(&book.tenure), book.forgotten_at)
            };
            let record = self.record(key, For::all(Purpose::Operator)).await?;
            let record = record.ok_or(StoreError::NotFound)?;
            let before = self.state_of(&record).await?.state;
            if before != State::Pending {
                if record.item.is_over(forgotten_at) {
                    return Err(StoreError::NotFound);
                }
                if record.item.is_body_over(forgotten_at) {
                    return Err(StoreError::BodyExpired);
                }
            }
            let facts = record.facts();
            let why = For { source: Some(&facts.source), purpose: Purpose::Operator };
            let entry = facts.entry(EntryKind::Again);
            let number = self.journaled(&tenure, entry, facts.body_expires_at).await?;
            let next = record.next_ticket(tenure.node, now);
            let ticket = Ticket {
                attempts: 0,
                replays: next.replays.saturating_add(1),
                replayed_at: Some(now),
                ..next
            };
            let placed = self.write_ticket(&ticket, why).await;
            let placed = placed.inspect_err(|_| self.leave_undecided(&tenure, &ticket, number))?;
            {
                let mut book = self.book();
                if !Arc::ptr_eq(&book.tenure, &tenure) {
                    return Err(Trouble::not_tried("this node was taken for dead meanwhile").into());
                }
                if let Placed::Behind(there) = placed {
                    book.progress.finish(number);
                    if there.is_some_and(|there| there.owner != tenure.node) {
                        book.give_up(key);
                    }
                    continue;
                }
                if before != State::Pending {
                    book.ledger.remove(facts.finished(before == State::Dead));
                }
                let event = self.at_hand(&record.item);
                let mut waiting = Waiting::ticketed(facts.clone(), event, vec![number], ticket);
                if let Some(held) = book.take(key) {
                    waiting.numbers.extend(held.numbers);
                }
                book.insert(waiting, self.options.cache_bytes_max);
            }
            if before == State::Dead {
                self.table.unmark_dead(&record.item.event, why).await;
            }
            if self.options.completion == Completion::Each {
                self.write_pending(&facts).await?;
            }
            // A successor that began before the ticket was there did not find it.
            if !tenure.is_valid(&*self.options.clock) {
                return Err(Trouble::not_tried("this node's lease ended during this replay").into());
            }
            return Ok(());
        }
        Err(Trouble::not_tried("other nodes change this event all the time").into())
    }

    pub(super) async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        let _turn = self.turn(key).await;
        let (node, forgotten_at) = {
            let mut book = self.open_book()?;
            book.latest = book.latest.max(now);
            (book.tenure.node, book.forgotten_at)
        };
        let record = self.record(key, For::all(Purpose::Operator)).await?;
        let record = record.ok_or(StoreError::NotFound)?;
        let is_dead = self.state_of(&record).await?.state == State::Dead;
        if !is_dead || record.item.is_body_over(forgotten_at) {
            return Err(StoreError::NotFound);
        }
        let facts = record.facts();
        let why = For { source: Some(&facts.source), purpose: Purpose::Operator };
        let next = record.next_ticket(node, now);
        let ticket = Ticket { state: TicketState::Dropped, ..next };
        if let Placed::Behind(_) = self.write_ticket(&ticket, why).await? {
            // Somebody decided something else at the same moment.
            return Err(StoreError::NotFound);
        }
        {
            let mut book = self.book();
            book.ledger.remove(facts.finished(true));
            book.ledger.add(facts.finished(false));
            book.recent.note(key, facts.known(State::Dropped));
        }
        self.table.unmark_dead(&record.item.event, why).await;
        Ok(())
    }

    /// DynamoDB deletes items itself, some time after they expire: what has expired is not shown any more until then.
    pub(super) async fn expire(self: &Arc<Self>, now: Timestamp) -> Result<Expired, StoreError> {
        let (expired, before) = {
            let mut book = self.open_book()?;
            book.latest = book.latest.max(now);
            (book.ledger.expire(now), std::mem::replace(&mut book.forgotten_at, now))
        };
        if expired != Expired::default() || now < before {
            // A successor must not take for unfinished what is forgotten.
            self.beat().await?;
            self.write_forgotten(now).await?;
        }
        self.keep_unfinished(now).await?;
        Ok(expired)
    }

    async fn write_pending(&self, facts: &Facts) -> Result<(), StoreError> {
        use super::item::{self, event};
        let guard = super::table::Guard::when("#r = :r")
            .name("#r", event::RECEIPT)
            .name("#status", event::STATUS)
            .value(":r", item::bytes(facts.receipt.0))
            .value(":status", item::text("pending"));
        let why = For { source: Some(&facts.source), purpose: Purpose::Completed };
        let change = "SET #status = :status";
        self.table.update(event::key_of(facts.key), change, guard, why).await?;
        Ok(())
    }
}

/// What an event's record says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stands {
    pub(super) state: State,
    pub(super) dead: Option<crate::DeadReason>,
    pub(super) attempts: u32,
    pub(super) replays: u32,
    pub(super) due_at: Option<Timestamp>,
}

impl Shared {
    /// What has become of an event, for people: as good as can be told without asking its owner.
    pub(super) async fn state_of(&self, record: &Record) -> Result<Stands, StoreError> {
        use super::{duplicate::quarantined, nodes::Whereabouts};
        let stands = |state, due_at| Stands {
            state,
            dead: None,
            attempts: record.ticket.as_ref().map_or(0, |ticket| ticket.attempts),
            replays: record.ticket.as_ref().map_or(0, |ticket| ticket.replays),
            due_at,
        };
        if let Some(ticket) = &record.ticket {
            return Ok(match ticket.state {
                TicketState::Pending { due_at } => stands(State::Pending, Some(due_at)),
                TicketState::Done => stands(State::Done, None),
                TicketState::Dead(why) => Stands { dead: Some(why), ..stands(State::Dead, None) },
                TicketState::Dropped => stands(State::Dropped, None),
            });
        }
        let event = &record.item.event;
        let (state, _) = State::at_intake(event.intake);
        if state != State::Pending {
            return Ok(Stands { dead: quarantined(event), ..stands(state, None) });
        }
        let number = record.item.number;
        let is_done = match self.whereabouts(record.item.owner).await? {
            Whereabouts::Here => self.book().progress.covers(number),
            Whereabouts::Live(progress) | Whereabouts::Ended(progress) => progress.covers(number),
            Whereabouts::Leaving => false,
        };
        Ok(if is_done {
            // Delivered at its first attempt, or it would have a ticket.
            Stands { attempts: 1, ..stands(State::Done, None) }
        } else {
            stands(State::Pending, Some(event.received_at))
        })
    }
}
