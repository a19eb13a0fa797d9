//! What a month of webhooks costs in DynamoDB, worked out line by line.
//!
//! A pure function from [`Traffic`] and [`Prices`] to lines that each say how they were worked out, so that a person
//! can check them and a program can read them.

use std::time::Duration;

use hookward_core::limits;
use hookward_store::dynamodb::size;
use serde::Serialize;

use super::{
    designs::{Design, others},
    price::{
        DAYS_PER_MONTH, GB, Prices, READ_UNIT_BYTES, STORAGE_OVERHEAD_BYTES, WRITE_UNIT_BYTES,
    },
    settings::Kept,
    sharing::Sharing,
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
    /// How long a node counts as there that is not heard of.
    pub node_lease: Duration,
    /// How long an event stays in the table.
    pub kept: Kept,
    /// How long its body is wanted.
    pub bodies_kept: Duration,
    /// `completion = "each"`.
    pub each: bool,
}

impl Traffic {
    /// What comes to one node, evenly over the day.
    pub(crate) fn sharing(&self) -> Sharing {
        Sharing {
            rate: number(self.events_per_day) / SECONDS_PER_DAY / number(self.nodes.max(1)),
            delay: self.journal_delay,
            measured: self.journal_batch,
            heartbeat: self.heartbeat(),
        }
    }

    /// A node says that it is there, and looks at the others, so often.
    fn heartbeat(&self) -> Duration {
        self.node_lease.div_f64(number(size::BEATS_A_LEASE))
    }

    /// Write units of an event that is delivered at its first attempt, all of its share with it.
    pub(crate) fn delivered(&self, item: u64) -> f64 {
        let status = if self.each { item } else { 0 };
        let sharing = self.sharing();
        number(item + status) + sharing.journal() + sharing.node()
    }
}

const SECONDS_PER_DAY: f64 = 86_400.0;

/// What is kept for ever is counted after so many days, and grows by as much in each such time.
const FOR_EVER_DAYS: f64 = 365.0;

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
    /// Whether its body is in a bucket.
    pub is_large: bool,
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
    /// This design, and others with the same events and the same compressed item.
    pub designs: Vec<Design>,
    /// US dollars a month.
    pub usd_month: f64,
}

impl Estimate {
    /// What so many write units a day cost a month.
    pub(crate) fn writes_usd(units_day: f64, prices: &Prices) -> f64 {
        units_day * DAYS_PER_MONTH * prices.write_units_million / 1e6
    }

    /// Works it out.
    pub(crate) fn of(traffic: &Traffic, prices: &Prices) -> Self {
        let compressed_bytes =
            traffic.compressed_bytes.unwrap_or_else(|| assumed_compressed(traffic.body_bytes));
        let whole = compressed_bytes + size::EVENT_BYTES;
        // A body that does not fit into an item is in a bucket, and its item has the key of the object.
        let is_large = whole > size::ITEM_BYTES_MAX as u64;
        let item_bytes = if is_large { size::OBJECT_BYTES + size::EVENT_BYTES } else { whole };
        let item = item_bytes.div_ceil(WRITE_UNIT_BYTES);
        let sharing = traffic.sharing();
        let sheet = Sheet { traffic, prices, item, item_bytes, sharing };
        let mut lines = vec![sheet.accepted(), sheet.journal()];
        lines.extend(sheet.status());
        lines.extend([sheet.nodes(), sheet.duplicates(), sheet.failures(), sheet.dead_letters()]);
        lines.extend([sheet.watch(), sheet.refused(), sheet.expired()]);
        lines.extend(sheet.storage());
        if is_large {
            lines.extend(sheet.bucket(compressed_bytes));
        }

        let sum = |of: fn(&Line) -> f64| lines.iter().map(of).sum::<f64>();
        let write_units_day = sum(|line| line.write_units_day);
        let own = Design {
            name: "Hookward",
            delivered_write_units_event: traffic.delivered(item),
            write_units_event: write_units_day / sheet.events(),
            writes_usd_month: sheet.write_usd(write_units_day),
        };
        let others = others(traffic, item, |units| sheet.write_usd(units));
        Self {
            compressed_bytes,
            item_bytes,
            is_large,
            item_write_units: item,
            journal_batch: sharing.events(),
            write_units_day,
            read_units_day: sum(|line| line.read_units_day),
            designs: std::iter::once(own).chain(others).collect(),
            usd_month: sum(|line| line.usd_month),
            lines,
        }
    }
}

