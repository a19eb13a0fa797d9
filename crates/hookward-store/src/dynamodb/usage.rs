//! What the calls to DynamoDB cost, as it says itself.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hookward_core::SourceName;

use crate::{Usage, UsedUnits};

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// A new event.
    Accepted,
    /// An event that was there.
    Duplicate,
    /// The journal of new events.
    Journal,
    /// A retry was noted, or that it succeeded.
    Retried,
    /// A dead letter was noted.
    Dead,
    /// `completion = "each"`: the status was written on the event.
    Completed,
    /// A body was read for a delivery.
    Body,
    /// An operator's replay or decision.
    Operator,
    /// Somebody looked.
    Read,
    /// Heartbeats, and looking for other nodes.
    Node,
    /// Another node's work was taken over.
    Takeover,
    /// An outcome that was not known was found out.
    Resolved,
    /// A dictionary was looked for or loaded.
    Dictionary,
    /// A claim's lease was taken.
    Leased,
    /// It was noted by when a claim has to be looked after, or that it needs not be any more.
    Mark,
    /// Somebody looked for what waits.
    Poll,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Journal => "journal",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Completed => "completed",
            Self::Body => "body",
            Self::Operator => "operator",
            Self::Read => "read",
            Self::Node => "node",
            Self::Takeover => "takeover",
            Self::Resolved => "resolved",
            Self::Dictionary => "dictionary",
            Self::Leased => "leased",
            Self::Mark => "mark",
            Self::Poll => "poll",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Units {
    reads: f64,
    writes: f64,
}

/// Sums what was consumed, and why calls were throttled.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    units: BTreeMap<(Option<SourceName>, Purpose), Units>,
    throttled: BTreeMap<String, u64>,
}

impl Meter {
    pub(crate) fn wrote(&self, source: Option<&SourceName>, purpose: Purpose, units: f64) {
        self.sums().units.entry((source.cloned(), purpose)).or_default().writes += units;
    }

    pub(crate) fn read(&self, source: Option<&SourceName>, purpose: Purpose, units: f64) {
        self.sums().units.entry((source.cloned(), purpose)).or_default().reads += units;
    }

    pub(crate) fn throttled(&self, reason: &str) {
        *self.sums().throttled.entry(reason.to_owned()).or_default() += 1;
    }

    pub(crate) fn usage(&self) -> Usage {
        let sums = self.sums();
        let used =
            |((source, purpose), units): (&(Option<SourceName>, Purpose), &Units)| UsedUnits {
                source: source.clone(),
                outcome: purpose.as_str(),
                reads: units.reads,
                writes: units.writes,
            };
        Usage {
            units: sums.units.iter().map(used).collect(),
            throttled: sums
                .throttled
                .iter()
                .map(|(reason, count)| (reason.clone(), *count))
                .collect(),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
