//! A gateway with its senders and its application, all of them real and on loopback.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use hookward_core::{
    Source, Timestamp,
    config::{Config, DestinationConfig, Dialect},
    secret::{Secret, SecretRef},
    source::SourceRules,
};
use hookward_server::{
    Clock, Gateway, ManualClock, Pace, Server, SystemClock, admin::AdminToken,
    destination::Destination, gateway::RoutesBuilder, tls::TlsError,
};
use hookward_store::{
    Kept, Query, Store as _, StoreError,
    fault::{Faulty, Op},
    memory::Memory,
};
use tokio::task::JoinHandle;
use tracing::subscriber::DefaultGuard;

use crate::{
    application::{Application, Delivery},
    watched::Watched,
    wire::{Answer, Letter, Wire},
};

/// The secret of the source `orders`: `whsec_` and base64 of 32 bytes.
pub(crate) const ORDERS_SECRET: &str = "whsec_q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
/// The secret of the source `plain`.
pub(crate) const PLAIN_SECRET: &str = "5f1b9c27e0d84a6f93b2c7d1806e4fa25f1b9c27e0d84a6f";
/// What the gateway signs deliveries with.
pub(crate) const DELIVERY_SECRET: &str = "whsec_7GfXk0n2QvQm1cZbW9yJtR4uLhEaPsDo3iVxBwKg5fM=";
/// The admin API's token.
pub(crate) const ADMIN_TOKEN: &str = "b7e1c4f09a2d4c3e8f5061728394a5b6";

/// How long anything may take before a test says that it does not happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what has to happen.
pub(crate) async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(PATIENCE, happens).await;
    happened.unwrap_or_else(|late| panic!("{late} ({PATIENCE:?}): {what}"))
}

/// What a story begins with.
pub(crate) struct Setup {
    toml: String,
    tune: Vec<Tune>,
    queue_max: usize,
    clock: Arc<dyn Clock>,
    pace: Pace,
}

type Tune = Box<dyn FnOnce(&mut Config) + Send>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            toml: String::new(),
            tune: Vec::new(),
            queue_max: 10_000,
            clock: SystemClock::start(),
            pace: Pace::default(),
        }
    }
}

impl Setup {
    /// More sources and destinations, in the words of a configuration file. `{app}` is the application's address.
    pub(crate) fn with(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self
    }

    /// Changes what was configured, also to what no file may say.
    pub(crate) fn but(mut self, tune: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.tune.push(Box::new(tune));
        self
    }

    /// Changes the rules of a source.
    pub(crate) fn but_source(
        self,
        name: &'static str,
        tune: impl FnOnce(&mut SourceRules) + Send + 'static,
    ) -> Self {
        self.but(move |config| {
            let mut sources = config.sources.iter_mut();
            tune(&mut sources.find(|it| it.name().as_str() == name).unwrap().rules);
        })
    }

    /// Changes how events are delivered to the application.
    pub(crate) fn but_app(
        self,
        tune: impl FnOnce(&mut DestinationConfig) + Send + 'static,
    ) -> Self {
        self.but(move |config| tune(&mut config.destinations[0]))
    }

    /// No source has a destination: nobody leases, so that every call of the store is a request's.
    pub(crate) fn delivering_nowhere(self) -> Self {
        self.but(|config| {
            for source in &mut config.sources {
                source.rules.destination = None;
            }
        })
    }

    pub(crate) fn queue_of(mut self, events: usize) -> Self {
        self.queue_max = events;
        self
    }

    pub(crate) fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Time stands still until the story moves it.
    pub(crate) fn at_standstill(mut self) -> (Self, Arc<ManualClock>) {
        let clock = ManualClock::at(Timestamp::from_secs(1_790_000_000));
        self.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        (self, clock)
    }

    /// The world in which the story takes place.
    pub(crate) async fn begins(self) -> World {
        World::begin(self).await
    }
}

