//! From files to a store: the latest snapshot, then the log behind it.
//!
//! A torn last group is cut off, since nobody was told that it is kept. Anything else that is wrong is damage, and is
//! reported with its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use super::{
    OpenError, Options,
    book::{Book, Facts},
    codec::len_u32,
    disk::Disk,
    keeper::{index_name, make_segment},
    keyfile::KeyFile,
    log::{Held, Keys, State, seal_bytes},
    record::{Opened, Place, Record},
    retention::keys_name,
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Segment, Step, log_name},
    snapshot::{self, SnapshotHead},
};

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether a snapshot spared reading the whole log.
    pub snapshot: bool,
    /// Records read from the log.
    pub records: u64,
    /// Where a last group was cut off that a crash had left unfinished. Nobody was told that it is kept.
    pub cut: Option<String>,
    /// Files that were lost or torn and were derived again.
    pub rebuilt: Vec<String>,
}

/// A store that is ready to be written to.
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) segment: Arc<Segment>,
    pub(super) offset: u32,
    pub(super) recovery: Recovery,
}

struct Files {
    logs: BTreeSet<u32>,
    indexes: BTreeSet<u32>,
    keys: BTreeSet<u32>,
    snapshot: bool,
}

pub(super) fn recover(disk: &dyn Disk, options: &Options) -> Result<Recovered, OpenError> {
    let files = Files::tidy(disk)?;
    if files.is_fresh() {
        let recovering = Recovering::new(options, None, Book::new(options.cache_bytes_max));
        return recovering.finish(disk, options, &BTreeSet::new());
    }
    let mut book = Book::new(options.cache_bytes_max);
    let mut snapshot = snapshot::read(disk, &mut book)?;
    if snapshot.is_none() {
        book = Book::new(options.cache_bytes_max);
    }
    let logs = files.check_logs(snapshot.as_ref())?;
    let first = logs.first().copied().unwrap_or_default();
    if let Some(head) = &mut snapshot {
        if let Some((place, _)) = book.pending.range(..Place { segment: first, offset: 0 }).next() {
            return Err(damaged(format!(
                "{} is missing, and unfinished events with it",
                log_name(place.segment)
            )));
        }
        book.forget_before(first);
        book.expire(head.expired_at);
    }
    let mut recovering = Recovering::new(options, snapshot, book);
    recovering.recovery.snapshot = snapshot.is_some();
    if files.snapshot && snapshot.is_none() {
        recovering.rebuilt(snapshot::SNAPSHOT);
    }
    for number in &files.keys {
        let file = KeyFile::open(disk, &keys_name(*number), *number)?;
        recovering.retired.insert(*number, Arc::new(file));
    }
    for number in files.indexes.difference(&logs) {
        disk.remove(&index_name(*number))?;
    }
    recovering.finish(disk, options, &logs)
}

impl Files {
    /// Lists the directory, without what an earlier process left unfinished.
    fn tidy(disk: &dyn Disk) -> Result<Self, OpenError> {
        let (mut logs, mut indexes, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut snapshot = false;
        for (name, _) in disk.files()? {
            match name.rsplit_once('.') {
                Some((_, "tmp" | "spare")) => disk.remove(&name)?,
                Some((number, kind @ ("log" | "idx" | "keys"))) => {
                    let number =
                        number.parse().map_err(|_| OpenError::Foreign { name: name.clone() })?;
                    match kind {
                        "log" => logs.insert(number),
                        "idx" => indexes.insert(number),
                        _ => keys.insert(number),
                    };
                }
                _ if name == snapshot::SNAPSHOT => snapshot = true,
                _ => return Err(OpenError::Foreign { name }),
            }
        }
        // Bodies go from the oldest segment on, once the keys that outlive them are written.
        let going = keys.last().copied().unwrap_or_default();
        for number in logs.clone().range(..=going) {
            disk.remove(&log_name(*number))?;
            logs.remove(number);
        }
        Ok(Self { logs, indexes, keys, snapshot })
    }

    fn is_fresh(&self) -> bool {
        self.logs.is_empty() && self.indexes.is_empty() && self.keys.is_empty() && !self.snapshot
    }

    /// No segment may be missing between the oldest and the newest one.
    fn check_logs(&self, snapshot: Option<&SnapshotHead>) -> Result<BTreeSet<u32>, OpenError> {
        let (Some(first), Some(last)) = (self.logs.first(), self.logs.last()) else {
            return Err(damaged("all segments of the log are missing".to_owned()));
        };
        let needed = snapshot.map_or(*last, |head| head.tail.segment.max(*last));
        match (*first..=needed).find(|number| !self.logs.contains(number)) {
            Some(missing) => Err(damaged(format!("{} is missing", log_name(missing)))),
            None => Ok(self.logs.clone()),
        }
    }
}

struct Recovering {
    book: Book,
    snapshot: Option<SnapshotHead>,
    segments: BTreeMap<u32, Held>,
    retired: BTreeMap<u32, Arc<KeyFile>>,
    unindexed: Vec<u32>,
    generation: u32,
    recovery: Recovery,
    segment_bytes: u32,
}

/// Where the readable part of a segment ends.
enum End {
    Sealed,
    Open(u32),
}

impl Recovering {
    fn new(options: &Options, snapshot: Option<SnapshotHead>, book: Book) -> Self {
        Self {
            book,
            snapshot,
            segments: BTreeMap::new(),
            retired: BTreeMap::new(),
            unindexed: Vec::new(),
            generation: snapshot.map_or(0, |head| head.generation),
            recovery: Recovery::default(),
            segment_bytes: options.segment_bytes,
        }
    }

