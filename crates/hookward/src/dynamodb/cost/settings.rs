//! What the estimate is about: what a configuration says, what the command line says instead, and what is taken by default.

use std::{fmt, path::Path, time::Duration};

use hookward_core::{
    config::{Completion, Config, DynamoDb, SourceConfig, StoreConfig},
    limits,
    source::SourceName,
};
use serde::Serialize;

use super::estimate::shown;
use crate::{failure::Failure, settings::ConfigFile};

/// How long an event stays in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kept {
    For(Duration),
    ForEver,
}

impl Kept {
    /// `30`, or `forever`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::ForEver);
        }
        let days = text.parse().ok().filter(|days| (1..=3_650).contains(days));
        days.map(|days: u64| Self::For(Duration::from_secs(days * DAY)))
            .ok_or_else(|| "use days from 1 to 3650, or forever".to_owned())
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => f.write_str(&time_text(*time)),
            Self::ForEver => f.write_str("for ever"),
        }
    }
}

/// Whether there is a bucket for bodies that do not fit into an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Nobody said.
    Assumed,
    Named,
    /// Such bodies are refused.
    Missing,
}

/// Where a setting is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Whence {
    Default,
    File,
    Given,
}

/// A setting as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    pub name: &'static str,
    pub value: String,
    pub from: Whence,
}

/// What the estimate is about, beside the traffic.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub each: bool,
    pub journal_delay: Duration,
    pub node_lease: Duration,
    pub bucket: Bucket,
    /// How long an event's item stays.
    pub kept: Kept,
    /// How long its body is wanted.
    pub bodies_kept: Duration,
    /// The largest body that the source takes.
    pub body_bytes_max: Option<usize>,
    pub region: Option<String>,
    told: Vec<Told>,
}

/// What the command line says in place of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    pub each: Option<bool>,
    pub journal_delay: Option<Duration>,
    pub kept: Option<Kept>,
}

impl Settings {
    /// From a file if one is named; what is given goes before.
    pub(crate) fn of(
        file: Option<&Path>,
        source: Option<&SourceName>,
        given: &Given,
    ) -> Result<Self, Failure> {
        let mut settings = match file {
            Some(file) => Self::of_file(file, source)?,
            None => Self::by_default(),
        };
        if let Some(each) = given.each {
            settings.each = each;
            settings.tell("completion", completion(each), Whence::Given);
        }
        if let Some(delay) = given.journal_delay {
            settings.journal_delay = delay;
            settings.tell("journal_delay", time_text(delay), Whence::Given);
        }
        if let Some(kept) = given.kept {
            settings.kept = kept;
            if let Kept::For(time) = kept {
                settings.bodies_kept = time;
            }
            settings.tell(KEPT, kept.to_string(), Whence::Given);
        }
        Ok(settings)
    }

    fn by_default() -> Self {
        let kept = Kept::For(limits::BODY_RETENTION_DEFAULT);
        let mut settings = Self {
            each: false,
            journal_delay: limits::JOURNAL_DELAY_DEFAULT,
            node_lease: limits::NODE_LEASE_DEFAULT,
            bucket: Bucket::Assumed,
            kept,
            bodies_kept: limits::BODY_RETENTION_DEFAULT,
            body_bytes_max: None,
            region: None,
            told: Vec::new(),
        };
        settings.tell_store(Whence::Default);
        settings.tell(KEPT, kept.to_string(), Whence::Default);
        settings
    }

    fn of_file(file: &Path, source: Option<&SourceName>) -> Result<Self, Failure> {
        let (config, _) = ConfigFile { config: file.to_owned() }.load()?;
        let mut settings = Self::by_default();
        match &config.store {
            StoreConfig::DynamoDb(store) => settings.take_store(store),
            // Somebody who thinks of moving: what the sources say holds there too.
            StoreConfig::Embedded(_) => {
                settings.tell(
                    "store",
                    "embedded: as if it were in DynamoDB".to_owned(),
                    Whence::File,
                );
            }
        }
        if let Some(chosen) = chosen(&config, source)? {
            let why = if source.is_none() && config.sources.len() > 1 {
                ", whose events stay longest (--source names another)"
            } else {
                ""
            };
            settings.take_source(chosen, why);
        }
        Ok(settings)
    }

