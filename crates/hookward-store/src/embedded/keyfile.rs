//! An immutable file of sorted keys: which keys a segment holds, and where.
//!
//! Its filter and its fences (the first key of each page) stay in memory, so that a key that is not in it costs no
//! read but once in a thousand times, and one that is in it costs one page.

use std::io;

use hookward_core::{EventKey, Timestamp};

use super::{
    codec::{Put, Reader, len_u32},
    disk::{Disk, write_whole},
    segment::ReadError,
};

const MAGIC: [u8; 8] = *b"HOOKKEY\x01";
const HEADER_BYTES: usize = 64;
const KEY_BYTES: usize = 16;
const PAGE_BYTES: usize = 4096;

/// Bits of the filter for each key: about one false hit in a thousand. Each is a read on another thread, and every segment
/// that is kept is asked.
const FILTER_BITS: usize = 17;

/// A filter's keys set eight bits in a block of so many bytes (a split-block Bloom filter).
const BLOCK_BYTES: usize = 32;

/// Multipliers of the split-block Bloom filter, as in the Parquet format.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The part of a key file that stays in memory.
#[derive(Debug)]
pub(crate) struct KeyFile {
    pub(crate) name: String,
    pub(crate) segment: u32,
    pub(crate) count: usize,
    pub(crate) terms: Terms,
    /// What its writer put beside the entries.
    pub(crate) extra: Box<[u8]>,
    entry_bytes: usize,
    filter: Box<[u8]>,
    fences: Box<[u128]>,
    pages_at: u64,
}

/// How long what a segment holds is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The last body expires.
    pub(crate) bodies: Timestamp,
    /// The last key expires; `None`: never.
    pub(crate) keys: Option<Timestamp>,
}

impl Terms {
    /// Of nothing.
    pub(crate) const NONE: Self =
        Self { bodies: Timestamp::from_micros(0), keys: Some(Timestamp::from_micros(0)) };

    pub(crate) fn add(&mut self, body: Timestamp, key: Option<Timestamp>) {
        self.bodies = self.bodies.max(body);
        self.keys = self.keys.zip(key).map(|(last, key)| last.max(key));
    }
}

impl KeyFile {
    /// Writes the file durably under its name. Entries are `entry_bytes` each and begin with the key.
    pub(crate) fn write(
        disk: &dyn Disk,
        name: &str,
        segment: u32,
        terms: Terms,
        extra: &[u8],
        entry_bytes: usize,
        entries: &[u8],
    ) -> io::Result<Self> {
        let mut sorted: Vec<&[u8]> = entries.chunks_exact(entry_bytes).collect();
        sorted.sort_unstable();
        let filter = build_filter(&sorted);
        let pages: Vec<&[&[u8]]> = sorted.chunks(entries_in_page(entry_bytes)).collect();
        let fences: Box<[u128]> =
            pages.iter().map(|page| page.first().map_or(0, |entry| key_number(entry))).collect();

        let mut bytes = Vec::new();
        bytes.put(&MAGIC);
        bytes.put_u32(segment);
        bytes.put_u32(small(entry_bytes)?);
        bytes.put_u64(sorted.len() as u64);
        bytes.put_time(terms.bodies);
        bytes.put_u8(u8::from(terms.keys.is_some()));
        bytes.put(&[0; 7]);
        bytes.put_time(terms.keys.unwrap_or_default());
        bytes.put_u32(small(extra.len())?);
        bytes.put_u32(small(filter.len())?);
        bytes.put_u32(small(fences.len())?);
        bytes.put_u32(0);
        bytes.put(extra);
        bytes.put(&filter);
        for fence in &fences {
            bytes.put(&fence.to_be_bytes());
        }
        bytes.put_u32(crc32fast::hash(&bytes));
        let pages_at = bytes.len() as u64;
        for (number, page) in (0..).zip(pages) {
            let start = bytes.len();
            bytes.put_u32(0);
            for entry in page {
                bytes.put(entry);
            }
            let crc = page_crc(number, bytes.get(start + 4..).unwrap_or_default());
            if let Some(field) = bytes.get_mut(start..start + 4) {
                field.copy_from_slice(&crc.to_le_bytes());
            }
        }

        write_whole(disk, name, &bytes)?;
        Ok(Self {
            name: name.to_owned(),
            segment,
            count: sorted.len(),
            terms,
            extra: extra.into(),
            entry_bytes,
            filter,
            fences,
            pages_at,
        })
    }

    /// Reads what stays in memory. [`ReadError::Damaged`] when the file is not whole.
    pub(crate) fn open(disk: &dyn Disk, name: &str, segment: u32) -> Result<Self, ReadError> {
        let damaged =
            || ReadError::Damaged(format!("{name}: not the key file of segment {segment}"));
        let mut bytes = vec![0; HEADER_BYTES];
        if disk.read(name, 0, &mut bytes)? < HEADER_BYTES {
            return Err(damaged());
        }
        let head = Head::read(&bytes).filter(|head| head.segment == segment).ok_or_else(damaged)?;
        // A damaged header must not ask for memory: no more than the file has.
        let size =
            disk.files()?.into_iter().find(|(file, _)| file == name).map_or(0, |(_, size)| size);
        let len = head.head_len().filter(|len| *len as u64 <= size).ok_or_else(damaged)?;
        bytes.resize(len, 0);
        if disk.read(name, 0, &mut bytes)? < len {
            return Err(damaged());
        }
        head.finish(name, &bytes).ok_or_else(damaged)
    }

