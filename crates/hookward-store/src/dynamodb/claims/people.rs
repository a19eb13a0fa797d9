//! What people read back and decide.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hookward_core::{EventKey, EventParts, Timestamp};

use super::{Changed, Claims, RACES_MAX, marks::Marks, nodes_reason, random};
use crate::{
    Kept, Page, Query, State, StoreError,
    dynamodb::{
        item::{
            claim::{ClaimItem, Keeper, Standing},
            dead, event,
            mark::MarkName,
        },
        list::Place,
        table::For,
        trouble::Trouble,
        usage::Purpose,
    },
};

/// Events that are read together.
const BATCH: usize = 50;

/// Events that one call looks at, before it returns what it has and where to go on.
const LOOKED_AT_MAX: usize = 1_000;

/// Days whose dead letters are looked for together.
const DAYS_AT_ONCE: usize = 8;

const DAY_SECS: u64 = 24 * 3_600;

/// How many events wait, and how many need a person: what marks tell. Marks that were left by what broke off count too, until
/// somebody finds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waiting or being worked on.
    pub pending: u64,
    /// Dead letters, as far back as is looked for.
    pub dead: u64,
    /// Since when the event that has been pending for longest is pending.
    pub oldest_pending: Option<Timestamp>,
}

impl Claims {
    /// The event under this key with all that is known of it at `now`; `None` when the key is not held.
    pub async fn get(&self, key: EventKey, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        self.open()?;
        let Some(item) = self.read(key, For::all(Purpose::Read)).await? else { return Ok(None) };
        if item.is_over(now) {
            return Ok(None);
        }
        let body = if item.is_body_over(now) { None } else { Some(self.body(&item).await?) };
        let kept = kept(item, now, usize::MAX);
        let Some(body) = body else { return Ok(Some(kept)) };
        let event = Arc::new(EventParts { body, ..Arc::unwrap_or_clone(kept.event) });
        Ok(Some(Kept { event, ..kept }))
    }

    /// Events that are pending, the latest due first, or dead, the latest received first; a page at a time, without bodies.
    ///
    /// [`StoreError::Unsupported`] for those in other states and in all states: finding them would need an index or a scan.
    pub async fn list(&self, query: &Query, now: Timestamp) -> Result<Page, StoreError> {
        self.list_as_of(query, now, now).await
    }

    /// The same, where what had expired at a time of its own is not shown.
    pub(super) async fn list_as_of(
        &self,
        query: &Query,
        now: Timestamp,
        forgotten_at: Timestamp,
    ) -> Result<Page, StoreError> {
        self.open()?;
        match query.state {
            Some(State::Pending) => self.list_pending(query, forgotten_at).await,
            Some(State::Dead) => self.list_dead(query, now, forgotten_at).await,
            Some(State::Done | State::Archived | State::Dropped) | None => {
                Err(StoreError::Unsupported {
                    what: "this table lists pending events and dead ones: finding others would need an index or a scan. Look them up by key, or list those",
                })
            }
        }
    }

    async fn list_pending(
        &self,
        query: &Query,
        forgotten_at: Timestamp,
    ) -> Result<Page, StoreError> {
        let from = query.cursor.map(Place::of);
        let mut marks = Marks::newest_first(Purpose::Read, from.map(|place| place.at));
        let (mut page, mut last, mut looked_at) = (Page::default(), None, 0);
        let mut passed = HashSet::new();
        loop {
            let mut some = Vec::new();
            while some.len() < BATCH {
                let Some(mark) = self.next(&mut marks).await? else { break };
                if !passed.insert(mark.order()) {
                    continue;
                }
                let place = Place::next(last, mark.name.due);
                last = Some(place);
                let other = query.source.as_ref().is_some_and(|wanted| *wanted != mark.source);
                if !place.is_past(from) && !other {
                    some.push((place, mark.event, Some(mark.name)));
                }
            }
            if some.is_empty() {
                return Ok(page);
            }
            looked_at += some.len();
            let end = some.last().map(|(place, ..)| *place);
            let full = self.fill(&mut page, query, some, forgotten_at).await?;
            if let Some(place) = full.or_else(|| end.filter(|_| looked_at >= LOOKED_AT_MAX)) {
                page.next = Some(place.cursor());
                return Ok(page);
            }
        }
    }

