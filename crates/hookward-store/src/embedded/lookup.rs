//! From a key to its event.

use std::{io, sync::Arc};

use hookward_core::{ContentDigest, EventKey};

use super::{
    book::{Facts, Standing},
    codec::Reader,
    disk::Disk,
    log::{Keys, Log, Shelf},
    record::{Place, Record},
    retention::Husk,
    segment::{ReadError, Segment},
};
use crate::{State, StoreError};

/// How often a search starts again when a file went away under it: each time something newer has taken its place.
const SEARCHES_MAX: usize = 8;

/// Where a key led to.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// To an event in the log.
    Event { place: Place, content: ContentDigest, facts: Facts },
    /// To what is left of one.
    Husk(Husk),
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
            Self::Husk(husk) => husk.content,
        }
    }

    /// The state of the event, or `None` when its key may be taken again.
    pub(crate) fn state(&self, book: &super::book::Book) -> Option<State> {
        match self {
            Self::Event { place, facts, .. } => {
                let Standing { state, forgotten, .. } = book.standing(*place, facts);
                (!forgotten).then_some(state)
            }
            Self::Husk(husk) => {
                let forgotten = husk.held_until.is_some_and(|at| at <= book.expired_at);
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
            Err(ReadError::Disk(error))
                if error.kind() == io::ErrorKind::NotFound && searches < SEARCHES_MAX => {}
            Err(error) => {
                log.note_damage(&error);
                return Err(error.into());
            }
        }
    }
}

fn search(log: &Log, shelves: &[Shelf], key: EventKey) -> Result<Option<Found>, ReadError> {
    let disk = log.disk.as_ref();
    for shelf in shelves {
        match &shelf.keys {
            Keys::Memory(_) => {
                if let Glance::Found(found) = glance(std::slice::from_ref(shelf), key) {
                    return Ok(Some(found));
                }
            }
            Keys::File(file) if file.may_hold(key) => {
                let Some(entry) = file.find(disk, key)? else { continue };
                return match &shelf.log {
                    Some(segment) => at(disk, segment, shelf.segment, &entry).map(Some),
                    None => Husk::read(&entry, &file.extra)
                        .map(|husk| Some(Found::Husk(husk)))
                        .ok_or_else(|| {
                            ReadError::Damaged(format!("{}: an entry is not readable", file.name))
                        }),
                };
            }
            Keys::File(_) => {}
        }
    }
    Ok(None)
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
