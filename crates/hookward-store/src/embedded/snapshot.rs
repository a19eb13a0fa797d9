//! The book as of a place in the log, so that opening need not read all of it.
//!
//! It is written a piece at a time while the store works, so its pieces may be newer than the place: since records say all
//! that is true afterwards, reading the log again from that place on leads to the same end.

use std::{
    io,
    ops::Bound::{Excluded, Unbounded},
};

use hookward_core::EventKey;

use super::{
    book::{Book, Facts, Progress, Resting},
    codec::{Put, Reader},
    disk::{Disk, write_whole},
    record::{Place, intake_code, intake_from},
    watermarks::Watermarks,
};
use crate::{DeadReason, State};

/// The file of the latest snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot";

const MAGIC: [u8; 8] = *b"HOOKSNP\x01";

/// Events copied under the lock at a stroke: well below a millisecond.
const PIECE: usize = 1024;

const TAG_END: u8 = 0;
const TAG_PENDING: u8 = 1;
const TAG_RESTING: u8 = 2;
const TAG_WATERMARK: u8 = 3;
const TAG_REPLAYED: u8 = 4;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    /// Records of earlier segments need not be applied again.
    pub(crate) from_segment: u32,
    /// How often the store had been opened.
    pub(crate) generation: u32,
    /// Where the log ended, all before it being durable.
    pub(crate) tail: Place,
}

/// Writes a snapshot durably; `book` gives access to the book for a short while. Returns its size.
pub(crate) fn write(
    disk: &dyn Disk,
    head: SnapshotHead,
    mut with_book: impl FnMut(&mut dyn FnMut(&Book)),
) -> io::Result<u64> {
    let mut out = Vec::new();
    out.put(&MAGIC);
    out.put_u32(head.from_segment);
    out.put_u32(head.generation);
    out.put_u64(head.tail.as_u64());
    let mut watermarks = Watermarks::default();
    with_book(&mut |book| watermarks = book.watermarks.clone());
    out.put_time(watermarks.latest());
    for (place, at) in watermarks.iter() {
        out.put_u8(TAG_WATERMARK);
        // One that stands behind the end is read from the log, if it is there.
        out.put_u64(place.min(head.tail).as_u64());
        out.put_time(at);
    }

    let mut last = None;
    let mut more = true;
    while more {
        more = false;
        with_book(&mut |book| {
            let range = (last.map_or(Unbounded, Excluded), Unbounded);
            for (place, pending) in book.pending.range(range).take(PIECE) {
                out.put_u8(TAG_PENDING);
                put_common(&mut out, *place, &pending.facts, pending.progress);
                out.put_time(pending.due_at);
                if pending.progress.replays > 0 {
                    out.put_u8(TAG_REPLAYED);
                    out.put_u64(place.as_u64());
                    out.put_time(pending.since);
                }
                (last, more) = (Some(*place), true);
            }
        });
    }
    (last, more) = (None, true);
    while more {
        more = false;
        with_book(&mut |book| {
            let range = (last.map_or(Unbounded, Excluded), Unbounded);
            for (place, resting) in book.resting.range(range).take(PIECE) {
                out.put_u8(TAG_RESTING);
                put_common(&mut out, *place, &resting.facts, resting.progress);
                out.put_u8(end_code(resting.state, resting.dead));
                (last, more) = (Some(*place), true);
            }
        });
    }
    out.put_u8(TAG_END);
    out.put_u32(crc32fast::hash(&out));

    write_whole(disk, SNAPSHOT, &out)?;
    Ok(out.len() as u64)
}

/// Reads a snapshot into a book. `None` when there is none that is whole.
pub(crate) fn read(disk: &dyn Disk, book: &mut Book) -> io::Result<Option<SnapshotHead>> {
    let files = disk.files()?;
    let Some((_, size)) = files.into_iter().find(|(name, _)| name == SNAPSHOT) else {
        return Ok(None);
    };
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let read = disk.read(SNAPSHOT, 0, &mut bytes)?;
    bytes.truncate(read);
    let whole = bytes
        .split_last_chunk()
        .filter(|(body, crc)| crc32fast::hash(body) == u32::from_le_bytes(**crc));
    Ok(whole.and_then(|(body, _)| parse(&mut Reader::new(body), book)))
}

