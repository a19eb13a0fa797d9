//! `hookward dynamodb cost`: what a month costs, with its arithmetic.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use hookward_core::{limits, source::SourceName};

use crate::{failure::Failure, output::say, table};

mod designs;
mod estimate;
mod price;
mod settings;
mod sharing;

use estimate::{Estimate, Traffic, number, shown};
use price::Prices;
use settings::{Bucket, Given, Kept, Settings, Whence};
use sharing::Sharing;

/// Estimates what the DynamoDB store costs a month, and shows how.
///
/// An estimate, not a bill: the free tier, taxes, data transfer and what people read by hand are left out. After a day in
/// service, the metrics have the units that were really consumed.
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// A configuration file to take settings from: completion, journal_delay, node_lease, the bucket, and how long the source's
    /// events stay. What is given here goes before
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose events they are; otherwise those of the source whose events stay longest
    #[arg(long, value_name = "NAME", requires = "config", value_parser = source_name)]
    source: Option<SourceName>,
    /// Events a day
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    events_per_day: u64,
    /// A body as it is sent, in bytes: the mean
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..=33_554_432))]
    bytes: u64,
    /// A body as it is stored, in bytes, when you measured it with your own: what zstd makes of it
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..=33_554_432))]
    compressed_bytes: Option<u64>,
    /// Gateway nodes
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    nodes: u64,
    /// Events that share an item of the journal, when you measured it; otherwise worked out from the rate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    journal_batch: Option<u64>,
    /// `journal_delay` of the configuration, in milliseconds; 25 without one
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=500))]
    journal_delay: Option<u64>,
    /// Of all events: how many are sent again after they were accepted, in percent
    #[arg(long, default_value_t = 1.0, value_name = "PERCENT", value_parser = percent)]
    duplicates: f64,
    /// Of the duplicates: how many meet a node that remembers them, in percent
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", value_parser = percent)]
    duplicates_remembered: f64,
    /// Attempts that fail, in percent of all events
    #[arg(long, default_value_t = 1.0, value_name = "PERCENT", value_parser = percent)]
    failures: f64,
    /// Events that become dead letters, in percent
    #[arg(long, default_value_t = 0.1, value_name = "PERCENT", value_parser = percent)]
    dead: f64,
    /// How long an event stays in the table, in days, or `forever`: as long as its id is remembered; 30 without a configuration
    #[arg(long, value_name = "DAYS", value_parser = Kept::parse)]
    keep_days: Option<Kept>,
    /// As with `completion = "each"`: the status is written on each event
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    each: Option<bool>,
    /// US dollars for a million write units
    #[arg(long, default_value_t = Prices::US_EAST_1.write_units_million, value_name = "USD", value_parser = price)]
    write_price: f64,
    /// US dollars for a million read units
    #[arg(long, default_value_t = Prices::US_EAST_1.read_units_million, value_name = "USD", value_parser = price)]
    read_price: f64,
    /// US dollars for a GB of storage and month
    #[arg(long, default_value_t = Prices::US_EAST_1.storage_gb_month, value_name = "USD", value_parser = price)]
    storage_price: f64,
    /// US dollars for a GB of point-in-time recovery and month
    #[arg(long, default_value_t = Prices::US_EAST_1.backup_gb_month, value_name = "USD", value_parser = price)]
    backup_price: f64,
    /// US dollars for a thousand PUTs to the bucket, for bodies that are too large for an item
    #[arg(long, default_value_t = Prices::US_EAST_1.bucket_puts_thousand, value_name = "USD", value_parser = price)]
    bucket_put_price: f64,
    /// US dollars for a GB in the bucket and month
    #[arg(long, default_value_t = Prices::US_EAST_1.bucket_gb_month, value_name = "USD", value_parser = price)]
    bucket_price: f64,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Cost {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let given = Given {
            each: self.each,
            journal_delay: self.journal_delay.map(Duration::from_millis),
            kept: self.keep_days,
        };
        let settings = Settings::of(self.config.as_deref(), self.source.as_ref(), &given)?;
        let traffic = Traffic {
            events_per_day: self.events_per_day,
            body_bytes: self.bytes,
            compressed_bytes: self.compressed_bytes,
            duplicates_percent: self.duplicates,
            cached_percent: self.duplicates_remembered,
            failures_percent: self.failures,
            dead_percent: self.dead,
            nodes: self.nodes,
            journal_batch: self.journal_batch,
            journal_delay: settings.journal_delay,
            node_lease: settings.node_lease,
            kept: settings.kept,
            bodies_kept: settings.bodies_kept,
            each: settings.each,
        };
        let prices = Prices {
            write_units_million: self.write_price,
            read_units_million: self.read_price,
            storage_gb_month: self.storage_price,
            backup_gb_month: self.backup_price,
            bucket_puts_thousand: self.bucket_put_price,
            bucket_gb_month: self.bucket_price,
        };
        let estimate = Estimate::of(&traffic, &prices);
        let about = About { cost: &self, settings: &settings, traffic: &traffic, prices: &prices };
        if self.json {
            say!("{:#}", about.as_json(&estimate))
        } else {
            say!("{}", about.described(&estimate))
        }
    }

    fn compression(&self) -> &'static str {
        if self.compressed_bytes.is_some() {
            "as given"
        } else {
            "assumed: what zstd level 3 makes of GitHub's example payloads and of a Stripe event of this size; \
             measure your own and give --compressed-bytes"
        }
    }
}

