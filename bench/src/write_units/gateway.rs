//! A gateway as a process of its own, with a counter between it and DynamoDB.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hookward_core::{
    Source, SourceName, Timestamp,
    provider::Provider,
    scheme::Sample,
    secret::{Secret, Validity},
    source::SourceRules,
};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    Result,
    application::Application,
    bodies::{Body, Kind},
    counter::{Counted, Counter},
    engine::Engine,
};

/// The providers, and what their secrets begin and end with: in between is what a source has for itself.
const PROVIDERS: [(&str, [&str; 2]); 2] = [
    ("standard-webhooks", ["whsec_", "83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k="]),
    ("github", ["", "f1b9c27e0d84a6f93b2c7d1806e4fa25f1b9c27e0d84a6f"]),
];
const DELIVERY_SECRET: &str = "whsec_7GfXk0n2QvQm1cZbW9yJtR4uLhEaPsDo3iVxBwKg5fM=";
const ADMIN_TOKEN: &str = "b7e1c4f09a2d4c3e8f5061728394a5b6";

/// How long anything may take before it is said that it does not happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// What becomes of the events of a source: each has sources of its own, so that the same payload is a new event there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Taken one after the other.
    Alone,
    /// Taken as fast as it goes.
    Load,
    /// Taken at a rate.
    Paced,
    /// Delivered at the second attempt.
    Retried,
    /// Given up after one attempt.
    Dead,
    /// Refused, if it is not as it should be.
    Strict,
    /// Refused, if it is larger than a kilobyte.
    Small,
    /// Refused, except for the first.
    Tight,
}

impl Fate {
    const ALL: [Self; 8] = [
        Self::Alone,
        Self::Load,
        Self::Paced,
        Self::Retried,
        Self::Dead,
        Self::Strict,
        Self::Small,
        Self::Tight,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Load => "load",
            Self::Paced => "paced",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Strict => "strict",
            Self::Small => "small",
            Self::Tight => "tight",
        }
    }

    /// No two sources may have the same.
    fn secret(self, [start, end]: [&str; 2]) -> String {
        format!("{start}{:x}{end}", self as u8)
    }

    const fn rules(self) -> &'static str {
        match self {
            Self::Alone | Self::Load | Self::Paced | Self::Retried => "destination = \"app\"\n",
            Self::Dead => "destination = \"last\"\n",
            Self::Strict => "malformed = \"reject\"\n",
            Self::Small => "body_max = \"1KiB\"\n",
            Self::Tight => "budget = \"1/h\"\nburst = 1\n",
        }
    }
}

/// A webhook, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Webhook {
    /// A signed one, with an id where the sender gives ids.
    pub(super) fn new(kind: Kind, fate: Fate, id: &str, body: &Body) -> Result<Self> {
        Self::signed_at(kind, fate, id, body, now())
    }

    /// One that was signed too long ago.
    pub(super) fn stale(kind: Kind, fate: Fate, id: &str, body: &Body) -> Result<Self> {
        Self::signed_at(kind, fate, id, body, now().saturating_sub(Duration::from_hours(1)))
    }

    fn signed_at(kind: Kind, fate: Fate, id: &str, body: &Body, at: Timestamp) -> Result<Self> {
        let [standard, github] = PROVIDERS;
        let (name, secret) = if kind == Kind::GitHub { github } else { standard };
        let provider = Provider::named(name).ok_or("no such provider")?;
        let rules = SourceRules::of_provider(SourceName::parse("bench")?, "/", provider);
        let secret = (Secret::new(fate.secret(secret)), Validity::default());
        let sample = Sample { id, at, body: &body.bytes };
        let signed = Source::new(rules, vec![secret])?.scheme().sign(sample);
        let signed = signed.ok_or("this secret cannot sign")?;
        let mut headers: Vec<_> =
            signed.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        if kind == Kind::GitHub {
            headers.push(("x-github-event".to_owned(), body.event_type.clone()));
            headers.push(("x-github-delivery".to_owned(), id.to_owned()));
        }
        let path = format!("/hooks/{name}-{}", fate.name());
        Ok(Self { path, headers, body: body.bytes.clone() })
    }

    /// The same with another signature, or another body under the same one.
    pub(super) fn forged(mut self) -> Self {
        for digit in self.body.iter_mut().rev().filter(|it| it.is_ascii_alphanumeric()).take(1) {
            *digit = if *digit == b'0' { b'1' } else { b'0' };
        }
        self
    }
}

