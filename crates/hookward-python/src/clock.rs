//! The clock of the budgets: the only place that asks what time it is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

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
        let micros = at.map(|at| u64::try_from(at.as_micros()).unwrap_or(RUNS - 1));
        self.frozen.store(micros.unwrap_or(RUNS), Ordering::Relaxed);
    }
}
