//! How many finished events this node still shows, and when they expire.

use std::collections::BTreeMap;

use hookward_core::Timestamp;

use crate::Expired;

/// Times that lie closer together than this are counted as one, the later.
const GRAIN_MICROS: u64 = 60_000_000;

/// What is counted of an event that needs nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) body_expires_at: Timestamp,
    /// `None`: never.
    pub(crate) key_expires_at: Option<Timestamp>,
    pub(crate) body_bytes: u64,
    pub(crate) dead: bool,
}

/// Counts, by when they change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    bodies: BTreeMap<Slot, Count>,
    keys: BTreeMap<Timestamp, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    body_expires_at: Timestamp,
    key_expires_at: Option<Timestamp>,
    dead: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: u64,
    bytes: u64,
}

impl Ledger {
    pub(crate) fn add(&mut self, finished: Finished) {
        let slot = self.slot(finished);
        let count = self.bodies.entry(slot).or_default();
        count.events += 1;
        count.bytes += finished.body_bytes;
    }

    /// Takes back what [`add`](Self::add) counted, if it is still counted.
    pub(crate) fn remove(&mut self, finished: Finished) {
        let slot = self.slot(finished);
        if let Some(count) = self.bodies.get_mut(&slot) {
            count.events = count.events.saturating_sub(1);
            count.bytes = count.bytes.saturating_sub(finished.body_bytes);
            if count.events == 0 {
                self.bodies.remove(&slot);
            }
        }
    }

    /// An existing slot a little later, or a new one.
    fn slot(&self, finished: Finished) -> Slot {
        let wanted = Slot {
            body_expires_at: finished.body_expires_at,
            key_expires_at: finished.key_expires_at,
            dead: finished.dead,
        };
        let near = |slot: &Slot| {
            let near =
                |a: Timestamp, b: Timestamp| a >= b && a.as_micros() - b.as_micros() < GRAIN_MICROS;
            near(slot.body_expires_at, wanted.body_expires_at)
                && slot.dead == wanted.dead
                && match (slot.key_expires_at, wanted.key_expires_at) {
                    (Some(a), Some(b)) => near(a, b),
                    (None, None) => true,
                    (None, Some(_)) | (Some(_), None) => false,
                }
        };
        let from = Slot { key_expires_at: None, dead: false, ..wanted };
        self.bodies.range(from..).map(|(slot, _)| *slot).take(8).find(near).unwrap_or(wanted)
    }

    pub(crate) fn expire(&mut self, now: Timestamp) -> Expired {
        let mut expired = Expired::default();
        while let Some(entry) = self.bodies.first_entry() {
            let slot = *entry.key();
            if slot.body_expires_at > now {
                break;
            }
            let count = entry.remove();
            expired.bodies += count.events;
            expired.bytes += count.bytes;
            if let Some(at) = slot.key_expires_at {
                *self.keys.entry(at.max(slot.body_expires_at)).or_default() += count.events;
            }
        }
        while let Some(entry) = self.keys.first_entry().filter(|entry| *entry.key() <= now) {
            expired.keys += entry.remove();
        }
        expired
    }

    /// Finished events, dead ones, and the bytes of both.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let mut counts = (0, 0, 0);
        for (slot, count) in &self.bodies {
            if slot.dead {
                counts.1 += count.events;
            } else {
                counts.0 += count.events;
            }
            counts.2 += count.bytes;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(body: u64, key: Option<u64>, dead: bool) -> Finished {
        Finished {
            body_expires_at: Timestamp::from_secs(body),
            key_expires_at: key.map(Timestamp::from_secs),
            body_bytes: 10,
            dead,
        }
    }

    #[test]
    fn bodies_expire_before_their_keys() {
        let mut ledger = Ledger::default();
        ledger.add(finished(100, Some(200), false));
        ledger.add(finished(100, None, true));
        assert_eq!(ledger.counts(), (1, 1, 20));
        assert_eq!(ledger.expire(Timestamp::from_secs(99)), Expired::default());
        let expired = ledger.expire(Timestamp::from_secs(100));
        assert_eq!(expired, Expired { bodies: 2, keys: 0, bytes: 20 });
        assert_eq!(ledger.counts(), (0, 0, 0));
        let expired = ledger.expire(Timestamp::from_secs(300));
        assert_eq!(expired, Expired { bodies: 0, keys: 1, bytes: 0 });
    }

    #[test]
    fn a_million_events_take_little_room() {
        let mut ledger = Ledger::default();
        for second in (0..86_400).rev() {
            ledger.add(finished(1_000_000 + second, Some(2_000_000 + second), false));
        }
        assert_eq!(ledger.counts().0, 86_400);
        assert!(ledger.bodies.len() < 2_000, "{}", ledger.bodies.len());
    }

    #[test]
    fn what_is_taken_back_is_not_counted() {
        let mut ledger = Ledger::default();
        ledger.add(finished(100, Some(200), true));
        ledger.remove(finished(100, Some(200), true));
        assert_eq!(ledger.counts(), (0, 0, 0));
    }
}
