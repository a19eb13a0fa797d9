//! What is known of each event beyond its own record: the unfinished ones, and those that ended unlike most.
//!
//! An event that is in neither map here ended as its intake says: delivered, or archived, before its body expired. So a
//! delivered event costs no memory. All of it comes from the log, and the same methods apply a record when it is written and when it is read
//! again; applying records again from an older point on, in order, leads to the same end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use hookward_core::{EventKey, EventParts, Intake, SourceName, Timestamp};

use super::{
    record::{Discarded, EventRecord, OutcomeRecord, Place, Requeued, Verdict, held_until},
    watermarks::Watermarks,
};
use crate::{Counts, DeadReason, Lease, Query, State, StoreError};

/// The state of all events, by place.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) pending: BTreeMap<Place, Pending>,
    pub(crate) resting: BTreeMap<Place, Resting>,
    /// When which pending event may be leased next.
    agenda: HashMap<SourceName, BTreeSet<(Timestamp, Place)>>,
    /// The events under a lease, by token.
    leases: HashMap<u64, Place>,
    dead: u64,
    cached_bytes: usize,
    cache_bytes_max: usize,
    /// What is finished and had expired by then is forgotten, though its segment may still be there.
    pub(crate) watermarks: Watermarks,
}

/// What an event's record says that the book needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) key: EventKey,
    pub(crate) source: SourceName,
    pub(crate) intake: Intake,
    pub(crate) received_at: Timestamp,
    pub(crate) body_expires_at: Timestamp,
    pub(crate) held_until: Option<Timestamp>,
}

/// An event that is to be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) facts: Facts,
    pub(crate) progress: Progress,
    /// When it is due, leases aside: what a restart goes back to.
    pub(crate) due_at: Timestamp,
    /// When it may be leased next: `due_at`, or the end of its lease.
    pub(crate) free_at: Timestamp,
    /// Since when it is pending: it was received then, or replayed.
    pub(crate) since: Timestamp,
    token: Option<u64>,
    cached: Option<Arc<EventParts>>,
}

/// An event that ended unlike most.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    pub(crate) facts: Facts,
    pub(crate) progress: Progress,
    pub(crate) state: State,
    pub(crate) dead: Option<DeadReason>,
}

/// An event that was taken out of the book, for another place in it.
struct Taken {
    facts: Facts,
    progress: Progress,
    since: Timestamp,
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) attempts: u32,
    pub(crate) replays: u32,
    /// The record of the latest attempt.
    pub(crate) last: Option<Place>,
}

/// An event that was just leased.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) place: Place,
    pub(crate) lease: Lease,
    pub(crate) cached: Option<Arc<EventParts>>,
    pub(crate) progress: Progress,
}

/// An event's state as far as the book has it.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) dead: Option<DeadReason>,
    /// `None` when the log alone knows: the event ended like most.
    pub(crate) progress: Option<Progress>,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) body_expired: bool,
    /// Whether its key may be taken again.
    pub(crate) forgotten: bool,
}

impl Facts {
    pub(crate) fn of(event: &EventParts) -> Self {
        Self {
            key: event.key,
            source: event.source.clone(),
            intake: event.intake,
            received_at: event.received_at,
            body_expires_at: event.body_expires_at,
            held_until: held_until(event),
        }
    }

    fn ended_as(&self, state: State, progress: Progress) -> bool {
        progress.replays == 0 && natural_end(self.intake).0 == state
    }
}

/// What becomes of an event when nothing unusual happens.
pub(crate) const fn natural_end(intake: Intake) -> (State, Option<DeadReason>) {
    match intake {
        Intake::Deliver => (State::Done, None),
        Intake::Archive | Intake::Quarantine(_) => State::at_intake(intake),
    }
}

impl Book {
    pub(crate) fn new(cache_bytes_max: usize) -> Self {
        Self { cache_bytes_max, ..Self::default() }
    }

    /// An event was kept.
    pub(crate) fn kept(&mut self, place: Place, facts: Facts, event: Option<Arc<EventParts>>) {
        let (state, dead) = State::at_intake(facts.intake);
        match state {
            State::Pending => {
                let at = facts.received_at;
                self.set_pending(place, Pending::new(facts, Progress::default(), at, at));
                self.cache(place, event);
            }
            State::Dead => self.rest(place, facts, Progress::default(), state, dead),
            State::Done | State::Archived | State::Dropped => {}
        }
    }