fn parse(reader: &mut Reader<'_>, book: &mut Book) -> Option<SnapshotHead> {
    if reader.array()? != MAGIC {
        return None;
    }
    let head = SnapshotHead {
        from_segment: reader.u32()?,
        generation: reader.u32()?,
        tail: Place::from_u64(reader.u64()?),
    };
    let (expired_at, mut placed) = (reader.time()?, false);
    loop {
        match reader.u8()? {
            TAG_END => break,
            TAG_PENDING => {
                let (place, facts, progress) = read_common(reader)?;
                book.restore_pending(place, facts, progress, reader.time()?);
            }
            TAG_RESTING => {
                let (place, facts, progress) = read_common(reader)?;
                let (state, dead) = end_from(reader.u8()?, &facts)?;
                book.restore_resting(place, Resting { facts, progress, state, dead });
            }
            TAG_WATERMARK => {
                placed = true;
                book.watermarks.note(Place::from_u64(reader.u64()?), reader.time()?);
            }
            TAG_REPLAYED => book.restore_since(Place::from_u64(reader.u64()?), reader.time()?),
            _ => return None,
        }
    }
    if !placed {
        // One that does not say where its watermark stands: before its end, at the latest.
        book.watermarks.note(head.tail, expired_at);
    }
    Some(head)
}

fn put_common(out: &mut Vec<u8>, place: Place, facts: &Facts, progress: Progress) {
    out.put_u64(place.as_u64());
    out.put(facts.key.as_bytes());
    out.put_sized(facts.source.as_str().as_bytes());
    out.put_u8(intake_code(facts.intake));
    out.put_time(facts.received_at);
    out.put_time(facts.body_expires_at);
    out.put_u8(u8::from(facts.held_until.is_some()));
    out.put_time(facts.held_until.unwrap_or_default());
    out.put_varint(progress.attempts.into());
    out.put_varint(progress.replays.into());
    out.put_varint(progress.last.map_or(0, Place::as_u64));
}

fn read_common(reader: &mut Reader<'_>) -> Option<(Place, Facts, Progress)> {
    let place = Place::from_u64(reader.u64()?);
    let facts = Facts {
        key: EventKey::from_bytes(reader.array()?),
        source: hookward_core::SourceName::parse(reader.text()?).ok()?,
        intake: intake_from(reader.u8()?)?,
        received_at: reader.time()?,
        body_expires_at: reader.time()?,
        held_until: {
            let limited = reader.u8()? == 1;
            let at = reader.time()?;
            limited.then_some(at)
        },
    };
    let progress = Progress {
        attempts: reader.varint_u32()?,
        replays: reader.varint_u32()?,
        last: match reader.varint()? {
            0 => None,
            place => Some(Place::from_u64(place)),
        },
    };
    Some((place, facts, progress))
}

/// The stored number of how an event ended: never change one.
pub(crate) const fn end_code(state: State, dead: Option<DeadReason>) -> u8 {
    match (state, dead) {
        (State::Pending, _) => 0,
        (State::Done, _) => 1,
        (State::Archived, _) => 2,
        (State::Dropped, _) => 3,
        (State::Dead, Some(DeadReason::Quarantined(_))) => 4,
        (State::Dead, Some(DeadReason::Undeliverable) | None) => 5,
    }
}

pub(crate) fn end_from(code: u8, facts: &Facts) -> Option<(State, Option<DeadReason>)> {
    Some(match code {
        1 => (State::Done, None),
        2 => (State::Archived, None),
        3 => (State::Dropped, None),
        4 => State::at_intake(facts.intake),
        5 => (State::Dead, Some(DeadReason::Undeliverable)),
        _ => return None,
    })
}