/// What every line is worked out from.
struct Sheet<'t> {
    traffic: &'t Traffic,
    prices: &'t Prices,
    /// Write units of an event's item.
    item: u64,
    item_bytes: u64,
    sharing: Sharing,
}

impl Sheet<'_> {
    fn events(&self) -> f64 {
        number(self.traffic.events_per_day)
    }

    fn write_usd(&self, units_day: f64) -> f64 {
        Estimate::writes_usd(units_day, self.prices)
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

    fn journal(&self) -> Line {
        let (shared, units) = (self.sharing.events(), self.sharing.item_units());
        let arithmetic = format!(
            "{} events / {} that share an item × {units} units ({})",
            shown(self.events()),
            shown(shared),
            self.sharing.because(shown)
        );
        self.writes("journal", self.events() / shared * units, arithmetic)
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

    fn duplicates(&self) -> Line {
        let share = self.sharing.journal();
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
        let nodes = number(self.traffic.nodes);
        let writes = self.sharing.node_writes() * SECONDS_PER_DAY;
        let arithmetic = format!(
            "{} nodes × {} writes: at most one a second while events are finished, one each {} s otherwise",
            shown(nodes),
            shown(writes),
            shown(self.traffic.heartbeat().as_secs_f64())
        );
        self.writes("heartbeat and checkpoint", nodes * writes, arithmetic)
    }

    fn refused(&self) -> Line {
        let why = "forged, stale, too large, over a limit; malformed with `malformed = \"reject\"`: refused before anything is written";
        self.writes("refused", 0.0, why.to_owned())
    }

    fn expired(&self) -> Line {
        let said = match self.traffic.kept {
            Kept::For(_) => "deleted by time to live, which costs nothing",
            Kept::ForEver => {
                "nothing: ids are remembered for ever, and DynamoDB deletes whole items only"
            }
        };
        self.writes("expired", 0.0, said.to_owned())
    }

    /// Each node looks at the others as often as it says that it is there.
    fn watch(&self) -> Line {
        let Traffic { nodes, .. } = *self.traffic;
        let looks = SECONDS_PER_DAY / self.traffic.heartbeat().as_secs_f64();
        // What a node's item has at most in the middle of its work.
        let units = (nodes * WRITE_UNIT_BYTES).div_ceil(READ_UNIT_BYTES);
        let units_day = number(nodes * units) * looks;
        Line {
            what: "watching each other",
            arithmetic: format!(
                "{nodes} nodes × {} queries × {units} units: of {READ_UNIT_BYTES} B, strongly consistent",
                shown(looks)
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
        let days = days(self.traffic.bodies_kept + limits::LARGE_BODIES_EXTRA);
        let gb = self.events() * days * number(bytes) / GB;
        let kept = format!(
            "{} events × {} days × {bytes} B = {} GB × ${bucket_gb_month}",
            shown(self.events()),
            shown(days),
            shown(gb)
        );
        let puts_usd = self.events() * DAYS_PER_MONTH * bucket_puts_thousand / 1e3;
        [
            line("large bodies, written to the bucket", puts_usd, puts),
            line("large bodies, kept in the bucket", gb * bucket_gb_month, kept),
        ]
    }

    fn storage(&self) -> [Line; 3] {
        let Prices { storage_gb_month, backup_gb_month, .. } = *self.prices;
        let line = |what, gb: f64, price: f64, arithmetic| Line {
            what,
            arithmetic,
            write_units_day: 0.0,
            read_units_day: 0.0,
            usd_month: gb * price,
        };
        let (kept, for_how_long) = match self.traffic.kept {
            Kept::For(time) => (days(time), ""),
            Kept::ForEver => {
                (FOR_EVER_DAYS, ": for ever, so this is after a year, and each year adds as much")
            }
        };
        let each = self.item_bytes + STORAGE_OVERHEAD_BYTES;
        let events = self.events() * kept * number(each) / GB;
        let stored = format!(
            "{} events × {} days × ({} + {STORAGE_OVERHEAD_BYTES}) B = {} GB × ${storage_gb_month}{for_how_long}",
            shown(self.events()),
            shown(kept),
            self.item_bytes,
            shown(events)
        );
        let shared = self.sharing.events();
        let item = number(size::JOURNAL_BYTES + STORAGE_OVERHEAD_BYTES);
        let each = number(size::JOURNAL_EVENT_BYTES) + item / shared;
        let kept = days(self.traffic.bodies_kept + size::JOURNAL_EXTRA);
        let journal = self.events() * kept * each / GB;
        let journaled = format!(
            "{} events × {} days × ({} + ({} + {STORAGE_OVERHEAD_BYTES}) / {}) B = {} GB × ${storage_gb_month}",
            shown(self.events()),
            shown(kept),
            size::JOURNAL_EVENT_BYTES,
            size::JOURNAL_BYTES,
            shown(shared),
            shown(journal)
        );
        let all = events + journal;
        let backed_up = format!("{} GB × ${backup_gb_month}, whatever the window", shown(all));
        [
            line("storage", events, storage_gb_month, stored),
            line("storage of the journal", journal, storage_gb_month, journaled),
            line("point-in-time recovery", all, backup_gb_month, backed_up),
        ]
    }
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / SECONDS_PER_DAY
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
            node_lease: limits::NODE_LEASE_DEFAULT,
            kept: Kept::For(Duration::from_hours(30 * 24)),
            bodies_kept: Duration::from_hours(30 * 24),
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
        close(estimate.designs[0].write_units_event * 1e6, estimate.write_units_day);
        // A million units a day for a month of 730 hours.
        let accepted = line(&traffic(), "accepted and delivered");
        close(accepted.usd_month, 0.625 * 730.0 / 24.0);
        // A gibibyte kept: its price, and that of its copy.
        let each = (1 << 18) - size::EVENT_BYTES - STORAGE_OVERHEAD_BYTES;
        let gib = Traffic { compressed_bytes: Some(each), events_per_day: 1 << 12, ..traffic() };
        let gib = Traffic { kept: Kept::For(Duration::from_hours(24)), ..gib };
        close(line(&gib, "storage").usd_month, 0.25);
        // The journal is kept a week longer than the bodies: a twentieth of an item for each event, and 20 bytes.
        let journal = 4096.0 * 37.0 * (20.0 + 155.0 / 20.0) / GB;
        close(line(&gib, "storage of the journal").usd_month, 0.25 * journal);
        close(line(&gib, "point-in-time recovery").usd_month, 0.20 * (1.0 + journal));
    }

    #[test]
    fn what_is_kept_for_ever_is_counted_after_a_year_and_said_so() {
        let kept = |kept| line(&Traffic { kept, ..traffic() }, "storage");
        let (year, ever) = (kept(Kept::For(Duration::from_hours(365 * 24))), kept(Kept::ForEver));
        close(year.usd_month, ever.usd_month);
        assert!(ever.arithmetic.contains("each year adds as much"), "{}", ever.arithmetic);
        assert!(!year.arithmetic.contains("for ever"), "{}", year.arithmetic);
        let expired = line(&Traffic { kept: Kept::ForEver, ..traffic() }, "expired");
        assert!(expired.arithmetic.starts_with("nothing"), "{}", expired.arithmetic);
    }

    #[test]
    fn designs_are_compared_at_the_same_outcomes() {
        let of = |traffic: &Traffic| Estimate::of(traffic, &Prices::US_EAST_1).designs;
        // When all goes well: an item and a share here, two writes and four there.
        let [own, update, index] = &of(&traffic())[..] else { panic!("three designs") };
        close(own.delivered_write_units_event, 1.0 + 1.0 / 20.0 + 0.0864);
        close(own.write_units_event, own.delivered_write_units_event);
        close(update.write_units_event, 2.0);
        close(index.write_units_event, 4.0);

        // What was measured of events that take two attempts: 2, 1 and 3 units more; of duplicates: their item.
        let rough = Traffic {
            failures_percent: 50.0,
            duplicates_percent: 10.0,
            dead_percent: 5.0,
            ..traffic()
        };
        let [own_rough, update, index] = &of(&rough)[..] else { panic!("three designs") };
        close(own_rough.delivered_write_units_event, own.delivered_write_units_event);
        let more = own_rough.write_units_event - own.write_units_event;
        close(more, 0.5 * 2.0 + 0.1 * 1.05 + 0.05 * 2.0);
        close(update.delivered_write_units_event, 2.0);
        close(update.write_units_event, 2.0 + 0.5 + 0.1);
        close(index.delivered_write_units_event, 4.0);
        close(index.write_units_event, 4.0 + 0.5 * 3.0 + 0.1);

        let two_kilobytes = Traffic { compressed_bytes: Some(1_500), each: true, ..traffic() };
        let [own, update, index] = &of(&two_kilobytes)[..] else { panic!("three designs") };
        close(own.delivered_write_units_event, 4.0 + 1.0 / 20.0 + 0.0864);
        close(own.write_units_event, own.delivered_write_units_event);
        close(update.delivered_write_units_event, 4.0);
        close(index.delivered_write_units_event, 6.0);
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
