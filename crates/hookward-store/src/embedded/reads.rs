//! Reading for people: one event, a page of them, what was tried. All of it reads the disk, and none of it is for the
//! async runtime's threads.

use std::{collections::HashMap, io, sync::Arc};

use hookward_core::{EventKey, EventParts};

use super::{
    book::{Facts, Progress},
    codec::Reader,
    keeper::INDEX_ENTRY_BYTES,
    log::{Keys, Log},
    lookup::{Found, SEARCHES_MAX, find, is_lost, reindex},
    record::{EventRecord, OutcomeRecord, Place, Record, Verdict},
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Segment, Step, Whole},
};
use crate::{ATTEMPTS_KEPT_MAX, Attempt, Cursor, Kept, Page, Query, State, StoreError};

/// Events looked at for one page: what a filter leaves out costs a read each.
const LOOKED_AT_MAX: usize = 4096;

/// Bytes of the log searched for how an event ended: most end within seconds of their arrival.
const SEARCHED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The same for a whole page.
const SEARCHED_BYTES_MAX_LIST: u64 = 16 * 1024 * 1024;

/// The event under a key.
pub(crate) fn get(log: &Log, key: EventKey) -> Result<Option<Kept>, StoreError> {
    let Some(found) = find(log, key)? else { return Ok(None) };
    if found.state(&log.reading()?.book).is_none() {
        return Ok(None);
    }
    match found {
        Found::Husk { husk, .. } => Ok(Some(husk.kept())),
        Found::Event { place, .. } => {
            let Some(record) = read_event(log, place, true)? else { return Ok(None) };
            let body_bytes = record.body_bytes;
            let ends = find_ends(log, &[place], SEARCHED_BYTES_MAX)?;
            describe(log, place, record.event, body_bytes, &ends, ATTEMPTS_KEPT_MAX).map(Some)
        }
    }
}

/// A page of events, newest first.
pub(crate) fn list(log: &Log, query: &Query) -> Result<Page, StoreError> {
    let before = query.cursor.map_or(u64::MAX, |cursor| cursor.0);
    let mut page = Page::default();
    let mut found: Vec<(Place, EventRecord)> = Vec::new();
    match query.state {
        Some(state @ (State::Pending | State::Dead | State::Dropped)) => {
            let places = log.reading()?.book.places(query, state, Place::from_u64(before));
            for place in places {
                if let Some(record) = read_event(log, place, false)? {
                    found.push((place, record));
                }
            }
        }
        Some(State::Done | State::Archived) | None => {
            page.next = walk(log, query, before, &mut found)?;
        }
    }
    if query.limit > 0 && found.len() >= query.limit {
        page.next = found.last().map(|(place, _)| Cursor(place.as_u64()));
    }
    let places: Vec<Place> = found.iter().map(|(place, _)| *place).collect();
    let ends = find_ends(log, &places, SEARCHED_BYTES_MAX_LIST)?;
    for (place, record) in found {
        let body_bytes = record.body_bytes;
        page.events.push(describe(log, place, record.event, body_bytes, &ends, 1)?);
    }
    Ok(page)
}

/// Goes through the log from its end; says where to go on if it looked at many events without filling the page.
fn walk(
    log: &Log,
    query: &Query,
    before: u64,
    found: &mut Vec<(Place, EventRecord)>,
) -> Result<Option<Cursor>, StoreError> {
    let mut looked_at = 0;
    let numbers: Vec<u32> = log.reading()?.segments.keys().rev().copied().collect();
    for number in numbers {
        if u64::from(number) << 32 >= before {
            continue;
        }
        for offset in offsets(log, number)?.into_iter().rev() {
            let place = Place { segment: number, offset };
            if place.as_u64() >= before {
                continue;
            }
            if found.len() >= query.limit {
                return Ok(None);
            }
            if looked_at >= LOOKED_AT_MAX {
                return Ok(Some(Cursor(place.as_u64() + 1)));
            }
            looked_at += 1;
            let Some(record) = read_event(log, place, false)? else { continue };
            let standing = log.reading()?.book.standing(place, &Facts::from(&record));
            if !standing.body_expired && query.matches(&record.event, standing.state) {
                found.push((place, record));
            }
        }
    }
    Ok(None)
}