    /// Work on an event ended, as the record at `at` says.
    pub(crate) fn ended(&mut self, at: Place, record: &OutcomeRecord) {
        let Some(Taken { facts, mut progress, since }) = self.take(record.event) else { return };
        progress.attempts = record.attempts;
        progress.replays = record.replays;
        if record.attempt.is_some() {
            progress.last = Some(at);
        }
        match record.verdict {
            Verdict::Done => self.rest(record.event, facts, progress, State::Done, None),
            Verdict::Again(due_at) => {
                self.set_pending(record.event, Pending::new(facts, progress, due_at, since));
            }
            Verdict::Dead => {
                self.rest(
                    record.event,
                    facts,
                    progress,
                    State::Dead,
                    Some(DeadReason::Undeliverable),
                );
            }
        }
    }

    /// An operator made an event due again. `facts` are those of its record, should the book not have them.
    pub(crate) fn requeued<E>(
        &mut self,
        record: &Requeued,
        facts: impl FnOnce() -> Result<Facts, E>,
    ) -> Result<(), E> {
        let facts = match self.take(record.event) {
            Some(taken) => taken.facts,
            None => facts()?,
        };
        let progress = Progress { attempts: 0, replays: record.replays, last: record.previous };
        let pending = Pending::new(facts, progress, record.due_at, record.due_at);
        self.set_pending(record.event, pending);
        Ok(())
    }

    /// An operator was done with a dead letter.
    pub(crate) fn discarded(&mut self, record: Discarded) {
        if let Some(Taken { facts, progress, .. }) = self.take(record.event) {
            self.rest(record.event, facts, progress, State::Dropped, None);
        }
    }

    /// The events of these sources that may be leased, oldest due first, and when the next one may be.
    pub(crate) fn due(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        limit: usize,
    ) -> (Vec<Place>, Option<Timestamp>) {
        let asked: BTreeSet<_> = sources.iter().collect();
        let agendas = asked.into_iter().filter_map(|source| self.agenda.get(source));
        let enough = limit.saturating_add(1);
        let mut waiting: Vec<_> =
            agendas.flat_map(|agenda| agenda.iter().take(enough)).copied().collect();
        waiting.sort_unstable();
        let due = waiting.iter().take_while(|(at, _)| *at <= now).count().min(limit);
        let next_due = waiting.get(due).map(|(at, _)| *at);
        (waiting.into_iter().take(due).map(|(_, place)| place).collect(), next_due)
    }

    /// Leases one event to a caller of its own.
    pub(crate) fn grant(&mut self, place: Place, until: Timestamp, token: u64) -> Option<Granted> {
        self.reschedule(place, until);
        let pending = self.pending.get_mut(&place)?;
        if let Some(former) = pending.token.replace(token) {
            self.leases.remove(&former);
        }
        self.leases.insert(token, place);
        Some(Granted {
            place,
            lease: Lease { key: pending.facts.key, token, until },
            cached: pending.cached.clone(),
            progress: pending.progress,
        })
    }

    /// Moves the end of a lease.
    pub(crate) fn extend(&mut self, lease: &Lease, until: Timestamp) -> Result<(), StoreError> {
        let place = self.holder(lease)?;
        self.reschedule(place, until);
        Ok(())
    }

    /// The event that this lease, and no later one, is for.
    pub(crate) fn holder(&self, lease: &Lease) -> Result<Place, StoreError> {
        let place = *self.leases.get(&lease.token).ok_or(StoreError::Fenced)?;
        let ours = self.pending.get(&place).is_some_and(|pending| pending.facts.key == lease.key);
        if ours { Ok(place) } else { Err(StoreError::Fenced) }
    }

    /// What is known of the event at a place.
    pub(crate) fn standing(&self, place: Place, facts: &Facts) -> Standing {
        if let Some(pending) = self.pending.get(&place) {
            return Standing {
                state: State::Pending,
                dead: None,
                progress: Some(pending.progress),
                due_at: Some(pending.free_at),
                body_expired: false,
                forgotten: false,
            };
        }
        let resting = self.resting.get(&place);
        let natural = natural_end(facts.intake);
        let (state, dead) = resting.map_or(natural, |resting| (resting.state, resting.dead));
        let expired_at = self.expired_at(place, resting);
        Standing {
            state,
            dead,
            progress: match (resting, facts.intake) {
                (Some(resting), _) => Some(resting.progress),
                (None, Intake::Deliver) => None,
                (None, Intake::Archive | Intake::Quarantine(_)) => Some(Progress::default()),
            },
            due_at: None,
            body_expired: facts.body_expires_at <= expired_at,
            forgotten: facts.held_until.is_some_and(|at| at <= expired_at),
        }
    }

