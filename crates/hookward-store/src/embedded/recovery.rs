//! From files to a store: the latest snapshot, then the log behind it.
//!
//! A torn last group is cut off, since nobody was told that it is kept. Anything else that is wrong is damage, and is
//! reported with its place. All is read first: a store that does not open is as it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use super::{
    OpenError, Options,
    book::{Book, Facts},
    codec::len_u32,
    disk::{Disk, PAGE_BYTES},
    keeper::{index_name, make_segment, spare_name},
    keyfile::KeyFile,
    log::{Held, Keys, State, seal_bytes},
    record::{Opened, Place, Record},
    retention::{HUSK_BYTES, Husk, keys_name},
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Segment, Step, log_name},
    snapshot::{self, SnapshotHead},
};

/// Where the kind stands in a record.
const KIND_AT: u64 = 4;

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

/// The files of the directory, by what they are. Listing them changes nothing.
#[derive(Default)]
struct Files {
    logs: BTreeSet<u32>,
    indexes: BTreeSet<u32>,
    keys: BTreeSet<u32>,
    snapshot: bool,
    /// What an earlier process did not finish, or had ready for later.
    unfinished: Vec<String>,
    /// Logs whose keys were written to outlive them, and that were about to be removed.
    going: BTreeSet<u32>,
}

pub(super) fn recover(disk: &dyn Disk, options: &Options) -> Result<Recovered, OpenError> {
    let files = Files::list(disk)?;
    let mut book = Book::new(options.cache_bytes_max);
    let snapshot = snapshot::read(disk, &mut book)?;
    if snapshot.is_none() {
        book = Book::new(options.cache_bytes_max);
    }
    let mut recovering = Recovering::new(options, snapshot, book);
    recovering.open_keys(disk, &files)?;
    let mut end = None;
    if !files.is_fresh() {
        let first = files.check_logs(recovering.snapshot.as_ref())?;
        recovering.begin(first, files.snapshot)?;
        end = Some(recovering.read(disk, &files.logs)?);
        recovering.check_going(disk, &files.going)?;
    }
    // All has been found whole. From here on files change.
    files.clear_away(disk)?;
    recovering.finish(disk, options, end)
}

/// A file of the store.
enum Kind {
    Log(u32),
    Index(u32),
    Keys(u32),
    Snapshot,
    Unfinished,
}

impl Kind {
    /// `None` when it is not a name that the store gives.
    fn of(name: &str) -> Option<Self> {
        if let Some(whole) = name.strip_suffix(".tmp") {
            return match Self::of(whole)? {
                Self::Log(_) | Self::Index(_) | Self::Keys(_) | Self::Snapshot => {
                    Some(Self::Unfinished)
                }
                Self::Unfinished => None,
            };
        }
        if name == snapshot::SNAPSHOT {
            return Some(Self::Snapshot);
        }
        let (number, kind) = name.split_once('.')?;
        let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
        let (kind, written) = match kind {
            "log" => (Self::Log(number), log_name(number)),
            "idx" => (Self::Index(number), index_name(number)),
            "keys" => (Self::Keys(number), keys_name(number)),
            "spare" => (Self::Unfinished, spare_name(number)),
            _ => return None,
        };
        (written == name).then_some(kind)
    }
}

impl Files {
    fn list(disk: &dyn Disk) -> Result<Self, OpenError> {
        let mut files = Self::default();
        for (name, _) in disk.files()? {
            match Kind::of(&name) {
                Some(Kind::Log(number)) => drop(files.logs.insert(number)),
                Some(Kind::Index(number)) => drop(files.indexes.insert(number)),
                Some(Kind::Keys(number)) => drop(files.keys.insert(number)),
                Some(Kind::Snapshot) => files.snapshot = true,
                Some(Kind::Unfinished) => files.unfinished.push(name),
                None => return Err(OpenError::Foreign { name }),
            }
        }
        // Bodies go from the oldest segment on, once the keys that outlive them are written.
        let newest = files.keys.last().copied().unwrap_or_default();
        files.going = files.logs.range(..=newest).copied().collect();
        files.logs.retain(|number| *number > newest);
        Ok(files)
    }

    fn is_fresh(&self) -> bool {
        self.logs.is_empty()
            && self.going.is_empty()
            && self.indexes.is_empty()
            && self.keys.is_empty()
            && !self.snapshot
    }

