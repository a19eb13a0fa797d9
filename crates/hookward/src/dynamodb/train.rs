//! `hookward dynamodb train`: a dictionary that makes the bodies of a source smaller.

use clap::Args;
use hookward_core::{
    SourceName,
    limits::{
        DICTIONARY_BYTES_DEFAULT, DICTIONARY_BYTES_MAX, DICTIONARY_BYTES_MIN,
        DICTIONARY_EVENTS_DEFAULT, DICTIONARY_EVENTS_MIN, DICTIONARY_REFRESH,
    },
};
use hookward_server::{Clock as _, SystemClock};
use hookward_store::dynamodb::train::{Cost, Trained, Untrained};
use serde_json::{Value, json};

use super::wanted::Wanted;
use crate::{
    aws,
    failure::Failure,
    output::say,
    serve::runtime,
    settings::{self, ConfigFile},
};

/// Trains a dictionary from a source's stored events, which compresses the events to come.
///
/// Every other event is trained on, and the rest tell what the dictionary is worth. It is kept when events cost fewer write
/// units with it. Gateways find it by themselves; nothing has to be restarted. Former dictionaries stay, for the events that
/// were compressed with them.
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    file: ConfigFile,
    /// The source
    #[arg(long, value_name = "NAME", value_parser = parse_source)]
    source: SourceName,
    /// How many of its events to look at, the newest first
    #[arg(long, value_name = "N", default_value_t = DICTIONARY_EVENTS_DEFAULT, value_parser = parse_events)]
    events: usize,
    /// How large the dictionary may be
    #[arg(long, value_name = "B", default_value_t = DICTIONARY_BYTES_DEFAULT, value_parser = parse_bytes)]
    bytes: usize,
    /// Keep it although it does not pay
    #[arg(long)]
    force: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Train {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (config, _) = self.file.load()?;
        let wanted = Wanted::within(&config, &self.file)?;
        settings::source_named(&config, self.source.as_str())?;
        let (trained, kept) = runtime()?.block_on(self.train(&wanted))?;
        if self.json {
            say!("{:#}", self.as_json(&trained, kept.as_deref()))?;
        } else {
            say!("{}", self.described(&trained, kept.as_deref()))?;
        }
        Ok(())
    }

    /// The dictionary, and where it is kept if it is.
    async fn train(&self, wanted: &Wanted) -> Result<(Trained, Option<String>), Failure> {
        let source = &self.source;
        let failed = |doing: &str| {
            let doing = format!("cannot {doing} {source}");
            move |error| Failure::of(doing, &error)
        };
        let trainer = aws::open_trainer(&wanted.store).await?;
        let events = trainer.events(source, self.events).await;
        let events = events.map_err(failed("read the events of"))?;
        let trained = trainer.train(source, &events, self.bytes).await;
        let trained = match trained.map_err(failed("read the dictionary of"))? {
            Ok(trained) => trained,
            Err(why @ (Untrained::TooFew { .. } | Untrained::NoDictionary(_))) => {
                return Err(Failure::new(format!("source {source}: nothing was kept: {why}")));
            }
        };
        if !trained.pays() && !self.force {
            return Ok((trained, None));
        }
        let kept = trainer.keep(source, &trained, SystemClock::start().now()).await;
        Ok((trained, Some(kept.map_err(failed("keep the dictionary of"))?)))
    }

    fn described(&self, trained: &Trained, kept: Option<&str>) -> String {
        let line = |what: &str, cost: Cost| {
            format!(
                "  {what:<34} {:>9.0} bytes, {:>6.2} write units a put",
                cost.body_bytes, cost.write_units
            )
        };
        let present = trained
            .present
            .map(|(number, cost)| line(&format!("with the present one, number {number}"), cost));
        let lines = [Some(line("without a dictionary", trained.without)), present]
            .into_iter()
            .chain([Some(line(&format!("with this one, {} bytes", trained.bytes()), trained.with))])
            .flatten()
            .collect::<Vec<_>>();
        let verdict = match (kept, trained.pays()) {
            (Some(place), true) => format!("kept as {place}"),
            (Some(place), false) => format!("it does not pay; kept all the same as {place}"),
            (None, _) => {
                return format!(
                    "{}\n{}\nit does not pay: nothing was kept (--force keeps it all the same)",
                    self.heading(trained),
                    lines.join("\n")
                );
            }
        };
        format!(
            "{}\n{}\n{verdict}; running gateways find it within {} minutes",
            self.heading(trained),
            lines.join("\n"),
            DICTIONARY_REFRESH.as_secs() / 60
        )
    }

    fn heading(&self, trained: &Trained) -> String {
        format!(
            "source {}: trained on {} events; {} others, in the mean:",
            self.source, trained.events, trained.held_out
        )
    }

    fn as_json(&self, trained: &Trained, kept: Option<&str>) -> Value {
        let cost =
            |cost: Cost| json!({ "body_bytes": cost.body_bytes, "write_units": cost.write_units });
        json!({
            "source": self.source.as_str(),
            "events": trained.events,
            "held_out": trained.held_out,
            "dictionary_bytes": trained.bytes(),
            "without": cost(trained.without),
            "present": trained.present.map(|(number, present)| json!({ "number": number, "cost": cost(present) })),
            "with": cost(trained.with),
            "pays": trained.pays(),
            "kept": kept,
        })
    }
}

fn parse_source(text: &str) -> Result<SourceName, String> {
    SourceName::parse(text).map_err(|error| error.to_string())
}

fn parse_events(text: &str) -> Result<usize, String> {
    let enough = |events: &usize| *events >= DICTIONARY_EVENTS_MIN;
    text.parse()
        .ok()
        .filter(enough)
        .ok_or_else(|| format!("use a number from {DICTIONARY_EVENTS_MIN} on"))
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let within = |bytes: &usize| (DICTIONARY_BYTES_MIN..=DICTIONARY_BYTES_MAX).contains(bytes);
    let said = || format!("use a number from {DICTIONARY_BYTES_MIN} to {DICTIONARY_BYTES_MAX}");
    text.parse().ok().filter(within).ok_or_else(said)
}
