//! One record of the log: a header that proves that it is whole and in its place, what it says, and a body.

mod event;
mod mark;
mod outcome;

pub(crate) use event::{EventRecord, held_until, intake_code, intake_from};
pub(crate) use mark::{Discarded, Opened, Requeued, Watermark};
pub(crate) use outcome::{OutcomeRecord, Verdict};

use super::codec::{Put, Reader};

/// Bytes before what a record says.
pub(crate) const HEADER_BYTES: usize = 16;

/// The version of all records that this code writes, and the only one there is.
pub(crate) const VERSION: u8 = 1;

/// Where a record is: also the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The number of the segment, from 1.
    pub(crate) segment: u32,
    /// The first byte of the record in it.
    pub(crate) offset: u32,
}

impl Place {
    /// Behind all events of a segment, and before all of the next one.
    pub(crate) const fn last_of(segment: u32) -> Self {
        Self { segment, offset: u32::MAX }
    }

    pub(crate) const fn as_u64(self) -> u64 {
        ((self.segment as u64) << 32) | self.offset as u64
    }

    pub(crate) const fn from_u64(value: u64) -> Self {
        Self { segment: (value >> 32) as u32, offset: (value & 0xffff_ffff) as u32 }
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_varint(self.segment.into());
        out.put_varint(self.offset.into());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { segment: reader.varint_u32()?, offset: reader.varint_u32()? })
    }

    /// A place or a zero.
    fn put_option(place: Option<Self>, out: &mut Vec<u8>) {
        match place {
            Some(place) => place.put(out),
            None => out.put_u8(0),
        }
    }

    fn read_option(reader: &mut Reader<'_>, place: &mut Option<Self>) -> Option<()> {
        let segment = reader.varint_u32()?;
        if segment != 0 {
            *place = Some(Self { segment, offset: reader.varint_u32()? });
        }
        Some(())
    }
}

/// What a record is. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An event was kept.
    Event = 1,
    /// Work on an event ended.
    Outcome = 2,
    /// An operator made an event due again.
    Requeued = 3,
    /// An operator was done with a dead letter.
    Discarded = 4,
    /// What expired up to a time was forgotten.
    Watermark = 5,
    /// The store was opened.
    Opened = 6,
    /// The segment ends here; there is a next one, or will be.
    Seal = 7,
}

impl Kind {
    const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Event,
            2 => Self::Outcome,
            3 => Self::Requeued,
            4 => Self::Discarded,
            5 => Self::Watermark,
            6 => Self::Opened,
            7 => Self::Seal,
            _ => return None,
        })
    }
}

/// The first bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    crc: u32,
    pub(crate) kind: Kind,
    pub(crate) meta_len: u16,
    pub(crate) body_len: u32,
    /// Where the group began that this record was written with.
    pub(crate) group: u32,
}

impl Header {
    /// `None` when these bytes begin no record that this code knows.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let crc = reader.u32()?;
        let kind = Kind::from_u8(reader.u8()?)?;
        if reader.u8()? != VERSION {
            return None;
        }
        Some(Self {
            crc,
            kind,
            meta_len: reader.u16()?,
            body_len: reader.u32()?,
            group: reader.u32()?,
        })
    }

    /// Header and what the record says, without its body.
    pub(crate) const fn head_len(&self) -> usize {
        HEADER_BYTES + self.meta_len as usize
    }

    /// The whole record.
    pub(crate) const fn len(&self) -> usize {
        self.head_len() + self.body_len as usize
    }
}

/// A record that is ready to be written, but for its place, which [`stamp`] adds.
#[derive(Debug)]
pub(crate) struct Encoded(Vec<u8>);