    async fn list_dead(
        &self,
        query: &Query,
        now: Timestamp,
        forgotten_at: Timestamp,
    ) -> Result<Page, StoreError> {
        let from = query.cursor.map(Place::of);
        let (first, last) = self.days(query, now);
        let last = from.map_or(last, |place| dead::day_of(place.at).min(last));
        let (mut page, mut place) = (Page::default(), None);
        let days: Vec<u64> = (first..=last).rev().collect();
        for days in days.chunks(DAYS_AT_ONCE) {
            let marks = days.iter().map(|day| self.table.dead_marks(*day));
            for marks in futures_util::future::try_join_all(marks).await? {
                let mut some = Vec::new();
                for mark in marks {
                    let next = Place::next(place, mark.received_at);
                    place = Some(next);
                    if !next.is_past(from) && mark.expires_at > forgotten_at {
                        some.push((next, mark.key, None));
                    }
                }
                while !some.is_empty() {
                    let rest = some.split_off(some.len().min(BATCH));
                    if let Some(full) = self.fill(&mut page, query, some, forgotten_at).await? {
                        page.next = Some(full.cursor());
                        return Ok(page);
                    }
                    some = rest;
                }
            }
        }
        Ok(page)
    }

    /// The days whose dead letters are looked for.
    fn days(&self, query: &Query, now: Timestamp) -> (u64, u64) {
        let back = now.saturating_sub(self.options.look_back);
        // Clocks may be a little ahead of this one.
        let end = now.saturating_add(Duration::from_secs(DAY_SECS));
        let first = query.since.map_or(back, |since| since.max(back));
        let last = query.before.map_or(end, |before| before.min(end));
        (dead::day_of(first), dead::day_of(last))
    }

