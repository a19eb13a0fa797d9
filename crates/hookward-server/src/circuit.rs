//! A destination's circuit breaker: when not even to try.

use std::time::Duration;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CircuitRules {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one attempt is let through.
    pub open_for: Duration,
}

/// The state of one destination's circuit. Times are monotonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// Attempts go through; this many have failed in a row.
    Closed { failures: u32 },
    /// Nothing goes through until then.
    Open { until: Duration },
    /// One attempt is on its way to find out; the next one may go at the given time, should this one never end.
    Probing { until: Duration },
}

/// What a circuit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// As many as there are.
    Through,
    /// A single one.
    One,
    /// None before this time.
    Not { until: Duration },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Circuit {
    /// What may go through now.
    pub(crate) fn gate(self, now: Duration) -> Gate {
        match self {
            Self::Closed { .. } => Gate::Through,
            Self::Open { until } | Self::Probing { until } if until > now => Gate::Not { until },
            Self::Open { .. } | Self::Probing { .. } => Gate::One,
        }
    }

    /// The one attempt is on its way.
    pub(crate) fn probing(self, rules: &CircuitRules, now: Duration) -> Self {
        match self {
            Self::Closed { .. } => self,
            Self::Open { .. } | Self::Probing { .. } => {
                Self::Probing { until: now + rules.open_for }
            }
        }
    }

    /// An attempt ended.
    pub(crate) fn after(self, success: bool, rules: &CircuitRules, now: Duration) -> Self {
        match (self, success) {
            (_, true) => Self::Closed { failures: 0 },
            (Self::Closed { failures }, false) if failures + 1 < rules.failures => {
                Self::Closed { failures: failures + 1 }
            }
            // What was still on its way when the circuit opened does not keep it open for longer.
            (Self::Open { until }, false) => Self::Open { until },
            (Self::Closed { .. } | Self::Probing { .. }, false) => {
                Self::Open { until: now + rules.open_for }
            }
        }
    }

    /// Whether the destination is given time to recover.
    pub(crate) fn is_open(self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CircuitRules = CircuitRules { failures: 3, open_for: Duration::from_secs(30) };

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn opens_after_failures_in_a_row() {
        let mut circuit = Circuit::default();
        for success in [false, false, true, false, false] {
            circuit = circuit.after(success, &RULES, at(1));
            assert_eq!(circuit.gate(at(1)), Gate::Through);
        }
        assert_eq!(circuit.after(false, &RULES, at(2)).gate(at(2)), Gate::Not { until: at(32) });
    }

    #[test]
    fn lets_one_through_to_find_out() {
        let open = Circuit::Open { until: at(32) };
        assert_eq!(open.gate(at(32)), Gate::One);
        let probing = open.probing(&RULES, at(32));
        assert_eq!(probing.gate(at(33)), Gate::Not { until: at(62) });
        assert_eq!(probing.after(false, &RULES, at(34)).gate(at(35)), Gate::Not { until: at(64) });
        assert_eq!(probing.after(true, &RULES, at(34)).gate(at(34)), Gate::Through);
    }

    #[test]
    fn stragglers_do_not_keep_it_open() {
        assert_eq!(
            Circuit::Open { until: at(32) }.after(false, &RULES, at(31)),
            Circuit::Open { until: at(32) }
        );
    }
}
