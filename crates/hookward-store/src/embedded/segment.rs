//! One file of the log: its header, reading one record, reading all of them.

use std::io;

use super::{
    codec::{Put, Reader, len_u32},
    disk::Disk,
    record::{HEADER_BYTES, Header, Kind, Place, Record, head_is_whole, split_meta},
};

/// Bytes before the first record.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 32;

/// What a log begins with; the last byte is the version of the format.
const MAGIC: [u8; 8] = *b"HOOKLOG\x01";

/// Bytes read at once: records beyond it are read as they are.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Bytes read to have the head of a record at one stroke: heads are about 150 bytes, bodies about 1 KiB.
const HEAD_BYTES_GUESS: usize = 2 * 1024;

/// The segment with this number, as a file.
pub(crate) fn log_name(number: u32) -> String {
    format!("{number:010}.log")
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    /// Its size in bytes, this header included.
    pub(crate) bytes: u32,
    /// Mixed into the checksum of each record, so that no bytes from elsewhere are taken for one.
    pub(crate) salt: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        bytes.put(&MAGIC);
        bytes.put_u32(self.number);
        bytes.put_u32(self.bytes);
        bytes.put_u64(self.salt);
        bytes.put_u32(0);
        bytes.put_u32(crc32fast::hash(&bytes));
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let covered = bytes.get(..SEGMENT_HEADER_BYTES as usize - 4)?;
        if reader.array()? != MAGIC {
            return None;
        }
        let header = Self { number: reader.u32()?, bytes: reader.u32()?, salt: reader.u64()? };
        let _reserved = reader.u32()?;
        (reader.u32()? == crc32fast::hash(covered)).then_some(header)
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Where, and what is wrong with it.
    #[error("{0}")]
    Damaged(String),
}

/// A segment that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
}

/// A record with its stored body.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) record: Record,
    /// Empty unless it was asked for.
    pub(crate) body: Vec<u8>,
    pub(crate) stored_len: usize,
}

impl Segment {
    pub(crate) fn open(disk: &dyn Disk, number: u32) -> Result<Self, ReadError> {
        let name = log_name(number);
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        let read = disk.read(&name, 0, &mut bytes)?;
        match SegmentHeader::read(bytes.get(..read).unwrap_or_default()) {
            Some(header) if header.number == number => Ok(Self { name, header }),
            Some(header) => Err(ReadError::Damaged(format!(
                "{name} is segment {} by its header",
                header.number
            ))),
            None => Err(ReadError::Damaged(format!(
                "{name}: bytes 0 to 32 are not the header of a segment"
            ))),
        }
    }

    /// The record at a place, with its body if it is wanted.
    pub(crate) fn read(
        &self,
        disk: &dyn Disk,
        offset: u32,
        body: bool,
    ) -> Result<Whole, ReadError> {
        let damaged =
            |what: &str| ReadError::Damaged(format!("{}, byte {offset}: {what}", self.name));
        let mut bytes = vec![0; HEAD_BYTES_GUESS];
        let read = disk.read(&self.name, offset.into(), &mut bytes)?;
        bytes.truncate(read);
        let header = Header::read(&bytes).ok_or_else(|| damaged("no record"))?;
        let wanted = if body { header.len() } else { header.head_len() };
        if wanted > self.header.bytes as usize {
            return Err(damaged("a record longer than the segment"));
        }
        if let Some(missing) = wanted.checked_sub(bytes.len()).filter(|missing| *missing > 0) {
            let at = bytes.len();
            bytes.resize(at + missing, 0);
            let rest = bytes.get_mut(at..).unwrap_or_default();
            if disk.read(&self.name, u64::from(offset) + at as u64, rest)? < missing {
                return Err(damaged("a record beyond the end of the file"));
            }
        }
        bytes.truncate(wanted);
        if !head_is_whole(&header, &bytes, self.header.salt, offset) {
            return Err(damaged("the checksum of the record is wrong"));
        }
        let unreadable = || damaged("the record is not one of this version");
        let (meta, body_crc) = split_meta(&header, &bytes).ok_or_else(unreadable)?;
        let record = Record::read(header.kind, meta).ok_or_else(unreadable)?;
        let body = if body { bytes.split_off(header.head_len()) } else { Vec::new() };
        if !body.is_empty() && body_crc != Some(crc32fast::hash(&body)) {
            return Err(damaged("the checksum of the body is wrong"));
        }
        Ok(Whole { record, body, stored_len: header.body_len as usize })
    }
}

/// Reads a segment from front to back through a window.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    disk: &'a dyn Disk,
    segment: &'a Segment,
    window: Vec<u8>,
    window_at: u32,
}

