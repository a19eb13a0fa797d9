//! When a failed delivery is tried again.

use std::time::Duration;

use crate::{Timestamp, limits};

/// The schedule of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many attempts an event gets, the first one included; at least 1.
    pub attempts_max: u32,
    /// The longest wait before the second attempt; doubles with each further one.
    pub first: Duration,
    /// No wait is longer than this.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: limits::ATTEMPTS_DEFAULT,
            first: limits::RETRY_FIRST,
            longest: limits::RETRY_LONGEST,
        }
    }
}

/// How an attempt ended, as far as the schedule cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The destination answered with this status, perhaps asking to be left alone for a while.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` that came with it.
        retry_after: Option<Duration>,
    },
    /// No answer: refused, reset, timed out, unreadable.
    NoAnswer,
}

/// What is to be done after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was delivered.
    Delivered,
    /// Try again at this time.
    At(Timestamp),
    /// Give it to a person.
    GiveUp(GiveUp),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The destination says that it is gone for good (410).
    Gone,
    /// The last attempt failed.
    Exhausted,
}

impl Retry {
    /// What follows the `attempt`-th attempt (the first is 1).
    ///
    /// Exponential backoff with full jitter: the wait is `jitter` (in `0.0..1.0`, uniformly random) times the bound that
    /// doubles from [`first`](Self::first) to [`longest`](Self::longest), so that a thousand events that failed together do not
    /// come back together. A `Retry-After` is a lower bound, itself bounded by a day.
    pub fn next(&self, attempt: u32, end: AttemptEnd, now: Timestamp, jitter: f64) -> Next {
        let retry_after = match end {
            AttemptEnd::Answered { status: 200..=299, .. } => return Next::Delivered,
            AttemptEnd::Answered { status: 410, .. } => return Next::GiveUp(GiveUp::Gone),
            AttemptEnd::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
            AttemptEnd::NoAnswer => Duration::ZERO,
        };
        if attempt >= self.attempts_max {
            return Next::GiveUp(GiveUp::Exhausted);
        }
        Next::At(now.saturating_add(self.wait(attempt, retry_after, jitter)))
    }

    /// How long to wait after the `attempt`-th attempt, whoever made it: see [`next`](Self::next).
    pub fn wait(&self, attempt: u32, retry_after: Duration, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(63);
        let bound = self
            .first
            .saturating_mul(u32::try_from(1_u64 << doublings).unwrap_or(u32::MAX))
            .min(self.longest);
        bound.mul_f64(jitter.clamp(0.0, 1.0)).max(retry_after.min(limits::RETRY_AFTER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn check(attempt: u32, status: Option<u16>, retry_after: Option<u64>, expected: Next) {
        let end = match status {
            Some(status) => {
                AttemptEnd::Answered { status, retry_after: retry_after.map(Duration::from_secs) }
            }
            None => AttemptEnd::NoAnswer,
        };
        assert_eq!(
            Retry::default().next(attempt, end, NOW, 1.0),
            expected,
            "attempt {attempt}, {end:?}"
        );
    }

    fn after(secs: u64) -> Next {
        Next::At(NOW.saturating_add(Duration::from_secs(secs)))
    }

    #[test]
    fn success_settles_and_everything_else_is_tried_again() {
        check(1, Some(200), None, Next::Delivered);
        check(1, Some(299), None, Next::Delivered);
        check(1, Some(302), None, after(5));
        check(1, Some(404), None, after(5));
        check(2, Some(500), None, after(10));
        check(3, None, None, after(20));
        check(15, None, None, after(4 * 3600));
    }

    #[test]
    fn a_destination_can_ask_for_time_but_not_for_ever() {
        check(1, Some(503), Some(120), after(120));
        check(1, Some(503), Some(1), after(5));
        check(1, Some(429), Some(u64::MAX), after(24 * 3600));
    }

    #[test]
    fn gone_and_exhausted_go_to_a_person() {
        check(1, Some(410), None, Next::GiveUp(GiveUp::Gone));
        check(16, Some(500), None, Next::GiveUp(GiveUp::Exhausted));
        check(u32::MAX, None, None, Next::GiveUp(GiveUp::Exhausted));
    }

    proptest! {
        #[test]
        fn waits_are_bounded_and_never_in_the_past(
            attempt in 1..200_u32, jitter in -1.0..2.0_f64, attempts_max in 1..200_u32,
        ) {
            let retry = Retry { attempts_max, ..Retry::default() };
            match retry.next(attempt, AttemptEnd::NoAnswer, NOW, jitter) {
                Next::At(at) => {
                    prop_assert!(attempt < attempts_max);
                    prop_assert!(NOW <= at && at.since(NOW) <= retry.longest);
                }
                Next::GiveUp(why) => {
                    prop_assert_eq!(why, GiveUp::Exhausted);
                    prop_assert!(attempt >= attempts_max);
                }
                Next::Delivered => prop_assert!(false, "no answer is no delivery"),
            }
        }
    }
}
