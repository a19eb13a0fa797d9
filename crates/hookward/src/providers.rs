//! `hookward providers`: the senders that are known by name.

use clap::{Args, Subcommand};
use hookward_core::provider::{PROVIDERS, Place, Provider};

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
                for provider in PROVIDERS {
                    let covers = (provider.scheme)().covers().to_string();
                    table.add_row([provider.name, &covers, &identity(provider), provider.retries]);
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

fn identity(provider: &Provider) -> String {
    match provider.identity {
        Place::Body(pointer) => format!("body {pointer}"),
        Place::SignedHeader => (provider.scheme)()
            .id
            .map_or_else(String::new, |name| format!("header {name} (signed)")),
        Place::UnsignedHeader(_) | Place::Nowhere => "content of the body".to_owned(),
    }
}

fn event_type(provider: &Provider) -> String {
    match provider.event_type {
        Place::Body(pointer) => format!("body {pointer}"),
        Place::UnsignedHeader(name) => format!("header {name} (not signed)"),
        Place::SignedHeader | Place::Nowhere => "-".to_owned(),
    }
}

fn tolerance(provider: &Provider) -> String {
    (provider.scheme)().time.map_or_else(
        || "no time is signed".to_owned(),
        |time| format!("{} s old, {} s ahead", time.past.as_secs(), time.future.as_secs()),
    )
}

fn described(provider: &Provider) -> String {
    let rules = (provider.scheme)();
    let answer = provider
        .answer_secs
        .map_or_else(|| "not published".to_owned(), |secs| format!("within {secs} s"));
    format!(
        "{title}\n\n  signature   header {header}, over {content}\n  covers      {covers}\n  time        {time}\n  \
         identity    {identity}\n  event type  {event_type}\n  answer      {answer}\n  tries again {retries}\n  \
         secret      {secret}\n  documented  {docs}\n\n{note}\n\n[sources.{name}]\nprovider = \"{name}\"\n\
         path = \"/hooks/{name}\"\nsecrets = [\"env:{variable}_SECRET\"]\ndestination = \"app\"",
        title = provider.title,
        header = rules.header,
        content = rules.content,
        covers = rules.covers(),
        time = tolerance(provider),
        identity = identity(provider),
        event_type = event_type(provider),
        retries = provider.retries,
        secret = provider.secret,
        docs = provider.docs,
        note = provider.note,
        name = provider.name,
        variable = provider.name.to_ascii_uppercase().replace('-', "_"),
    )
}

fn as_json(provider: &Provider) -> serde_json::Value {
    let rules = (provider.scheme)();
    let covers = rules.covers();
    serde_json::json!({
        "name": provider.name,
        "title": provider.title,
        "signature_header": rules.header.as_str(),
        "signed_content": rules.content.to_string(),
        "covers": { "id": covers.id, "time": covers.time, "body": covers.body },
        "tolerance_s": rules.time.map(|time| time.past.as_secs()),
        "identity": identity(provider),
        "event_type": event_type(provider),
        "answer_s": provider.answer_secs,
        "retries": provider.retries,
        "secret": provider.secret,
        "docs": provider.docs,
        "note": provider.note,
    })
}