    fn rebuilt(&mut self, name: &str) {
        tracing::warn!(name, "a derived file was lost or torn, and is derived again");
        self.recovery.rebuilt.push(name.to_owned());
    }

    /// Reads all segments, and makes the log ready for the next record.
    fn finish(
        mut self,
        disk: &dyn Disk,
        options: &Options,
        logs: &BTreeSet<u32>,
    ) -> Result<Recovered, OpenError> {
        let from = self.snapshot.map_or(0, |head| head.from_segment);
        let last = logs.last().copied().unwrap_or_default();
        let mut end = End::Sealed;
        for number in logs {
            let held = Held::new(Segment::open(disk, *number)?, 0);
            self.segments.insert(*number, held);
            if *number < from && *number != last && self.take_index(disk, *number)? {
                continue;
            }
            end = self.scan(disk, *number, *number >= from, *number == last)?;
            if *number != last {
                self.take_or_lack_index(disk, *number)?;
            }
        }
        let (number, offset) = match end {
            End::Open(offset) => (last, self.check_tail(disk, last, offset)?),
            End::Sealed => (last + 1, self.start_segment(disk, last + 1)?),
        };
        self.open_at(disk, options, number, offset)
    }

    /// Uses the key file of a sealed segment in place of reading the segment.
    fn take_index(&mut self, disk: &dyn Disk, number: u32) -> Result<bool, OpenError> {
        let name = index_name(number);
        match KeyFile::open(disk, &name, number) {
            Ok(file) => {
                if let Some(held) = self.segments.get_mut(&number) {
                    held.events = file.count as u64;
                    held.terms = file.terms;
                    held.keys = Keys::File(Arc::new(file));
                }
                Ok(true)
            }
            Err(ReadError::Damaged(_)) => {
                self.rebuilt(&name);
                Ok(false)
            }
            Err(ReadError::Disk(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.rebuilt(&name);
                Ok(false)
            }
            Err(ReadError::Disk(error)) => Err(error.into()),
        }
    }

    /// The segment was read; its keys need not stay in memory if they are in a file.
    fn take_or_lack_index(&mut self, disk: &dyn Disk, number: u32) -> Result<(), OpenError> {
        match KeyFile::open(disk, &index_name(number), number) {
            Ok(file) => {
                if let Some(held) = self.segments.get_mut(&number) {
                    held.keys = Keys::File(Arc::new(file));
                }
            }
            Err(ReadError::Disk(error)) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error.into());
            }
            Err(ReadError::Disk(_) | ReadError::Damaged(_)) => self.unindexed.push(number),
        }
        Ok(())
    }

    /// Reads a segment; applies what it says if the snapshot does not have it.
    fn scan(
        &mut self,
        disk: &dyn Disk,
        number: u32,
        apply: bool,
        last: bool,
    ) -> Result<End, OpenError> {
        let Some(segment) = self.segments.get(&number).map(|held| Arc::clone(&held.segment)) else {
            return Ok(End::Sealed);
        };
        let mut scan = Scan::new(disk, &segment);
        let mut offset = SEGMENT_HEADER_BYTES;
        loop {
            match scan.step(offset)? {
                Step::Record { record: Record::Seal, .. } => return Ok(End::Sealed),
                Step::Record { record, next, .. } => {
                    self.recovery.records += 1;
                    self.apply(disk, scan.place(offset), record, apply)?;
                    offset = next;
                }
                Step::End if last => return Ok(End::Open(offset)),
                Step::End => {
                    return Err(damaged(format!(
                        "{}, byte {offset}: the rest is missing",
                        segment.name
                    )));
                }
                Step::Bad(what) => {
                    let later = if last { scan.later_group(offset)? } else { Some(offset) };
                    if later.is_some() {
                        return Err(damaged(format!("{}, byte {offset}: {what}", segment.name)));
                    }
                    self.cut(disk, &mut scan, &segment, offset)?;
                    return Ok(End::Open(offset));
                }
            }
        }
    }

