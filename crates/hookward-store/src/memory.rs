//! A store that forgets when the process ends: for tests, for trying out, and the model that other stores are compared with.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, EventParts, Intake, SourceName, Timestamp};

use crate::{
    ATTEMPTS_KEPT_MAX, Attempt, Claim, Counts, Cursor, DeadReason, Expired, Kept, Lease, Leased,
    Outcome, Page, Query, Receipt, State, Store, StoreError, Work,
};

/// How many unfinished events [`Memory::default`] takes.
const QUEUE_MAX: usize = 100_000;

/// Keeps events in maps behind one lock.
///
/// Written to be read, not to be fast: each method is the shortest statement of its promise.
#[derive(Debug)]
pub struct Memory {
    queue_max: usize,
    state: Mutex<Held>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    /// All events by order of arrival.
    events: BTreeMap<u64, Entry>,
    /// The latest event of each key.
    keys: HashMap<EventKey, u64>,
    arrivals: u64,
    tokens: u64,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    event: Arc<EventParts>,
    body_bytes: usize,
    state: State,
    dead: Option<DeadReason>,
    attempts: u32,
    replays: u32,
    /// When it is due, leases aside.
    due_at: Timestamp,
    /// When it may be leased next: its due time, or the end of its lease.
    free_at: Timestamp,
    /// Since when it is pending: it was received then, or replayed.
    since: Timestamp,
    token: Option<u64>,
    history: VecDeque<Attempt>,
    body_expired: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(QUEUE_MAX)
    }
}

impl Memory {
    /// An empty store that takes at most so many unfinished events.
    pub fn new(queue_max: usize) -> Self {
        Self { queue_max, state: Mutex::default() }
    }

    /// What this store would be after a restart if it were durable: everything but its leases.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub fn restarted(&self) -> Self {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        held.closed = false;
        for entry in held.events.values_mut() {
            entry.token = None;
            entry.free_at = entry.due_at;
        }
        Self { queue_max: self.queue_max, state: Mutex::new(held) }
    }

    /// The same with its leases: what no store may be after a restart.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub fn restarted_with_leases(&self) -> Self {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { queue_max: self.queue_max, state: Mutex::new(Held { closed: false, ..held }) }
    }

    fn held(&self) -> Result<MutexGuard<'_, Held>, StoreError> {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if held.closed { Err(StoreError::Closed) } else { Ok(held) }
    }
}

#[async_trait]
impl Store for Memory {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        let mut held = self.held()?;
        if let Some(first) = held.by_key(event.key) {
            return Ok(Receipt::for_held(first.state, first.event.content == event.content));
        }
        let waits = event.intake == Intake::Deliver;
        if waits && held.pending().count() >= self.queue_max {
            return Err(StoreError::Full);
        }
        held.arrivals += 1;
        let arrival = held.arrivals;
        let mut entry = Entry::new(event.into_parts());
        let lease = match claim {
            Claim::Lease { until } if waits => Some(entry.lease(held.next_token(), until)),
            Claim::Lease { .. } | Claim::Queue => None,
        };
        held.keys.insert(entry.event.key, arrival);
        held.events.insert(arrival, entry);
        Ok(Receipt::Kept { lease })
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        let mut held = self.held()?;
        let asked = held.pending().filter(|(_, entry)| sources.contains(&entry.event.source));
        let mut waiting: Vec<_> = asked.map(|(arrival, entry)| (entry.free_at, arrival)).collect();
        waiting.sort_unstable();
        let due = waiting.iter().take_while(|(at, _)| *at <= now).count().min(limit);
        let next_due = waiting.get(due).map(|(at, _)| *at);
        let mut leased = Vec::new();
        for (_, arrival) in waiting.into_iter().take(due) {
            let token = held.next_token();
            if let Some(entry) = held.events.get_mut(&arrival) {
                leased.push(Leased {
                    lease: entry.lease(token, until),
                    event: Arc::clone(&entry.event),
                    attempts: entry.attempts,
                    replays: entry.replays,
                });
            }
        }
        Ok(Work { leased, next_due })
    }

    async fn extend(
        &self,
        lease: &Lease,
        _now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        let mut held = self.held()?;
        let entry = held.leased(lease)?;
        entry.free_at = until;
        Ok(Lease { until, ..lease.clone() })
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut held = self.held()?;
        let entry = held.leased(&lease)?;
        entry.token = None;
        match outcome {
            Outcome::Done(attempt) => {
                entry.state = State::Done;
                entry.tried(attempt);
            }
            Outcome::Again { at, attempt } => {
                entry.set_due(at);
                entry.tried(attempt);
            }
            Outcome::Release { at } => entry.set_due(at),
            Outcome::Dead(attempt) => {
                entry.state = State::Dead;
                entry.dead = Some(DeadReason::Undeliverable);
                entry.tried(attempt);
            }
        }
        Ok(())
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        let mut held = self.held()?;
        Ok(held.by_key(key).map(|entry| {
            entry.kept(Arc::clone(&entry.event), entry.body_expired, ATTEMPTS_KEPT_MAX)
        }))
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let held = self.held()?;
        let mut page = Page::default();
        let end = query.cursor.map_or(u64::MAX, |cursor| cursor.0);
        for (arrival, entry) in held.events.range(..end).rev() {
            if entry.body_expired || !query.matches(&entry.event, entry.state) {
                continue;
            }
            if page.events.len() >= query.limit {
                break;
            }
            page.events.push(entry.kept(entry.without_body(), false, 1));
            page.next = Some(Cursor(*arrival));
        }
        if page.events.len() < query.limit {
            page.next = None;
        }
        Ok(page)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let held = self.held()?;
        let mut counts = Counts::default();
        for entry in held.events.values().filter(|entry| !entry.body_expired) {
            counts.stored_bytes += entry.body_bytes as u64;
            match entry.state {
                State::Pending => {
                    counts.pending += 1;
                    counts.leased += u64::from(entry.token.is_some());
                    let oldest = counts.oldest_pending.into_iter().chain([entry.since]).min();
                    counts.oldest_pending = oldest;
                }
                State::Dead => counts.dead += 1,
                State::Done | State::Archived | State::Dropped => counts.finished += 1,
            }
        }
        Ok(counts)
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        let mut held = self.held()?;
        let entry = held.by_key(key).ok_or(StoreError::NotFound)?;
        if entry.body_expired {
            return Err(StoreError::BodyExpired);
        }
        entry.state = State::Pending;
        entry.dead = None;
        entry.attempts = 0;
        entry.replays += 1;
        entry.since = now;
        entry.set_due(now);
        entry.token = None;
        Ok(())
    }

    async fn discard(&self, key: EventKey, _now: Timestamp) -> Result<(), StoreError> {
        let mut held = self.held()?;
        let dead = |entry: &&mut Entry| entry.state == State::Dead && !entry.body_expired;
        let entry = held.by_key(key).filter(dead).ok_or(StoreError::NotFound)?;
        entry.state = State::Dropped;
        entry.dead = None;
        Ok(())
    }

    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        let mut held = self.held()?;
        let mut expired = Expired::default();
        for entry in held.events.values_mut() {
            let over = entry.state != State::Pending && entry.event.body_expires_at <= now;
            if over && !entry.body_expired {
                entry.event = entry.without_body();
                entry.body_expired = true;
                expired.bodies += 1;
                expired.bytes += entry.body_bytes as u64;
            }
        }
        let before = held.events.len();
        held.events.retain(|_, entry| !entry.key_expired(now));
        expired.keys = (before - held.events.len()) as u64;
        let Held { events, keys, .. } = &mut *held;
        keys.retain(|_, arrival| events.contains_key(arrival));
        Ok(expired)
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.held().map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.held()?.closed = true;
        Ok(())
    }
}

