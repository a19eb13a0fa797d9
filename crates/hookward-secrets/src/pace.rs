//! When secrets are looked up again.

use std::time::Duration;

use hookward_core::limits;

/// How long to wait before all secrets are looked up again: never longer than asked for, sooner after trouble, and not
/// at the same time as the gateways that were started with this one. `dice` is from 0 to 1.
pub fn pause(refresh: Duration, troubled: bool, dice: f64) -> Duration {
    let longest = if troubled { refresh.min(limits::SECRETS_RETRY) } else { refresh };
    longest.mul_f64(1.0 - dice.clamp(0.0, 1.0) / 5.0)
}
