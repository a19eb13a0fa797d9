//! `n`, `n#ended`: the nodes that are there, and the last word of those that were; and the table's own counters.

use std::time::Duration;

use hookward_core::Timestamp;

use super::{Attributes, Item, Key, SK, bytes, number, text};
use crate::{StoreError, dynamodb::progress::Progress};

/// The partition of the nodes that are there.
pub(crate) const LIVE: &str = "n";
/// The partition of those that were.
pub(crate) const ENDED: &str = "n#ended";

pub(crate) const BEAT: &str = "hb";
pub(crate) const STATE: &str = "st";
pub(crate) const BY: &str = "by";
pub(crate) const THROUGH: &str = "ck";
pub(crate) const BEYOND: &str = "dn";
pub(crate) const FROM: &str = "js";
const LEASE: &str = "ls";
const NAME: &str = "nm";
const BORN: &str = "t";

/// The counter of nodes.
pub(crate) const COUNT: &str = "c";
/// The time up to which somebody said that everything expired is forgotten.
pub(crate) const FORGOTTEN: &str = "ea";

/// What a heartbeat may cost: beyond a gap, so much is told of what is finished.
pub(crate) const BEYOND_BYTES_MAX: usize = 700;

/// Works.
pub(crate) const STATE_LIVE: &str = "live";
/// Was stopped in an orderly way and left work to others.
pub(crate) const STATE_FREE: &str = "free";
/// Its work is being taken over by another node.
pub(crate) const STATE_TAKEN: &str = "taken";

/// A node that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeItem {
    pub(crate) node: u64,
    /// Higher with each heartbeat.
    pub(crate) beat: u64,
    pub(crate) state: NodeState,
    pub(crate) progress: Progress,
    /// Its journal before this time is finished.
    pub(crate) from: Timestamp,
    /// How long others wait for its next heartbeat.
    pub(crate) lease: Duration,
    /// What people call it.
    pub(crate) name: String,
    /// When it came.
    pub(crate) born_at: Timestamp,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    Live,
    Free,
    Taken { by: u64 },
}

pub(crate) fn key_of(node: u64) -> Key {
    Key { pk: LIVE.to_owned(), sk: node_text(node) }
}

/// Where the table's counters are.
pub(crate) fn counters_key() -> Key {
    Key { pk: "n#table".to_owned(), sk: "n".to_owned() }
}

fn node_text(node: u64) -> String {
    format!("{node:012}")
}

fn node_from(read: Attributes<'_>) -> Result<u64, StoreError> {
    read.text(SK)?.parse().map_err(|_| read.damaged(SK))
}

impl NodeItem {
    pub(crate) fn encode(&self) -> Item {
        let mut item = key_of(self.node).item();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(BEAT, number(self.beat));
        let state = match self.state {
            NodeState::Live => STATE_LIVE,
            NodeState::Free => STATE_FREE,
            NodeState::Taken { by } => {
                set(BY, number(by));
                STATE_TAKEN
            }
        };
        set(STATE, text(state));
        set(THROUGH, number(self.progress.through()));
        set(BEYOND, bytes(self.progress.encode_beyond(BEYOND_BYTES_MAX)));
        set(FROM, number(self.from.as_micros()));
        set(LEASE, number(self.lease.as_millis().try_into().unwrap_or(u64::MAX)));
        set(NAME, text(&*self.name));
        set(BORN, number(self.born_at.as_micros()));
        item
    }

    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        Ok(Self {
            node: node_from(read)?,
            beat: read.number(BEAT)?,
            state: match read.text(STATE)? {
                STATE_LIVE => NodeState::Live,
                STATE_FREE => NodeState::Free,
                STATE_TAKEN => NodeState::Taken { by: read.number(BY)? },
                _ => return Err(read.damaged(STATE)),
            },
            progress: progress(read)?,
            from: read.time(FROM)?,
            lease: Duration::from_millis(read.number(LEASE)?),
            name: read.text(NAME)?.to_owned(),
            born_at: read.time(BORN)?,
        })
    }
}

/// The last word of a node that is no more: without it, nobody could tell what was finished of what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndedItem {
    pub(crate) node: u64,
    pub(crate) progress: Progress,
    pub(crate) name: String,
    pub(crate) born_at: Timestamp,
}

pub(crate) fn ended_key(node: u64) -> Key {
    Key { pk: ENDED.to_owned(), sk: node_text(node) }
}

impl EndedItem {
    pub(crate) fn encode(&self) -> Item {
        let mut item = ended_key(self.node).item();
        let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
        set(THROUGH, number(self.progress.through()));
        // Nothing may be left out here: what it does not cover was not finished.
        set(BEYOND, bytes(self.progress.encode_beyond(usize::MAX)));
        set(NAME, text(&*self.name));
        set(BORN, number(self.born_at.as_micros()));
        item
    }

    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let read = Attributes(item);
        Ok(Self {
            node: node_from(read)?,
            progress: progress(read)?,
            name: read.text(NAME)?.to_owned(),
            born_at: read.time(BORN)?,
        })
    }
}

fn progress(read: Attributes<'_>) -> Result<Progress, StoreError> {
    let beyond = read.maybe_bytes(BEYOND)?.unwrap_or_default();
    Progress::decode(read.number(THROUGH)?, beyond).ok_or_else(|| read.damaged(BEYOND))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn progress(done: Vec<u64>) -> Progress {
        let mut progress = Progress::default();
        for number in done {
            progress.finish(number);
        }
        progress
    }

    proptest! {
        #[test]
        fn a_node_is_read_as_it_was_written(
            node in 0..1_000_000_000_000_u64, beat: u64, which in 0..3_usize, by: u64, done in vec(1..200_u64, 0..50), from: u64, lease: u32, name in ".{0,20}", born: u64,
        ) {
            let node = NodeItem {
                node,
                beat,
                state: [NodeState::Live, NodeState::Free, NodeState::Taken { by }][which],
                progress: progress(done),
                from: Timestamp::from_micros(from),
                lease: Duration::from_millis(lease.into()),
                name,
                born_at: Timestamp::from_micros(born),
            };
            prop_assert_eq!(NodeItem::decode(&node.encode()).unwrap(), node);
        }

        #[test]
        fn a_last_word_is_read_as_it_was_written(
            node in 0..1_000_000_000_000_u64, done in vec(1..2_000_u64, 0..500), name in ".{0,20}", born: u64,
        ) {
            let ended = EndedItem {
                node,
                progress: progress(done),
                name,
                born_at: Timestamp::from_micros(born),
            };
            prop_assert_eq!(EndedItem::decode(&ended.encode()).unwrap(), ended);
        }
    }
}