    fn take_store(&mut self, store: &DynamoDb) {
        self.each = store.completion == Completion::Each;
        self.journal_delay = store.journal_delay;
        self.node_lease = store.node_lease;
        self.bucket = if store.large_bodies.is_some() { Bucket::Named } else { Bucket::Missing };
        self.region.clone_from(&store.region);
        self.tell_store(Whence::File);
    }

    fn take_source(&mut self, source: &SourceConfig, why: &str) {
        let rules = &source.rules;
        self.kept = kept(source);
        self.bodies_kept = rules.body_retention;
        self.body_bytes_max = Some(rules.body_bytes_max);
        let remembered = rules.key_retention.map_or(Kept::ForEver, Kept::For);
        self.tell("source", format!("{}{why}", rules.name), Whence::File);
        self.tell("keep", time_text(rules.body_retention), Whence::File);
        self.tell("remember", remembered.to_string(), Whence::File);
        self.tell("body_max", format!("{} B", rules.body_bytes_max), Whence::File);
        self.tell(KEPT, self.kept.to_string(), Whence::File);
    }

    fn tell_store(&mut self, from: Whence) {
        self.tell("completion", completion(self.each), from);
        self.tell("journal_delay", time_text(self.journal_delay), from);
        self.tell("node_lease", time_text(self.node_lease), from);
        let bucket = match self.bucket {
            Bucket::Assumed => "assumed where it is needed",
            Bucket::Named => "named",
            Bucket::Missing => "none",
        };
        self.tell("large_bodies_bucket", bucket.to_owned(), from);
    }

    fn tell(&mut self, name: &'static str, value: String, from: Whence) {
        self.told.retain(|told| told.name != name);
        self.told.push(Told { name, value, from });
    }

    pub(crate) fn told(&self) -> &[Told] {
        &self.told
    }

    /// Whether somebody said how long events stay.
    pub(crate) fn knows_how_long(&self) -> bool {
        self.told.iter().any(|told| told.name == KEPT && told.from != Whence::Default)
    }
}

/// The source that the estimate is about: the one that is named, or the one whose events stay longest.
fn chosen<'c>(
    config: &'c Config,
    named: Option<&SourceName>,
) -> Result<Option<&'c SourceConfig>, Failure> {
    let Some(named) = named else { return Ok(config.sources.iter().max_by_key(|it| kept(it))) };
    let found = config.sources.iter().find(|it| it.name() == named);
    let names =
        || config.sources.iter().map(|it| it.name().as_str()).collect::<Vec<_>>().join(", ");
    let missing = || Failure::config(format!("no source is called {named}: there are {}", names()));
    found.ok_or_else(missing).map(Some)
}

/// DynamoDB deletes whole items: the body stays as long as the id is remembered.
fn kept(source: &SourceConfig) -> Kept {
    let rules = &source.rules;
    let longest = |remembered: Duration| Kept::For(remembered.max(rules.body_retention));
    rules.key_retention.map_or(Kept::ForEver, longest)
}

const DAY: u64 = 86_400;

/// What the time is called that an event stays.
const KEPT: &str = "in the table";

fn completion(each: bool) -> String {
    (if each { "each" } else { "checkpoint" }).to_owned()
}

fn time_text(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        secs if secs >= DAY => {
            let days = time.as_secs_f64() / 86_400.0;
            format!("{} days", shown((days * 100.0).round() / 100.0))
        }
        secs => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_days_or_for_ever() {
        assert_eq!(Kept::parse("30"), Ok(Kept::For(Duration::from_hours(720))));
        assert_eq!(Kept::parse("forever"), Ok(Kept::ForEver));
        for wrong in ["0", "3651", "-1", "30d", "ever", ""] {
            assert!(Kept::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(Kept::ForEver > Kept::For(Duration::MAX));
    }

    #[test]
    fn times_are_told_as_people_read_them() {
        let check = |time, text| assert_eq!(time_text(time), text);
        check(Duration::from_millis(25), "25 ms");
        check(Duration::from_secs(30), "30 s");
        check(Duration::from_hours(720), "30 days");
    }
}
