//! What the parts of a running gateway share.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use hookward_core::{
    Source, SourceName,
    address::TrustedProxies,
    config, limits,
    rate::{Budget, SharedAddressBudgets, SharedBucket},
    secret::Secret,
    source::DestinationName,
};
use hookward_store::Store;
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    destination::Destination,
    doubts::Doubts,
    in_flight::InFlight,
    keys::Errands,
    metrics::{Metrics, SourceMetrics},
};

/// What the parts of a running gateway share. Knows no store by name.
#[derive(Debug)]
pub struct Gateway {
    /// Where events are kept.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whose secrets may have been changed.
    pub doubts: Doubts,
    /// The sources and destinations: replaced as a whole by a reload, so that a request sees one configuration from its
    /// beginning to its end.
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) limits: config::Limits,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) unverified: SharedAddressBudgets,
    pub(crate) in_flight: InFlight,
    pub(crate) unknown_source: SourceMetrics,
    /// What is to be fetched and visited beside requests.
    pub(crate) errands: Errands,
    /// Who keeps the secrets that senders bring.
    pub(crate) learner: OnceLock<Arc<dyn LearnSecret>>,
    stopping: AtomicBool,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        limits: config::Limits,
        trusted_proxies: TrustedProxies,
        routes: RoutesBuilder,
    ) -> Arc<Self> {
        let metrics = Metrics::default();
        Arc::new(Self {
            routes: ArcSwap::from_pointee(routes.build(&metrics, None)),
            unverified: SharedAddressBudgets::new(limits.unverified),
            in_flight: InFlight::new(&limits),
            unknown_source: metrics.source(""),
            learner: OnceLock::new(),
            errands: Errands::default(),
            stopping: AtomicBool::new(false),
            store,
            clock,
            metrics,
            doubts: Doubts::default(),
            limits,
            trusted_proxies,
        })
    }

    /// Says who keeps the secrets that senders bring. Without one, such handshakes are refused.
    pub fn set_learner(&self, learner: Arc<dyn LearnSecret>) {
        // The first one stays: there is one in a process.
        drop(self.learner.set(learner));
    }

    /// The routes of this moment.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Whether the gateway takes no more webhooks.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Keeps the secret that a sender brings in its handshake, and makes it count.
#[async_trait::async_trait]
pub trait LearnSecret: fmt::Debug + Send + Sync {
    /// Keeps the secret durably. A source that has one keeps it: a second one would be a takeover.
    async fn learn(&self, source: &SourceName, secret: &Secret) -> Result<(), NotLearnt>;
}

/// Why a secret was not learnt.
#[derive(Debug, thiserror::Error)]
pub enum NotLearnt {
    /// There is one already, or the source learns none.
    #[error("the source has a secret, or learns none")]
    Known,
    /// It cannot be kept.
    #[error("it cannot be kept: {0}")]
    Failed(String),
}

/// Sources and destinations, not yet running.
#[derive(Debug, Default)]
pub struct RoutesBuilder {
    sources: Vec<Source>,
    destinations: Vec<Destination>,
}

impl RoutesBuilder {
    /// Of sources and destinations. What is for a destination that is not among them waits: its secret was revoked, since
    /// the configuration's parser does not let it be missing.
    pub fn new(sources: Vec<Source>, destinations: Vec<Destination>) -> Self {
        Self { sources, destinations }
    }

    /// A source that was there before under the same name keeps the state of its budget and the keys that were fetched
    /// for it, and a destination its slots and its circuit, unless it is elsewhere now.
    pub(crate) fn build(self, metrics: &Metrics, before: Option<&Routes>) -> Routes {
        let mut lanes: BTreeMap<DestinationName, Lane> = self
            .destinations
            .into_iter()
            .map(|mut destination| {
                let name = destination.name().clone();
                let former = before.and_then(|routes| routes.lanes.get(&name));
                if let Some(former) = former {
                    destination.succeed(&former.destination);
                }
                metrics.destination(name.as_str()).circuit(destination.circuit().is_open());
                let wake = former.map(|lane| Arc::clone(&lane.wake));
                let lane = Lane {
                    destination: Arc::new(destination),
                    sources: Vec::new(),
                    wake: wake.unwrap_or_default(),
                };
                (name, lane)
            })
            .collect();
        let by_path = self
            .sources
            .into_iter()
            .map(|source| {
                let lane = source.rules().destination.as_ref().and_then(|name| lanes.get_mut(name));
                let wake = lane.map(|lane| {
                    lane.sources.push(source.name().clone());
                    Arc::clone(&lane.wake)
                });
                let path = source.rules().path.clone();
                let same = before.and_then(|routes| {
                    routes.by_path.values().find(|it| it.source.name() == source.name())
                });
                let former = same.and_then(|it| it.source.scheme().key_ring());
                if let (Some(ring), Some(former)) = (source.scheme().key_ring(), former) {
                    ring.succeed(former);
                }
                let budget = same.map(|it| Arc::clone(&it.budget)).unwrap_or_default();
                let log_budget = same.map(|it| Arc::clone(&it.log_budget)).unwrap_or_default();
                let doubt_budget = same.map(|it| Arc::clone(&it.doubt_budget)).unwrap_or_default();
                let metrics = metrics.source(source.name().as_str());
                let route = Route { source, budget, log_budget, doubt_budget, metrics, wake };
                (path, Arc::new(route))
            })
            .collect();
        Routes { by_path, lanes }
    }
}

/// The sources by path, and the destinations' lanes.
#[derive(Debug)]
pub struct Routes {
    by_path: HashMap<Box<str>, Arc<Route>>,
    pub(crate) lanes: BTreeMap<DestinationName, Lane>,
}

impl Routes {
    /// The source at exactly this path.
    pub(crate) fn at(&self, path: &str) -> Option<&Arc<Route>> {
        self.by_path.get(path)
    }

    /// All sources as they run, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.by_path.values()
    }

    /// All sources, in the order of their names.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.by_path.values().map(|route| &route.source).collect();
        sources.sort_by_key(|source| source.name());
        sources
    }
}

/// A source as it runs.
#[derive(Debug)]
pub(crate) struct Route {
    pub source: Source,
    pub budget: Arc<SharedBucket>,
    /// Refusals are logged at this budget, so that a flood of them does not fill the disk.
    pub log_budget: Arc<SharedBucket>,
    /// Wrong signatures make its secrets doubted at this budget.
    pub doubt_budget: Arc<SharedBucket>,
    pub metrics: SourceMetrics,
    pub wake: Option<Arc<Notify>>,
}

/// A destination as it runs, and the sources whose events go there.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub destination: Arc<Destination>,
    pub sources: Vec<SourceName>,
    pub wake: Arc<Notify>,
}

/// The lines about refusals that a source may log, in the long run and at a stroke.
pub(crate) static LOG_BUDGET: LazyLock<Budget> = LazyLock::new(|| Budget {
    rate: format!("{}/s", limits::REFUSALS_LOGGED_PER_SECOND).parse().expect("a constant rate"),
    burst: NonZeroU32::new(limits::REFUSALS_LOGGED_BURST).expect("not zero"),
});
