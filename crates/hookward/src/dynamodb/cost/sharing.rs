//! What an event costs beside its own item, by how close it comes to others: its share of the journal, and of what its
//! node says once a second.

use std::time::Duration;

use hookward_store::dynamodb::size;

use super::{estimate::number, price::WRITE_UNIT_BYTES};

/// While an item of the journal is written the next one fills. Amazon answers a write in some milliseconds;
/// docs/write-units.md was measured with as many, and a test compares the two.
const WRITE: Duration = Duration::from_millis(8);

/// How often a node that finishes events says so.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Steady traffic at one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sharing {
    /// Events a second.
    pub rate: f64,
    /// `journal_delay`.
    pub delay: Duration,
    /// How many events share an item of the journal, when it was measured.
    pub measured: Option<u64>,
    /// How often a node says at least that it is there.
    pub heartbeat: Duration,
}

impl Sharing {
    /// How many events share an item of the journal.
    pub(crate) fn events(&self) -> f64 {
        let within = self.rate * (self.delay + WRITE).as_secs_f64();
        let worked_out = || within.clamp(1.0, number(size::JOURNAL_EVENTS_FULL));
        self.measured.map_or_else(worked_out, number)
    }

    /// How that was found out.
    pub(crate) fn because(&self, shown: impl Fn(f64) -> String) -> String {
        if self.measured.is_some() {
            return "as given".to_owned();
        }
        format!(
            "{}/s on each node, evenly over the day, in {} ms and the {} ms of a write; at least 1",
            shown(self.rate),
            self.delay.as_millis(),
            WRITE.as_millis()
        )
    }

    /// Write units of an item of the journal.
    pub(crate) fn item_units(&self) -> f64 {
        let bytes = number(size::JOURNAL_BYTES) + self.events() * number(size::JOURNAL_EVENT_BYTES);
        (bytes / number(WRITE_UNIT_BYTES)).ceil()
    }

    /// An event's share of the journal, in write units.
    pub(crate) fn journal(&self) -> f64 {
        self.item_units() / self.events()
    }

    /// What a node writes a second to say that it is there, and how far it came: nothing was finished, or some were.
    pub(crate) fn node_writes(&self) -> f64 {
        self.rate.clamp(1.0 / self.heartbeat.as_secs_f64(), 1.0 / CHECKPOINT.as_secs_f64())
    }

    /// An event's share of that.
    pub(crate) fn node(&self) -> f64 {
        self.node_writes() / self.rate
    }

    /// The events a second at one node from which an event costs at most so many units beside its item, where many share.
    pub(crate) fn rate_for(delay: Duration, units: f64) -> f64 {
        (1.0 / (delay + WRITE).as_secs_f64() + 1.0 / CHECKPOINT.as_secs_f64()) / units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rate: f64, delay: u64) -> Sharing {
        let (delay, heartbeat) = (Duration::from_millis(delay), Duration::from_secs(10));
        Sharing { rate, delay, measured: None, heartbeat }
    }

    /// The rows of "What load it takes": `journal_delay`, events a second, events in an item, units of each event.
    fn measured() -> Vec<(u64, f64, f64, f64)> {
        let page = include_str!("../../../../../docs/write-units.md");
        let (_, table) = page.split_once("## What load it takes").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once("ms | "));
        rows.map(|(delay, rest)| {
            let rest: Vec<f64> = rest
                .split(" | ")
                .map(|cell| {
                    let cell = cell.split(" (").next().unwrap();
                    cell.trim_matches(|c| c == '*' || c == '|' || c == ' ').parse().unwrap()
                })
                .collect();
            (delay.parse().unwrap(), rest[0], rest[1], rest[2])
        })
        .collect()
    }

    /// The estimate says what was measured. Where it differs it says more: events that come at a beat meet each other more often.
    #[test]
    fn what_is_worked_out_is_what_was_measured() {
        let rows = measured();
        assert!(rows.len() >= 15, "{rows:?}");
        for row in rows {
            let (delay, rate, shared, units) = row;
            let it = at(rate, delay);
            let worked_out = 1.0 + it.journal() + it.node();
            assert!(worked_out < units * 1.1 && worked_out > units * 0.95, "{row:?}: {worked_out}");
            assert!((it.events() / shared - 1.0).abs() < 0.2, "{row:?}: {}", it.events());
        }
    }

    #[test]
    fn an_event_that_comes_alone_pays_for_an_item_and_for_its_nodes_word() {
        let alone = at(1.0, 25);
        assert!((alone.journal() - 1.0).abs() < 1e-9 && (alone.node() - 1.0).abs() < 1e-9);
        let flood = at(1e6, 25);
        assert!((flood.journal() - 1.0 / 40.0).abs() < 1e-9 && flood.node() < 1e-5);
        let quiet = at(0.001, 25);
        assert!((quiet.node_writes() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn the_rate_that_is_named_is_the_one_from_which_it_is_so() {
        for delay in [0, 10, 25, 100, 500] {
            let rate = Sharing::rate_for(Duration::from_millis(delay), 0.1);
            let beside = |rate| at(rate, delay).journal() + at(rate, delay).node();
            assert!((beside(rate) - 0.1).abs() < 1e-9, "{delay} ms: {rate}/s");
            assert!(beside(rate * 0.9) > 0.1 && beside(rate * 1.1) < 0.1, "{delay} ms: {rate}/s");
        }
    }
}
