//! The only place that asks what time it is: for the budgets, and where a caller does not say it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hookward_core::Timestamp;

/// The time that a caller says, or that of the machine.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn said_or_now(micros: Option<u64>) -> Timestamp {
    micros.map_or_else(
        || {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_micros(self::micros(since_epoch))
        },
        Timestamp::from_micros,
    )
}

/// Monotonic time since it was made; stands still where tests want it.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    frozen: AtomicU64,
}

/// It runs.
const RUNS: u64 = u64::MAX;

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), frozen: AtomicU64::new(RUNS) }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        match self.frozen.load(Ordering::Relaxed) {
            RUNS => self.start.elapsed(),
            micros => Duration::from_micros(micros),
        }
    }

    /// `None` lets it run again.
    pub(crate) fn freeze(&self, at: Option<Duration>) {
        let micros = at.map(|at| micros(at).min(RUNS - 1));
        self.frozen.store(micros.unwrap_or(RUNS), Ordering::Relaxed);
    }
}

/// Whole microseconds, the most there are for what is longer.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