/// Everything that a story acts on.
pub(crate) struct World {
    pub app: Application,
    /// What goes wrong with the store, and how often it was asked.
    pub store: Faulty,
    pub clock: Arc<dyn Clock>,
    watched: Watched,
    senders: BTreeMap<String, Source>,
    config: Config,
    server: Option<Server>,
    address: SocketAddr,
    admin: SocketAddr,
}

impl World {
    pub(crate) async fn new() -> Self {
        Setup::default().begins().await
    }

    async fn begin(setup: Setup) -> Self {
        start_logging();
        let app = Application::start(DELIVERY_SECRET, Arc::clone(&setup.clock)).await;
        let text = base().to_owned() + &setup.toml;
        let mut config = read(&text.replace("{app}", &app.address().to_string()));
        for destination in &mut config.destinations {
            destination.retry.first = Duration::from_millis(1);
        }
        setup.tune.into_iter().for_each(|tune| tune(&mut config));

        let store = Faulty::new(Arc::new(Memory::new(setup.queue_max)));
        let watched = Watched::new(Arc::new(store.clone()));
        let gateway = Gateway::new(
            Arc::new(watched.clone()),
            Arc::clone(&setup.clock),
            config.limits.clone(),
            config.server.trusted_proxies.clone(),
            routes(&config),
        );
        let token = AdminToken::new(Secret::new(ADMIN_TOKEN.to_owned())).unwrap();
        let admin = Some(("127.0.0.1:0".parse().unwrap(), token));
        let server = Server::start_at(setup.pace, gateway, &config.server, admin).unwrap();
        Self {
            app,
            store,
            clock: setup.clock,
            watched,
            senders: senders(&config),
            address: server.address(),
            admin: server.admin_address().unwrap(),
            config,
            server: Some(server),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// A webhook as its sender signs it now.
    pub(crate) fn letter(&self, source: &str, id: &str, body: impl Into<Vec<u8>>) -> Letter {
        self.letter_of(self.clock.now(), source, id, body)
    }

    /// A webhook that was signed at another time.
    pub(crate) fn letter_of(
        &self,
        at: Timestamp,
        source: &str,
        id: &str,
        body: impl Into<Vec<u8>>,
    ) -> Letter {
        let sender = self.sender(source);
        let letter = Letter::to(&sender.rules().path, body).and("content-type", "application/json");
        let signed = sender.scheme().sign(id, at, &letter.body).unwrap();
        signed.into_iter().fold(letter, |letter, (name, value)| letter.and(name.as_str(), value))
    }

    /// A webhook of the source `orders` with this number.
    pub(crate) fn order(&self, number: usize) -> Letter {
        let body = format!(r#"{{"type":"order.paid","order":{number}}}"#);
        self.letter("orders", &format!("msg_{number}"), body)
    }

    pub(crate) fn sender(&self, source: &str) -> &Source {
        &self.senders[source]
    }

    /// Sends on a connection of its own.
    pub(crate) async fn sends(&self, letter: &Letter) -> Answer {
        Wire::to(self.address).await.sends(letter).await
    }

    pub(crate) async fn sends_from(&self, local: &str, letter: &Letter) -> Answer {
        Wire::from(local, self.address).await.sends(letter).await
    }

    /// Sends the orders of these numbers; each is taken.
    pub(crate) async fn takes_orders(&self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            let answer = self.sends(&self.order(number)).await;
            assert_eq!(answer.status, 200, "order {number}: {answer:?}");
        }
    }

    /// Waits until so many deliveries were made and settled, and asserts that there were no more.
    pub(crate) async fn delivers(&self, count: usize) -> Vec<Delivery> {
        self.app.got(count).await;
        self.settles(count).await;
        let deliveries = self.app.deliveries();
        assert_eq!(deliveries.len(), count, "{deliveries:?}");
        deliveries
    }

    /// Waits until so many deliveries were settled, whatever their outcome.
    pub(crate) async fn settles(&self, count: usize) {
        let mut settled = self.watched.settled();
        let settled = soon("deliveries are settled", settled.wait_for(|it| *it >= count)).await;
        drop(settled.unwrap());
    }

    /// All that is stored, in the order of arrival.
    pub(crate) async fn stored(&self) -> Vec<Kept> {
        let query = Query { limit: usize::MAX, ..Query::default() };
        let mut stored = Vec::new();
        for listed in self.watched.list(&query).await.unwrap().events.iter().rev() {
            stored.extend(self.watched.get(listed.event.key).await.unwrap());
        }
        stored
    }

    /// What is stored under a key, with its body or without.
    pub(crate) async fn kept(&self, key: hookward_core::EventKey) -> Option<Kept> {
        self.watched.get(key).await.unwrap()
    }

    /// The one event that is stored.
    pub(crate) async fn stored_one(&self) -> Kept {
        let mut stored = self.stored().await;
        assert_eq!(stored.len(), 1, "{stored:?}");
        stored.remove(0)
    }

    /// The states and reasons of what is stored, in the order of arrival.
    pub(crate) async fn states(&self) -> Vec<String> {
        let shown = |kept: &Kept| match kept.dead {
            Some(why) => format!("{} {why:?}", kept.state.as_str()),
            None => kept.state.as_str().to_owned(),
        };
        self.stored().await.iter().map(shown).collect()
    }

    /// How often requests made the gateway ask its store for anything. Of a world that delivers nowhere.
    pub(crate) fn calls(&self) -> usize {
        let ops = [Op::Append, Op::Lease, Op::Extend, Op::Settle, Op::Get, Op::List, Op::Counts];
        let ops = ops.into_iter().chain([Op::Requeue, Op::Discard, Op::Health]);
        ops.map(|op| self.store.calls(op)).sum()
    }

    /// Waits until the gateway has looked after itself once more: a whole round that began after this.
    pub(crate) async fn keeps_house(&self) {
        let mut kept = self.watched.kept_house();
        let seen = *kept.borrow_and_update();
        // A round begins with what is counted; its end shows when the one after it begins.
        drop(soon("it keeps house", kept.wait_for(|it| *it >= seen + 2)).await.unwrap());
    }

    /// The store never ends to close.
    pub(crate) fn store_hangs_at_the_end(&self) {
        self.watched.hangs_at_the_end();
    }

    pub(crate) fn store_is_closed(&self) -> bool {
        self.watched.is_closed()
    }

    /// An operator's request, with the token.
    pub(crate) async fn operator(&self, method: &str, target: &str) -> Answer {
        let letter = Letter::to(target, "").by(method);
        let letter = letter.and("authorization", format!("Bearer {ADMIN_TOKEN}"));
        self.operator_sends(&letter).await
    }

    pub(crate) async fn operator_sends(&self, letter: &Letter) -> Answer {
        Wire::to(self.admin).await.sends(letter).await
    }

    /// The value of a metric, by its name and labels as they are written.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.operator("GET", "/metrics").await;
        assert_eq!(answer.status, 200);
        let line =
            answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// How many requests of a source ended so.
    pub(crate) async fn counted(&self, source: &str, outcome: &str) -> f64 {
        let name = format!("hookward_requests_total{{source=\"{source}\",outcome=\"{outcome}\"}}");
        self.metric(&name).await.unwrap_or_default()
    }

    /// Takes up another configuration, as SIGHUP makes it.
    pub(crate) async fn reloads(&mut self, change: impl FnOnce(&mut Config)) {
        self.tries_to_reload(change).await.unwrap();
    }

    pub(crate) async fn tries_to_reload(
        &mut self,
        change: impl FnOnce(&mut Config),
    ) -> Result<(), TlsError> {
        change(&mut self.config);
        self.senders.extend(senders(&self.config));
        self.server.as_ref().unwrap().reload(routes(&self.config)).await
    }

    /// Leaves every source without a secret.
    pub(crate) async fn revokes_all(&self) {
        let rules = self.config.sources.iter().map(|source| source.rules.clone());
        let routes = RoutesBuilder::new(rules.map(Source::revoked).collect(), Vec::new());
        self.server.as_ref().unwrap().renew(routes).await;
    }

    /// The sources whose secrets are in doubt.
    pub(crate) async fn doubted(&self) -> Vec<String> {
        let sources = self.server.as_ref().unwrap().gateway().doubts.next().await;
        sources.iter().map(ToString::to_string).collect()
    }

    /// Begins to stop; the handle tells whether everything was finished within the time.
    pub(crate) fn stops(&mut self, drain: Duration) -> JoinHandle<bool> {
        let stopping = self.tries_to_stop(drain);
        tokio::spawn(async move { stopping.await.unwrap().unwrap() })
    }

    pub(crate) fn tries_to_stop(
        &mut self,
        drain: Duration,
    ) -> JoinHandle<Result<bool, StoreError>> {
        tokio::spawn(self.server.take().unwrap().stop(drain))
    }

    /// Waits until a stopping gateway refuses connections.
    pub(crate) async fn refuses_connections(&self) {
        let refused = async {
            while Wire::try_to(self.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        soon("connections are refused", refused).await;
    }
}

fn base() -> &'static str {
    const BASE: &str = r#"
[server]
listen = "127.0.0.1:0"
[sources.orders]
provider = "standard-webhooks"
secret = "{ORDERS_SECRET}"
destination = "app"
keep_headers = ["X-Request-Id"]
[sources.plain]
provider = "hmac"
secret = "{PLAIN_SECRET}"
destination = "app"
[destinations.app]
url = "http://{app}/webhooks?tenant=7"
secret = "{DELIVERY_SECRET}"
"#;
    static FILLED: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        BASE.replace("{ORDERS_SECRET}", ORDERS_SECRET)
            .replace("{PLAIN_SECRET}", PLAIN_SECRET)
            .replace("{DELIVERY_SECRET}", DELIVERY_SECRET)
    });
    &FILLED
}

/// A configuration with its secrets in it.
pub(crate) fn read(toml: &str) -> Config {
    let mut no_files = |path: &Path| Err(format!("{} is not there", path.display()));
    match Config::parse(toml, Dialect::Dev, &mut no_files) {
        Ok((config, _)) => config,
        Err(mistakes) => panic!(
            "{}",
            mistakes.iter().fold(String::new(), |mut all, it| {
                writeln!(all, "{it}").unwrap();
                all
            })
        ),
    }
}

fn literal(reference: &SecretRef) -> Secret {
    match reference {
        SecretRef::Literal(secret) => secret.clone(),
        other => panic!("{other} is no secret"),
    }
}

fn sources(config: &Config) -> Vec<Source> {
    let source = |source: &hookward_core::config::SourceConfig| {
        let secrets =
            source.secrets.iter().map(|secret| (literal(&secret.reference), secret.validity));
        Source::new(source.rules.clone(), secrets.collect()).unwrap()
    };
    config.sources.iter().map(source).collect()
}

/// As the program makes them.
fn routes(config: &Config) -> RoutesBuilder {
    let destination = |destination: &DestinationConfig| {
        let secrets = std::iter::once(&destination.secret).chain(&destination.previous_secret);
        Destination::new(destination.clone(), secrets.map(literal).collect()).unwrap()
    };
    RoutesBuilder::new(sources(config), config.destinations.iter().map(destination).collect())
}

fn senders(config: &Config) -> BTreeMap<String, Source> {
    sources(config).into_iter().map(|source| (source.name().to_string(), source)).collect()
}

thread_local! {
    /// What a test and its gateway log, on whichever thread: the gateway's threads log to where the one that starts them does.
    static LOG: RefCell<Option<(Log, DefaultGuard)>> = const { RefCell::new(None) };
}

/// All that this test's gateway has logged so far, at the level of most detail, as JSON lines.
pub(crate) fn log() -> String {
    LOG.with_borrow(|log| log.as_ref().map_or_else(String::new, |(log, _)| log.text()))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start_logging() {
    LOG.with_borrow_mut(|started| {
        started.get_or_insert_with(|| {
            let log = Log::default();
            let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
            let writer = log.clone();
            let subscriber = subscriber.with_writer(move || writer.clone()).finish();
            (log, tracing::subscriber::set_default(subscriber))
        });
    });
}