#[expect(clippy::disallowed_methods, reason = "a sender signs the time that it is")]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_secs(now.as_secs())
}

/// Read and write units by what they were used for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Units(BTreeMap<String, [f64; 2]>);

impl Units {
    /// Of some purposes.
    pub(super) fn of(&self, purposes: &[&str]) -> [f64; 2] {
        let mut sum = [0.0, 0.0];
        for (purpose, [reads, writes]) in &self.0 {
            if purposes.contains(&&**purpose) {
                sum = [sum[0] + reads, sum[1] + writes];
            }
        }
        sum
    }

    /// Of all purposes.
    pub(super) fn all(&self) -> [f64; 2] {
        self.0.values().fold([0.0, 0.0], |sum, it| [sum[0] + it[0], sum[1] + it[1]])
    }

    /// Of all but what a node needs that is there.
    pub(super) fn of_events(&self) -> [f64; 2] {
        let ([reads, writes], node) = (self.all(), self.of(&["node"]));
        [reads - node[0], writes - node[1]]
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (purpose, [reads, writes]) in &before.0 {
            let now = since.0.entry(purpose.clone()).or_default();
            *now = [now[0] - reads, now[1] - writes];
        }
        since
    }

    /// From a gateway's metrics: the units, and the events that it still has to deliver.
    fn read(metrics: &str) -> (Self, f64) {
        let (mut units, mut pending) = (Self::default(), 0.0);
        for line in metrics.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value: f64 = value.parse().unwrap_or_default();
            let label = |label: &str| {
                let (_, rest) = name.split_once(&format!("{label}=\""))?;
                rest.split('"').next()
            };
            if name.starts_with("hookward_store_units_total{") {
                let purpose = label("outcome").unwrap_or_default().to_owned();
                let place = usize::from(label("kind") == Some("write"));
                if let Some(sum) = units.0.entry(purpose).or_default().get_mut(place) {
                    *sum += value;
                }
            } else if name.starts_with("hookward_events{") && label("state") == Some("pending") {
                pending += value;
            }
        }
        (units, pending)
    }
}

/// So much of what a gateway says is shown when it does not end well.
const LOG_LINES: usize = 20;

/// How a gateway is set up, beside the defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    pub(super) hookward: &'a Path,
    pub(super) engine: &'a Engine,
    pub(super) application: &'a Application,
    pub(super) table: &'a str,
    /// More for `[store]`.
    pub(super) store: &'a str,
}

/// A running gateway. Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    /// What it said last, once it has ended.
    log: JoinHandle<VecDeque<String>>,
    address: SocketAddr,
    admin: SocketAddr,
    counter: Counter,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Webhooks that were sent again, since the gateway did not take them the first time.
    resent: Arc<AtomicU32>,
    _folder: TempDir,
}

impl Gateway {
    /// On a machine that stands still, the first calls of a gateway may take longer than it waits for them.
    pub(super) async fn start(setup: Setup<'_>) -> Result<Self> {
        for _ in 0..3 {
            match Self::start_once(setup).await {
                Err(error) if error.to_string().contains("did not answer in time") => {}
                started => return started,
            }
        }
        Self::start_once(setup).await
    }