/// An estimate's premises.
struct About<'a> {
    cost: &'a Cost,
    settings: &'a Settings,
    traffic: &'a Traffic,
    prices: &'a Prices,
}

impl About<'_> {
    fn described(&self, estimate: &Estimate) -> String {
        let mut table = table::with_headings([
            "what",
            "worked out a day",
            "write units",
            "read units",
            "$ a month",
        ]);
        let units = |units: f64| if units > 0.0 { shown(units) } else { "-".to_owned() };
        for line in &estimate.lines {
            table.add_row([
                line.what.to_owned(),
                line.arithmetic.clone(),
                units(line.write_units_day),
                units(line.read_units_day),
                dollars(line.usd_month),
            ]);
        }
        table.add_row([
            "in all".to_owned(),
            String::new(),
            shown(estimate.write_units_day),
            shown(estimate.read_units_day),
            dollars(estimate.usd_month),
        ]);
        let mut designs = table::with_headings([
            "write units for each accepted event",
            "delivered at the first attempt",
            "with duplicates, failures, dead letters",
            "$ a month for writes",
        ]);
        for design in &estimate.designs {
            designs.add_row([
                design.name.to_owned(),
                shown(design.delivered_write_units_event),
                shown(design.write_units_event),
                dollars(design.writes_usd_month),
            ]);
        }
        let settings = self.settings_told().join("\n");
        let notes = self.notes(estimate).join("\n- ");
        format!(
            "{settings}\n{table}\n\nBeside other designs, with the same events, compression and prices. That the first of them has to scan the table\n\
             for what a crash left behind is not counted:\n{designs}\n\n- {notes}\n\n\
             Prices: {}.\n\
             A month is 730 hours. Not counted: the free tier, taxes, data transfer, reads by hand, and the scan or query\n\
             of a takeover after a crash.",
            priced(self.prices),
        )
    }

    /// What the estimate is about, by where that is from.
    fn settings_told(&self) -> Vec<String> {
        let file = self.cost.config.as_ref().map(|file| file.display().to_string());
        [Whence::File, Whence::Given, Whence::Default]
            .into_iter()
            .filter_map(|from| {
                let told: Vec<_> = self
                    .settings
                    .told()
                    .iter()
                    .filter(|told| told.from == from)
                    .map(|told| format!("{} {}", told.name, told.value))
                    .collect();
                let whose = match from {
                    Whence::File => format!("From {}", file.as_deref().unwrap_or_default()),
                    Whence::Given => "Given".to_owned(),
                    Whence::Default => "By default".to_owned(),
                };
                (!told.is_empty()).then(|| format!("{whose}: {}.", told.join("; ")))
            })
            .collect()
    }

    /// What to know of it, and what could be done.
    fn notes(&self, estimate: &Estimate) -> Vec<String> {
        let Self { cost, settings, .. } = self;
        let mut notes = vec![format!(
            "A body of {} B is stored as {} B ({}).",
            cost.bytes,
            estimate.compressed_bytes,
            cost.compression()
        )];
        notes.extend(self.refused(estimate));
        if !settings.knows_how_long() {
            notes.push(
                "Events are taken to stay 30 days. Those of a source whose scheme signs no time, such as GitHub's, stay for ever \
                 unless `remember` says otherwise, and so does what they cost: --config knows it, or --keep-days says it."
                    .to_owned(),
            );
        }
        notes.extend(self.shared_more(estimate));
        if let Some(region) = settings.region.as_deref().filter(|region| *region != "us-east-1")
            && *self.prices == Prices::US_EAST_1
        {
            notes.push(format!("The table is in {region}, and the prices are those of us-east-1."));
        }
        notes
    }

    /// Whether such bodies are taken at all.
    fn refused(&self, estimate: &Estimate) -> Option<String> {
        let Self { cost, settings, .. } = self;
        let is_over = |max: &usize| u64::try_from(*max).is_ok_and(|max| cost.bytes > max);
        if let Some(max) = settings.body_bytes_max.filter(is_over) {
            return Some(format!(
                "A body of {} B is refused with 413, and costs nothing: `body_max` is {max} B.",
                cost.bytes
            ));
        }
        match (estimate.is_large, settings.bucket) {
            (false, _) | (true, Bucket::Named) => None,
            (true, Bucket::Assumed) => {
                Some("Such bodies need `large_bodies_bucket`; without it they are refused with 413.".to_owned())
            }
            (true, Bucket::Missing) => Some(
                "Such bodies are refused with 413, and cost nothing, until `large_bodies_bucket` is set.".to_owned(),
            ),
        }
    }

    /// What closer company would bring.
    fn shared_more(&self, estimate: &Estimate) -> Vec<String> {
        const MOST: Duration = limits::JOURNAL_DELAY_MAX;
        /// What an event may cost beside its own item before it is said to cost little.
        const LITTLE: f64 = 0.1;
        let Self { traffic, .. } = self;
        let item = estimate.item_write_units;
        let now = traffic.delivered(item);
        let sharing = traffic.sharing();
        let mut notes = vec![format!(
            "An event that is delivered at its first attempt costs {} write units: {} for its item{}, {} for its share of the journal, \
             {} for its share of what its node says.",
            shown(now),
            item,
            if traffic.each { format!(", {item} for its status") } else { String::new() },
            shown(sharing.journal()),
            shown(sharing.node()),
        )];
        if traffic.journal_batch.is_some() {
            return notes;
        }
        let own = if traffic.each { 2 * item } else { item };
        let little = format!("{:.1}", number(own) + LITTLE);
        let from = |delay| shown(Sharing::rate_for(delay, LITTLE).ceil());
        if now <= number(own) + LITTLE {
            return notes;
        }
        notes.push(format!(
            "It costs at most {} units from {} events a second on at each node; here it is {}. Fewer nodes, and bursts, make events share more.",
            little,
            from(sharing.delay),
            shown(sharing.rate)
        ));
        if sharing.delay < MOST {
            let then = Traffic { journal_delay: MOST, ..**traffic }.delivered(item);
            let saved =
                Estimate::writes_usd(number(traffic.events_per_day) * (now - then), self.prices);
            notes.push(format!(
                "With `journal_delay = \"{}ms\"` it would be {} at this rate, ${} a month less, and at most {} from {}/s on; \
                 senders are answered up to half a second later.",
                MOST.as_millis(),
                shown(then),
                dollars(saved),
                little,
                from(MOST)
            ));
        }
        notes
    }

    fn as_json(&self, estimate: &Estimate) -> serde_json::Value {
        let Self { cost, settings, prices, .. } = self;
        let kept_days = match settings.kept {
            Kept::For(time) => serde_json::json!(time.as_secs_f64() / 86_400.0),
            Kept::ForEver => serde_json::json!("forever"),
        };
        serde_json::json!({
            "assumptions": {
                "events_per_day": cost.events_per_day,
                "body_bytes": cost.bytes,
                "compressed_bytes": estimate.compressed_bytes,
                "compression": cost.compression(),
                "nodes": cost.nodes,
                "journal_batch": estimate.journal_batch,
                "journal_delay_ms": milliseconds(settings.journal_delay),
                "duplicates_percent": cost.duplicates,
                "duplicates_remembered_percent": cost.duplicates_remembered,
                "failures_percent": cost.failures,
                "dead_percent": cost.dead,
                "keep_days": kept_days,
                "completion": if settings.each { "each" } else { "checkpoint" },
            },
            "settings": settings.told(),
            "prices": {
                "write_units_million_usd": prices.write_units_million,
                "read_units_million_usd": prices.read_units_million,
                "storage_gb_month_usd": prices.storage_gb_month,
                "backup_gb_month_usd": prices.backup_gb_month,
                "bucket_puts_thousand_usd": prices.bucket_puts_thousand,
                "bucket_gb_month_usd": prices.bucket_gb_month,
                "source": priced(prices),
            },
            "estimate": estimate,
            "notes": self.notes(estimate),
        })
    }
}

/// Where the prices are from.
fn priced(prices: &Prices) -> String {
    if *prices == Prices::US_EAST_1 {
        format!(
            "{}, as of {}; these are list prices, which change: look there, and give those of your region with --write-price and the others",
            Prices::SOURCE,
            Prices::AS_OF
        )
    } else {
        "as given".to_owned()
    }
}

/// Dollars and cents; more digits where there would be none.
fn dollars(usd: f64) -> String {
    if usd > 0.0 && usd < 0.005 { "< 0.01".to_owned() } else { format!("{usd:.2}") }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn source_name(text: &str) -> Result<SourceName, String> {
    SourceName::parse(text).map_err(|error| error.to_string())
}

fn percent(text: &str) -> Result<f64, String> {
    let within = |percent: &f64| (0.0..=100.0).contains(percent);
    text.parse().ok().filter(within).ok_or_else(|| "use a number from 0 to 100".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let within = |price: &f64| (0.0..=1_000.0).contains(price);
    text.parse().ok().filter(within).ok_or_else(|| "use dollars, such as 0.625".to_owned())
}
