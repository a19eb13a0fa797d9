//! From a key to its event.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError},
};

use hookward_core::{ContentDigest, EventKey};

use super::{
    book::{Facts, Standing},
    codec::Reader,
    disk::Disk,
    keyfile::KeyFile,
    log::{Held, KeyEntry, Keys, Log, Shelf},
    record::{Place, Record},
    retention::Husk,
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Segment, Step},
};
use crate::{State, StoreError};

/// How often a search starts again when a file went away under it: each time something newer has taken its place.
pub(crate) const SEARCHES_MAX: usize = 8;

/// Where a key led to.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// To an event in the log.
    Event { place: Place, content: ContentDigest, facts: Facts },
    /// To what is left of one.
    Husk { segment: u32, husk: Husk },
}

/// What memory alone can say.
pub(crate) enum Glance {
    Absent,
    Found(Found),
    /// The disk must be asked.
    Unclear,
}

impl Found {
    pub(crate) const fn content(&self) -> ContentDigest {
        match self {
            Self::Event { content, .. } => *content,
            Self::Husk { husk, .. } => husk.content,
        }
    }

    /// The state of the event, or `None` when its key may be taken again.
    pub(crate) fn state(&self, book: &super::book::Book) -> Option<State> {
        match self {
            Self::Event { place, facts, .. } => {
                let Standing { state, forgotten, .. } = book.standing(*place, facts);
                (!forgotten).then_some(state)
            }
            Self::Husk { segment, husk } => {
                let expired_at = book.watermarks.over(Place::last_of(*segment));
                let forgotten = husk.held_until.is_some_and(|at| at <= expired_at);
                (!forgotten).then_some(husk.state)
            }
        }
    }
}

/// Looks without touching the disk.
pub(crate) fn glance(shelves: &[Shelf], key: EventKey) -> Glance {
    for shelf in shelves {
        match &shelf.keys {
            Keys::Memory(keys) => {
                if let Some(entry) = keys.get(&key) {
                    let place = Place { segment: shelf.segment, offset: entry.offset };
                    return Glance::Found(Found::Event {
                        place,
                        content: entry.content,
                        facts: entry.facts.clone(),
                    });
                }
            }
            Keys::File(file) if file.may_hold(key) => return Glance::Unclear,
            Keys::File(_) => {}
        }
    }
    Glance::Absent
}

/// Finds the newest event under a key. Reads the disk: not for the async runtime's threads.
pub(crate) fn find(log: &Log, key: EventKey) -> Result<Option<Found>, StoreError> {
    let mut searches = 0;
    loop {
        let shelves = {
            let state = log.reading()?;
            if let Some((place, entry)) = state.open_key(key) {
                let (content, facts) = (entry.content, entry.facts.clone());
                return Ok(Some(Found::Event { place, content, facts }));
            }
            Arc::clone(&state.shelves)
        };
        searches += 1;
        match search(log, &shelves, key) {
            Ok(found) => return Ok(found),
            Err(Trouble::Index(file)) if searches < SEARCHES_MAX => reindex(log, &file)?,
            Err(Trouble::Log(ReadError::Disk(error)))
                if error.kind() == io::ErrorKind::NotFound && searches < SEARCHES_MAX => {}
            Err(Trouble::Log(error)) => {
                log.note_damage(&error);
                return Err(error.into());
            }
            Err(Trouble::Index(file)) => {
                let place = format!("{}: cannot be read, nor derived again", file.name);
                return Err(StoreError::Damaged { place });
            }
        }
    }
}

/// Why a search came to nothing.
enum Trouble {
    /// This key file of a segment is not whole, or has gone. All that it says is in the segment.
    Index(Arc<KeyFile>),
    Log(ReadError),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        Self::Log(error)
    }
}