    async fn start_once(setup: Setup<'_>) -> Result<Self> {
        let counter = Counter::before(setup.engine.address).await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("hookward.toml"), config(setup, counter.address)?)?;
        let mut command = Command::new(setup.hookward);
        command.arg("serve").current_dir(folder.path()).env_clear().env("ADMIN_TOKEN", ADMIN_TOKEN);
        command.env("DELIVERY_SECRET", DELIVERY_SECRET);
        for (provider, secret) in PROVIDERS {
            for fate in Fate::ALL {
                command.env(variable(provider, fate), fate.secret(secret));
            }
        }
        command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let log = child.stderr.take().ok_or("the gateway has no log")?;
        let mut lines = BufReader::new(log).lines();
        let (mut said, mut address, mut admin) = (String::new(), None, None);
        while address.is_none() || admin.is_none() {
            let Some(line) = timeout(PATIENCE, lines.next_line()).await?? else {
                return Err(format!("the gateway did not start:\n{said}").into());
            };
            let at = |mark: &str| {
                let (_, rest) = line.split_once(mark)?;
                let (_, rest) = rest.split_once("://")?;
                rest.split(['"', ' ']).next()?.parse::<SocketAddr>().ok()
            };
            address = address.or_else(|| at("taking webhooks at"));
            admin = admin.or_else(|| at("admin API and metrics at"));
            said = format!("{said}{line}\n");
        }
        // Whoever does not read a pipe stops its writer.
        let log = tokio::spawn(async move {
            let mut last = VecDeque::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if last.len() == LOG_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
            last
        });
        let (address, admin) = address.zip(admin).ok_or("the gateway has no address")?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let resent = Arc::default();
        Ok(Self { child, log, address, admin, counter, client, resent, _folder: folder })
    }

    /// DynamoDB is as far away from it as that.
    pub(super) fn is_far_away(&self, by: Duration) {
        self.counter.is_late(by);
    }

    /// Sends a webhook; the status of the answer.
    pub(super) async fn send(&self, webhook: Webhook) -> Result<u16> {
        send(&self.client, self.address, webhook).await
    }

    /// Sends webhooks, so many at once; all of them have to be taken.
    pub(super) async fn takes(&self, webhooks: Vec<Webhook>, at_once: usize) -> Result<()> {
        self.takes_paced(webhooks, at_once, None).await
    }

    /// Sends webhooks, each so long after the one before where that is said, and whether or not that was answered.
    pub(super) async fn takes_paced(
        &self,
        webhooks: Vec<Webhook>,
        at_once: usize,
        every: Option<Duration>,
    ) -> Result<()> {
        let places = Arc::new(Semaphore::new(at_once));
        let mut sent = JoinSet::new();
        let mut clock = every.map(tokio::time::interval);
        for webhook in webhooks {
            if let Some(clock) = &mut clock {
                clock.tick().await;
            }
            let place = Arc::clone(&places).acquire_owned().await?;
            let (client, address) = (self.client.clone(), self.address);
            let resent = Arc::clone(&self.resent);
            sent.spawn(async move {
                let _place = place;
                insist(&client, address, webhook, &resent).await
            });
        }
        while let Some(answer) = sent.join_next().await {
            answer??;
        }
        Ok(())
    }

    /// What was used so far, when everything is delivered and nothing is on its way; by the gateway and by the counter.
    pub(super) async fn settled(&self) -> Result<Units> {
        self.units_when(|pending| pending == 0.0).await
    }

    /// What was used so far, when nothing is on its way.
    pub(super) async fn units(&self) -> Result<Units> {
        self.units_when(|_| true).await
    }

    async fn units_when(&self, fits: impl Fn(f64) -> bool) -> Result<Units> {
        let mut last = (Units::default(), Counted::default());
        for _ in 0..600 {
            let (before, _) = self.metrics().await?;
            let counted = self.counter.counted();
            sleep(Duration::from_millis(100)).await;
            let (units, pending) = self.metrics().await?;
            let is_quiet = before == units && counted == self.counter.counted();
            let [reads, writes] = units.all();
            // What was answered too late for the gateway, only the counter knows.
            let has_missed =
                counted.again > 0 && reads <= counted.reads && writes <= counted.writes;
            let is_same = near(reads, counted.reads) && near(writes, counted.writes) || has_missed;
            if is_quiet && is_same && fits(pending) {
                return Ok(units);
            }
            last = (units, counted);
        }
        Err(format!("the gateway and the counter do not agree, or events stay: {last:?}").into())
    }

    /// How many calls to DynamoDB were made again: this machine was too slow for DynamoDB Local.
    pub(super) fn asked_again(&self) -> u64 {
        self.counter.counted().again
    }

    /// How many webhooks had to be sent again, for the same reason.
    pub(super) fn resent(&self) -> u32 {
        self.resent.load(Ordering::Relaxed)
    }

    async fn metrics(&self) -> Result<(Units, f64)> {
        let request = Request::get(format!("http://{}/metrics", self.admin))
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .body(Full::default())?;
        let answer = self.client.request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("the metrics were answered with {}", answer.status()).into());
        }
        let text = answer.into_body().collect().await?.to_bytes();
        Ok(Units::read(std::str::from_utf8(&text)?))
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().ok_or("the gateway is gone")?;
        Command::new("kill").arg(id.to_string()).status().await?;
        let ended = timeout(PATIENCE, self.child.wait()).await??;
        if ended.success() {
            return Ok(());
        }
        let said = Vec::from(self.log.await?).join("\n");
        Err(format!("the gateway ended with {ended}:\n{said}").into())
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Sums of halves and wholes are exact up to the noise of adding them.
fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-6
}