    /// Removes what a crash left of the last group, so that it cannot be met again behind newer records.
    fn cut(
        &mut self,
        disk: &dyn Disk,
        scan: &mut Scan<'_>,
        segment: &Segment,
        offset: u32,
    ) -> Result<(), OpenError> {
        if self.durable_end(segment.header.number).is_some_and(|durable| offset < durable) {
            return Err(damaged(format!(
                "{}, byte {offset}: what was durable is not whole",
                segment.name
            )));
        }
        if let Some(end) = scan.last_byte(offset)? {
            let place = format!("{}, bytes {offset} to {end}", segment.name);
            tracing::warn!(place, "an unfinished last group was cut off");
            self.recovery.cut = Some(place);
            disk.zero(&segment.name, offset.into(), u64::from(end) + 1)?;
        }
        Ok(())
    }

    fn durable_end(&self, number: u32) -> Option<u32> {
        self.snapshot.filter(|head| head.tail.segment == number).map(|head| head.tail.offset)
    }

    fn check_tail(&self, disk: &dyn Disk, number: u32, offset: u32) -> Result<u32, OpenError> {
        match self.durable_end(number) {
            Some(durable) if offset < durable => {
                let name = Segment::open(disk, number)?.name;
                Err(damaged(format!(
                    "{name}, byte {offset}: the log ends here, but was durable up to byte {durable}"
                )))
            }
            Some(_) | None => Ok(offset),
        }
    }

    fn start_segment(&mut self, disk: &dyn Disk, number: u32) -> Result<u32, OpenError> {
        let temporary = format!("{}.tmp", log_name(number));
        make_segment(disk, &temporary, number, self.segment_bytes)?;
        disk.rename(&temporary, &log_name(number))?;
        if let Some(sealed) = self.segments.last_key_value().map(|(sealed, _)| *sealed) {
            self.take_or_lack_index(disk, sealed)?;
        }
        self.segments.insert(number, Held::new(Segment::open(disk, number)?, 0));
        Ok(SEGMENT_HEADER_BYTES)
    }

    fn apply(
        &mut self,
        disk: &dyn Disk,
        place: Place,
        record: Record,
        apply: bool,
    ) -> Result<(), OpenError> {
        match record {
            Record::Event(event) => {
                let facts = Facts::from(&event);
                if let Some(held) = self.segments.get_mut(&place.segment) {
                    held.add(place.offset, event.event.content, facts.clone());
                }
                if apply {
                    self.book.kept(place, facts, None);
                }
            }
            Record::Outcome(outcome) if apply => self.book.ended(place, &outcome),
            Record::Requeued(requeued) if apply => {
                if let Some(held) = self.segments.get(&requeued.event.segment) {
                    let segment = Arc::clone(&held.segment);
                    self.book.requeued(&requeued, || {
                        let Record::Event(event) =
                            segment.read(disk, requeued.event.offset, false)?.record
                        else {
                            let place =
                                format!("{}: no event where one was requeued", segment.name);
                            return Err(ReadError::Damaged(place));
                        };
                        Ok(Facts::from(&event))
                    })?;
                }
            }
            Record::Discarded(discarded) if apply => self.book.discarded(discarded),
            Record::Watermark(watermark) => {
                self.book.expire(watermark.expired_at);
            }
            Record::Opened(opened) => self.generation = self.generation.max(opened.generation),
            Record::Outcome(_) | Record::Requeued(_) | Record::Discarded(_) | Record::Seal => {}
        }
        Ok(())
    }

    /// Writes that the store was opened: proof for the next time that all before it was whole.
    fn open_at(
        mut self,
        disk: &dyn Disk,
        options: &Options,
        mut number: u32,
        mut offset: u32,
    ) -> Result<Recovered, OpenError> {
        let generation = self.generation.saturating_add(1);
        let mut opened = Opened { generation }.encode();
        let room = self.segments.get(&number).map_or(0, |held| held.segment.header.bytes as usize);
        if offset as usize + opened.len() + seal_bytes() > room {
            if let Some(held) = self.segments.get(&number) {
                let mut seal = Vec::new();
                super::record::Encoded::seal().stamp(
                    &mut seal,
                    held.segment.header.salt,
                    offset,
                    offset,
                );
                disk.write(&held.segment.name, offset.into(), &seal)?;
                disk.sync(&held.segment.name)?;
            }
            number += 1;
            offset = self.start_segment(disk, number)?;
        }
        let Some(segment) = self.segments.get(&number).map(|held| Arc::clone(&held.segment)) else {
            return Err(damaged(format!("{} is missing", log_name(number))));
        };
        let mut bytes = Vec::new();
        opened.stamp(&mut bytes, segment.header.salt, offset, offset);
        disk.write(&segment.name, offset.into(), &bytes)?;
        disk.sync(&segment.name)?;
        let offset = offset + len_u32(bytes.len());
        let tail = Place { segment: number, offset };
        let mut state = State::new(
            self.book,
            self.segments,
            self.retired,
            tail,
            options.segment_bytes,
            generation,
        );
        state.unindexed = self.unindexed;
        Ok(Recovered { state, segment, offset, recovery: self.recovery })
    }
}

fn damaged(place: String) -> OpenError {
    OpenError::Damaged { place }
}
