//! The names of keys that requests wait for, those of most requests first.
//!
//! Strangers can name keys, as many as they like. What a sender signs with is named by all of its requests, again and again, so
//! the name that most requests asked for is fetched next, and when there is no room the one that fewest asked for goes, the
//! longest ago. Forged names that are new each time thus stand behind a genuine one from its second request on; a forged name
//! that is repeated costs one fetch, after which it is known not to be anywhere and stands behind all that are not.

use std::{collections::BTreeMap, sync::Arc};

/// Names with the number of requests that asked for each.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    room: usize,
    names: BTreeMap<Arc<str>, Rank>,
    ranks: BTreeMap<Rank, Arc<str>>,
    asked: u64,
}

/// Whether a name is not known to be nowhere, then how many requests asked for it, then which of them was the last.
type Rank = (bool, u64, u64);

impl Wanted {
    /// None yet, with room for this many.
    pub(super) fn new(room: usize) -> Self {
        Self { room, names: BTreeMap::new(), ranks: BTreeMap::new(), asked: 0 }
    }

    /// A request asks for a name, which was looked for before in vain or not.
    pub(super) fn ask(&mut self, name: &str, in_vain: bool) {
        self.asked += 1;
        let (name, count) = match self.names.remove_entry(name) {
            Some((name, rank)) => {
                self.ranks.remove(&rank);
                (name, rank.1)
            }
            None => (name.into(), 0),
        };
        let rank = (!in_vain, count + 1, self.asked);
        if self.names.len() >= self.room
            && let Some((_, least)) = self.ranks.pop_first()
        {
            self.names.remove(&least);
        }
        self.ranks.insert(rank, Arc::clone(&name));
        self.names.insert(name, rank);
    }

    /// Takes the name that most requests asked for; of several the one that was asked for last.
    pub(super) fn take(&mut self) -> Option<Arc<str>> {
        let (_, name) = self.ranks.pop_last()?;
        self.names.remove(&name);
        Some(name)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.ranks.clear();
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_most_requests_come_first_and_those_of_fewest_go() {
        let mut wanted = Wanted::new(3);
        let mut taken = |names: &[&str], in_vain: &str| {
            for name in names {
                wanted.ask(name, *name == in_vain);
            }
            std::iter::from_fn(|| wanted.take()).map(|it| String::from(&*it)).collect::<Vec<_>>()
        };
        assert_eq!(taken(&["a", "b", "c", "b", "d", "e"], ""), ["b", "e", "d"]);
        assert_eq!(taken(&["a", "b", "b", "c"], "b"), ["c", "a", "b"]);
        assert_eq!(taken(&["b", "b", "c", "d", "e"], "b"), ["e", "d", "c"]);
        assert!(wanted.is_empty() && wanted.names.is_empty() && wanted.ranks.is_empty());
    }
}