    /// The places of events in a state that the book has all of, newest first.
    pub(crate) fn places(&self, query: &Query, state: State, before: Place) -> Vec<Place> {
        let wanted = |facts: &Facts| query.matches_facts(&facts.source, facts.received_at);
        if state == State::Pending {
            let pending =
                self.pending.range(..before).rev().filter(|(_, pending)| wanted(&pending.facts));
            return pending.map(|(place, _)| *place).take(query.limit).collect();
        }
        let resting = self.resting.range(..before).rev().filter(|(place, resting)| {
            resting.state == state && !self.has_expired(**place, resting) && wanted(&resting.facts)
        });
        resting.map(|(place, _)| *place).take(query.limit).collect()
    }

    /// What had expired at this time is forgotten: of an event at this place that ended, by the watermarks behind both.
    fn expired_at(&self, place: Place, resting: Option<&Resting>) -> Timestamp {
        let ended = resting.and_then(|resting| resting.progress.last);
        self.watermarks.over(ended.map_or(place, |ended| ended.max(place)))
    }

    fn has_expired(&self, place: Place, resting: &Resting) -> bool {
        resting.facts.body_expires_at <= self.expired_at(place, Some(resting))
    }

    /// Whether all events up to a place of a segment are finished and expired, when the last of their bodies expires at `last`.
    pub(crate) fn is_over(&self, to: Place, last: Timestamp) -> bool {
        let places = Place { offset: 0, ..to }..=to;
        last <= self.watermarks.over(to)
            && self.pending.range(places.clone()).next().is_none()
            && self.resting.range(places).all(|(place, resting)| self.has_expired(*place, resting))
    }

    /// Forgets the events of all segments before this one.
    pub(crate) fn forget_before(&mut self, segment: u32) {
        let first = Place { segment, offset: 0 };
        let kept = self.resting.split_off(&first);
        let forgotten = std::mem::replace(&mut self.resting, kept);
        self.dead -=
            forgotten.values().filter(|resting| resting.state == State::Dead).count() as u64;
    }

    /// Dead letters, those included whose body has expired and whose segment is still there.
    pub(crate) const fn dead(&self) -> u64 {
        self.dead
    }

    /// Counts, given how many events the log holds.
    pub(crate) fn counts(&self, events: u64) -> Counts {
        let expired = |(place, resting): &(&Place, &Resting)| {
            resting.state == State::Dead && self.has_expired(**place, resting)
        };
        let dead_and_expired = self.resting.iter().filter(expired).count() as u64;
        let pending = self.pending.len() as u64;
        Counts {
            pending,
            leased: self.leases.len() as u64,
            dead: self.dead - dead_and_expired,
            finished: events.saturating_sub(pending).saturating_sub(self.dead),
            oldest_pending: self.oldest_pending(),
            stored_bytes: 0,
        }
    }

    /// Since when the one that is pending for longest is pending.
    fn oldest_pending(&self) -> Option<Timestamp> {
        let mut oldest = None;
        for pending in self.pending.values() {
            oldest = oldest.into_iter().chain([pending.since]).min();
            // Events stand in the order of their arrival, and none was replayed before it arrived.
            if pending.progress.replays == 0 {
                break;
            }
        }
        oldest
    }

    /// Takes over what a snapshot says of an event.
    pub(crate) fn restore_pending(
        &mut self,
        place: Place,
        facts: Facts,
        progress: Progress,
        due_at: Timestamp,
    ) {
        let since = facts.received_at;
        self.set_pending(place, Pending::new(facts, progress, due_at, since));
    }

    /// Takes over since when a replayed event is pending again.
    pub(crate) fn restore_since(&mut self, place: Place, since: Timestamp) {
        if let Some(pending) = self.pending.get_mut(&place) {
            pending.since = since;
        }
    }

    /// Takes over what a snapshot says of an event.
    pub(crate) fn restore_resting(&mut self, place: Place, resting: Resting) {
        self.dead += u64::from(resting.state == State::Dead);
        self.resting.insert(place, resting);
    }

    fn set_pending(&mut self, place: Place, pending: Pending) {
        self.take(place);
        let agenda = match self.agenda.get_mut(&pending.facts.source) {
            Some(agenda) => agenda,
            None => self.agenda.entry(pending.facts.source.clone()).or_default(),
        };
        agenda.insert((pending.free_at, place));
        self.pending.insert(place, pending);
    }

