//! `x#<day>#<shard>`: that an event is a dead letter, for lists. What the event says of itself counts; this only finds it.

use hookward_core::{EventKey, EventParts, Timestamp};

use super::{Attributes, EXPIRES, Item, Key, SK, expiry_secs, key_from_text, key_text, number};
use crate::StoreError;

/// A day's dead letters are spread over so many partitions: a source whose schema has changed fills them at full speed.
pub(crate) const SHARDS: u8 = 4;

const DAY_SECS: u64 = 24 * 3_600;

/// A dead letter's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeadMark {
    pub(crate) key: EventKey,
    pub(crate) received_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// The day of a time, counted from 1970.
pub(crate) const fn day_of(at: Timestamp) -> u64 {
    at.as_secs() / DAY_SECS
}

/// One of the partitions of a day's dead letters.
pub(crate) fn partition(day: u64, shard: u8) -> String {
    format!("x#{day}#{shard}")
}

impl DeadMark {
    pub(crate) const fn of(event: &EventParts) -> Self {
        Self { key: event.key, received_at: event.received_at, expires_at: event.body_expires_at }
    }

    pub(crate) fn key(&self) -> Key {
        let shard = self.key.as_bytes().last().copied().unwrap_or_default() % SHARDS;
        Key {
            pk: partition(day_of(self.received_at), shard),
            sk: format!("{:016x}#{}", self.received_at.as_micros(), key_text(self.key)),
        }
    }

    pub(crate) fn encode(&self) -> Item {
        let mut item = self.key().item();
        item.insert(EXPIRES.to_owned(), number(expiry_secs(self.expires_at)));
        item
    }

    /// The expiry is read in whole seconds.
    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let parts = read
            .text(SK)?
            .split_once('#')
            .and_then(|(at, key)| Some((u64::from_str_radix(at, 16).ok()?, key_from_text(key)?)));
        let (at, key) = parts.ok_or_else(|| read.damaged(SK))?;
        Ok(Self {
            key,
            received_at: Timestamp::from_micros(at),
            expires_at: Timestamp::from_secs(read.number(EXPIRES)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(key: [u8; 16], at: u64, expires: u32) {
            let mark = DeadMark {
                key: EventKey::from_bytes(key),
                received_at: Timestamp::from_micros(at),
                expires_at: Timestamp::from_secs(expires.into()),
            };
            prop_assert_eq!(DeadMark::decode(&mark.encode()).unwrap(), mark);
        }
    }
}
