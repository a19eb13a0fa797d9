//! When an event whose handler failed is tried again.

use std::time::Duration;

use hookward_core::{limits, retry::Retry};
use pyo3::prelude::*;

use crate::clock::micros;

/// Microseconds to wait after the `attempt`-th attempt, the first being 1: by the rule of the gateway's destinations.
#[pyfunction]
#[pyo3(signature = (attempt, after, jitter))]
pub(crate) fn retry_wait(attempt: u32, after: Option<f64>, jitter: f64) -> u64 {
    let most = limits::RETRY_AFTER_MAX.as_secs_f64();
    let after = after.unwrap_or_default().clamp(0.0, most);
    let after = Duration::try_from_secs_f64(after).unwrap_or_default();
    let wait = Retry::default().wait(attempt, after, jitter);
    micros(wait)
}
