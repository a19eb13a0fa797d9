//! What a month of webhooks costs in DynamoDB, worked out line by line.
//!
//! A pure function from [`Traffic`] and [`Prices`] to lines that each say how they were worked out, so that a person
//! can check them and a program can read them.

use std::time::Duration;

use hookward_core::limits;
use hookward_store::dynamodb::size;
use serde::Serialize;

use super::price::{
    DAYS_PER_MONTH, GB, Prices, READ_UNIT_BYTES, STORAGE_OVERHEAD_BYTES, WRITE_UNIT_BYTES,
};

/// What comes in, and how the store is set up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Traffic {
    pub events_per_day: u64,
    /// A body as it is sent.
    pub body_bytes: u64,
    /// A body as it is stored, when it was measured.
    pub compressed_bytes: Option<u64>,
    /// Of all events, in percent: how many are sent again after they were accepted.
    pub duplicates_percent: f64,
    /// Of those, in percent: how many meet a node that remembers them in memory.
    pub cached_percent: f64,
    /// Attempts that fail, in percent of all events.
    pub failures_percent: f64,
    /// Events that become dead letters, in percent.
    pub dead_percent: f64,
    pub nodes: u64,
    /// How many events share an item of the journal, when it was measured.
    pub journal_batch: Option<u64>,
    /// Otherwise: how long an item waits for more events.
    pub journal_delay: Duration,
    /// How long an event stays in the table.
    pub keep_days: u64,
    /// `completion = "each"`.
    pub each: bool,
}

/// How often a node that finishes events says so, unless the journal carries it along.
const CHECKPOINT_SECS: u64 = 1;

/// A node says that it is there, and looks at the others, every so many seconds.
const HEARTBEAT_SECS: u64 = limits::NODE_LEASE_DEFAULT.as_secs() / size::BEATS_A_LEASE;

const SECONDS_PER_DAY: u64 = 86_400;

/// Bodies as they are sent and stored, in bytes: what zstd level 3 makes of single JSON bodies, each without the others.
/// The first is too small to gain; the second is a Stripe event in the shape of its documentation; the others are
/// medians of GitHub's 329 example payloads in ranges of size.
const COMPRESSED: &[(u64, u64)] = &[
    (0, 0),
    (300, 300),
    (637, 405),
    (1_521, 636),
    (2_876, 672),
    (7_110, 1_411),
    (10_698, 1_936),
    (23_688, 2_307),
];

/// What is assumed of a body's size once it is compressed: a straight line between what was measured, the last ratio
/// beyond it.
pub(crate) fn assumed_compressed(body_bytes: u64) -> u64 {
    let mut pairs = COMPRESSED.iter().zip(COMPRESSED.iter().skip(1));
    let within = pairs.find(|(_, upper)| body_bytes <= upper.0);
    match (within, COMPRESSED.last()) {
        (Some((lower, upper)), _) => {
            lower.1 + (body_bytes - lower.0) * (upper.1 - lower.1) / (upper.0 - lower.0)
        }
        (None, Some(last)) => body_bytes.saturating_mul(last.1) / last.0,
        (None, None) => body_bytes,
    }
}

/// One line of the estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    /// What costs.
    pub what: &'static str,
    /// How it was worked out.
    pub arithmetic: String,
    /// Write units a day.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_units_day: f64,
    /// Read units a day.
    #[serde(skip_serializing_if = "is_zero")]
    pub read_units_day: f64,
    /// US dollars a month.
    pub usd_month: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &f64) -> bool {
    number.abs() < f64::EPSILON
}