fn search(log: &Log, shelves: &[Shelf], key: EventKey) -> Result<Option<Found>, Trouble> {
    let disk = log.disk.as_ref();
    for shelf in shelves {
        match &shelf.keys {
            Keys::Memory(_) => {
                if let Glance::Found(found) = glance(std::slice::from_ref(shelf), key) {
                    return Ok(Some(found));
                }
            }
            Keys::File(file) if file.may_hold(key) => {
                let entry = match file.find(disk, key) {
                    Ok(Some(entry)) => entry,
                    Ok(None) => continue,
                    Err(error) if shelf.log.is_some() && is_lost(&error) => {
                        return Err(Trouble::Index(Arc::clone(file)));
                    }
                    Err(error) => return Err(error.into()),
                };
                let found = match &shelf.log {
                    Some(segment) => at(disk, segment, shelf.segment, &entry)?,
                    None => Husk::read(&entry, &file.extra)
                        .map(|husk| Found::Husk { segment: shelf.segment, husk })
                        .ok_or_else(|| {
                            ReadError::Damaged(format!("{}: an entry is not readable", file.name))
                        })?,
                };
                return Ok(Some(found));
            }
            Keys::File(_) => {}
        }
    }
    Ok(None)
}

/// Whether a file that can be derived again has to be.
pub(crate) fn is_lost(error: &ReadError) -> bool {
    match error {
        ReadError::Damaged(_) => true,
        ReadError::Disk(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Takes the keys of a segment from the segment itself, in place of this file, which the keeper then writes again.
pub(crate) fn reindex(log: &Log, file: &Arc<KeyFile>) -> Result<(), StoreError> {
    let _housekeeping = log.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
    let number = file.segment;
    let segment = {
        let state = log.reading()?;
        let in_use =
            |held: &&Held| matches!(&held.keys, Keys::File(used) if Arc::ptr_eq(used, file));
        // Meanwhile somebody else did, or the segment has gone.
        let Some(held) = state.segments.get(&number).filter(in_use) else { return Ok(()) };
        Arc::clone(&held.segment)
    };
    tracing::warn!(name = file.name, "a derived file was lost or torn, and is derived again");
    let keys =
        read_keys(log.disk.as_ref(), &segment).inspect_err(|error| log.note_damage(error))?;
    let mut state = log.state();
    if let Some(held) = state.segments.get_mut(&number) {
        held.keys = Keys::Memory(Arc::new(keys));
    }
    state.unindexed.push(number);
    state.arrange();
    drop(state);
    log.chores.notify_one();
    Ok(())
}

/// The keys of a sealed segment; of a key that was kept twice, the later event.
fn read_keys(disk: &dyn Disk, segment: &Segment) -> Result<HashMap<EventKey, KeyEntry>, ReadError> {
    let mut scan = Scan::new(disk, segment);
    let (mut offset, mut keys) = (SEGMENT_HEADER_BYTES, HashMap::new());
    loop {
        let what = match scan.step(offset)? {
            Step::Record { record: Record::Seal, .. } => return Ok(keys),
            Step::Record { record, next, .. } => {
                if let Record::Event(event) = record {
                    let (content, facts) = (event.event.content, Facts::from(&event));
                    keys.insert(facts.key, KeyEntry { offset, content, facts });
                }
                offset = next;
                continue;
            }
            Step::End => "the rest is missing",
            Step::Bad(what) => what,
        };
        return Err(ReadError::Damaged(format!("{}, byte {offset}: {what}", segment.name)));
    }
}

/// The event that an entry of a segment's key file leads to.
fn at(disk: &dyn Disk, segment: &Segment, number: u32, entry: &[u8]) -> Result<Found, ReadError> {
    let mut reader = Reader::new(entry);
    let key: Option<[u8; 16]> = reader.array();
    let offset = reader.u32().unwrap_or_default();
    if let Record::Event(record) = segment.read(disk, offset, false)?.record
        && key == Some(*record.event.key.as_bytes())
    {
        let place = Place { segment: number, offset };
        return Ok(Found::Event {
            place,
            content: record.event.content,
            facts: Facts::from(&record),
        });
    }
    Err(ReadError::Damaged(format!(
        "{}, byte {offset}: not the event that its key file names",
        segment.name
    )))
}
