//! `hookward events`: looking at events.

use std::{collections::HashSet, time::Duration};

use clap::{Args, Subcommand};
use hookward_core::{EventKey, Timestamp};
use hookward_server::admin::view::EventView;
use hookward_store::State;

use crate::{
    failure::Failure,
    operator::{Intent, Operator, Wanted},
    output::say,
    serve::runtime,
    settings::ConfigFile,
    signals::Signals,
    table,
};

/// Looks at events, through the running gateway or in the store when none runs.
#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List events, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only in this state
        #[arg(long, value_parser = parse_state)]
        state: Option<State>,
    },
    /// Show one event with its attempts
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
    /// Print events as they come in, until Ctrl-C
    Tail {
        /// Only of this source
        #[arg(long)]
        source: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Which events to list.
#[derive(Clone, Debug, Args)]
pub(crate) struct Filter {
    /// Only of this source
    #[arg(long)]
    pub source: Option<String>,
    /// Only received at or after this time (RFC 3339)
    #[arg(long, value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Only received before this time (RFC 3339)
    #[arg(long, value_parser = parse_time)]
    pub before: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

impl Filter {
    pub(crate) fn wanted(&self, state: Option<State>) -> Wanted {
        Wanted {
            source: self.source.clone(),
            state,
            since: self.since,
            before: self.before,
            cursor: None,
            limit: self.limit,
        }
    }
}

fn parse_state(text: &str) -> Result<State, String> {
    let names = State::ALL.map(State::as_str).join(", ");
    State::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("use one of {names}"))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "use RFC 3339, such as 2026-11-24T08:00:00Z".to_owned())
}

impl Events {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (config, _) = self.file.load()?;
        runtime()?.block_on(async {
            let operator = Operator::connect(&config, Intent::Look).await?;
            let done = match self.command {
                Command::List { filter, state } => print_list(&operator, &filter, state).await,
                Command::Show { key, body, json } => print_event(&operator, key, body, json).await,
                Command::Tail { source, json } => tail(&operator, source, json).await,
            };
            let closed = operator.close().await;
            done.and(closed)
        })
    }
}

/// Prints a list, page by page until the limit.
pub(crate) async fn print_list(
    operator: &Operator,
    filter: &Filter,
    state: Option<State>,
) -> Result<(), Failure> {
    let mut wanted = filter.wanted(state);
    let mut events = Vec::new();
    loop {
        wanted.limit = filter.limit.saturating_sub(events.len()).min(1_000);
        if wanted.limit == 0 {
            break;
        }
        let page = operator.list(&wanted).await?;
        events.extend(page.events);
        match page.next {
            Some(cursor) => wanted.cursor = Some(cursor),
            None => break,
        }
    }
    if filter.json {
        say!("{:#}", serde_json::json!(events))?;
    } else if events.is_empty() {
        say!("no events")?;
    } else {
        say!("{}", as_table(&events))?;
    }
    Ok(())
}

fn as_table(events: &[EventView]) -> String {
    let mut table =
        table::with_headings(["key", "received", "source", "type", "id", "state", "attempts"]);
    for event in events {
        let state = event
            .dead_reason
            .as_ref()
            .map_or_else(|| event.state.clone(), |why| format!("{} ({why})", event.state));
        table.add_row([
            event.key.as_str(),
            &event.received_at,
            &event.source,
            event.event_type.as_deref().unwrap_or("-"),
            event.sender_id.as_deref().unwrap_or("-"),
            &state,
            &event.attempts.to_string(),
        ]);
    }
    table.to_string()
}

/// Prints one event.
pub(crate) async fn print_event(
    operator: &Operator,
    key: EventKey,
    body: bool,
    json: bool,
) -> Result<(), Failure> {
    let event = operator.show(key, body).await?;
    if json {
        say!("{:#}", serde_json::json!(event))?;
        return Ok(());
    }
    say!("key       {}", event.key)?;
    say!("source    {}", event.source)?;
    say!("type      {}", event.event_type.as_deref().unwrap_or("-"))?;
    say!("id        {}", event.sender_id.as_deref().unwrap_or("-"))?;
    say!("received  {}", event.received_at)?;
    say!(
        "state     {}{}",
        event.state,
        event.dead_reason.map(|why| format!(" ({why})")).unwrap_or_default()
    )?;
    if let Some(due) = event.due_at {
        say!("due       {due}")?;
    }
    say!("attempts  {}, replays {}", event.attempts, event.replays)?;
    for attempt in &event.history {
        say!("  {}  {}", attempt.at, attempt.note)?;
    }
    say!(
        "body      {} bytes{}",
        event.body_bytes,
        if event.body_expired { ", forgotten" } else { "" }
    )?;
    for (name, value) in &event.headers {
        say!("  {name}: {}", value.escape_debug())?;
    }
    match event.body {
        Some(body) => say!("\n{body}"),
        None if !event.body_expired => say!("\n(the body is shown by --body)"),
        None => Ok(()),
    }
}

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

async fn tail(operator: &Operator, source: Option<String>, json: bool) -> Result<(), Failure> {
    if !matches!(operator, Operator::Gateway { .. }) {
        return Err(Failure::new(
            "no gateway runs, so no events come in: start it with `hookward serve`",
        ));
    }
    let mut signals =
        Signals::listen().map_err(|error| Failure::of("cannot listen to signals", &error))?;
    let mut wanted = Wanted { source, limit: 1_000, ..Wanted::default() };
    let mut seen: HashSet<String> =
        operator.list(&wanted).await?.events.into_iter().map(|event| event.key).collect();
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let page = operator.list(&wanted).await?;
        let now_seen: HashSet<String> = page.events.iter().map(|event| event.key.clone()).collect();
        wanted.since = page
            .events
            .last()
            .and_then(|oldest| Timestamp::parse_rfc3339(&oldest.received_at))
            .or(wanted.since);
        for event in page.events.iter().rev().filter(|event| !seen.contains(&event.key)) {
            if json {
                say!("{}", serde_json::json!(event))?;
            } else {
                let event_type = event.event_type.as_deref().unwrap_or("-");
                say!(
                    "{}  {}  {}  {}  {}",
                    event.received_at,
                    event.key,
                    event.source,
                    event_type,
                    event.state
                )?;
            }
        }
        seen = now_seen;
    }
}