/// The estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// A body as it is stored.
    pub compressed_bytes: u64,
    /// An event's item.
    pub item_bytes: u64,
    /// Write units of such an item.
    pub item_write_units: u64,
    /// Events that share an item of the journal.
    pub journal_batch: f64,
    /// Line by line.
    pub lines: Vec<Line>,
    /// All write units a day.
    pub write_units_day: f64,
    /// All read units a day.
    pub read_units_day: f64,
    /// Write units for each accepted event, everything included.
    pub write_units_event: f64,
    /// What it would be in other designs with the same compressed item, in write units for each accepted event.
    pub other_designs: Vec<Other>,
    /// US dollars a month.
    pub usd_month: f64,
}

/// Another way of doing the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Other {
    pub design: &'static str,
    pub write_units_event: u64,
    pub usd_month: f64,
}

impl Estimate {
    /// Works it out.
    pub(crate) fn of(traffic: &Traffic, prices: &Prices) -> Self {
        let compressed_bytes =
            traffic.compressed_bytes.unwrap_or_else(|| assumed_compressed(traffic.body_bytes));
        let whole = compressed_bytes + size::EVENT_BYTES;
        // A body that does not fit into an item is in a bucket, and its item has the key of the object.
        let is_large = whole > size::ITEM_BYTES_MAX as u64;
        let item_bytes = if is_large { size::OBJECT_BYTES + size::EVENT_BYTES } else { whole };
        let item = item_bytes.div_ceil(WRITE_UNIT_BYTES);
        let (journal_batch, batch_said) = journal_batch(traffic);
        let sheet = Sheet { traffic, prices, item, item_bytes };
        let journal = sheet.journal(journal_batch, &batch_said);
        let share = journal.write_units_day / sheet.events();
        let mut lines = vec![sheet.accepted(), journal];
        lines.extend(sheet.status());
        lines.extend([sheet.duplicates(share), sheet.failures(), sheet.dead_letters()]);
        lines.extend([sheet.nodes(), sheet.watch(), sheet.refused(), sheet.expired()]);
        lines.extend(sheet.storage());
        if is_large {
            lines.extend(sheet.bucket(compressed_bytes));
        }

        let sum = |of: fn(&Line) -> f64| lines.iter().map(of).sum::<f64>();
        let write_units_day = sum(|line| line.write_units_day);
        let events = number(traffic.events_per_day);
        let other = |design, write_units_event| Other {
            design,
            write_units_event,
            usd_month: sheet.write_usd(events * number(write_units_event)),
        };
        Self {
            compressed_bytes,
            item_bytes,
            item_write_units: item,
            journal_batch,
            write_units_day,
            read_units_day: sum(|line| line.read_units_day),
            write_units_event: write_units_day / events,
            other_designs: vec![
                other("put, then update of the same item when it is done", 2 * item),
                other("put and update with a sparse index as the queue", 2 * item + 2),
            ],
            usd_month: sum(|line| line.usd_month),
            lines,
        }
    }
}

/// How many events share an item of the journal, and why.
fn journal_batch(traffic: &Traffic) -> (f64, String) {
    if let Some(given) = traffic.journal_batch {
        return (number(given), format!("{given} events share an item, as given"));
    }
    let rate = number(traffic.events_per_day) / number(SECONDS_PER_DAY) / number(traffic.nodes);
    let within = rate * traffic.journal_delay.as_secs_f64();
    let batch = within.clamp(1.0, number(size::JOURNAL_EVENTS_FULL));
    let said = format!(
        "{} events share an item: {}/s on each node, evenly over the day, in {} ms; at least 1",
        shown(batch),
        shown(rate),
        traffic.journal_delay.as_millis()
    );
    (batch, said)
}

/// What every line is worked out from.
struct Sheet<'t> {
    traffic: &'t Traffic,
    prices: &'t Prices,
    /// Write units of an event's item.
    item: u64,
    item_bytes: u64,
}

