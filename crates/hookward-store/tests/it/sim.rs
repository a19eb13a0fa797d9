//! A disk in memory that tells what survives a power cut.
//!
//! What was synced survives. Of what was not, any part may: single sectors, in any order. A sync that fails takes what
//! it was for off the list: it can be read until the power goes, no later sync writes it, and any part of it survives.
//! That is what Linux does. The disk keeps a trace of all that was done to it, so that one history can be cut at each of
//! its points afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    sync::{Condvar, Mutex, MutexGuard},
};

use hookward_store::embedded::Disk;

/// A power cut leaves a sector old or new.
const SECTOR: usize = 512;

type Files = BTreeMap<String, Vec<u8>>;

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct SimDisk {
    state: Mutex<State>,
    /// A sync came to wait, or may go on.
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    live: Files,
    start: Files,
    trace: Vec<Op>,
    /// Bytes that fit; `None`: any number.
    capacity: Option<usize>,
    /// Syncs until one fails.
    sync_fails_in: Option<usize>,
    power_is_off: bool,
    syncs_are_held: bool,
    syncs_waiting: usize,
}

/// Something that was done to the disk, or that the test said about it.
#[derive(Clone, Debug)]
enum Op {
    Write { name: String, offset: usize, bytes: Vec<u8> },
    Sync { name: String },
    FailedSync { name: String },
    Rename { from: String, to: String },
    Remove { name: String },
}

impl SimDisk {
    pub(crate) fn with_files(files: Files) -> Self {
        let state = State { live: files.clone(), start: files, ..State::default() };
        Self { state: Mutex::new(state), turn: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many things have been done so far.
    pub(crate) fn now(&self) -> usize {
        self.state().trace.len()
    }

    /// The files as they are.
    pub(crate) fn files_now(&self) -> Files {
        self.state().live.clone()
    }

    /// So many bytes fit from now on.
    pub(crate) fn set_capacity(&self, capacity: Option<usize>) {
        self.state().capacity = capacity;
    }

    /// Lets a sync fail, after so many that do not.
    pub(crate) fn fail_sync_in(&self, syncs: usize) {
        self.state().sync_fails_in = Some(syncs);
    }

    /// Holds all syncs from now on, or lets them go.
    pub(crate) fn hold_syncs(&self, hold: bool) {
        self.state().syncs_are_held = hold;
        self.turn.notify_all();
    }

    /// Waits until a sync is held.
    pub(crate) fn await_held_sync(&self) {
        let state = self.state();
        drop(self.turn.wait_while(state, |state| state.syncs_waiting == 0).unwrap());
    }

    /// The last write to a file: after how many things it was done, where it began, and how long it was without the zeros that
    /// fill its last page.
    pub(crate) fn last_write(&self, file: &str) -> (usize, usize, usize) {
        let state = self.state();
        let mut found = None;
        for (number, op) in state.trace.iter().enumerate() {
            if let Op::Write { name, offset, bytes } = op
                && name == file
            {
                let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
                found = Some((number + 1, *offset, bytes.len() - zeros));
            }
        }
        found.unwrap()
    }

    /// Switches the power off; gives back what survived when nothing that was not synced did.
    pub(crate) fn cut_power(&self) -> Self {
        self.state().power_is_off = true;
        let end = self.now();
        Self::with_files(self.image(end, &mut |_| false))
    }

    /// What survives a power cut after the first `end` things that were done. `survives` is asked for each sector that was
    /// written and not synced, or whose sync failed.
    pub(crate) fn image(&self, end: usize, survives: &mut dyn FnMut(usize) -> bool) -> Files {
        let state = self.state();
        let mut durable = state.start.clone();
        let mut pending: Vec<(&str, usize, &[u8])> = Vec::new();
        let mut doubtful = BTreeSet::new();
        for op in state.trace.iter().take(end) {
            match op {
                Op::Write { name, offset, bytes } => pending.push((name, *offset, bytes)),
                Op::Sync { name } => {
                    pending.retain(|(written, offset, bytes)| {
                        if written == name {
                            put(durable.entry(name.clone()).or_default(), *offset, bytes);
                        }
                        written != name
                    });
                }
                Op::FailedSync { name } => {
                    pending.retain(|(written, offset, bytes)| {
                        if written == name {
                            put_sectors(&mut durable, name, *offset, bytes, survives);
                        }
                        written != name
                    });
                    doubtful.insert(name);
                }
                Op::Rename { from, to } => {
                    // What is renamed was synced before, always.
                    assert!(
                        pending.iter().all(|(name, ..)| name != from) && !doubtful.contains(from),
                        "{from} was renamed before it was synced"
                    );
                    let file = durable.remove(from).unwrap();
                    durable.insert(to.clone(), file);
                }
                Op::Remove { name } => {
                    pending.retain(|(written, ..)| written != name);
                    doubtful.remove(name);
                    durable.remove(name);
                }
            }
        }
        for (name, offset, bytes) in pending {
            put_sectors(&mut durable, name, offset, bytes, survives);
        }
        durable
    }
}

/// Writes those sectors that survive.
fn put_sectors(
    files: &mut Files,
    name: &str,
    offset: usize,
    bytes: &[u8],
    survives: &mut dyn FnMut(usize) -> bool,
) {
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + SECTOR - (offset + at) % SECTOR).min(bytes.len());
        if survives(offset + at) {
            put(files.entry(name.to_owned()).or_default(), offset + at, &bytes[at..end]);
        }
        at = end;
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.power_is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
}

impl Disk for SimDisk {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.state();
        state.powered()?;
        Ok(state.live.iter().map(|(name, file)| (name.clone(), file.len() as u64)).collect())
    }

    fn read(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        state.powered()?;
        let file = state.live.get(name).ok_or(ErrorKind::NotFound)?;
        let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        let offset = usize::try_from(offset).unwrap();
        let used: usize = state.live.values().map(Vec::len).sum();
        let grows = (offset + bytes.len()).saturating_sub(state.live.get(name).map_or(0, Vec::len));
        if state.capacity.is_some_and(|capacity| grows > 0 && used + grows > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        put(state.live.entry(name.to_owned()).or_default(), offset, bytes);
        state.trace.push(Op::Write { name: name.to_owned(), offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.syncs_waiting += 1;
        self.turn.notify_all();
        state = self.turn.wait_while(state, |state| state.syncs_are_held).unwrap();
        state.syncs_waiting -= 1;
        state.powered()?;
        if !state.live.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        if let Some(left) = state.sync_fails_in {
            state.sync_fails_in = left.checked_sub(1);
            if left == 0 {
                state.trace.push(Op::FailedSync { name: name.to_owned() });
                return Err(io::Error::other("the sync failed"));
            }
        }
        state.trace.push(Op::Sync { name: name.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        let file = state.live.remove(from).ok_or(ErrorKind::NotFound)?;
        state.live.insert(to.to_owned(), file);
        state.trace.push(Op::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        state.live.remove(name).ok_or(ErrorKind::NotFound)?;
        state.trace.push(Op::Remove { name: name.to_owned() });
        Ok(())
    }
}
