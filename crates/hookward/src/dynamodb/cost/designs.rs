//! The same events in other designs: what each of them writes for the same outcomes.

use serde::Serialize;

use super::estimate::{Traffic, number};

/// One way of keeping events, in write units for each accepted event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Design {
    pub name: &'static str,
    /// When all goes well: delivered at the first attempt.
    pub delivered_write_units_event: f64,
    /// With the same duplicates, failed attempts and dead letters.
    pub write_units_event: f64,
    /// US dollars a month, for those writes.
    pub writes_usd_month: f64,
}

/// What the others write. `item`: write units of an event's item, compressed as here. `usd`: what units a day cost a month.
pub(crate) fn others(traffic: &Traffic, item: u64, usd: impl Fn(f64) -> f64) -> [Design; 2] {
    let of_events = |percent: f64| percent / 100.0;
    let (item, events) = (number(item), number(traffic.events_per_day));
    let design = |name, delivered: f64, failed: f64| {
        // A dead letter is the update that says so in place of the one that says delivered. A duplicate is a condition that
        // is not true: it costs what is there, and none of them remembers any.
        let each = delivered
            + of_events(traffic.failures_percent) * failed
            + of_events(traffic.duplicates_percent) * item;
        Design {
            name,
            delivered_write_units_event: delivered,
            write_units_event: each,
            writes_usd_month: usd(each * events),
        }
    };
    [
        design("put, then update of the same item when it is done", 2.0 * item, item),
        // An entry of the index costs a unit to make, one to take away, and two to move.
        design("put and update, with a sparse index as the queue", 2.0 * item + 2.0, item + 2.0),
    ]
}
