//! `hookward dynamodb cost`: what a month costs, with its arithmetic.

use std::time::Duration;

use clap::Args;
use hookward_core::limits;

use crate::{failure::Failure, output::say, table};

mod estimate;
mod price;

use estimate::{Estimate, Traffic, shown};
use price::Prices;

/// Estimates what the DynamoDB store costs a month, and shows how.
///
/// An estimate, not a bill: the free tier, taxes, data transfer and what people read by hand are left out. After a day in
/// service, the metrics have the units that were really consumed.
#[derive(Debug, Args)]
pub(crate) struct Cost {
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
    /// `journal_delay` of the configuration, in milliseconds
    #[arg(long, default_value_t = milliseconds(limits::JOURNAL_DELAY_DEFAULT), value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=500))]
    journal_delay: u64,
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
    /// How long an event stays in the table, in days
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    keep_days: u64,
    /// As with `completion = "each"`: the status is written on each event
    #[arg(long)]
    each: bool,
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
            journal_delay: Duration::from_millis(self.journal_delay),
            keep_days: self.keep_days,
            each: self.each,
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
        if self.json {
            say!("{:#}", self.as_json(&estimate, &prices))
        } else {
            say!("{}", self.described(&estimate, &prices))
        }
    }

    fn described(&self, estimate: &Estimate, prices: &Prices) -> String {
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
            format!("{} write units for each accepted event", shown(estimate.write_units_event)),
            shown(estimate.write_units_day),
            shown(estimate.read_units_day),
            dollars(estimate.usd_month),
        ]);
        let others = estimate.other_designs.iter().map(|other| {
            format!(
                "  {} units for each event, ${} a month for writes alone: {}",
                other.write_units_event,
                dollars(other.usd_month),
                other.design
            )
        });
        format!(
            "{table}\n\nA body of {} B is stored as {} B ({}).\n\nThe same events and compression in other designs:\n{}\n\n\
             Prices: {}.\n\
             A month is 730 hours. Not counted: the free tier, taxes, data transfer, reads by hand, and the scan or query\n\
             of a takeover after a crash.",
            self.bytes,
            estimate.compressed_bytes,
            self.compression(),
            others.collect::<Vec<_>>().join("\n"),
            priced(prices),
        )
    }

    fn compression(&self) -> &'static str {
        if self.compressed_bytes.is_some() {
            "as given"
        } else {
            "assumed: what zstd level 3 makes of GitHub's example payloads and of a Stripe event of this size; \
             measure your own and give --compressed-bytes"
        }
    }

    fn as_json(&self, estimate: &Estimate, prices: &Prices) -> serde_json::Value {
        serde_json::json!({
            "assumptions": {
                "events_per_day": self.events_per_day,
                "body_bytes": self.bytes,
                "compressed_bytes": estimate.compressed_bytes,
                "compression": self.compression(),
                "nodes": self.nodes,
                "journal_batch": estimate.journal_batch,
                "duplicates_percent": self.duplicates,
                "duplicates_remembered_percent": self.duplicates_remembered,
                "failures_percent": self.failures,
                "dead_percent": self.dead,
                "keep_days": self.keep_days,
                "completion": if self.each { "each" } else { "checkpoint" },
            },
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
        })
    }
}

/// Where the prices are from.
fn priced(prices: &Prices) -> String {
    if *prices == Prices::US_EAST_1 {
        format!(
            "{}, as of {}; give those of your region with --write-price and the others",
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

fn percent(text: &str) -> Result<f64, String> {
    let within = |percent: &f64| (0.0..=100.0).contains(percent);
    text.parse().ok().filter(within).ok_or_else(|| "use a number from 0 to 100".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let within = |price: &f64| (0.0..=1_000.0).contains(price);
    text.parse().ok().filter(within).ok_or_else(|| "use dollars, such as 0.625".to_owned())
}
