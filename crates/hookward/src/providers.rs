//! `hookward providers`: the senders that are known by name.

use clap::{Args, Subcommand};
use hookward_core::provider::{PROVIDERS, Provider};

use crate::{failure::Failure, output::say, table};

/// Looks up the senders that are known by name.
#[derive(Debug, Args)]
pub(crate) struct Providers {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of one, with a configuration to paste
    Show {
        /// Its name
        name: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

impl Providers {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::List { json: true } => {
                say!("{:#}", PROVIDERS.iter().map(as_json).collect::<serde_json::Value>())?;
            }
            Command::List { json: false } => {
                let mut table = table::with_headings([
                    "provider",
                    "signature covers",
                    "identity",
                    "tries again",
                ]);
                for provider in PROVIDERS.iter() {
                    let covers = provider.scheme.covers().to_string();
                    table.add_row([provider.name, &covers, &provider.identity(), provider.retries]);
                }
                say!("{table}")?;
            }
            Command::Show { name, json } => {
                let provider = named(&name)?;
                if json {
                    say!("{:#}", as_json(provider))?;
                } else {
                    say!("{}", described(provider))?;
                }
            }
        }
        Ok(())
    }
}

/// The provider of this name, or what there is instead.
pub(crate) fn named(name: &str) -> Result<&'static Provider, Failure> {
    Provider::named(name).ok_or_else(|| {
        let names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        Failure::new(format!("no provider is called {name:?}: there are {}", names.join(", ")))
    })
}

fn described(provider: &Provider) -> String {
    let facts = provider.facts();
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = facts
        .iter()
        .map(|(name, value)| format!("  {name:width$}  {}", value.escape_debug()))
        .collect();
    format!(
        "{}\n\n{}\n\n{}\n\n{}",
        provider.title,
        lines.join("\n"),
        provider.note,
        provider.configuration().trim_end()
    )
}

fn as_json(provider: &Provider) -> serde_json::Value {
    let rules = &provider.scheme;
    let covers = rules.covers();
    serde_json::json!({
        "name": provider.name,
        "title": provider.title,
        "signature": provider.signature(),
        "signed_content": rules.content.to_string(),
        "covers": { "id": covers.id, "time": covers.time, "body": covers.body, "url": covers.url, "method": covers.method },
        "tolerance_s": rules.time.as_ref().map(|time| [time.past.as_secs(), time.future.as_secs()]),
        "identity": provider.identity(),
        "event_type": provider.event_type(),
        "answer": { "accepted": provider.accepted_status, "refused": provider.refused_status, "within_s": provider.answer_secs },
        "origin": provider.origin,
        "origin_source": provider.origin_source,
        "evidence": provider.evidence.to_string(),
        "sample": { "signed": rules.signer().is_here(), "how": rules.signer().to_string() },
        "configuration": provider.configuration(),
        "retries": provider.retries,
        "secret": provider.secret,
        "docs": provider.docs,
        "note": provider.note,
    })
}