/// Where the events of a segment are, in order.
fn offsets(log: &Log, number: u32) -> Result<Vec<u32>, StoreError> {
    let mut lost = None;
    for _ in 0..SEARCHES_MAX {
        // Keys in memory are not shared with whoever reads: the next append would have to copy them all.
        let file = match log.reading()?.segments.get(&number).map(|held| &held.keys) {
            None => return Ok(Vec::new()),
            Some(Keys::Memory(keys)) => {
                let mut offsets: Vec<u32> = keys.values().map(|entry| entry.offset).collect();
                offsets.sort_unstable();
                return Ok(offsets);
            }
            Some(Keys::File(file)) => Arc::clone(file),
        };
        match file.entries(log.disk.as_ref()) {
            Ok(entries) => {
                let entries = entries.chunks_exact(INDEX_ENTRY_BYTES);
                let offset = |entry: &[u8]| Reader::new(entry.get(16..)?).u32();
                let mut offsets: Vec<u32> = entries.filter_map(offset).collect();
                offsets.sort_unstable();
                return Ok(offsets);
            }
            Err(error) if is_lost(&error) => {
                reindex(log, &file)?;
                lost = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    lost.map_or(Ok(Vec::new()), |error| Err(error.into()))
}

/// The event at a place; `None` when its segment has gone meanwhile.
pub(crate) fn read_event(
    log: &Log,
    place: Place,
    body: bool,
) -> Result<Option<EventRecord>, StoreError> {
    let Some(segment) = log.reading()?.log_of(place) else { return Ok(None) };
    match event_at(log, &segment, place, body) {
        Ok(record) => Ok(Some(record)),
        Err(error) => gone(log, place, error),
    }
}

/// The events at these places with their bodies, for their delivery, and what kept the others from being read.
pub(crate) fn load(
    log: &Log,
    places: &[Place],
) -> (HashMap<Place, Arc<EventParts>>, HashMap<Place, StoreError>) {
    let (mut events, mut unread) = (HashMap::new(), HashMap::new());
    for place in places {
        match read_event(log, *place, true) {
            Ok(Some(record)) => drop(events.insert(*place, Arc::new(record.event))),
            Ok(None) => {}
            Err(error) => drop(unread.insert(*place, error)),
        }
    }
    (events, unread)
}

fn event_at(
    log: &Log,
    segment: &Segment,
    place: Place,
    body: bool,
) -> Result<EventRecord, ReadError> {
    let whole = segment.read(log.disk.as_ref(), place.offset, body)?;
    let damaged =
        |what| ReadError::Damaged(format!("{}, byte {}: {what}", segment.name, place.offset));
    let Record::Event(record) = whole.record else { return Err(damaged("no event")) };
    let record = record.with_stored_len(whole.stored_len);
    if body {
        record.with_body(whole.body).ok_or_else(|| damaged("the body is not readable"))
    } else {
        Ok(record)
    }
}

/// An error, unless it is because the segment of the event was forgotten meanwhile.
fn gone<T>(log: &Log, place: Place, error: ReadError) -> Result<Option<T>, StoreError> {
    let missing =
        matches!(&error, ReadError::Disk(error) if error.kind() == io::ErrorKind::NotFound);
    if missing && !log.reading()?.segments.contains_key(&place.segment) {
        return Ok(None);
    }
    log.note_damaged_event(&error, place);
    Err(error.into())
}

fn describe(
    log: &Log,
    place: Place,
    mut event: EventParts,
    body_bytes: usize,
    ends: &HashMap<Place, Progress>,
    history_max: usize,
) -> Result<Kept, StoreError> {
    let standing = log.reading()?.book.standing(place, &Facts::of(&event));
    let progress = standing.progress.or_else(|| ends.get(&place).copied()).unwrap_or_default();
    if standing.body_expired {
        event.body.clear();
    }
    Ok(Kept {
        event: Arc::new(event),
        body_bytes,
        state: standing.state,
        dead: standing.dead,
        attempts: progress.attempts,
        replays: progress.replays,
        due_at: standing.due_at,
        history: history(log, place, progress.last, history_max)?,
        body_expired: standing.body_expired,
    })
}

/// The latest attempts of an event, oldest first: back along the chain of their records.
fn history(
    log: &Log,
    event: Place,
    last: Option<Place>,
    max: usize,
) -> Result<Vec<Attempt>, StoreError> {
    let mut attempts = Vec::new();
    let mut next = last;
    while let Some(place) = next.filter(|_| attempts.len() < max) {
        let Some(segment) = log.reading()?.log_of(place) else { break };
        next = match segment.read(log.disk.as_ref(), place.offset, false) {
            Ok(Whole { record: Record::Outcome(outcome), .. }) if outcome.event == event => {
                attempts.extend(outcome.attempt);
                outcome.previous
            }
            // A record that is still on its way to the disk, or whose segment has gone: history is what can be read.
            Ok(_) | Err(_) => None,
        };
    }
    attempts.reverse();
    Ok(attempts)
}

/// What the latest attempt of a finished event was, for a replay to go on from.
pub(crate) fn last_attempt(log: &Log, place: Place) -> Result<Option<Place>, StoreError> {
    Ok(find_ends(log, &[place], SEARCHED_BYTES_MAX)?
        .remove(&place)
        .and_then(|progress| progress.last))
}

/// Searches the log for how those of these events ended of which the book says nothing.
fn find_ends(
    log: &Log,
    events: &[Place],
    mut bytes_max: u64,
) -> Result<HashMap<Place, Progress>, StoreError> {
    let mut ends = HashMap::new();
    let (mut wanted, segments, tail): (Vec<Place>, Vec<Arc<Segment>>, Place) = {
        let state = log.reading()?;
        let unknown = |place: &&Place| {
            !state.book.pending.contains_key(place) && !state.book.resting.contains_key(place)
        };
        let wanted: Vec<Place> = events.iter().filter(unknown).copied().collect();
        let from = wanted.iter().map(|place| place.segment).min().unwrap_or(u32::MAX);
        let segments =
            state.segments.range(from..).map(|(_, held)| Arc::clone(&held.segment)).collect();
        (wanted, segments, state.durable)
    };
    let Some(first) = wanted.iter().min().copied() else { return Ok(ends) };
    for segment in segments {
        let number = segment.header.number;
        let mut scan = Scan::new(log.disk.as_ref(), &segment);
        let mut offset = if first.segment == number { first.offset } else { SEGMENT_HEADER_BYTES };
        while (Place { segment: number, offset }) < tail {
            match scan.step(offset) {
                Ok(Step::Record { record: Record::Seal, .. } | Step::End | Step::Bad(_))
                | Err(_) => break,
                Ok(Step::Record { record, next, .. }) => {
                    if let Record::Outcome(outcome) = record {
                        take_end(&mut wanted, &mut ends, scan.place(offset), &outcome);
                    }
                    bytes_max = bytes_max.saturating_sub(u64::from(next - offset));
                    offset = next;
                }
            }
            if wanted.is_empty() || bytes_max == 0 {
                return Ok(ends);
            }
        }
    }
    Ok(ends)
}

fn take_end(
    wanted: &mut Vec<Place>,
    ends: &mut HashMap<Place, Progress>,
    at: Place,
    outcome: &OutcomeRecord,
) {
    if outcome.verdict == Verdict::Done
        && let Some(position) = wanted.iter().position(|place| *place == outcome.event)
    {
        wanted.swap_remove(position);
        let progress =
            Progress { attempts: outcome.attempts, replays: outcome.replays, last: Some(at) };
        ends.insert(outcome.event, progress);
    }
}
