//! What people read back.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use hookward_core::{EventKey, EventParts, Timestamp};

use super::{
    Shared,
    book::Waiting,
    duplicate::{Record, keys_of},
    operate::Stands,
    table::For,
    usage::Purpose,
};
use crate::{Attempt, Kept, State, StoreError};

impl Shared {
    pub(super) async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        let forgotten_at = self.open_book()?.forgotten_at;
        let record = self.record(key, For::all(Purpose::Read)).await?;
        let Some(record) = record else { return Ok(None) };
        let item = record.item.clone();
        let kept = self.kept(record, forgotten_at, usize::MAX).await?;
        let is_there =
            |kept: &Kept| kept.state == State::Pending || !is_over(&kept.event, forgotten_at);
        let Some(kept) = kept.filter(is_there) else { return Ok(None) };
        if kept.body_expired {
            return Ok(Some(kept));
        }
        Ok(Some(Kept { event: Arc::new(self.whole(item).await?), ..kept }))
    }

    /// What is known of an event, without its body. `None` when its own node says that it is somebody else's.
    pub(super) async fn kept(
        &self,
        record: Record,
        forgotten_at: Timestamp,
        history_max: usize,
    ) -> Result<Option<Kept>, StoreError> {
        let key = record.item.event.key;
        let held = self.book().waiting(key).map(Held::of);
        let (stands, history) = if let Some(held) = held {
            (held.stands, held.history)
        } else {
            let stands = self.state_of(&record).await?;
            let history = record.ticket.map(|ticket| ticket.history.into_iter().collect());
            (stands, history.unwrap_or_default())
        };
        let Stands { state, dead, attempts, replays, due_at } = stands;
        let body_expired =
            state != State::Pending && record.item.event.body_expires_at <= forgotten_at;
        let skip = history.len().saturating_sub(history_max);
        Ok(Some(Kept {
            body_bytes: record.item.stored.body_bytes(),
            event: Arc::new(record.item.event),
            state,
            dead,
            attempts,
            replays,
            due_at,
            history: history.into_iter().skip(skip).collect(),
            body_expired,
        }))
    }

    /// Events and their tickets, by their keys.
    pub(super) async fn records(
        &self,
        keys: &[EventKey],
    ) -> Result<HashMap<EventKey, Record>, StoreError> {
        let distinct: BTreeSet<EventKey> = keys.iter().copied().collect();
        let wanted: Vec<_> = distinct.iter().copied().flat_map(keys_of).collect();
        let found = self.table.get_all(&wanted, For::all(Purpose::Read)).await?;
        let mut records = HashMap::with_capacity(keys.len());
        for (key, pair) in distinct.iter().zip(wanted.chunks(2)) {
            if let [event, ticket] = pair
                && let Some(record) = Record::read(*key, found.get(event), found.get(ticket))?
            {
                records.insert(*key, record);
            }
        }
        Ok(records)
    }
}

/// What this node's memory knows of an event: newer than the table.
struct Held {
    stands: Stands,
    history: Vec<Attempt>,
}

impl Held {
    fn of(waiting: &Waiting) -> Self {
        Self {
            stands: Stands {
                state: State::Pending,
                dead: None,
                attempts: waiting.attempts,
                replays: waiting.replays,
                due_at: Some(waiting.free_at),
            },
            history: waiting.history.iter().cloned().collect(),
        }
    }
}

fn is_over(event: &EventParts, now: Timestamp) -> bool {
    super::item::held_until(event).is_some_and(|until| until <= now)
}
