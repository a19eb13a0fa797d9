//! `j#<node>`/`<time>`: which events a node took at about a time, for whoever finishes its work after it, and for lists.

use std::time::Duration;

use hookward_core::{EventKey, SourceName, Timestamp};

use super::{Attributes, EXPIRES, Item, Key, PK, SK, bytes, expiry_secs, number};
use crate::{
    StoreError,
    dynamodb::progress::Progress,
    embedded::codec::{Put, Reader},
};

const PK_PREFIX: &str = "j#";
/// The number of the first entry at the node; the others follow.
const FIRST: &str = "q";
const ENTRIES: &str = "k";
/// How far the node had come when it wrote this: [`Progress`], so that no item of its own is needed for that.
const THROUGH: &str = "ck";
const BEYOND: &str = "dn";

/// The first byte of the entries.
const FORMAT: u8 = 1;

/// An item holds no event that is older than its youngest by more: then a list knows where to begin.
pub(crate) const SPAN: Duration = Duration::from_secs(5);

/// What DynamoDB bills a write for each started one of.
const UNIT_BYTES: usize = 1024;

/// A journal item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalItem {
    pub(crate) node: u64,
    /// Not before any of its entries, and later than the item before it.
    pub(crate) at: Timestamp,
    pub(crate) first: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) progress: Progress,
    /// When nobody asks for it any more.
    pub(crate) expires_at: Timestamp,
}

/// One event in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: EventKey,
    pub(crate) source: SourceName,
    /// When it arrived, as lists order it.
    pub(crate) at: Timestamp,
    pub(crate) kind: EntryKind,
}

/// Why an event is in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// It arrived. It is this entry's event if it has this entry's node and number; otherwise it was a duplicate.
    Arrived,
    /// It was journaled before, by this node or another.
    Again,
    /// It stands for an arrival that may not have been journaled.
    Instead,
}

impl EntryKind {
    /// The stored number: never change one.
    const fn code(self) -> u64 {
        match self {
            Self::Arrived => 0,
            Self::Again => 1,
            Self::Instead => 2,
        }
    }

    const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Arrived),
            1 => Some(Self::Again),
            2 => Some(Self::Instead),
            _ => None,
        }
    }
}

/// The partition of a node's journal.
pub(crate) fn partition(node: u64) -> String {
    format!("{PK_PREFIX}{node}")
}

/// The range key of a time: as text in the same order.
pub(crate) fn range(at: Timestamp) -> String {
    format!("{:016x}", at.as_micros())
}

impl JournalItem {
    pub(crate) fn encode(&self) -> Item {
        let mut sources: Vec<&SourceName> = Vec::new();
        let mut list = Vec::new();
        for entry in &self.entries {
            let known = sources.iter().position(|source| **source == entry.source);
            let index = known.unwrap_or_else(|| {
                sources.push(&entry.source);
                sources.len() - 1
            });
            list.put(entry.key.as_bytes());
            list.put_varint((index as u64) << 2 | entry.kind.code());
            list.put_varint(self.at.since(entry.at).as_micros().try_into().unwrap_or(u64::MAX));
        }
        let mut packed = vec![FORMAT];
        packed.put_varint(sources.len() as u64);
        for source in sources {
            packed.put_sized(source.as_str().as_bytes());
        }
        packed.extend(list);

        let key = Key { pk: partition(self.node), sk: range(self.at) };
        let mut item = key.item();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(FIRST, number(self.first));
        set(ENTRIES, bytes(packed));
        set(THROUGH, number(self.progress.through()));
        set(EXPIRES, number(expiry_secs(self.expires_at)));
        // What is finished beyond a gap goes into what is paid for anyhow.
        let room = UNIT_BYTES - (super::billed_bytes(&item) + BEYOND.len()) % UNIT_BYTES;
        let beyond = self.progress.encode_beyond(room);
        if !beyond.is_empty() {
            item.insert(BEYOND.to_owned(), bytes(beyond));
        }
        item
    }

    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        let node = read.text(PK)?.strip_prefix(PK_PREFIX).and_then(|node| node.parse().ok());
        let at = u64::from_str_radix(read.text(SK)?, 16).map(Timestamp::from_micros);
        let at = at.map_err(|_| read.damaged(SK))?;
        let beyond = read.maybe_bytes(BEYOND)?.unwrap_or_default();
        Ok(Self {
            node: node.ok_or_else(|| read.damaged(PK))?,
            at,
            first: read.number(FIRST)?,
            entries: entries(read.bytes(ENTRIES)?, at).ok_or_else(|| read.damaged(ENTRIES))?,
            progress: Progress::decode(read.number(THROUGH)?, beyond)
                .ok_or_else(|| read.damaged(BEYOND))?,
            expires_at: Timestamp::from_secs(read.number(EXPIRES)?),
        })
    }

    /// The entries with their numbers.
    pub(crate) fn numbered(
        &self,
    ) -> impl DoubleEndedIterator<Item = (u64, &Entry)> + ExactSizeIterator {
        self.entries.iter().enumerate().map(|(i, entry)| (self.first + i as u64, entry))
    }

    /// Whether the event with this number is in here.
    pub(crate) fn holds(&self, number: u64) -> bool {
        number.checked_sub(self.first).is_some_and(|i| i < self.entries.len() as u64)
    }
}