    /// Whether the key may be in the file. `false` is certain.
    pub(crate) fn may_hold(&self, key: EventKey) -> bool {
        let blocks = self.filter.len() / BLOCK_BYTES;
        let (block, bits) = filter_bits(key.as_bytes(), blocks);
        let Some(words) = self.filter.get(block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES) else {
            return false;
        };
        words.chunks_exact(4).zip(bits).all(|(word, bit)| {
            word.first_chunk().is_some_and(|word| u32::from_le_bytes(*word) & bit != 0)
        })
    }

    /// The last entry of the key.
    pub(crate) fn find(
        &self,
        disk: &dyn Disk,
        key: EventKey,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let wanted = u128::from_be_bytes(*key.as_bytes());
        let Some(page) = self.fences.partition_point(|fence| *fence <= wanted).checked_sub(1)
        else {
            return Ok(None);
        };
        let entries = self.page(disk, page)?;
        let last =
            entries.chunks_exact(self.entry_bytes).rfind(|entry| entry.starts_with(key.as_bytes()));
        Ok(last.map(<[u8]>::to_vec))
    }

    /// All entries, by key.
    pub(crate) fn entries(&self, disk: &dyn Disk) -> Result<Vec<u8>, ReadError> {
        let mut entries = Vec::with_capacity(self.count * self.entry_bytes);
        for page in 0..self.fences.len() {
            entries.append(&mut self.page(disk, page)?);
        }
        Ok(entries)
    }

    fn page(&self, disk: &dyn Disk, number: usize) -> Result<Vec<u8>, ReadError> {
        let in_page = entries_in_page(self.entry_bytes);
        let full = 4 + in_page * self.entry_bytes;
        let count = self.count.saturating_sub(number * in_page).min(in_page);
        let mut bytes = vec![0; 4 + count * self.entry_bytes];
        let at = self.pages_at + (number * full) as u64;
        let read = disk.read(&self.name, at, &mut bytes)?;
        let entries = bytes.split_off(4);
        let crc = Reader::new(&bytes).u32();
        if read < 4 + entries.len() || crc != Some(page_crc(len_u32(number), &entries)) {
            return Err(ReadError::Damaged(format!(
                "{}, byte {at}: the checksum of the page is wrong",
                self.name
            )));
        }
        Ok(entries)
    }
}

struct Head {
    segment: u32,
    entry_bytes: usize,
    count: usize,
    terms: Terms,
    extra_len: usize,
    filter_len: usize,
    fences: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return None;
        }
        let segment = reader.u32()?;
        let entry_bytes = reader.u32()? as usize;
        let count = usize::try_from(reader.u64()?).ok()?;
        let bodies = reader.time()?;
        let limited = reader.u8()? == 1;
        reader.bytes(7)?;
        let keys = reader.time()?;
        let head = Self {
            segment,
            entry_bytes,
            count,
            terms: Terms { bodies, keys: limited.then_some(keys) },
            extra_len: reader.u32()? as usize,
            filter_len: reader.u32()? as usize,
            fences: reader.u32()? as usize,
        };
        (KEY_BYTES..PAGE_BYTES / 2).contains(&entry_bytes).then_some(head)
    }

    fn head_len(&self) -> Option<usize> {
        let fences = self.fences.checked_mul(KEY_BYTES)?;
        HEADER_BYTES
            .checked_add(self.extra_len)?
            .checked_add(self.filter_len)?
            .checked_add(fences)?
            .checked_add(4)
    }

    fn finish(self, name: &str, bytes: &[u8]) -> Option<KeyFile> {
        let (covered, crc) = bytes.split_last_chunk()?;
        if crc32fast::hash(covered) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut reader = Reader::new(covered);
        reader.bytes(HEADER_BYTES)?;
        Some(KeyFile {
            name: name.to_owned(),
            segment: self.segment,
            count: self.count,
            terms: self.terms,
            extra: reader.bytes(self.extra_len)?.into(),
            entry_bytes: self.entry_bytes,
            filter: reader.bytes(self.filter_len)?.into(),
            fences: (0..self.fences)
                .map_while(|_| reader.array().map(u128::from_be_bytes))
                .collect(),
            pages_at: bytes.len() as u64,
        })
    }
}

const fn entries_in_page(entry_bytes: usize) -> usize {
    (PAGE_BYTES - 4) / entry_bytes
}

fn key_number(entry: &[u8]) -> u128 {
    entry.first_chunk().map_or(0, |key| u128::from_be_bytes(*key))
}

fn page_crc(number: u32, entries: &[u8]) -> u32 {
    crc32fast::hash(entries) ^ number.wrapping_mul(0x9e37_79b9)
}

fn build_filter(entries: &[&[u8]]) -> Box<[u8]> {
    let blocks = (entries.len() * FILTER_BITS).div_ceil(BLOCK_BYTES * 8);
    let mut filter = vec![0; blocks * BLOCK_BYTES];
    for key in entries.iter().filter_map(|entry| entry.first_chunk()) {
        let (block, bits) = filter_bits(key, blocks);
        let words = filter
            .chunks_exact_mut(BLOCK_BYTES)
            .nth(block)
            .into_iter()
            .flat_map(|b| b.chunks_exact_mut(4));
        for (word, bit) in words.zip(bits) {
            if let Some(word) = word.first_chunk_mut() {
                *word = (u32::from_le_bytes(*word) | bit).to_le_bytes();
            }
        }
    }
    filter.into()
}

/// The block of a key and the bit of each of its eight words. Keys are digests, so their own bytes are the hash.
fn filter_bits(key: &[u8; KEY_BYTES], blocks: usize) -> (usize, [u32; 8]) {
    let number = u128::from_be_bytes(*key);
    let block = (((number & 0xffff_ffff) * blocks as u128) >> 32) as usize;
    let low = ((number >> 32) & 0xffff_ffff) as u32;
    (block, SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)))
}

fn small(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::other("a key file of more than 4 GiB"))
}
