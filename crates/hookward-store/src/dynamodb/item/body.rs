//! `b`, `z` and `d` of an event's item: its body, as small as it gets.

use bytes::Bytes;

use super::{Attributes, Item, bytes, number};
use crate::{StoreError, dynamodb::dictionary::Dictionary};

const BODY: &str = "b";
/// The size of the body when it is compressed.
const SIZE: &str = "z";
/// The number of the source's dictionary that it is compressed with.
const DICTIONARY: &str = "d";

/// zstd's default level: each kilobyte saved is a write unit saved, and a millisecond at most.
pub(crate) const COMPRESS_LEVEL: i32 = 3;

/// No stored body decompresses to more, whatever its item says: above what a source can allow.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What naming a dictionary costs an item: the name, and a number of some digits.
const DICTIONARY_BYTES: usize = 4;

/// A body as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    /// The size of the body, where it is compressed.
    size: Option<usize>,
    /// The number of the dictionary, where it is compressed with one.
    pub(crate) dictionary: Option<u64>,
}

impl Stored {
    /// The body as it is.
    pub(crate) const fn plain(body: Bytes) -> Self {
        Self { bytes: body, size: None, dictionary: None }
    }

    /// The body as it is, compressed, or compressed with a dictionary: whichever is smallest.
    pub(crate) fn pack(body: &Bytes, dictionary: Option<&Dictionary>) -> Self {
        let mut stored = Self::plain(body.clone());
        if let Ok(smaller) = zstd::bulk::compress(body, COMPRESS_LEVEL)
            && smaller.len() < stored.bytes.len()
        {
            stored = Self { bytes: smaller.into(), size: Some(body.len()), dictionary: None };
        }
        if let Some(dictionary) = dictionary
            && let Some(smaller) = dictionary.compress(body)
            && smaller.len() + DICTIONARY_BYTES < stored.bytes.len()
        {
            let number = Some(dictionary.number);
            stored = Self { bytes: smaller.into(), size: Some(body.len()), dictionary: number };
        }
        stored
    }

    /// The body, with the dictionary that it names. `None` where something else was stored.
    pub(crate) fn unpack(&self, dictionary: Option<&Dictionary>) -> Option<Bytes> {
        let Some(size) = self.size else { return Some(self.bytes.clone()) };
        let body = match self.dictionary {
            None => zstd::bulk::decompress(&self.bytes, size).ok()?,
            Some(number) => {
                dictionary.filter(|it| it.number == number)?.decompress(&self.bytes, size)?
            }
        };
        (body.len() == size).then(|| body.into())
    }

    /// The size of the body.
    pub(crate) fn body_bytes(&self) -> usize {
        self.size.unwrap_or(self.bytes.len())
    }

    /// Writes it into an item.
    pub(crate) fn write(self, item: &mut Item) {
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        if let Some(size) = self.size {
            set(SIZE, number(size as u64));
        }
        if let Some(dictionary) = self.dictionary {
            set(DICTIONARY, number(dictionary));
        }
        if !self.bytes.is_empty() {
            set(BODY, bytes(self.bytes));
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(read: Attributes<'_>) -> Result<Self, StoreError> {
        let size = read.maybe_number(SIZE)?.map(|size| {
            let size = usize::try_from(size).ok().filter(|size| *size <= BODY_BYTES_MAX);
            size.ok_or_else(|| read.damaged(SIZE))
        });
        let stored = read.maybe_bytes(BODY)?.unwrap_or_default();
        Ok(Self {
            bytes: Bytes::copy_from_slice(stored),
            size: size.transpose()?,
            dictionary: read.maybe_number(DICTIONARY)?,
        })
    }

    /// What is wrong where [`unpack`](Self::unpack) had no body.
    pub(crate) fn damaged(place: &super::Key) -> StoreError {
        StoreError::Damaged { place: format!("{place}: attribute {BODY}") }
    }
}