    /// Puts those events onto the page that belong there. The place of the last one when it is full.
    async fn fill(
        &self,
        page: &mut Page,
        query: &Query,
        some: Vec<(Place, EventKey, Option<MarkName>)>,
        forgotten_at: Timestamp,
    ) -> Result<Option<Place>, StoreError> {
        let mut keys: Vec<_> = some.iter().map(|(_, key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        let places: Vec<_> = keys.iter().map(|key| event::key_of(*key)).collect();
        let items = self.table.get_all(&places, For::all(Purpose::Read)).await?;
        let mut events = HashMap::new();
        for (key, place) in keys.into_iter().zip(&places) {
            if let Some(item) = items.get(place) {
                events.insert(key, ClaimItem::decode(item)?);
            }
        }
        for (place, key, mark) in some {
            let Some(item) = events.get(&key) else { continue };
            // Of the marks of an event that waits, the one that it names.
            let is_named = match &item.keeper {
                Keeper::Library(standing) => mark.is_none() || standing.mark == mark,
                Keeper::Node(_) => mark.is_none(),
            };
            let is_shown = || page.events.iter().any(|kept| kept.event.key == key);
            if !is_named || is_shown() {
                continue;
            }
            let kept = kept(item.clone(), forgotten_at, 1);
            if kept.body_expired || !query.matches(&kept.event, kept.state) {
                continue;
            }
            page.events.push(kept);
            if page.events.len() >= query.limit {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// How many events wait, and how many are dead, at `now`.
    pub async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.tally_as_of(now, now).await
    }

    pub(super) async fn tally_as_of(
        &self,
        now: Timestamp,
        forgotten_at: Timestamp,
    ) -> Result<Tally, StoreError> {
        self.open()?;
        let mut tally = Tally::default();
        let mut marks = Marks::oldest_first(Purpose::Read);
        let mut seen = HashSet::new();
        while let Some(mark) = self.next(&mut marks).await? {
            if seen.insert(mark.event) {
                tally.pending += 1;
            }
            let oldest = tally.oldest_pending.map_or(mark.since, |at| at.min(mark.since));
            tally.oldest_pending = Some(oldest);
        }
        let (first, last) = self.days(&Query::default(), now);
        let days: Vec<u64> = (first..=last).collect();
        for days in days.chunks(DAYS_AT_ONCE) {
            let partitions = days
                .iter()
                .flat_map(|day| (0..dead::SHARDS).map(move |shard| dead::partition(*day, shard)));
            let counts = partitions.map(async |partition| {
                self.table.count(&partition, forgotten_at, For::all(Purpose::Read)).await
            });
            tally.dead += futures_util::future::try_join_all(counts).await?.iter().sum::<u64>();
        }
        Ok(tally)
    }

    /// An operator's replay: due at once, attempts back at zero, its replay number one higher.
    pub async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.requeue_as_of(key, now, now).await
    }

    pub(super) async fn requeue_as_of(
        &self,
        key: EventKey,
        now: Timestamp,
        forgotten_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.open()?;
        self.saw(now);
        for _ in 0..RACES_MAX {
            let began = self.options.clock.elapsed();
            let (item, was) = self.decide_on(key, forgotten_at).await?;
            if item.is_body_over(forgotten_at) {
                return Err(StoreError::BodyExpired);
            }
            let event = &item.event;
            let mark = MarkName { due: now, dice: random()? };
            self.write_mark(event, mark, now, Purpose::Operator).await?;
            let next = Standing {
                state: State::Pending,
                dead: None,
                due_at: Some(now),
                mark: Some(mark),
                attempts: 0,
                replays: was.replays.saturating_add(1),
                replayed_at: Some(now),
                processed_at: None,
                ..was.given_back()
            };
            let why = For { source: Some(&event.source), purpose: Purpose::Operator };
            match self.change(&item, &was, next, why).await? {
                Changed::Done(_) => {
                    self.again_if_late(began, event, Some(mark), Purpose::Operator).await?;
                    self.unmark(event, was.mark, Purpose::Operator).await;
                    if was.state == State::Dead {
                        self.table.unmark_dead(event, why).await;
                    }
                    return Ok(());
                }
                Changed::Behind(_) => self.unmark(event, Some(mark), Purpose::Operator).await,
            }
        }
        Err(Trouble::not_tried("others change this event all the time").into())
    }

    /// An operator's decision that a dead letter is done with.
    pub async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.discard_as_of(key, now, now).await
    }

    pub(super) async fn discard_as_of(
        &self,
        key: EventKey,
        now: Timestamp,
        forgotten_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.open()?;
        self.saw(now);
        let (item, was) = self.decide_on(key, forgotten_at).await?;
        if was.state != State::Dead || item.is_body_over(forgotten_at) {
            return Err(StoreError::NotFound);
        }
        let why = For { source: Some(&item.event.source), purpose: Purpose::Operator };
        match self.change(&item, &was, was.finished(State::Dropped, None), why).await? {
            Changed::Done(_) => {
                self.table.unmark_dead(&item.event, why).await;
                Ok(())
            }
            // Somebody decided something else at the same moment.
            Changed::Behind(_) => Err(StoreError::NotFound),
        }
    }

    /// An event that somebody decides about. A gateway's is decided about there.
    async fn decide_on(
        &self,
        key: EventKey,
        forgotten_at: Timestamp,
    ) -> Result<(ClaimItem, Standing), StoreError> {
        let item = self.read(key, For::all(Purpose::Operator)).await?;
        let item = item.filter(|item| !item.is_over(forgotten_at)).ok_or(StoreError::NotFound)?;
        match item.keeper.clone() {
            Keeper::Library(standing) => Ok((item, standing)),
            Keeper::Node(_) => Err(StoreError::Unsupported {
                what: "a gateway keeps this event: replay or drop it there",
            }),
        }
    }
}

/// What is known of an event, without its body.
fn kept(item: ClaimItem, now: Timestamp, history_max: usize) -> Kept {
    let body_bytes = item.stored.body_bytes();
    let body_expired = item.is_body_over(now);
    let event = Arc::new(item.event);
    match item.keeper {
        Keeper::Library(it) => {
            let skip = it.history.len().saturating_sub(history_max);
            let due_at = it.free_at().filter(|_| it.state == State::Pending);
            Kept {
                event,
                body_bytes,
                state: it.state,
                dead: it.dead,
                attempts: it.attempts,
                replays: it.replays,
                due_at,
                history: it.history.into_iter().skip(skip).collect(),
                body_expired,
            }
        }
        Keeper::Node(said) => {
            let state = said.unwrap_or(State::Pending);
            let dead = (state == State::Dead).then(|| nodes_reason(&event));
            Kept {
                event,
                body_bytes,
                state,
                dead,
                attempts: 0,
                replays: 0,
                due_at: None,
                history: Vec::new(),
                body_expired,
            }
        }
    }
}
