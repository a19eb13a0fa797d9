//! `d#<source>`/`<number>`: a dictionary that bodies of a source are compressed with. Written once and kept as long as
//! an event names it, so it does not expire.

use hookward_core::{SourceName, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Attributes, Item, Key, PK, SK, bytes, number};
use crate::{StoreError, dynamodb::dictionary::Dictionary};

const PK_PREFIX: &str = "d#";
const CONTENT: &str = "b";
/// The SHA-256 of the content.
const DIGEST: &str = "h";
const TRAINED: &str = "t";
/// How many events it was trained on, for people.
const EVENTS: &str = "n";

/// A dictionary item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DictionaryItem {
    pub(crate) source: SourceName,
    /// From 1; the highest one is used for writing.
    pub(crate) number: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) trained_at: Timestamp,
    pub(crate) events: u64,
}

/// The partition of a source's dictionaries.
pub(crate) fn partition(source: &SourceName) -> String {
    format!("{PK_PREFIX}{source}")
}

/// The range key of a number: as text in the same order.
pub(crate) fn range(number: u64) -> String {
    format!("{number:012}")
}

/// Where the dictionary of this number is.
pub(crate) fn key_of(source: &SourceName, number: u64) -> Key {
    Key { pk: partition(source), sk: range(number) }
}

/// The number of the dictionary in an item, whatever else is in it.
pub(crate) fn number_of(item: &Item) -> Result<u64, StoreError> {
    let read = Attributes(item);
    read.text(SK)?.parse().map_err(|_| read.damaged(SK))
}

impl DictionaryItem {
    pub(crate) fn key(&self) -> Key {
        key_of(&self.source, self.number)
    }

    pub(crate) fn encode(self) -> Item {
        let mut item = self.key().item();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(DIGEST, bytes(Sha256::digest(&self.content).to_vec()));
        set(CONTENT, bytes(self.content));
        set(TRAINED, number(self.trained_at.as_micros()));
        set(EVENTS, number(self.events));
        item
    }

    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let source = read.text(PK)?.strip_prefix(PK_PREFIX).map(SourceName::parse);
        let source = source.and_then(Result::ok).ok_or_else(|| read.damaged(PK))?;
        let content = read.bytes(CONTENT)?;
        if *Sha256::digest(content) != *read.bytes(DIGEST)? {
            return Err(read.damaged(CONTENT));
        }
        Ok(Self {
            source,
            number: number_of(item)?,
            content: content.to_vec(),
            trained_at: read.time(TRAINED)?,
            events: read.number(EVENTS)?,
        })
    }

    /// What it is used as. Damaged where zstd does not take it.
    pub(crate) fn prepared(&self) -> Result<Dictionary, StoreError> {
        Dictionary::new(self.number, &self.content).ok_or_else(|| StoreError::Damaged {
            place: format!("{}: attribute {CONTENT}", self.key()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_dictionary_is_read_as_it_was_written(
            number in 1..1_000_000_000_000_u64, content in vec(any::<u8>(), 0..99), at in 0..u64::MAX / 4, events: u64,
        ) {
            let item = DictionaryItem {
                source: SourceName::parse("shop").unwrap(),
                number,
                content,
                trained_at: Timestamp::from_micros(at),
                events,
            };
            prop_assert_eq!(DictionaryItem::decode(&item.clone().encode()).unwrap(), item);
        }

        #[test]
        fn a_changed_byte_of_its_content_is_noticed(mut content in vec(any::<u8>(), 1..99), place: usize, change in 1..=255_u8) {
            let item = DictionaryItem {
                source: SourceName::parse("shop").unwrap(),
                number: 7,
                content: content.clone(),
                trained_at: Timestamp::default(),
                events: 1,
            };
            let mut stored = item.encode();
            let place = place % content.len();
            content[place] ^= change;
            stored.insert(CONTENT.to_owned(), bytes(content));
            let said = DictionaryItem::decode(&stored).unwrap_err().to_string();
            prop_assert!(said.ends_with("d#shop/000000000007: attribute b"), "{}", said);
        }
    }
}