fn entries(packed: &[u8], at: Timestamp) -> Option<Vec<Entry>> {
    let mut reader = Reader::new(packed);
    if reader.u8()? != FORMAT {
        return None;
    }
    let count = usize::try_from(reader.varint()?).ok()?;
    let mut sources = Vec::with_capacity(count.min(reader.len()));
    for _ in 0..count {
        sources.push(SourceName::parse(reader.text()?).ok()?);
    }
    let mut entries = Vec::new();
    while !reader.is_empty() {
        let key = EventKey::from_bytes(reader.array()?);
        let coded = reader.varint()?;
        let source = sources.get(usize::try_from(coded >> 2).ok()?)?.clone();
        let age = Duration::from_micros(reader.varint()?);
        let kind = EntryKind::from_code(coded & 3)?;
        entries.push(Entry { key, source, at: at.saturating_sub(age), kind });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::dynamodb::item::billed_bytes;

    fn entry(key: [u8; 16], shop: bool, at: Timestamp, kind: EntryKind) -> Entry {
        let source = SourceName::parse(if shop { "shop" } else { "bank" }).unwrap();
        Entry { key: EventKey::from_bytes(key), source, at, kind }
    }

    proptest! {
        #[test]
        fn a_journal_item_is_read_as_it_was_written(
            node: u64, at in 10_000_000..u64::MAX / 2, first in 1..u64::MAX / 2, done in vec(1..99_u64, 0..9), expires in 0..u32::MAX,
            entries in vec((any::<[u8; 16]>(), any::<bool>(), 0..5_000_000_u64, 0..3_u64), 1..60),
        ) {
            let mut progress = Progress::default();
            for number in done {
                progress.finish(number);
            }
            let entry = |(key, shop, age, kind)| entry(key, shop, Timestamp::from_micros(at - age), EntryKind::from_code(kind).unwrap());
            let item = JournalItem {
                node,
                at: Timestamp::from_micros(at),
                first,
                entries: entries.into_iter().map(entry).collect(),
                progress,
                expires_at: Timestamp::from_secs(expires.into()),
            };
            let read = JournalItem::decode(&item.encode()).unwrap();
            // What is finished beyond a gap may be left out, and nothing may be added.
            let mut known = item.progress.clone();
            known.merge(&read.progress);
            prop_assert_eq!(&known, &item.progress);
            prop_assert_eq!(read.progress.through(), item.progress.through());
            prop_assert_eq!(JournalItem { progress: known, ..read }, item);
        }
    }

    #[test]
    fn forty_events_share_one_write_unit_whatever_else_is_finished() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let mut progress = Progress::default();
        for number in 0..2_000 {
            progress.finish(1_000_000 + 2 * number);
        }
        let entry = |i: u64| {
            entry(
                [7; 16],
                true,
                at.saturating_sub(Duration::from_micros(200 * i)),
                EntryKind::Arrived,
            )
        };
        let item = JournalItem {
            node: 4_000,
            at,
            first: 1_000_000,
            entries: (0..40).map(entry).collect(),
            progress,
            expires_at: at,
        };
        let bytes = billed_bytes(&item.encode());
        assert!((900..=1_024).contains(&bytes), "{bytes} bytes");
    }
}
