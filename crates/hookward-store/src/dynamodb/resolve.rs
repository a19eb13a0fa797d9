//! Finding out what became of a write that had no answer. Never guessed: an event of which nobody knows is looked for.

use std::{sync::Arc, time::Duration};

use hookward_core::{EventKey, Intake};

use super::{
    Shared,
    book::{Facts, Unresolved, Waiting},
    item::{
        dead::DeadMark,
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
pub(super) const WITHOUT_EFFECT: Duration = Duration::from_mins(20);

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
    pub(super) fn resolve_later(self: &Arc<Self>, tenure: &Arc<Tenure>, key: EventKey, trial: u64) {
        let (shared, tenure) = (Arc::downgrade(self), Arc::clone(tenure));
        let clock = Arc::clone(&self.options.clock);
        tokio::spawn(async move {
            let began = clock.elapsed();
            let mut wait = FIRST_LOOK;
            loop {
                clock.sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                let Some(shared) = shared.upgrade() else { return };
                let Some(unresolved) = shared.unresolved(&tenure, key, trial) else { return };
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

    /// What is not known of a try, unless there is a later one of the same event.
    fn unresolved(&self, tenure: &Arc<Tenure>, key: EventKey, trial: u64) -> Option<Unresolved> {
        let book = self.book();
        let is_open = Arc::ptr_eq(&book.tenure, tenure) && !book.closed;
        book.unresolved.get(&key).filter(|it| is_open && it.trial == trial).copied()
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
        let latest = self.book().latest;
        let is_there = match &item {
            Some(item) if item.receipt == unresolved.receipt => true,
            // Somebody else's, which keeps ours out as long as its time is not over.
            Some(item) if !item.is_over(latest) => false,
            Some(_) | None if is_late => false,
            Some(_) | None => return Ok(Found::Nothing),
        };
        let Some(item) = item.filter(|_| is_there) else {
            // A later try may have had an effect since.
            if self.unresolved(tenure, key, unresolved.trial).is_some() {
                let mut book = self.book();
                book.unresolved.remove(&key);
                for number in [unresolved.number].into_iter().chain(unresolved.also) {
                    book.progress.finish(number);
                }
            }
            return Ok(Found::Void);
        };
        let facts = Facts::of(&item.event, item.receipt, item.stored.body_bytes());
        if let Intake::Quarantine(_) = item.event.intake {
            self.table.mark_dead(&item.event.source, DeadMark::of(&item.event)).await?;
        }
        let mut fresh = None;
        if !unresolved.journaled {
            let entry = facts.entry(EntryKind::Instead);
            fresh = Some(self.journaled(tenure, entry, facts.body_expires_at).await?);
        }
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            return Ok(Found::Void);
        }
        let Some(found) = book.unresolved.remove(&key) else {
            // A later try of the same event is finding it out; it has the other numbers.
            if let Some(fresh) = fresh {
                book.progress.finish(fresh);
            }
            return Ok(Found::Kept);
        };
        let numbers: Vec<u64> = [found.number].into_iter().chain(found.also).chain(fresh).collect();
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
