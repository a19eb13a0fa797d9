//! The thread for what can wait: the next segment's file, key files of sealed segments, snapshots.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, PoisonError},
    thread,
    time::Duration,
};

use super::{
    codec::Put,
    disk::{Disk, ZEROS_PAUSE},
    keyfile::KeyFile,
    log::{Failure, Keys, Log, Spare},
    segment::SegmentHeader,
    snapshot::{self, SnapshotHead},
    writer::fail,
};

/// A snapshot is written when the log has grown by so many times the last one's size.
const SNAPSHOT_GROWTH: u64 = 4;

/// An entry of a segment's key file: the key, and where its event is.
pub(crate) const INDEX_ENTRY_BYTES: usize = 20;

/// The file that becomes this segment.
pub(crate) fn spare_name(number: u32) -> String {
    format!("{number:010}.spare")
}

/// The key file of a segment that has its bodies.
pub(crate) fn index_name(number: u32) -> String {
    format!("{number:010}.idx")
}

/// Sees to it that nobody waits for room from a keeper that has panicked.
struct PanicWatch<'a>(&'a Log);

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            fail(self.0, io::Error::other("the store's keeper has panicked"));
        }
    }
}

enum Chore {
    Spare(u32),
    Index(u32),
}

/// Does what is to be done until the writer has gone.
pub(crate) fn run(log: &Log) {
    let _watch = PanicWatch(log);
    let mut snapshot = SnapshotPace::default();
    while let Some(chore) = next_chore(log) {
        match chore {
            Chore::Spare(number) => provide_spare(log, number),
            Chore::Index(number) => {
                let _housekeeping = log.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
                match index(log, number).and_then(|()| snapshot.sealed(log)) {
                    Ok(()) => {}
                    // Both are derived from the log: without them the next opening takes longer.
                    Err(error) => {
                        tracing::warn!(error = %error, segment = number, "writing an index or snapshot failed");
                    }
                }
            }
        }
    }
}

fn next_chore(log: &Log) -> Option<Chore> {
    let mut state = log.state();
    loop {
        let broken = matches!(state.failure, Some(Failure::Disk(_)));
        if broken {
            return None;
        }
        if matches!(state.spare, Spare::Wanted) && !state.drained {
            return Some(Chore::Spare(state.tail.segment + 1));
        }
        if let Some(number) = state.unindexed.pop() {
            return Some(Chore::Index(number));
        }
        if state.drained {
            return None;
        }
        state = log.chores.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Makes the next segment's file, and tells whoever waits for room how that went.
fn provide_spare(log: &Log, number: u32) {
    let name = spare_name(number);
    let bytes = log.options.segment_bytes;
    let made = make_segment(log.disk.as_ref(), &name, number, bytes, ZEROS_PAUSE);
    let made = match made {
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::error!(error = %error, segment = number, "no room for the next segment of the log");
            if let Err(error) = log.disk.remove(&name) {
                tracing::debug!(error = %error, "nothing to remove");
            }
            Err(Arc::new(error))
        }
    };
    let mut state = log.state();
    state.spare = if made.is_ok() { Spare::Ready } else { Spare::Failed };
    let waiting = std::mem::take(&mut state.waiting_for_room);
    state.starved = match &made {
        Err(error) if !waiting.is_empty() => Some(Arc::clone(error)),
        Err(_) => state.starved.take(),
        Ok(()) => None,
    };
    drop(state);
    for waiter in waiting {
        drop(waiter.send(made.clone()));
    }
}

/// Writes a whole segment of zeros behind its header, durably: later syncs overwrite and need not grow the file. With pauses where
/// the log is written at the same time.
pub(crate) fn make_segment(
    disk: &dyn Disk,
    name: &str,
    number: u32,
    bytes: u32,
    pause: Duration,
) -> io::Result<()> {
    // Unpredictable, so that no body can be made up that passes for records.
    let salt = RandomState::new().hash_one(number);
    let header = SegmentHeader { number, bytes, salt }.encode();
    disk.write(name, 0, &header)?;
    disk.zero(name, header.len() as u64..bytes.into(), pause)
}

/// Moves the keys of a sealed segment from memory to a file.
fn index(log: &Log, number: u32) -> io::Result<()> {
    let (keys, terms) = {
        let state = log.state();
        let Some(held) = state.segments.get(&number) else { return Ok(()) };
        let Keys::Memory(keys) = &held.keys else { return Ok(()) };
        (Arc::clone(keys), held.terms)
    };
    let mut entries = Vec::with_capacity(keys.len() * INDEX_ENTRY_BYTES);
    for (key, entry) in keys.iter() {
        entries.put(key.as_bytes());
        entries.put_u32(entry.offset);
    }
    let name = index_name(number);
    let file =
        KeyFile::write(log.disk.as_ref(), &name, number, terms, &[], INDEX_ENTRY_BYTES, &entries)?;
    let mut state = log.state();
    if let Some(held) = state.segments.get_mut(&number) {
        held.keys = Keys::File(Arc::new(file));
    }
    state.arrange();
    Ok(())
}

/// When a snapshot is worth its writing.
#[derive(Debug, Default)]
struct SnapshotPace {
    last_bytes: u64,
    grown_bytes: u64,
}

impl SnapshotPace {
    fn sealed(&mut self, log: &Log) -> io::Result<()> {
        self.grown_bytes += u64::from(log.options.segment_bytes);
        if self.grown_bytes >= self.last_bytes * SNAPSHOT_GROWTH {
            self.last_bytes = write_snapshot(log)?;
            self.grown_bytes = 0;
        }
        Ok(())
    }
}

/// Writes a snapshot of what is known now. Returns its size.
pub(crate) fn write_snapshot(log: &Log) -> io::Result<u64> {
    let head = {
        let state = log.state();
        SnapshotHead {
            from_segment: state.segments.last_key_value().map_or(0, |(number, _)| *number),
            generation: state.generation,
            tail: state.durable,
        }
    };
    snapshot::write(log.disk.as_ref(), head, |look| look(&log.state().book))
}