impl Encoded {
    /// `None` when what the record says is too long.
    pub(crate) fn new(kind: Kind, body: &[u8], meta: impl FnOnce(&mut Vec<u8>)) -> Option<Self> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 192 + body.len());
        bytes.put_u32(0);
        bytes.put_u8(kind as u8);
        bytes.put_u8(VERSION);
        bytes.put_u16(0);
        bytes.put_u32(body.len().try_into().ok()?);
        bytes.put_u32(0);
        meta(&mut bytes);
        if !body.is_empty() {
            bytes.put_u32(crc32fast::hash(body));
        }
        let meta_len = u16::try_from(bytes.len() - HEADER_BYTES).ok()?;
        bytes.get_mut(6..8)?.copy_from_slice(&meta_len.to_le_bytes());
        bytes.put(body);
        Some(Self(bytes))
    }

    /// For what is always short.
    fn short(kind: Kind, meta: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::new(kind, &[], meta).expect("a record without texts is short")
    }

    /// The end of a segment.
    pub(crate) fn seal() -> Self {
        Self::short(Kind::Seal, |_| ())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the record for its place onto the end of a group.
    pub(crate) fn stamp(&mut self, out: &mut Vec<u8>, salt: u64, offset: u32, group: u32) {
        let head_len = Header::read(&self.0).map_or(self.0.len(), |header| header.head_len());
        if let Some(field) = self.0.get_mut(12..16) {
            field.copy_from_slice(&group.to_le_bytes());
        }
        let crc = self.0.get(4..head_len).map_or(0, crc32fast::hash) ^ place_mask(salt, offset);
        if let Some(field) = self.0.get_mut(..4) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        out.extend_from_slice(&self.0);
    }
}

/// What a checksum is mixed with, so that bytes of another place or of another segment prove nothing here.
const fn place_mask(salt: u64, offset: u32) -> u32 {
    let mixed = (salt ^ (offset as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 32) as u32
}

/// Whether `head` (header and what the record says) is whole and belongs at this place.
pub(crate) fn head_is_whole(header: &Header, head: &[u8], salt: u64, offset: u32) -> bool {
    let Some(covered) = head.get(4..header.head_len()) else { return false };
    crc32fast::hash(covered) ^ place_mask(salt, offset) == header.crc
}

/// What the record says, and the checksum of its body if it has one.
pub(crate) fn split_meta<'a>(header: &Header, head: &'a [u8]) -> Option<(&'a [u8], Option<u32>)> {
    let meta = head.get(HEADER_BYTES..header.head_len())?;
    if header.body_len == 0 {
        return Some((meta, None));
    }
    let (meta, crc) = meta.split_last_chunk()?;
    Some((meta, Some(u32::from_le_bytes(*crc))))
}

/// A record as read.
#[derive(Debug)]
pub(crate) enum Record {
    Event(EventRecord),
    Outcome(OutcomeRecord),
    Requeued(Requeued),
    Discarded(Discarded),
    Watermark(Watermark),
    Opened(Opened),
    Seal,
}

impl Record {
    /// `None` when it was not written by this code: its checksum was right, its content is not.
    pub(crate) fn read(kind: Kind, meta: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(meta);
        let record = match kind {
            Kind::Event => Self::Event(EventRecord::read(&mut reader)?),
            Kind::Outcome => Self::Outcome(OutcomeRecord::read(&mut reader)?),
            Kind::Requeued => Self::Requeued(Requeued::read(&mut reader)?),
            Kind::Discarded => Self::Discarded(Discarded::read(&mut reader)?),
            Kind::Watermark => Self::Watermark(Watermark::read(&mut reader)?),
            Kind::Opened => Self::Opened(Opened::read(&mut reader)?),
            Kind::Seal => Self::Seal,
        };
        reader.is_empty().then_some(record)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes and reads a record; what comes back is what a disk would give.
    pub(crate) fn round_trip(mut encoded: Encoded) -> (Record, Vec<u8>) {
        let mut bytes = Vec::new();
        encoded.stamp(&mut bytes, 7, 1_000, 900);
        let header = Header::read(&bytes).unwrap();
        assert_eq!((header.group, header.len()), (900, bytes.len()));
        assert!(head_is_whole(&header, &bytes, 7, 1_000));
        assert!(!head_is_whole(&header, &bytes, 7, 1_001), "the place is part of the proof");
        assert!(!head_is_whole(&header, &bytes, 8, 1_000), "the segment is part of the proof");
        let (meta, body_crc) = split_meta(&header, &bytes).unwrap();
        let body = bytes[header.head_len()..].to_vec();
        assert_eq!(body_crc, (!body.is_empty()).then(|| crc32fast::hash(&body)));
        (Record::read(header.kind, meta).unwrap(), body)
    }

    #[test]
    fn any_flipped_bit_of_a_head_is_noticed() {
        let mut bytes = Vec::new();
        Opened { generation: 77 }.encode().stamp(&mut bytes, 3, 32, 32);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let whole = Header::read(&flipped)
                .is_some_and(|header| head_is_whole(&header, &flipped, 3, 32));
            assert!(!whole, "bit {bit}");
        }
    }
}
