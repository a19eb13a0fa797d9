//! `w#<shard>`: that an event waits, or is being worked on, so that it is found without an index. What the event says of itself
//! counts; this only finds it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hookward_core::{EventKey, SourceName, Timestamp};

use super::{Attributes, Item, Key, SK, key_from_text, key_text, number, text};
use crate::StoreError;

/// What waits is spread over so many partitions.
pub(crate) const SHARDS: u8 = 4;

const SOURCE: &str = "s";
const SINCE: &str = "t";
/// There is nothing to do before: the event was looked at, and said so.
pub(crate) const NOT_BEFORE: &str = "u";
/// When somebody first saw that no event names it.
pub(crate) const UNNAMED_SINCE: &str = "g";

/// What tells a mark from all others of its event: when it is to be found, and six random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkName {
    pub(crate) due: Timestamp,
    pub(crate) dice: [u8; 6],
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}#{}", self.due.as_micros(), URL_SAFE_NO_PAD.encode(self.dice))
    }
}

impl MarkName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (due, dice) = name.split_once('#')?;
        let due = Timestamp::from_micros(u64::from_str_radix(due, 16).ok()?);
        Some(Self { due, dice: URL_SAFE_NO_PAD.decode(dice).ok()?.try_into().ok()? })
    }

    /// Where this mark of an event is.
    pub(crate) fn key(self, event: EventKey) -> Key {
        let shard = event.as_bytes().last().copied().unwrap_or_default() % SHARDS;
        let dice = URL_SAFE_NO_PAD.encode(self.dice);
        Key { pk: partition(shard), sk: format!("{}#{}#{dice}", range(self.due), key_text(event)) }
    }
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) name: MarkName,
    pub(crate) event: EventKey,
    pub(crate) source: SourceName,
    /// Since when the event is pending.
    pub(crate) since: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) unnamed_since: Option<Timestamp>,
}

/// One of the partitions of what waits.
pub(crate) fn partition(shard: u8) -> String {
    format!("w#{shard}")
}

/// Where marks of a time begin.
pub(crate) fn range(due: Timestamp) -> String {
    format!("{:016x}", due.as_micros())
}

impl Mark {
    pub(crate) fn key(&self) -> Key {
        self.name.key(self.event)
    }

    /// In the order in which they are found.
    pub(crate) fn order(&self) -> (Timestamp, EventKey, [u8; 6]) {
        (self.name.due, self.event, self.name.dice)
    }

    /// A mark as it is first written.
    pub(crate) fn encode(&self) -> Item {
        let mut item = self.key().item();
        item.insert(SOURCE.to_owned(), text(self.source.as_str()));
        item.insert(SINCE.to_owned(), number(self.since.as_micros()));
        item
    }

    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let parts = read.text(SK)?.split_once('#').and_then(|(due, rest)| {
            let (event, dice) = rest.split_once('#')?;
            Some((MarkName::parse(&format!("{due}#{dice}"))?, key_from_text(event)?))
        });
        let (name, event) = parts.ok_or_else(|| read.damaged(SK))?;
        Ok(Self {
            name,
            event,
            source: SourceName::parse(read.text(SOURCE)?).map_err(|_| read.damaged(SOURCE))?,
            since: read.time(SINCE)?,
            not_before: read.maybe_time(NOT_BEFORE)?,
            unnamed_since: read.maybe_time(UNNAMED_SINCE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(key: [u8; 16], due: u64, dice: [u8; 6], since: u64) {
            let mark = Mark {
                name: MarkName { due: Timestamp::from_micros(due), dice },
                event: EventKey::from_bytes(key),
                source: SourceName::parse("stripe").unwrap(),
                since: Timestamp::from_micros(since),
                not_before: None,
                unnamed_since: None,
            };
            prop_assert_eq!(Mark::decode(&mark.encode()).unwrap(), mark.clone());
            prop_assert_eq!(MarkName::parse(&mark.name.to_string()), Some(mark.name));
        }
    }
}
