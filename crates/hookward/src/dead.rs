//! `hookward dead`: dead letters.

use clap::{Args, Subcommand};
use hookward_core::EventKey;
use hookward_store::State;

use crate::{
    events::{self, Filter},
    failure::Failure,
    logging,
    operator::{Intent, Operator},
    output::say,
    serve::runtime,
    settings::ConfigFile,
};

/// Looks at dead letters, replays or drops them.
#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, newest first
    List {
        #[command(flatten)]
        filter: Filter,
    },
    /// Show one with its attempts
    Show {
        /// Its key
        key: EventKey,
        /// Show its body too
        #[arg(long)]
        body: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver again, under a new delivery id
    Replay(Which),
    /// Take off the list; the event stays known, so that its sender's repeats stay duplicates
    Drop(Which),
}

/// Which dead letters.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Their keys
    keys: Vec<EventKey>,
    /// All of a source
    #[arg(long, value_name = "SOURCE")]
    all_of: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

impl Dead {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (config, _) = self.file.load()?;
        runtime()?.block_on(async {
            let intent = match self.command {
                Command::List { .. } | Command::Show { .. } => Intent::Look,
                Command::Replay(_) | Command::Drop(_) => Intent::Decide,
            };
            let operator = Operator::connect(&config, intent).await?;
            if intent == Intent::Decide && matches!(operator, Operator::Store(_)) {
                // A running gateway has a log for what operators decide; without one it is this command's.
                logging::start(&config.log)?;
            }
            let done = match self.command {
                Command::List { filter } => {
                    events::print_list(&operator, &filter, Some(State::Dead)).await
                }
                Command::Show { key, body, json } => {
                    events::print_event(&operator, key, body, json).await
                }
                Command::Replay(which) => act(&operator, which, Act::Replay).await,
                Command::Drop(which) => act(&operator, which, Act::Drop).await,
            };
            let closed = operator.close().await;
            done.and(closed)
        })
    }
}

#[derive(Clone, Copy)]
enum Act {
    Replay,
    Drop,
}

async fn act(operator: &Operator, which: Which, act: Act) -> Result<(), Failure> {
    let keys = which.keys(operator).await?;
    for key in &keys {
        match act {
            Act::Replay => operator.replay(*key).await?,
            Act::Drop => operator.discard(*key).await?,
        }
    }
    let done = match act {
        Act::Replay => "queued for delivery",
        Act::Drop => "dropped",
    };
    say!("{} {done}", keys.len())
}

impl Which {
    /// The keys, all looked up before anything is done to the first.
    async fn keys(self, operator: &Operator) -> Result<Vec<EventKey>, Failure> {
        if !self.keys.is_empty() {
            return Ok(self.keys);
        }
        let mut wanted = crate::operator::Wanted {
            source: self.all_of,
            state: Some(State::Dead),
            limit: 1_000,
            ..Default::default()
        };
        let mut keys = Vec::new();
        loop {
            let page = operator.list(&wanted).await?;
            for event in page.events {
                keys.push(
                    event
                        .key
                        .parse()
                        .map_err(|error| Failure::of("the gateway's answer", &error))?,
                );
            }
            match page.next {
                Some(cursor) => wanted.cursor = Some(cursor),
                None => return Ok(keys),
            }
        }
    }
}
