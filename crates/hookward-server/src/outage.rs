//! What is said of something that fails again and again: why, at once; then seldom; and that it is over.

use std::time::Duration;

/// How often a failure that goes on is told.
const AGAIN: Duration = Duration::from_mins(1);

/// How soon it is told that something fails for another reason: reasons that take turns are not worth a line each.
const CHANGED: Duration = Duration::from_secs(10);

/// A run of failures, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage(Option<Failing>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failing {
    since: Duration,
    told: Duration,
    why: String,
}

impl Outage {
    /// After a failure: whether it is to be told.
    pub(crate) fn failed(self, why: &str, elapsed: Duration) -> (Self, bool) {
        let (since, is_told) = match &self.0 {
            None => (elapsed, true),
            Some(failing) => {
                let silent = elapsed.saturating_sub(failing.told);
                let is_other = failing.why != why;
                (failing.since, silent >= AGAIN || (is_other && silent >= CHANGED))
            }
        };
        if is_told {
            (Self(Some(Failing { since, told: elapsed, why: why.to_owned() })), true)
        } else {
            (self, false)
        }
    }

    /// After a success: how long it failed, where it did.
    pub(crate) fn succeeded(self, elapsed: Duration) -> (Self, Option<Duration>) {
        let lasted = self.0.map(|failing| elapsed.saturating_sub(failing.since));
        (Self(None), lasted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at each of these seconds; the seconds at which it is told.
    fn told(failures: impl IntoIterator<Item = (u64, &'static str)>) -> (Outage, Vec<u64>) {
        let mut outage = Outage::default();
        let mut told = Vec::new();
        for (at, why) in failures {
            let (next, is_told) = outage.failed(why, Duration::from_secs(at));
            outage = next;
            told.extend(is_told.then_some(at));
        }
        (outage, told)
    }

    #[test]
    fn a_failure_is_told_at_once_and_then_each_minute() {
        let (outage, told) = told((100..=230).map(|at| (at, "throttled")));
        assert_eq!(told, [100, 160, 220]);
        let (outage, lasted) = outage.succeeded(Duration::from_secs(231));
        assert_eq!(lasted, Some(Duration::from_secs(131)));
        assert_eq!(outage.succeeded(Duration::from_secs(232)), (Outage::default(), None));
    }

    #[test]
    fn another_reason_is_told_soon_and_reasons_that_take_turns_are_not_told_each_time() {
        let why = |at| if at < 30 { "throttled" } else { "not reached" };
        assert_eq!(told((0..80).map(|at| (at, why(at)))).1, [0, 30]);
        assert_eq!(told([(0, "a"), (3, "b"), (9, "b"), (10, "b"), (11, "b")]).1, [0, 10]);
        let turns = |at: u64| if at.is_multiple_of(2) { "a" } else { "b" };
        assert_eq!(told((0..30).map(|at| (at, turns(at)))).1, [0, 11, 22]);
    }

    #[test]
    fn what_fails_again_after_it_was_over_is_told_again() {
        let (outage, _) = told([(0, "a")]);
        let (outage, _) = outage.succeeded(Duration::from_secs(1));
        assert!(outage.failed("a", Duration::from_secs(2)).1);
    }
}