impl Held {
    fn by_key(&mut self, key: EventKey) -> Option<&mut Entry> {
        self.events.get_mut(self.keys.get(&key)?)
    }

    fn pending(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let pending = self.events.iter().filter(|(_, entry)| entry.state == State::Pending);
        pending.map(|(arrival, entry)| (*arrival, entry))
    }

    fn leased(&mut self, lease: &Lease) -> Result<&mut Entry, StoreError> {
        self.by_key(lease.key)
            .filter(|entry| entry.token == Some(lease.token))
            .ok_or(StoreError::Fenced)
    }

    fn next_token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }
}

impl Entry {
    fn new(event: EventParts) -> Self {
        let (state, dead) = State::at_intake(event.intake);
        Self {
            body_bytes: event.body.len(),
            due_at: event.received_at,
            free_at: event.received_at,
            since: event.received_at,
            event: Arc::new(event),
            state,
            dead,
            attempts: 0,
            replays: 0,
            token: None,
            history: VecDeque::new(),
            body_expired: false,
        }
    }

    fn lease(&mut self, token: u64, until: Timestamp) -> Lease {
        self.token = Some(token);
        self.free_at = until;
        Lease { key: self.event.key, token, until }
    }

    fn set_due(&mut self, at: Timestamp) {
        self.due_at = at;
        self.free_at = at;
    }

    fn tried(&mut self, attempt: Attempt) {
        self.attempts = self.attempts.saturating_add(1);
        if self.history.len() == ATTEMPTS_KEPT_MAX {
            self.history.pop_front();
        }
        self.history.push_back(attempt.clipped());
    }

    fn key_expired(&self, at: Timestamp) -> bool {
        self.body_expired
            && self.event.key_expires_at.is_some_and(|key_expires_at| key_expires_at <= at)
    }

    fn without_body(&self) -> Arc<EventParts> {
        Arc::new(EventParts { body: bytes::Bytes::new(), ..(*self.event).clone() })
    }

    fn kept(&self, event: Arc<EventParts>, body_expired: bool, history_max: usize) -> Kept {
        let skip = self.history.len().saturating_sub(history_max);
        Kept {
            event,
            body_bytes: self.body_bytes,
            state: self.state,
            dead: self.dead,
            attempts: self.attempts,
            replays: self.replays,
            due_at: (self.state == State::Pending).then_some(self.free_at),
            history: self.history.iter().skip(skip).cloned().collect(),
            body_expired,
        }
    }
}
