//! The items of the table: one file for each kind, with its keys, its attributes and its codec.
//!
//! `docs/dynamodb-format.md` says it for people. Names are short, since DynamoDB bills them with each item.

pub(crate) mod body;
pub(crate) mod claim;
pub(crate) mod dead;
pub(crate) mod dictionary;
pub(crate) mod event;
pub(crate) mod journal;
pub(crate) mod mark;
pub(crate) mod node;
pub(crate) mod ticket;

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hookward_core::{EventKey, EventParts, Timestamp};

use crate::StoreError;

/// The hash key.
pub const PK: &str = "pk";
/// The range key.
pub const SK: &str = "sk";
/// When DynamoDB may delete the item, in seconds: the table's time to live.
pub const EXPIRES: &str = "x";

/// An item: its attributes by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn item(self) -> Item {
        Item::from([(PK.to_owned(), text(self.pk)), (SK.to_owned(), text(self.sk))])
    }

    /// Where this item is.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let part = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: part(PK)?, sk: part(SK)? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

/// The text of an event's key in the keys of items: 22 characters.
pub(crate) fn key_text(key: EventKey) -> String {
    URL_SAFE_NO_PAD.encode(key.as_bytes())
}

fn key_from_text(text: &str) -> Option<EventKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(EventKey::from_bytes(bytes.try_into().ok()?))
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// Until when an event's key is held: as long as it is asked for, and as long as the body that goes with it. `None`: for ever.
pub(crate) fn held_until(event: &EventParts) -> Option<Timestamp> {
    event.key_expires_at.map(|at| at.max(event.body_expires_at))
}

/// A time for DynamoDB's time to live: never before the time itself.
pub(crate) fn expiry_secs(at: Timestamp) -> u64 {
    at.as_micros().div_ceil(1_000_000)
}

/// The same time as a time to live says it.
pub(crate) fn whole_secs(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(expiry_secs(at))
}

/// Reads the attributes of one item.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a Item);

impl<'a> Attributes<'a> {
    pub(crate) fn number(self, name: &str) -> Result<u64, StoreError> {
        self.maybe_number(name)?.ok_or_else(|| self.damaged(name))
    }

    pub(crate) fn maybe_number(self, name: &str) -> Result<Option<u64>, StoreError> {
        let parse = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
        let read = |value: &AttributeValue| parse(value).ok_or_else(|| self.damaged(name));
        self.0.get(name).map(read).transpose()
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, StoreError> {
        self.maybe_text(name)?.ok_or_else(|| self.damaged(name))
    }

    pub(crate) fn maybe_text(self, name: &str) -> Result<Option<&'a str>, StoreError> {
        let read = |value: &'a AttributeValue| value.as_s().map_err(|_| self.damaged(name));
        Ok(self.0.get(name).map(read).transpose()?.map(String::as_str))
    }

    pub(crate) fn bytes(self, name: &str) -> Result<&'a [u8], StoreError> {
        self.maybe_bytes(name)?.ok_or_else(|| self.damaged(name))
    }

    pub(crate) fn maybe_bytes(self, name: &str) -> Result<Option<&'a [u8]>, StoreError> {
        let read = |value: &'a AttributeValue| value.as_b().map_err(|_| self.damaged(name));
        Ok(self.0.get(name).map(read).transpose()?.map(Blob::as_ref))
    }

    pub(crate) fn time(self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_micros)
    }

    pub(crate) fn maybe_time(self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_number(name)?.map(Timestamp::from_micros))
    }

    /// The item holds something that this store did not write.
    pub(crate) fn damaged(self, name: &str) -> StoreError {
        let key = Key::of(self.0)
            .map_or_else(|| "an item without keys".to_owned(), |key| key.to_string());
        StoreError::Damaged { place: format!("{key}: attribute {name}") }
    }
}

/// The size of an item as DynamoDB bills it: names and values.
pub(crate) fn billed_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    if let Ok(text) = value.as_s() {
        text.len()
    } else if let Ok(blob) = value.as_b() {
        blob.as_ref().len()
    } else if let Ok(number) = value.as_n() {
        number.len().div_ceil(2) + 1
    } else {
        1
    }
}
