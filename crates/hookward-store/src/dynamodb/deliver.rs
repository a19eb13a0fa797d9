//! Handing events out for delivery, and what came of it.

use std::{sync::Arc, time::Duration};

use hookward_core::{EventKey, EventParts, SourceName, Timestamp};

use super::{
    Shared,
    book::Waiting,
    duplicate::keys_of,
    item::event::{self, EventItem},
    item::ticket::TicketState,
    options::Completion,
    table::{For, Guard},
    tenure::Tenure,
    trouble::Trouble,
    usage::Purpose,
};
use crate::{Attempt, DeadReason, Lease, Leased, Outcome, State, StoreError, Work};

/// Events that are read together.
const READ_MAX: usize = 50;

/// Bodies that are asked for together, where they are not in the items: each may be as large as a source takes them.
const BODIES_AT_ONCE: usize = 8;

/// How long an event waits whose body could not be had just now: the others go on meanwhile.
const BODY_LATER: Duration = Duration::from_secs(5);

impl Shared {
    pub(super) async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        let (tenure, mut leased, bodiless, mut next_due) = {
            let mut book = self.open_book()?;
            book.latest = book.latest.max(now);
            if !book.tenure.is_valid(&*self.options.clock) {
                return Err(Trouble::not_tried(
                    "this node's lease is over; others may deliver its events",
                )
                .into());
            }
            let (due, next_due) = book.due(sources, now, limit);
            let (mut leased, mut bodiless) = (Vec::new(), Vec::new());
            for (place, key) in due.into_iter().enumerate() {
                let Some(lease) = book.lease(key, until) else { continue };
                let Some(waiting) = book.waiting(key) else { continue };
                match &waiting.event {
                    Some(event) => leased.push((place, of(waiting, lease, Arc::clone(event)))),
                    None => bodiless.push((place, lease)),
                }
            }
            (Arc::clone(&book.tenure), leased, bodiless, next_due)
        };
        for some in bodiless.chunks(READ_MAX) {
            let keys: Vec<EventKey> = some.iter().map(|(_, lease)| lease.key).collect();
            let events = match self.read_events(&keys).await {
                Ok(events) => events,
                Err(error) => {
                    self.give_back(&tenure, some.iter().map(|(_, lease)| lease), now);
                    return Err(error);
                }
            };
            for ((place, lease), event) in some.iter().zip(events) {
                match event {
                    Ok(Some(event)) => {
                        if let Ok(waiting) = self.book().leased(lease) {
                            leased.push((*place, of(waiting, lease.clone(), Arc::new(event))));
                        }
                    }
                    Ok(None) => {
                        tracing::error!(key = %lease.key, "an unfinished event is not in the table any more");
                        self.book().give_up(lease.key);
                    }
                    Err(error) => {
                        let later = now.saturating_add(BODY_LATER);
                        if self.bury(lease, error, now).await.is_err() {
                            self.give_back(&tenure, std::iter::once(lease), later);
                            next_due = Some(next_due.map_or(later, |due| due.min(later)));
                        }
                    }
                }
            }
        }
        leased.sort_unstable_by_key(|(place, _)| *place);
        Ok(Work { leased: leased.into_iter().map(|(_, leased)| leased).collect(), next_due })
    }

    /// Events by their keys, in the same order; each with what is wrong with it alone.
    async fn read_events(
        &self,
        keys: &[EventKey],
    ) -> Result<Vec<Result<Option<EventParts>, StoreError>>, StoreError> {
        let places: Vec<_> = keys.iter().map(|key| event::key_of(*key)).collect();
        let found = self.table.get_all(&places, For::all(Purpose::Body)).await?;
        let mut events = Vec::with_capacity(keys.len());
        for some in places.chunks(BODIES_AT_ONCE) {
            let read = some.iter().map(async |place| match found.get(place) {
                Some(item) => self.whole(EventItem::decode(item)?).await.map(Some),
                None => Ok(None),
            });
            events.extend(futures_util::future::join_all(read).await);
        }
        Ok(events)
    }

    /// Makes a dead letter of an event that cannot be read any more. What may be read later is the error again.
    async fn bury(
        &self,
        lease: &Lease,
        error: StoreError,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !matches!(error, StoreError::Damaged { .. }) {
            tracing::warn!(key = %lease.key, "an event's body cannot be had; its delivery is put off: {error}");
            return Err(error);
        }
        tracing::error!(key = %lease.key, "an event cannot be delivered, and becomes a dead letter: {error}");
        let attempt = Attempt { at: now, status: None, note: error.to_string().into() };
        self.settle(lease.clone(), Outcome::Dead(attempt), now).await
    }

    fn give_back<'l>(
        &self,
        tenure: &Arc<Tenure>,
        leases: impl Iterator<Item = &'l Lease>,
        now: Timestamp,
    ) {
        let mut book = self.book();
        if Arc::ptr_eq(&book.tenure, tenure) {
            for lease in leases {
                if book.leased(lease).is_ok() {
                    book.change(lease.key, |waiting| {
                        waiting.token = None;
                        waiting.free_at = now;
                    });
                }
            }
        }
    }

    pub(super) fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        let mut book = self.open_book()?;
        book.leased(lease)?;
        book.change(lease.key, |waiting| waiting.free_at = until);
        Ok(Lease { until, ..lease.clone() })
    }

    pub(super) async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = lease.key;
        let _turn = self.turn(key).await;
        let (tenure, mut waiting) = {
            let mut book = self.open_book()?;
            book.latest = book.latest.max(now);
            (Arc::clone(&book.tenure), book.leased(&lease)?.clone())
        };
        let (state, status) = match outcome {
            Outcome::Release { at } => {
                self.open_book()?.change(key, |waiting| {
                    waiting.token = None;
                    (waiting.due_at, waiting.free_at) = (at, at);
                });
                return Ok(());
            }
            Outcome::Done(attempt) => {
                waiting.tried(attempt);
                (TicketState::Done, "processed")
            }
            Outcome::Again { at, attempt } => {
                waiting.tried(attempt);
                (TicketState::Pending { due_at: at }, "failed")
            }
            Outcome::Dead(attempt) => {
                waiting.tried(attempt);
                (TicketState::Dead(DeadReason::Undeliverable), "dead")
            }
        };
        if self.options.completion == Completion::Each {
            self.write_status(&waiting, status, state, now).await?;
        }
        // What was delivered at once is told by the checkpoint.
        let has_ticket = waiting.ticket > 0 || waiting.ticket_is_in_doubt;
        let needs_ticket = has_ticket || state != TicketState::Done;
        if needs_ticket {
            let purpose = if matches!(state, TicketState::Dead(_)) {
                Purpose::Dead
            } else {
                Purpose::Retried
            };
            let source = waiting.facts.source.clone();
            let why = For { source: Some(&source), purpose };
            if matches!(state, TicketState::Dead(_)) {
                self.mark_dead_facts(&waiting.facts).await?;
            }
            let attempt = waiting.history.back().cloned();
            let placed = self.place_ticket(&tenure, &mut waiting, state, attempt.as_ref(), why);
            if !placed.await? {
                return Err(StoreError::Fenced);
            }
        }
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, &tenure) {
            return Err(StoreError::Fenced);
        }
        match state {
            TicketState::Done => book.finish(key, State::Done),
            TicketState::Dead(_) => book.finish(key, State::Dead),
            TicketState::Dropped => {}
            TicketState::Pending { due_at } => {
                book.change(key, |entry| {
                    entry.token = None;
                    (entry.due_at, entry.free_at) = (due_at, due_at);
                    entry.attempts = waiting.attempts;
                    entry.history = waiting.history;
                    entry.ticket = waiting.ticket;
                    entry.ticket_is_in_doubt = false;
                });
            }
        }
        Ok(())
    }

    /// `completion = "each"`: what people read on the event itself. Costs as many units as the event is large.
    async fn write_status(
        &self,
        waiting: &Waiting,
        status: &str,
        state: TicketState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_done = state == TicketState::Done;
        let guard = Guard::when("#r = :r")
            .name("#r", event::RECEIPT)
            .name("#status", event::STATUS)
            .name("#attempts", event::ATTEMPTS)
            .value(":r", super::item::bytes(waiting.facts.receipt.0))
            .value(":status", super::item::text(status))
            .value(":attempts", super::item::number(waiting.attempts.into()));
        let (change, guard) = if is_done {
            let guard = guard
                .name("#processed_at", event::PROCESSED_AT)
                .value(":processed_at", super::item::text(now.to_string()));
            ("SET #status = :status, #attempts = :attempts, #processed_at = :processed_at", guard)
        } else {
            ("SET #status = :status, #attempts = :attempts", guard)
        };
        let why = For { source: Some(&waiting.facts.source), purpose: Purpose::Completed };
        let [place, _] = keys_of(waiting.facts.key);
        self.table.update(place, change, guard, why).await?;
        Ok(())
    }
}

fn of(waiting: &Waiting, lease: Lease, event: Arc<EventParts>) -> Leased {
    Leased { lease, event, attempts: waiting.attempts, replays: waiting.replays }
}