async fn send(
    client: &Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    webhook: Webhook,
) -> Result<u16> {
    let mut request = Request::post(format!("http://{address}{}", webhook.path));
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    let answer = client.request(request.body(Full::from(webhook.body))?).await?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await?;
    Ok(status)
}

/// Sends a webhook as senders do: when it is told to come back, it does.
async fn insist(
    client: &Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    webhook: Webhook,
    resent: &AtomicU32,
) -> Result<()> {
    // Each time later, and not all at the same time: otherwise who is slow once is slow for ever.
    for round in 0..12 {
        match send(client, address, webhook.clone()).await? {
            200 => return Ok(()),
            503 => {
                resent.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(fastrand::u64(100..200) << round.min(5))).await;
            }
            other => return Err(format!("{} answered {other}", webhook.path).into()),
        }
    }
    Err(format!("{} did not take a webhook", webhook.path).into())
}

fn variable(provider: &str, fate: Fate) -> String {
    format!("{provider}_{}", fate.name()).to_ascii_uppercase().replace('-', "_")
}

fn config(setup: Setup<'_>, endpoint: SocketAddr) -> Result<String> {
    let Setup { application, table, store, .. } = setup;
    let app = application.address;
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"env:ADMIN_TOKEN\"\n\
         [store]\nkind = \"dynamodb\"\ntable = \"{table}\"\nregion = \"eu-central-1\"\nendpoint = \"http://{endpoint}\"\n{store}\n\
         [log]\nformat = \"json\"\n"
    );
    for (name, more) in [("app", ""), ("last", "attempts = 1\n")] {
        write!(
            text,
            "[destinations.{name}]\nurl = \"http://{app}/\"\nsecret = \"env:DELIVERY_SECRET\"\n\
             retry_first = \"100ms\"\nretry_longest = \"1s\"\ncircuit = {{ failures = 10000 }}\n{more}"
        )?;
    }
    for (provider, _) in PROVIDERS {
        for fate in Fate::ALL {
            write!(
                text,
                "[sources.{provider}-{}]\nprovider = \"{provider}\"\nsecret = \"env:{}\"\n{}",
                fate.name(),
                variable(provider, fate),
                fate.rules()
            )?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_from_metrics() {
        let metrics = "# TYPE hookward_store_units counter\n\
             hookward_store_units_total{source=\"a\",outcome=\"accepted\",kind=\"write\"} 3.0\n\
             hookward_store_units_total{source=\"b\",outcome=\"accepted\",kind=\"write\"} 2.0\n\
             hookward_store_units_total{source=\"\",outcome=\"node\",kind=\"read\"} 1.5\n\
             hookward_events{state=\"pending\"} 4\n# EOF\n";
        let (units, pending) = Units::read(metrics);
        let check = |[reads, writes]: [f64; 2], expected: [f64; 2]| {
            assert!(near(reads, expected[0]) && near(writes, expected[1]), "{reads} {writes}");
        };
        check(units.of(&["accepted"]), [0.0, 5.0]);
        check(units.all(), [1.5, 5.0]);
        check(units.of_events(), [0.0, 5.0]);
        check(units.since(&units).all(), [0.0, 0.0]);
        assert!(near(pending, 4.0));
    }
}
