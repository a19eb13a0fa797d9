//! Up to when what has expired is forgotten, which depends on where in the log it is.
//!
//! A watermark is about what stands before it. So a clock that was wrong once does no harm to what came afterwards: that is
//! judged by later watermarks alone.

use hookward_core::Timestamp;

use super::record::Place;

/// The watermarks that say something: each is later in the log and earlier in time than the one before it. While the clock
/// goes forward that is the latest one alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermarks(Vec<(Place, Timestamp)>);

impl Watermarks {
    /// Everything before `place` that had expired at `at` is forgotten.
    pub(crate) fn note(&mut self, place: Place, at: Timestamp) {
        let known = |(noted, time): &(Place, Timestamp)| *noted >= place && *time >= at;
        if at == Timestamp::default() || self.0.iter().any(known) {
            return;
        }
        self.0.retain(|(noted, time)| *noted > place || *time > at);
        let position = self.0.partition_point(|(noted, _)| *noted < place);
        self.0.insert(position, (place, at));
    }

    /// What had expired at this time is forgotten, of what is at a place.
    pub(crate) fn over(&self, place: Place) -> Timestamp {
        let first = self.0.partition_point(|(noted, _)| *noted <= place);
        self.0.get(first).map_or_else(Timestamp::default, |(_, at)| *at)
    }

    /// All of them, in the order of the log.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, Timestamp)> {
        self.0.iter().copied()
    }

    /// The latest one in the log.
    pub(crate) fn latest(&self) -> Timestamp {
        self.0.last().map_or_else(Timestamp::default, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn place(offset: u32) -> Place {
        Place { segment: 1, offset }
    }

    proptest! {
        #[test]
        fn a_place_is_under_the_latest_time_that_was_noted_behind_it(
            noted in vec((0..50_u32, 0..50_u64), 0..30), asked in 0..60_u32,
        ) {
            let mut watermarks = Watermarks::default();
            for (offset, at) in &noted {
                watermarks.note(place(*offset), Timestamp::from_secs(*at));
            }
            let behind = noted.iter().filter(|(offset, _)| *offset > asked);
            let latest = behind.map(|(_, at)| *at).max().unwrap_or_default();
            prop_assert_eq!(watermarks.over(place(asked)), Timestamp::from_secs(latest));
            let steps: Vec<_> = watermarks.iter().collect();
            prop_assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
        }
    }

    #[test]
    fn while_the_clock_goes_forward_one_is_enough() {
        let mut watermarks = Watermarks::default();
        for second in 1..100 {
            watermarks.note(place(second), Timestamp::from_secs(second.into()));
        }
        assert_eq!(watermarks.iter().count(), 1);
        assert_eq!(watermarks.latest(), Timestamp::from_secs(99));
    }
}