    /// No segment may be missing between the oldest and the newest one. Says which is the oldest.
    fn check_logs(&self, snapshot: Option<&SnapshotHead>) -> Result<u32, OpenError> {
        let (Some(first), Some(last)) = (self.logs.first(), self.logs.last()) else {
            return Err(damaged("all segments of the log are missing".to_owned()));
        };
        let needed = snapshot.map_or(*last, |head| head.tail.segment.max(*last));
        match (*first..=needed).find(|number| !self.logs.contains(number)) {
            Some(missing) => Err(damaged(format!("{} is missing", log_name(missing)))),
            None => Ok(*first),
        }
    }

    /// Removes what is not needed any more.
    fn clear_away(&self, disk: &dyn Disk) -> io::Result<()> {
        for name in &self.unfinished {
            disk.remove(name)?;
        }
        for number in &self.going {
            disk.remove(&log_name(*number))?;
        }
        for number in self.indexes.difference(&self.logs) {
            disk.remove(&index_name(*number))?;
        }
        Ok(())
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

/// Where the log ends.
#[derive(Clone, Copy)]
struct End {
    segment: u32,
    /// Behind the last record that is whole.
    offset: u32,
    /// Where the group began that it was written with.
    group: u32,
    sealed: bool,
    /// The last byte of a group that is not whole.
    torn: Option<u32>,
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

    /// Opens the keys that outlived their segments.
    fn open_keys(&mut self, disk: &dyn Disk, files: &Files) -> Result<(), OpenError> {
        for number in &files.keys {
            let file = KeyFile::open(disk, &keys_name(*number), *number)?;
            self.retired.insert(*number, Arc::new(file));
        }
        Ok(())
    }

    /// A log may go when all that outlives it is in its key file, to the last byte.
    fn check_going(&self, disk: &dyn Disk, going: &BTreeSet<u32>) -> Result<(), OpenError> {
        for number in going {
            let mut kept = BTreeSet::new();
            if let Some(file) = self.retired.get(number) {
                for entry in file.entries(disk)?.chunks_exact(HUSK_BYTES) {
                    let husk = Husk::read(entry, &file.extra).ok_or_else(|| {
                        damaged(format!("{}: an entry is not readable", file.name))
                    })?;
                    kept.insert(husk.key);
                }
            }
            let segment = Segment::open(disk, *number)?;
            let mut scan = Scan::new(disk, &segment);
            let mut offset = SEGMENT_HEADER_BYTES;
            while let Step::Record { record, next, .. } = scan.step(offset)? {
                if let Record::Event(event) = record
                    && !kept.contains(&event.event.key)
                    && !self.book.standing(scan.place(offset), &Facts::from(&event)).forgotten
                {
                    return Err(damaged(format!(
                        "{}, byte {offset}: an event that is not in {}, though newer segments are gone",
                        segment.name,
                        keys_name(*number)
                    )));
                }
                offset = next;
            }
        }
        Ok(())
    }

    /// Takes what the snapshot says as of the oldest segment.
    fn begin(&mut self, first: u32, snapshot_is_there: bool) -> Result<(), OpenError> {
        if self.snapshot.is_some() {
            self.recovery.snapshot = true;
            let first = Place { segment: first, offset: 0 };
            if let Some((place, _)) = self.book.pending.range(..first).next() {
                return Err(damaged(format!(
                    "{} is missing, and unfinished events with it",
                    log_name(place.segment)
                )));
            }
            self.book.forget_before(first.segment);
        } else if snapshot_is_there {
            self.rebuilt(snapshot::SNAPSHOT);
        }
        Ok(())
    }

    /// Reads all segments, and changes none.
    fn read(&mut self, disk: &dyn Disk, logs: &BTreeSet<u32>) -> Result<End, OpenError> {
        let from = self.snapshot.map_or(0, |head| head.from_segment);
        let last = logs.last().copied().unwrap_or_default();
        let mut end = None;
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
        let end = end.ok_or_else(|| damaged(format!("{} is missing", log_name(last))))?;
        self.check_end(end)?;
        Ok(end)
    }

    /// Makes the log ready for the next record.
    fn finish(
        mut self,
        disk: &dyn Disk,
        options: &Options,
        end: Option<End>,
    ) -> Result<Recovered, OpenError> {
        let last = end.map_or(0, |end| end.segment);
        if let Some(end) = end {
            self.make_last(disk, end)?;
        }
        let (number, offset) = match end {
            Some(end) if !end.sealed => (last, end.offset),
            Some(_) | None => (last + 1, self.start_segment(disk, last + 1)?),
        };
        self.open_at(disk, options, number, offset)
    }

    /// Makes durable what was read at the end of the log, and that nothing stands behind it.
    ///
    /// It may be there to read and nowhere else: a system takes for clean what it failed to write, and syncs it never again.
    /// Every group before the last one was synced before the next one was written.
    fn make_last(&mut self, disk: &dyn Disk, end: End) -> Result<(), OpenError> {
        let Some(segment) = self.segments.get(&end.segment).map(|held| Arc::clone(&held.segment))
        else {
            return Ok(());
        };
        let (from, offset) = (u64::from(end.group), u64::from(end.offset));
        let bytes = u64::from(segment.header.bytes);
        // The page behind the end is written too: with it a cut ends.
        let page = (offset + 1).next_multiple_of(PAGE_BYTES).min(bytes);
        if let Some(torn) = end.torn {
            let place = format!("{}, bytes {} to {torn}", segment.name, end.offset);
            tracing::warn!(place, "an unfinished last group was cut off");
            self.recovery.cut = Some(place);
            // Until all is gone behind it a byte that begins no record stands here, for the next opening to cut again.
            disk.write(&segment.name, offset + KIND_AT, &[u8::MAX])?;
            disk.sync(&segment.name)?;
            disk.zero(&segment.name, page..bytes, Duration::ZERO)?;
            disk.zero(&segment.name, offset..page, Duration::ZERO)?;
        }
        let len = usize::try_from(page.saturating_sub(from)).map_err(io::Error::other)?;
        let mut rest = vec![0; len];
        let read = disk.read(&segment.name, from, &mut rest)?;
        disk.write(&segment.name, from, rest.get(..read).unwrap_or_default())?;
        disk.sync(&segment.name)?;
        Ok(())
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

    /// Reads a segment; applies what it says if the snapshot does not have it. Says where it ends if it is the last one.
    fn scan(
        &mut self,
        disk: &dyn Disk,
        number: u32,
        apply: bool,
        last: bool,
    ) -> Result<Option<End>, OpenError> {
        let Some(segment) = self.segments.get(&number).map(|held| Arc::clone(&held.segment)) else {
            return Ok(None);
        };
        let mut scan = Scan::new(disk, &segment);
        let start = SEGMENT_HEADER_BYTES;
        let mut end =
            End { segment: number, offset: start, group: start, sealed: false, torn: None };
        loop {
            match scan.step(end.offset)? {
                Step::Record { record: Record::Seal, next, group } => {
                    end = End { offset: next, group, sealed: true, ..end };
                    return Ok(last.then_some(end));
                }
                Step::Record { record, next, group } => {
                    self.recovery.records += 1;
                    self.apply(disk, scan.place(end.offset), record, apply)?;
                    end = End { offset: next, group, ..end };
                }
                Step::End if last => return Ok(Some(end)),
                Step::End => {
                    return Err(damaged(format!(
                        "{}, byte {}: the rest is missing",
                        segment.name, end.offset
                    )));
                }
                Step::Bad(what) => {
                    if !last || scan.later_group(end.offset)?.is_some() {
                        let offset = end.offset;
                        return Err(damaged(format!("{}, byte {offset}: {what}", segment.name)));
                    }
                    end.torn = scan.last_byte(end.offset)?;
                    return Ok(Some(end));
                }
            }
        }
    }

    /// The log may not end before what the snapshot knew to be durable.
    fn check_end(&self, end: End) -> Result<(), OpenError> {
        let End { segment, offset, .. } = end;
        let tail = self.snapshot.map(|head| head.tail).filter(|tail| tail.segment == segment);
        let Some(durable) = tail.map(|tail| tail.offset).filter(|durable| offset < *durable) else {
            return Ok(());
        };
        let what = if end.torn.is_some() {
            "what was durable is not whole".to_owned()
        } else {
            format!("the log ends here, but was durable up to byte {durable}")
        };
        Err(damaged(format!("{}, byte {offset}: {what}", log_name(segment))))
    }

    fn start_segment(&mut self, disk: &dyn Disk, number: u32) -> Result<u32, OpenError> {
        let temporary = format!("{}.tmp", log_name(number));
        make_segment(disk, &temporary, number, self.segment_bytes, Duration::ZERO)?;
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
                self.book.watermarks.note(place, watermark.expired_at);
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