impl Sheet<'_> {
    fn events(&self) -> f64 {
        number(self.traffic.events_per_day)
    }

    fn write_usd(&self, units_day: f64) -> f64 {
        units_day * DAYS_PER_MONTH * self.prices.write_units_million / 1e6
    }

    fn read_usd(&self, units_day: f64) -> f64 {
        units_day * DAYS_PER_MONTH * self.prices.read_units_million / 1e6
    }

    fn writes(&self, what: &'static str, units_day: f64, arithmetic: String) -> Line {
        let usd_month = self.write_usd(units_day);
        Line { what, arithmetic, write_units_day: units_day, read_units_day: 0.0, usd_month }
    }

    fn accepted(&self) -> Line {
        let body = self.item_bytes - size::EVENT_BYTES;
        let what =
            if body == size::OBJECT_BYTES { "B key of a body in the bucket" } else { "B body" };
        let arithmetic = format!(
            "{} events × {} units: ⌈({body} {what} + {} B) / {WRITE_UNIT_BYTES}⌉",
            shown(self.events()),
            self.item,
            size::EVENT_BYTES
        );
        self.writes("accepted and delivered", self.events() * number(self.item), arithmetic)
    }

    fn journal(&self, batch: f64, said: &str) -> Line {
        let bytes = number(size::JOURNAL_BYTES) + batch * number(size::JOURNAL_EVENT_BYTES);
        let units = (bytes / number(WRITE_UNIT_BYTES)).ceil();
        let arithmetic =
            format!("{} events / {} × {units} units ({said})", shown(self.events()), shown(batch));
        self.writes("journal", self.events() / batch * units, arithmetic)
    }

    /// `completion = "each"` writes the event's item again, for each attempt.
    fn status(&self) -> Option<Line> {
        let Traffic { each: true, failures_percent, .. } = self.traffic else { return None };
        let arithmetic = format!(
            "{} events × (100 + {failures_percent}) % × {} units: an update costs the whole item",
            shown(self.events()),
            self.item
        );
        let units = self.events() * (100.0 + failures_percent) / 100.0 * number(self.item);
        Some(self.writes("status on each event", units, arithmetic))
    }

    /// `share`: what an event's place in the journal costs.
    fn duplicates(&self, share: f64) -> Line {
        let Traffic { duplicates_percent, cached_percent, .. } = self.traffic;
        let reach = self.events() * duplicates_percent / 100.0 * (100.0 - cached_percent) / 100.0;
        let arithmetic = format!(
            "{} events × {duplicates_percent} % × {} % that no node remembers × ({} + {}) units: a refused put costs what is there, and it was journaled by then; and {} reads",
            shown(self.events()),
            100.0 - cached_percent,
            self.item,
            shown(share),
            size::DUPLICATE_READ_UNITS
        );
        let read_units_day = reach * number(size::DUPLICATE_READ_UNITS);
        let line = self.writes("duplicates", reach * (number(self.item) + share), arithmetic);
        let usd_month = line.usd_month + self.read_usd(read_units_day);
        Line { read_units_day, usd_month, ..line }
    }

    fn failures(&self) -> Line {
        let percent = self.traffic.failures_percent;
        let arithmetic = format!(
            "{} events × {percent} % × {} units: its ticket, and again when it succeeds",
            shown(self.events()),
            size::RETRIED_UNITS
        );
        let units = self.events() * percent / 100.0 * number(size::RETRIED_UNITS);
        self.writes("failed attempts", units, arithmetic)
    }

    fn dead_letters(&self) -> Line {
        let percent = self.traffic.dead_percent;
        let arithmetic = format!(
            "{} events × {percent} % × {} units: its mark and its ticket",
            shown(self.events()),
            size::DEAD_UNITS
        );
        let units = self.events() * percent / 100.0 * number(size::DEAD_UNITS);
        self.writes("dead letters", units, arithmetic)
    }

    fn nodes(&self) -> Line {
        let nodes = self.traffic.nodes;
        // A node writes at most one checkpoint a second, and only after an event was finished.
        let heartbeats = SECONDS_PER_DAY / HEARTBEAT_SECS;
        let most = SECONDS_PER_DAY / CHECKPOINT_SECS;
        let checkpoints = (self.traffic.events_per_day / nodes.max(1)).clamp(heartbeats, most);
        let arithmetic = format!(
            "{nodes} nodes × {checkpoints} writes: at most one a second while events are finished, one each {HEARTBEAT_SECS} s otherwise"
        );
        self.writes("heartbeat and checkpoint", number(nodes * checkpoints), arithmetic)
    }

    fn refused(&self) -> Line {
        let why = "forged, stale, too large, over a limit; malformed with `malformed = \"reject\"`: refused before anything is written";
        self.writes("refused", 0.0, why.to_owned())
    }

    fn expired(&self) -> Line {
        self.writes("expired", 0.0, "deleted by time to live, which costs nothing".to_owned())
    }

    /// Each node looks at the others as often as it says that it is there.
    fn watch(&self) -> Line {
        let Traffic { nodes, .. } = *self.traffic;
        let looks = SECONDS_PER_DAY / HEARTBEAT_SECS;
        // What a node's item has at most in the middle of its work.
        let units = (nodes * WRITE_UNIT_BYTES).div_ceil(READ_UNIT_BYTES);
        let units_day = number(nodes * looks * units);
        Line {
            what: "watching each other",
            arithmetic: format!(
                "{nodes} nodes × {looks} queries × {units} units: of {READ_UNIT_BYTES} B, strongly consistent"
            ),
            write_units_day: 0.0,
            read_units_day: units_day,
            usd_month: self.read_usd(units_day),
        }
    }

    /// Bodies that do not fit into an item. They are delivered from memory, or read once more for next to nothing.
    fn bucket(&self, bytes: u64) -> [Line; 2] {
        let Prices { bucket_puts_thousand, bucket_gb_month, .. } = self.prices;
        let line = |what, usd_month, arithmetic| Line {
            what,
            arithmetic,
            write_units_day: 0.0,
            read_units_day: 0.0,
            usd_month,
        };
        let puts = format!(
            "{} events: more than {} B do not fit into an item; × ${bucket_puts_thousand} / 1,000 PUTs",
            shown(self.events()),
            size::ITEM_BYTES_MAX
        );
        let days = self.traffic.keep_days + limits::LARGE_BODIES_EXTRA.as_secs() / SECONDS_PER_DAY;
        let gb = self.events() * number(days) * number(bytes) / GB;
        let kept = format!(
            "{} events × {days} days × {bytes} B = {} GB × ${bucket_gb_month}",
            shown(self.events()),
            shown(gb)
        );
        let puts_usd = self.events() * DAYS_PER_MONTH * bucket_puts_thousand / 1e3;
        [
            line("large bodies, written to the bucket", puts_usd, puts),
            line("large bodies, kept in the bucket", gb * bucket_gb_month, kept),
        ]
    }

    fn storage(&self) -> [Line; 2] {
        let keep = self.traffic.keep_days;
        let each = self.item_bytes + STORAGE_OVERHEAD_BYTES;
        let gb = self.events() * number(keep) * number(each) / GB;
        let line = |what, price: f64, arithmetic| Line {
            what,
            arithmetic,
            write_units_day: 0.0,
            read_units_day: 0.0,
            usd_month: gb * price,
        };
        let stored = format!(
            "{} events × {keep} days × ({} + {STORAGE_OVERHEAD_BYTES}) B = {} GB × ${}",
            shown(self.events()),
            self.item_bytes,
            shown(gb),
            self.prices.storage_gb_month
        );
        let backed_up =
            format!("{} GB × ${}, whatever the window", shown(gb), self.prices.backup_gb_month);
        [
            line("storage", self.prices.storage_gb_month, stored),
            line("point-in-time recovery", self.prices.backup_gb_month, backed_up),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate is not exact to sixteen digits")]
pub(crate) fn number(whole: u64) -> f64 {
    whole as f64
}

/// A number as people read it: thousands apart, as many decimals as say something.
pub(crate) fn shown(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 100.0 || (n - n.round()).abs() < 1e-9 => 0,
        n if n >= 10.0 => 1,
        n if n >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.chars().count();
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) && digit != '-' {
            apart.push(',');
        }
        apart.push(digit);
    }
    if fraction.is_empty() { apart } else { format!("{apart}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        Traffic {
            events_per_day: 1_000_000,
            body_bytes: 800,
            compressed_bytes: Some(800),
            duplicates_percent: 0.0,
            cached_percent: 0.0,
            failures_percent: 0.0,
            dead_percent: 0.0,
            nodes: 1,
            journal_batch: Some(20),
            journal_delay: limits::JOURNAL_DELAY_DEFAULT,
            keep_days: 30,
            each: false,
        }
    }

    fn line(traffic: &Traffic, what: &str) -> Line {
        let estimate = Estimate::of(traffic, &Prices::US_EAST_1);
        estimate.lines.into_iter().find(|line| line.what == what).unwrap()
    }

    #[track_caller]
    fn close(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-9 * right.abs().max(1.0), "{left} is not {right}");
    }

    #[test]
    fn an_event_costs_its_started_kilobytes_once() {
        let check = |compressed, units| {
            let traffic = Traffic { compressed_bytes: Some(compressed), ..traffic() };
            close(line(&traffic, "accepted and delivered").write_units_day, units * 1e6);
        };
        check(0, 1.0);
        check(1024 - size::EVENT_BYTES, 1.0);
        check(1025 - size::EVENT_BYTES, 2.0);
        check(4096, 5.0);
    }

    #[test]
    fn the_journal_costs_an_event_its_share_of_an_item() {
        close(line(&traffic(), "journal").write_units_day, 1e6 / 20.0);
        let long = Traffic { journal_batch: Some(50), ..traffic() };
        close(line(&long, "journal").write_units_day, 1e6 / 50.0 * 2.0);
        let alone = Traffic { journal_batch: Some(1), ..traffic() };
        close(line(&alone, "journal").write_units_day, 1e6);
        // Where it was not measured, few events are alone, and many share as many as an item takes.
        let quiet = Traffic { journal_batch: None, ..traffic() };
        close(Estimate::of(&quiet, &Prices::US_EAST_1).journal_batch, 1.0);
        let busy = Traffic { events_per_day: 86_400 * 800, ..quiet };
        close(Estimate::of(&busy, &Prices::US_EAST_1).journal_batch, 20.0);
        let patient = Traffic {
            events_per_day: 86_400 * 6,
            journal_delay: Duration::from_millis(500),
            ..quiet
        };
        close(Estimate::of(&patient, &Prices::US_EAST_1).journal_batch, 3.0);
        let flood = Traffic { events_per_day: 86_400 * 1_000_000, ..quiet };
        let most = Estimate::of(&flood, &Prices::US_EAST_1).journal_batch;
        close(most, number(size::JOURNAL_EVENTS_FULL));
    }

    #[test]
    fn what_goes_wrong_costs_what_it_writes() {
        let rough = Traffic {
            compressed_bytes: Some(1_500),
            duplicates_percent: 10.0,
            cached_percent: 25.0,
            failures_percent: 2.0,
            dead_percent: 1.0,
            ..traffic()
        };
        close(line(&rough, "duplicates").write_units_day, 1e6 * 0.1 * 0.75 * (2.0 + 1.0 / 20.0));
        close(line(&rough, "duplicates").read_units_day, 1e6 * 0.1 * 0.75 * 2.0);
        close(line(&rough, "failed attempts").write_units_day, 1e6 * 0.02 * 2.0);
        close(line(&rough, "dead letters").write_units_day, 1e6 * 0.01 * 2.0);
        let each = Traffic { each: true, ..rough };
        close(line(&each, "status on each event").write_units_day, 1e6 * 1.02 * 2.0);
        close(line(&rough, "refused").usd_month, 0.0);
        close(line(&rough, "expired").usd_month, 0.0);
    }

    #[test]
    fn nodes_write_between_a_heartbeat_and_a_checkpoint_a_second() {
        let check = |events_per_day, nodes, writes| {
            let traffic = Traffic { events_per_day, nodes, ..traffic() };
            close(line(&traffic, "heartbeat and checkpoint").write_units_day, writes);
            let looks = number(nodes) * 8_640.0;
            close(line(&traffic, "watching each other").read_units_day, looks);
        };
        check(1, 3, 3.0 * 8_640.0);
        check(20_000, 1, 20_000.0);
        check(10_000_000, 2, 2.0 * 86_400.0);
    }

    #[test]
    fn totals_are_the_sums_of_the_lines() {
        let estimate = Estimate::of(&traffic(), &Prices::US_EAST_1);
        let usd: f64 = estimate.lines.iter().map(|line| line.usd_month).sum();
        close(estimate.usd_month, usd);
        close(estimate.write_units_event * 1e6, estimate.write_units_day);
        // A million units a day for a month of 730 hours.
        let accepted = line(&traffic(), "accepted and delivered");
        close(accepted.usd_month, 0.625 * 730.0 / 24.0);
        // A gibibyte kept: its price, and that of its copy.
        let each = (1 << 18) - size::EVENT_BYTES - STORAGE_OVERHEAD_BYTES;
        let gib = Traffic { compressed_bytes: Some(each), events_per_day: 1 << 12, ..traffic() };
        let gib = Traffic { keep_days: 1, ..gib };
        close(line(&gib, "storage").usd_month, 0.25);
        close(line(&gib, "point-in-time recovery").usd_month, 0.20);
    }

    #[test]
    fn a_body_that_does_not_fit_into_an_item_costs_a_unit_and_its_object() {
        let fits = size::ITEM_BYTES_MAX as u64 - size::EVENT_BYTES;
        let lines = |compressed_bytes| {
            let traffic = Traffic { compressed_bytes: Some(compressed_bytes), ..traffic() };
            Estimate::of(&traffic, &Prices::US_EAST_1).lines
        };
        assert!(lines(fits).iter().all(|line| !line.what.starts_with("large bodies")));
        let large = Traffic { compressed_bytes: Some(1 << 20), ..traffic() };
        close(line(&large, "accepted and delivered").write_units_day, 1e6);
        let puts = line(&large, "large bodies, written to the bucket");
        close(puts.usd_month, 1e6 * 730.0 / 24.0 * 0.005 / 1e3);
        // A million MiB a day, for a month and the days that a bucket keeps them longer.
        let kept = line(&large, "large bodies, kept in the bucket");
        close(kept.usd_month, 1e6 / 1024.0 * 38.0 * 0.023);
    }

    #[test]
    fn compression_is_assumed_between_what_was_measured() {
        for (body, compressed) in COMPRESSED {
            assert_eq!(assumed_compressed(*body), *compressed);
        }
        assert_eq!(assumed_compressed(150), 150);
        assert_eq!(assumed_compressed(236_880), 23_070);
        let sizes: Vec<_> = (0..300_000).step_by(97).map(assumed_compressed).collect();
        assert!(sizes.is_sorted(), "a larger body is never smaller");
        assert!((0..300_000).step_by(97).all(|body| assumed_compressed(body) <= body));
    }

    #[test]
    fn numbers_are_shown_for_people() {
        let check = |number: f64, text: &str| assert_eq!(shown(number), text);
        check(0.0, "0");
        check(1_000_000.0, "1,000,000");
        check(1234.5, "1,234");
        check(999.0, "999");
        check(11.574, "11.6");
        check(1.5, "1.50");
        check(0.0579, "0.0579");
        check(-1234.0, "-1,234");
    }
}
