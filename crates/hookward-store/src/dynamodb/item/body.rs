//! `b` or `ob`, `z` and `d` of an event's item: its body, as small as it gets, or where it is.

use bytes::Bytes;

use super::{Attributes, Item, bytes, number, text};
use crate::{StoreError, dynamodb::dictionary::Dictionary};

const BODY: &str = "b";
/// The key of the object that it is in, where it is too large for an item.
const OBJECT: &str = "ob";
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) place: Place,
    /// The size of the body, where it is compressed.
    size: Option<usize>,
    /// The number of the dictionary, where it is compressed with one.
    pub(crate) dictionary: Option<u64>,
}

/// Where the bytes of a stored body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the event's item.
    Item(Bytes),
    /// In the object with this key.
    Object(Box<str>),
}

impl Stored {
    /// The body as it is.
    pub(crate) const fn plain(body: Bytes) -> Self {
        Self { place: Place::Item(body), size: None, dictionary: None }
    }

    /// The body as it is, compressed, or compressed with a dictionary: whichever is smallest.
    pub(crate) fn pack(body: &Bytes, dictionary: Option<&Dictionary>) -> Self {
        let compressed = |bytes: Vec<u8>, dictionary| Self {
            place: Place::Item(bytes.into()),
            size: Some(body.len()),
            dictionary,
        };
        let mut stored = Self::plain(body.clone());
        let mut smallest = body.len();
        if let Ok(smaller) = zstd::bulk::compress(body, COMPRESS_LEVEL)
            && smaller.len() < smallest
        {
            smallest = smaller.len();
            stored = compressed(smaller, None);
        }
        if let Some(dictionary) = dictionary
            && let Some(smaller) = dictionary.compress(body)
            && smaller.len() + DICTIONARY_BYTES < smallest
        {
            stored = compressed(smaller, Some(dictionary.number));
        }
        stored
    }

    /// The same in an object: as it is named in the item, and the bytes for the object. A body in an object is compressed in
    /// any case, so that its size is known without it.
    pub(crate) fn moved(
        self,
        body: &Bytes,
        key_of: impl FnOnce(&[u8]) -> String,
    ) -> Option<(Self, Bytes)> {
        let bytes = match (self.place, self.size) {
            (Place::Item(bytes), Some(_)) => bytes,
            (Place::Item(bytes), None) => zstd::bulk::compress(&bytes, COMPRESS_LEVEL).ok()?.into(),
            (Place::Object(_), _) => return None,
        };
        let place = Place::Object(key_of(&bytes).into());
        Some((Self { place, size: Some(body.len()), dictionary: self.dictionary }, bytes))
    }

    /// The body from the bytes that were stored, with the dictionary that it names. `None` where something else was stored.
    pub(crate) fn unpack(&self, bytes: &Bytes, dictionary: Option<&Dictionary>) -> Option<Bytes> {
        let Some(size) = self.size else { return Some(bytes.clone()) };
        let body = match self.dictionary {
            None => zstd::bulk::decompress(bytes, size).ok()?,
            Some(number) => dictionary.filter(|it| it.number == number)?.decompress(bytes, size)?,
        };
        (body.len() == size).then(|| body.into())
    }

    /// The size of the body.
    pub(crate) fn body_bytes(&self) -> usize {
        match (self.size, &self.place) {
            (Some(size), _) => size,
            (None, Place::Item(bytes)) => bytes.len(),
            (None, Place::Object(_)) => 0,
        }
    }

    /// The bytes, where they are in the item.
    pub(crate) const fn at_hand(&self) -> Option<&Bytes> {
        match &self.place {
            Place::Item(bytes) => Some(bytes),
            Place::Object(_) => None,
        }
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
        match self.place {
            Place::Item(stored) if stored.is_empty() => {}
            Place::Item(stored) => set(BODY, bytes(stored)),
            Place::Object(key) => set(OBJECT, text(key)),
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(read: Attributes<'_>) -> Result<Self, StoreError> {
        let size = read.maybe_number(SIZE)?.map(|size| {
            let size = usize::try_from(size).ok().filter(|size| *size <= BODY_BYTES_MAX);
            size.ok_or_else(|| read.damaged(SIZE))
        });
        let size = size.transpose()?;
        let place = match read.maybe_text(OBJECT)? {
            Some(_) if size.is_none() => return Err(read.damaged(SIZE)),
            Some(key) => Place::Object(key.into()),
            None => {
                let stored = read.maybe_bytes(BODY)?.unwrap_or_default();
                Place::Item(Bytes::copy_from_slice(stored))
            }
        };
        Ok(Self { place, size, dictionary: read.maybe_number(DICTIONARY)? })
    }

    /// What is wrong where [`unpack`](Self::unpack) had no body.
    pub(crate) fn damaged(place: &super::Key) -> StoreError {
        StoreError::Damaged { place: format!("{place}: attribute {BODY}") }
    }
}