/// What is at a place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole record, where the next one would be, and where the group began that it was written with.
    Record { record: Record, next: u32, group: u32 },
    /// No record, and nothing but zeros behind it.
    End,
    /// Neither.
    Bad(&'static str),
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(disk: &'a dyn Disk, segment: &'a Segment) -> Self {
        Self { disk, segment, window: Vec::new(), window_at: 0 }
    }

    pub(crate) fn place(&self, offset: u32) -> Place {
        Place { segment: self.segment.header.number, offset }
    }

    /// The record at an offset; head and body are checked.
    pub(crate) fn step(&mut self, offset: u32) -> io::Result<Step> {
        let (salt, limit) = (self.segment.header.salt, self.segment.header.bytes);
        let bytes = self.bytes(offset, HEADER_BYTES)?;
        let Some(header) = Header::read(bytes) else {
            return Ok(if self.last_byte(offset)?.is_none() {
                Step::End
            } else {
                Step::Bad("no record")
            });
        };
        let Some(next) = end_of(&header, offset).filter(|next| *next <= limit) else {
            return Ok(Step::Bad("a record longer than the segment"));
        };
        let bytes = self.bytes(offset, header.len())?;
        if !head_is_whole(&header, bytes, salt, offset) {
            return Ok(Step::Bad("the checksum of the record is wrong"));
        }
        let body = bytes.get(header.head_len()..).unwrap_or_default();
        if let Some((meta, body_crc)) = split_meta(&header, bytes) {
            if body_crc.is_some_and(|crc| crc != crc32fast::hash(body))
                || body.len() != header.body_len as usize
            {
                return Ok(Step::Bad("the checksum of the body is wrong"));
            }
            if let Some(record) = Record::read(header.kind, meta) {
                return Ok(Step::Record { record, next, group: header.group });
            }
        }
        Ok(Step::Bad("the record is not one of this version"))
    }

    /// A whole record behind `bad` of a group that began behind it.
    ///
    /// Groups are written one after the other, each when the one before it is durable. So such a record proves that
    /// what is bad was durable once; without one it is what a power cut leaves of the last group.
    pub(crate) fn later_group(&mut self, bad: u32) -> io::Result<Option<u32>> {
        let (salt, limit) = (self.segment.header.salt, self.segment.header.bytes);
        let mut at = bad;
        while let Some(found) = self.next_plausible(at + 1)? {
            at = found;
            let header = Header::read(self.bytes(at, HEADER_BYTES)?);
            let fits = |header: &Header| {
                header.group <= at && end_of(header, at).is_some_and(|end| end <= limit)
            };
            let Some(header) = header.filter(fits) else { continue };
            let head = self.bytes(at, header.head_len())?;
            if head_is_whole(&header, head, salt, at) {
                if header.group > bad {
                    return Ok(Some(at));
                }
                // Inside a record that is whole there is no other one.
                at = end_of(&header, at).map_or(at, |end| end - 1);
            }
        }
        Ok(None)
    }

    /// The next offset where kind and version could be those of a record.
    fn next_plausible(&mut self, from: u32) -> io::Result<Option<u32>> {
        let mut at = from;
        while at + len_u32(HEADER_BYTES) <= self.segment.header.bytes {
            let bytes = self.bytes(at, WINDOW_BYTES)?;
            if bytes.len() < HEADER_BYTES {
                return Ok(None);
            }
            let plausible =
                |pair: &[u8]| matches!(pair, [kind, 1] if (1..=Kind::Seal as u8).contains(kind));
            let pairs = bytes.get(4..).unwrap_or_default().windows(2);
            match pairs.take(bytes.len() - HEADER_BYTES + 1).position(plausible) {
                Some(position) => return Ok(Some(at + len_u32(position))),
                None => at += len_u32(bytes.len() - HEADER_BYTES + 1),
            }
        }
        Ok(None)
    }

    /// The last byte from an offset on that is not zero.
    pub(crate) fn last_byte(&mut self, from: u32) -> io::Result<Option<u32>> {
        let mut last = None;
        let mut at = from;
        loop {
            let bytes = self.bytes(at, WINDOW_BYTES)?;
            if bytes.is_empty() {
                return Ok(last);
            }
            if let Some(position) = bytes.iter().rposition(|byte| *byte != 0) {
                last = Some(at + len_u32(position));
            }
            at += len_u32(bytes.len());
        }
    }

    /// Bytes from an offset on; fewer at the end of the segment.
    fn bytes(&mut self, offset: u32, len: usize) -> io::Result<&[u8]> {
        let have = self.window_at as usize..self.window_at as usize + self.window.len();
        let wanted =
            offset as usize..(offset as usize + len).min(self.segment.header.bytes as usize);
        if wanted.start < have.start || wanted.end > have.end {
            let end =
                (offset as usize + len.max(WINDOW_BYTES)).min(self.segment.header.bytes as usize);
            self.window.resize(end.saturating_sub(offset as usize), 0);
            let read = self.disk.read(&self.segment.name, offset.into(), &mut self.window)?;
            self.window.truncate(read);
            self.window_at = offset;
        }
        let start = (offset - self.window_at) as usize;
        let end = (start + len).min(self.window.len());
        Ok(self.window.get(start..end).unwrap_or_default())
    }
}

fn end_of(header: &Header, offset: u32) -> Option<u32> {
    offset.checked_add(u32::try_from(header.len()).ok()?)
}
