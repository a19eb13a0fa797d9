//! The way of an append: encode, make sure that the key is free, hand to the writer, wait until it is durable.

use std::sync::Arc;

use hookward_core::{Event, EventKey, EventParts, Intake};
use tokio::sync::oneshot;

use super::{
    Options,
    answer::caller,
    log::{Admission, Log, Shelf, State, Submission, Then},
    lookup::{Found, Glance, find, glance},
    record::{Encoded, EventRecord},
};
use crate::{Claim, Receipt, StoreError};

/// Bodies from this size on are compressed and summed on another thread: smaller ones take well below a millisecond.
const ENCODE_ASIDE_BYTES: usize = 256 * 1024;

pub(crate) async fn append(
    log: &Arc<Log>,
    event: Event,
    claim: Claim,
) -> Result<Receipt, StoreError> {
    let event = event.into_shared();
    let max = log.record_bytes_max();
    let encoded = encode(&event).await?.filter(|record| record.len() <= max);
    let record = encoded.ok_or(StoreError::TooLarge { max })?;

    let reservation = loop {
        match look(log, &event)? {
            Look::Held(receipt) => return Ok(receipt),
            // What became of the other append is seen by looking again.
            Look::Follow(other) => other.await.unwrap_or_default(),
            Look::Reserved(reservation, shelves) => match glance(&shelves, event.key) {
                Glance::Absent => break reservation,
                Glance::Found(found) => match judge(log, &found, &event)? {
                    Some(receipt) => return Ok(receipt),
                    None => break reservation,
                },
                Glance::Unclear => match look_on_disk(log, &event).await? {
                    Some(receipt) => return Ok(receipt),
                    None => break reservation,
                },
            },
        }
    };
    submit(log, event, claim, record, reservation).await
}

async fn encode(event: &Arc<EventParts>) -> Result<Option<Encoded>, StoreError> {
    if event.body.len() < ENCODE_ASIDE_BYTES {
        return Ok(EventRecord::encode(event));
    }
    let event = Arc::clone(event);
    let encoded = tokio::task::spawn_blocking(move || EventRecord::encode(&event)).await;
    encoded.map_err(|error| StoreError::Unavailable(Arc::new(error)))
}

enum Look {
    Held(Receipt),
    /// Another append of this key is on its way.
    Follow(oneshot::Receiver<()>),
    /// The key is not in the open segment, and nobody else may append it until the reservation ends.
    Reserved(Reservation, Arc<[Shelf]>),
}

fn look(log: &Arc<Log>, event: &EventParts) -> Result<Look, StoreError> {
    let mut state = log.sound()?;
    if let Some(followers) = state.in_flight.get_mut(&event.key) {
        let (follow, followed) = oneshot::channel();
        followers.push(follow);
        return Ok(Look::Follow(followed));
    }
    if let Some((place, entry)) = state.open_key(event.key) {
        let found = Found::Event { place, content: entry.content, facts: entry.facts.clone() };
        if let Some(held) = found.state(&state.book) {
            return Ok(Look::Held(Receipt::for_held(held, entry.content == event.content)));
        }
    }
    state.in_flight.insert(event.key, Vec::new());
    let reservation = Reservation { log: Some(Arc::clone(log)), key: event.key };
    Ok(Look::Reserved(reservation, Arc::clone(&state.shelves)))
}

async fn look_on_disk(log: &Arc<Log>, event: &EventParts) -> Result<Option<Receipt>, StoreError> {
    let (key, looking) = (event.key, Arc::clone(log));
    let found = tokio::task::spawn_blocking(move || find(&looking, key)).await;
    match found.map_err(|error| StoreError::Unavailable(Arc::new(error)))?? {
        Some(found) => judge(log, &found, event),
        None => Ok(None),
    }
}

fn judge(log: &Log, found: &Found, event: &EventParts) -> Result<Option<Receipt>, StoreError> {
    let state = found.state(&log.sound()?.book);
    Ok(state.map(|state| Receipt::for_held(state, found.content() == event.content)))
}

async fn submit(
    log: &Arc<Log>,
    event: Arc<EventParts>,
    claim: Claim,
    record: Encoded,
    mut reservation: Reservation,
) -> Result<Receipt, StoreError> {
    let (answer, durable) = caller();
    let claim = match claim {
        Claim::Lease { until } => Some(until),
        Claim::Queue => None,
    };
    let intake = event.intake;
    let mut ready = Some((record, Admission { event, claim, answer }));
    log.with_room(|state| {
        let full = is_full(&log.options, state, intake);
        let Some(len) = ready.as_ref().map(|(record, _)| record.len()) else { return Ok(Some(())) };
        if full || !state.takes(len) {
            return Err(StoreError::Full);
        }
        let Some(place) = state.reserve(len) else { return Ok(None) };
        if let Some((record, admission)) = ready.take() {
            // From here on the append happens, whether or not its caller waits.
            reservation.log = None;
            let then = Then::Keep(Box::new(admission));
            log.submit(state, Submission { place, record: Some(record), then });
        }
        Ok(Some(()))
    })
    .await?;
    durable.answer().await.unwrap_or_else(|| Err(log.broken()))
}

/// Whether no more of these are taken. The one that asks is in flight already.
fn is_full(options: &Options, state: &State, intake: Intake) -> bool {
    let waiting = state.book.pending.len() + state.in_flight.len();
    let dead = usize::try_from(state.book.dead()).unwrap_or(usize::MAX);
    match intake {
        Intake::Deliver => {
            waiting > options.queue_max
                || waiting.saturating_add(dead) > options.queue_max.saturating_add(options.dead_max)
        }
        Intake::Quarantine(_) => dead.saturating_add(state.in_flight.len()) > options.dead_max,
        Intake::Archive => false,
    }
}

/// A key that is being appended. When it ends without a submission, whoever waits for it looks again.
struct Reservation {
    log: Option<Arc<Log>>,
    key: EventKey,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            let followers = log.state().in_flight.remove(&self.key);
            drop(followers);
        }
    }
}
