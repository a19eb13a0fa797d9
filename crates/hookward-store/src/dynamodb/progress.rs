//! How far a node has come with the events that it numbered: the checkpoint.

use std::collections::BTreeMap;

use crate::embedded::codec::{Put, Reader};

/// Which of a node's numbers are finished: all up to one, and some stretches beyond it.
///
/// A number that is finished needs nothing any more from its node: its event is done, or another item says what it waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Every number up to this one is finished; numbers start at 1.
    through: u64,
    /// Finished stretches beyond it, first to last number. They touch neither each other nor `through`.
    beyond: BTreeMap<u64, u64>,
}

impl Progress {
    pub(crate) const fn through(&self) -> u64 {
        self.through
    }

    pub(crate) fn covers(&self, number: u64) -> bool {
        number <= self.through
            || self.beyond.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    pub(crate) fn finish(&mut self, number: u64) {
        self.finish_all(number, number);
    }

    fn finish_all(&mut self, mut first: u64, mut last: u64) {
        while let Some((from, to)) = self
            .beyond
            .range(..=last.saturating_add(1))
            .next_back()
            .map(|(from, to)| (*from, *to))
            .filter(|(_, to)| to.saturating_add(1) >= first)
        {
            self.beyond.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        if first <= self.through.saturating_add(1) {
            self.through = self.through.max(last);
        } else {
            self.beyond.insert(first, last);
        }
    }

    /// Takes in all that another account of the same node knows.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.through > 0 {
            self.finish_all(1, other.through);
        }
        for (first, last) in &other.beyond {
            self.finish_all(*first, *last);
        }
    }

    /// The stretches as gap and length after each other, the lowest first, as many as fit. Leaving some out is safe:
    /// what is not known to be finished is done again.
    pub(crate) fn encode_beyond(&self, bytes_max: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut end = self.through;
        for (first, last) in &self.beyond {
            let fitting = bytes.len();
            bytes.put_varint(first - end);
            bytes.put_varint(last - first);
            if bytes.len() > bytes_max {
                bytes.truncate(fitting);
                break;
            }
            end = *last;
        }
        bytes
    }

    /// `None` when the bytes are not what was written.
    pub(crate) fn decode(through: u64, beyond: &[u8]) -> Option<Self> {
        let mut progress = Self { through, beyond: BTreeMap::new() };
        let mut reader = Reader::new(beyond);
        let mut end = through;
        while !reader.is_empty() {
            let first = end.checked_add(reader.varint()?)?;
            let last = first.checked_add(reader.varint()?)?;
            progress.finish_all(first, last);
            end = last;
        }
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn of(numbers: &[u64]) -> Progress {
        let mut progress = Progress::default();
        for number in numbers {
            progress.finish(*number);
        }
        progress
    }

    #[test]
    fn a_gap_holds_the_checkpoint_back() {
        let mut progress = of(&[1, 2, 4, 5, 7]);
        assert_eq!(progress.through(), 2);
        assert!(progress.covers(5) && !progress.covers(3) && !progress.covers(6));
        progress.finish(3);
        assert_eq!(progress.through(), 5);
        progress.finish(6);
        assert_eq!(progress, of(&[1, 2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_top() {
        let progress = of(&[2, 4, 6, 8]);
        let read = Progress::decode(0, &progress.encode_beyond(5)).unwrap();
        assert_eq!(read, of(&[2, 4]));
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(a in vec(1..60_u64, 0..60), b in vec(1..60_u64, 0..60)) {
            let (first, second) = (of(&a), of(&b));
            let mut both = first.clone();
            both.merge(&second);
            let set: BTreeSet<u64> = a.iter().chain(&b).copied().collect();
            for number in 1..62 {
                prop_assert_eq!(both.covers(number), set.contains(&number), "{}", number);
                prop_assert_eq!(first.covers(number), a.contains(&number), "{}", number);
            }
            let read = Progress::decode(both.through(), &both.encode_beyond(usize::MAX));
            prop_assert_eq!(read, Some(both));
        }

        #[test]
        fn any_bytes_are_read_or_refused(through: u64, bytes: Vec<u8>) {
            let _progress = Progress::decode(through, &bytes);
        }
    }
}