    fn rest(
        &mut self,
        place: Place,
        facts: Facts,
        progress: Progress,
        state: State,
        dead: Option<DeadReason>,
    ) {
        self.take(place);
        // Had it ended earlier, it would be forgotten: it is judged by what comes after its end, which is told by its progress.
        let late = facts.body_expires_at <= self.watermarks.over(place);
        // A dead letter is looked for, so it is at hand even where it is the natural end.
        if state == State::Dead || late || !facts.ended_as(state, progress) {
            self.restore_resting(place, Resting { facts, progress, state, dead });
        }
    }

    fn take(&mut self, place: Place) -> Option<Taken> {
        if let Some(Resting { facts, progress, state, .. }) = self.resting.remove(&place) {
            self.dead -= u64::from(state == State::Dead);
            let since = facts.received_at;
            return Some(Taken { facts, progress, since });
        }
        let pending = self.pending.remove(&place)?;
        if let Some(agenda) = self.agenda.get_mut(&pending.facts.source) {
            agenda.remove(&(pending.free_at, place));
        }
        if let Some(token) = pending.token {
            self.leases.remove(&token);
        }
        self.cached_bytes -= pending.cached.as_deref().map_or(0, cost);
        Some(Taken { facts: pending.facts, progress: pending.progress, since: pending.since })
    }

    fn reschedule(&mut self, place: Place, free_at: Timestamp) {
        let Some(pending) = self.pending.get_mut(&place) else { return };
        if let Some(agenda) = self.agenda.get_mut(&pending.facts.source) {
            agenda.remove(&(pending.free_at, place));
            agenda.insert((free_at, place));
        }
        pending.free_at = free_at;
    }

    /// Keeps a new event at hand for its first delivery, while there is room: the ones that came first leave first.
    fn cache(&mut self, place: Place, event: Option<Arc<EventParts>>) {
        let room = self.cache_bytes_max.saturating_sub(self.cached_bytes);
        if let Some(pending) = self.pending.get_mut(&place)
            && let Some(event) = event.filter(|event| cost(event) <= room)
        {
            self.cached_bytes += cost(&event);
            pending.cached = Some(event);
        }
    }
}

impl Pending {
    const fn new(facts: Facts, progress: Progress, due_at: Timestamp, since: Timestamp) -> Self {
        Self { facts, progress, due_at, free_at: due_at, since, token: None, cached: None }
    }
}

impl From<&EventRecord> for Facts {
    fn from(record: &EventRecord) -> Self {
        Self::of(&record.event)
    }
}

/// About what a cached event takes up.
fn cost(event: &EventParts) -> usize {
    size_of::<EventParts>() + event.body.len() + 128
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookward_core::ContentDigest;

    use super::*;

    #[test]
    fn the_room_of_a_body_is_given_back_when_its_event_is_settled() {
        let event = |number: u8| {
            Arc::new(EventParts {
                key: EventKey::from_bytes([number; 16]),
                source: SourceName::parse("shop").unwrap(),
                event_type: None,
                sender_id: None,
                content: ContentDigest::from_bytes([number; 16]),
                received_at: Timestamp::from_secs(1),
                intake: Intake::Deliver,
                headers: Vec::new(),
                body: Bytes::from_static(&[7; 1_000]),
                body_expires_at: Timestamp::from_secs(2),
                key_expires_at: None,
            })
        };
        let place = |number: u8| Place { segment: 1, offset: number.into() };
        let mut book = Book::new(cost(&event(0)) * 2);
        let cached = |book: &Book, number| book.pending[&place(number)].cached.is_some();
        for number in 1..4 {
            book.kept(place(number), Facts::of(&event(number)), Some(event(number)));
        }
        assert_eq!([1, 2, 3].map(|number| cached(&book, number)), [true, true, false]);
        for (number, verdict) in [(1, Verdict::Done), (2, Verdict::Again(Timestamp::from_secs(9)))]
        {
            let (event, previous) = (place(number), None);
            let record =
                OutcomeRecord { event, previous, verdict, attempts: 1, replays: 0, attempt: None };
            book.ended(Place { segment: 2, offset: 0 }, &record);
        }
        assert!(!cached(&book, 2), "an event that waits long takes no room");
        for number in 4..7 {
            book.kept(place(number), Facts::of(&event(number)), Some(event(number)));
        }
        assert_eq!([4, 5, 6].map(|number| cached(&book, number)), [true, true, false]);
    }
}
