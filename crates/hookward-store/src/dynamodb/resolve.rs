//! Finding out what became of a write that had no answer. Never guessed: an event of which nobody knows is looked for.

use std::{sync::Arc, time::Duration};

use hookward_core::{EventKey, Intake};

use super::{
    Shared,
    book::{Facts, Unresolved, Waiting},
    item::{
        event::{self, EventItem},
        journal::EntryKind,
    },
    table::For,
    tenure::Tenure,
    usage::Purpose,
};
use crate::{State, StoreError};

/// The first look comes after so long, each further one after twice as long, ...
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// ... and none later than this after the one before.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A signed request is taken for 15 minutes at most. One that has had no effect by now never has one.
const WITHOUT_EFFECT: Duration = Duration::from_mins(20);

/// What was found out.
enum Found {
    /// It is there, in this node's memory from now on.
    Kept,
    /// It never was, and never will be.
    Void,
    /// Nothing yet.
    Nothing,
}

impl Shared {
    /// Looks for a write that had no answer until it is known what became of it, or a later try of the same event took its place.
    pub(super) fn resolve_later(
        self: &Arc<Self>,
        tenure: &Arc<Tenure>,
        key: EventKey,
        unresolved: Unresolved,
    ) {
        let (shared, tenure) = (Arc::downgrade(self), Arc::clone(tenure));
        let clock = Arc::clone(&self.options.clock);
        tokio::spawn(async move {
            let began = clock.elapsed();
            let mut wait = FIRST_LOOK;
            loop {
                clock.sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                let Some(shared) = shared.upgrade() else { return };
                if !shared.is_unresolved(&tenure, key, unresolved) {
                    return;
                }
                let is_late = clock.elapsed().saturating_sub(began) >= WITHOUT_EFFECT;
                match shared.look_for(&tenure, key, unresolved, is_late).await {
                    Ok(Found::Kept | Found::Void) => return,
                    Ok(Found::Nothing) => {}
                    Err(error) => {
                        tracing::debug!(%key, %error, "what became of an event is not known yet");
                    }
                }
            }
        });
    }

    fn is_unresolved(&self, tenure: &Arc<Tenure>, key: EventKey, unresolved: Unresolved) -> bool {
        let book = self.book();
        Arc::ptr_eq(&book.tenure, tenure)
            && !book.closed
            && book.unresolved.get(&key).is_some_and(|it| it.receipt == unresolved.receipt)
    }

    async fn look_for(
        self: &Arc<Self>,
        tenure: &Arc<Tenure>,
        key: EventKey,
        unresolved: Unresolved,
        is_late: bool,
    ) -> Result<Found, StoreError> {
        let item = self.table.get(event::key_of(key), For::all(Purpose::Resolved)).await?;
        let item = item.as_ref().map(EventItem::decode).transpose()?;
        let is_there = match &item {
            // Somebody else's, which keeps ours out as long as it is there.
            Some(item) if item.receipt != unresolved.receipt => false,
            Some(_) => true,
            None if is_late => false,
            None => return Ok(Found::Nothing),
        };
        let Some(item) = item.filter(|_| is_there) else {
            let mut book = self.book();
            if Arc::ptr_eq(&book.tenure, tenure)
                && let Some(void) = book.unresolved.remove(&key)
            {
                book.progress.finish(void.number);
            }
            return Ok(Found::Void);
        };
        let facts = Facts::of(&item.event, item.receipt, item.stored.body_bytes());
        if let Intake::Quarantine(_) = item.event.intake {
            self.mark_dead(&item.event).await?;
        }
        let mut numbers = vec![unresolved.number];
        if !unresolved.journaled {
            let (also, told) = {
                let mut book = self.open_book()?;
                let also = book.next_number();
                (
                    also,
                    self.enqueue(
                        &mut book,
                        also,
                        facts.entry(EntryKind::Instead),
                        facts.body_expires_at,
                    ),
                )
            };
            if let Err(trouble) = self.wait_for_journal(Some(told)).await {
                let mut book = self.book();
                if Arc::ptr_eq(&book.tenure, tenure) {
                    book.progress.finish(also);
                }
                return Err(StoreError::Unavailable(trouble));
            }
            numbers.push(also);
        }
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            return Ok(Found::Void);
        }
        if book.unresolved.remove(&key).is_none() {
            // A later try of the same event is finding it out; it has the number, and the journal's is not needed.
            for also in numbers.into_iter().skip(1) {
                book.progress.finish(also);
            }
            return Ok(Found::Kept);
        }
        let (state, _) = State::at_intake(item.event.intake);
        if state == State::Pending {
            let waiting = Waiting::fresh(facts, self.at_hand(&item), numbers);
            book.insert(waiting, self.options.cache_bytes_max);
        } else {
            book.ledger.add(facts.finished(state == State::Dead));
            for number in numbers {
                book.progress.finish(number);
            }
        }
        Ok(Found::Kept)
    }
}
