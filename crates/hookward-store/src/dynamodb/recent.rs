//! Keys that were seen lately, so that their duplicates cost nothing.

use std::collections::{HashMap, VecDeque};

use hookward_core::{ContentDigest, EventKey, Timestamp};

use crate::State;

/// What is remembered of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) content: ContentDigest,
    pub(crate) state: State,
    /// Until when its key is held. `None`: for ever.
    pub(crate) held_until: Option<Timestamp>,
}

/// The latest keys, as many as there is room for.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    max: usize,
    known: HashMap<EventKey, Known>,
    order: VecDeque<EventKey>,
}

impl Recent {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, known: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn note(&mut self, key: EventKey, known: Known) {
        if self.max == 0 {
            return;
        }
        if self.known.insert(key, known).is_none() {
            self.order.push_back(key);
        }
        while self.known.len() > self.max {
            match self.order.pop_front() {
                Some(oldest) => drop(self.known.remove(&oldest)),
                None => break,
            }
        }
        // Keys that were forgotten leave a place behind.
        if self.order.len() > self.max * 2 {
            let known = &self.known;
            self.order.retain(|key| known.contains_key(key));
        }
    }

    pub(crate) fn get(&self, key: EventKey, now: Timestamp) -> Option<Known> {
        self.known.get(&key).copied().filter(|it| it.held_until.is_none_or(|until| until > now))
    }

    pub(crate) fn forget(&mut self, key: EventKey) {
        self.known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_what_expired_is_not_told() {
        let key = |number| EventKey::from_bytes([number; 16]);
        let known = |until| Known {
            content: ContentDigest::from_bytes([0; 16]),
            state: State::Done,
            held_until: Some(Timestamp::from_secs(until)),
        };
        let mut recent = Recent::new(2);
        for number in 0..3 {
            recent.note(key(number), known(10));
        }
        let now = Timestamp::from_secs(5);
        let held: Vec<bool> = (0..3).map(|number| recent.get(key(number), now).is_some()).collect();
        assert_eq!(held, [false, true, true]);
        assert_eq!(recent.get(key(1), Timestamp::from_secs(10)), None);
        recent.forget(key(2));
        assert_eq!(recent.get(key(2), now), None);
    }
}
