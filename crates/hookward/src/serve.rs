//! `hookward serve`: configuration, store, listeners, signals, drain.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clap::Args;
use hookward_core::{
    SourceName,
    config::{Config, StoreConfig},
    rate::Budget,
};
use hookward_secrets::Backends;
use hookward_server::{Gateway, Server, SystemClock, gateway::LearnSecret};
use hookward_store::{
    Store,
    dynamodb::WriteBudgets,
    embedded::{self, Embedded},
};

use crate::{
    aws,
    failure::Failure,
    keeper::Keeper,
    logging,
    settings::{ConfigFile, Followed},
    signals::{Signals, Told},
};

/// Runs the gateway until SIGTERM or Ctrl-C. SIGHUP reloads sources, destinations, secrets and certificates, all of them or none;
/// of other keys that changed it says that they need a restart.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (config, warnings) = self.file.load()?;
        let runtime = runtime()?;
        let backends = Box::new(Backends::default());
        let started = Keeper::start(self.file.clone(), config.clone(), backends);
        let (keeper, followed) = runtime.block_on(started)?;
        logging::start(&config.log)?;
        for warning in &warnings {
            tracing::warn!("{}:{warning}", self.file.config.display());
        }
        let ended = runtime.block_on(self.serve(&config, keeper, followed));
        // What hangs at the end, such as a disk, does not hold the process up.
        runtime.shutdown_background();
        ended
    }

    async fn serve(
        &self,
        config: &Config,
        keeper: Keeper,
        Followed { routes, token }: Followed,
    ) -> Result<(), Failure> {
        let budgets = Arc::new(WriteBudgets::default());
        budgets.set(write_budgets(config));
        let store = open_store(config, true, Arc::clone(&budgets)).await?;
        let gateway = Gateway::new(
            store,
            SystemClock::start(),
            config.limits.clone(),
            config.server.trusted_proxies.clone(),
            routes,
        );
        let mut signals =
            Signals::listen().map_err(|error| Failure::of("cannot listen to signals", &error))?;
        let admin = config.admin.as_ref().zip(token).map(|(admin, token)| (admin.listen, token));
        let server = Server::start(gateway, &config.server, admin)
            .map_err(|error| Failure::of("cannot start", &error))?;
        let keeper = Arc::new(keeper);
        server.gateway().set_learner(Arc::clone(&keeper) as Arc<dyn LearnSecret>);
        announce(&server, config);
        tokio::select! {
            () = self.told_to_stop(&mut signals, &server, &budgets, config, &keeper) => {}
            never = keeper.keep(&server) => match never {},
        }
        tracing::info!(
            drain_s = config.server.drain.as_secs(),
            "stopping: no more webhooks are taken"
        );
        let stopping = server.stop(config.server.drain);
        let finished = tokio::select! {
            finished = stopping => finished.map_err(|error| Failure::of("cannot close the store", &error))?,
            () = signals.stop(|| tracing::warn!("configuration not reloaded: the gateway is stopping")) => return Err(Failure::new("stopped at once by a second signal; nothing acknowledged is lost")),
        };
        if finished {
            tracing::info!("stopped: everything in progress was finished");
        } else {
            tracing::warn!(
                "stopped: what was in progress at the deadline was cut off; undelivered events are delivered at the next start"
            );
        }
        Ok(())
    }

    /// Reloads whenever it is told to, until it is told to stop: a reload that waits for something does not put that off.
    async fn told_to_stop(
        &self,
        signals: &mut Signals,
        server: &Server,
        budgets: &WriteBudgets,
        running: &Config,
        keeper: &Keeper,
    ) {
        while signals.next().await == Told::Reload {
            // Told again meanwhile, it begins again: the file may have changed since it was read.
            let again = AtomicBool::new(true);
            while again.swap(false, Ordering::Relaxed) {
                tokio::select! {
                    () = self.reload(server, budgets, running, keeper) => {}
                    () = signals.stop(|| again.store(true, Ordering::Relaxed)) => return,
                }
            }
        }
    }

    /// Takes new sources, destinations, secrets and certificates whole, or none of it. `running` is what it was started with:
    /// what of it is another now is told to need a restart.
    async fn reload(
        &self,
        server: &Server,
        budgets: &WriteBudgets,
        running: &Config,
        keeper: &Keeper,
    ) {
        let reloaded = async {
            let (config, warnings) = self.file.load()?;
            for warning in &warnings {
                tracing::warn!("{}:{warning}", self.file.config.display());
            }
            let fixed = running.needs_restart_for(&config);
            let writes: Vec<_> = write_budgets(&config).collect();
            keeper.reload(server, config).await?;
            budgets.set(writes);
            if !fixed.is_empty() {
                tracing::warn!("changed, and not taken up before a restart: {}", fixed.join(", "));
            }
            Ok::<_, Failure>(())
        };
        match reloaded.await {
            Ok(()) => tracing::info!(
                "configuration reloaded: sources, destinations, secrets, certificates"
            ),
            Err(failure) => {
                tracing::error!("configuration not reloaded, the former stays: {failure}");
            }
        }
    }
}

/// A runtime for the whole process.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("cannot start the runtime", &error))
}

/// What sources may spend of the store's write units.
fn write_budgets(config: &Config) -> impl Iterator<Item = (SourceName, Budget)> {
    let rules = config.sources.iter().map(|source| &source.rules);
    rules.filter_map(|rules| Some((rules.name.clone(), rules.write_budget?)))
}

/// Opens the configured store: to serve, or only to decide.
pub(crate) async fn open_store(
    config: &Config,
    serving: bool,
    budgets: Arc<WriteBudgets>,
) -> Result<Arc<dyn Store>, Failure> {
    match &config.store {
        StoreConfig::Embedded(config) => {
            let options = embedded::Options {
                segment_bytes: u32::try_from(config.segment_bytes).unwrap_or(u32::MAX),
                queue_max: config.queue_max,
                ..embedded::Options::default()
            };
            match Embedded::open(&config.path, options) {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(Failure::of(
                    format!("cannot open the store in {}", config.path.display()),
                    &error,
                )),
            }
        }
        StoreConfig::DynamoDb(config) => Ok(Arc::new(aws::open(config, serving, budgets).await?)),
    }
}

fn announce(server: &Server, config: &Config) {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    tracing::info!("taking webhooks at {scheme}://{}", server.address());
    if let Some(admin) = server.admin_address() {
        tracing::info!("admin API and metrics at http://{admin}");
    }
    for source in server.gateway().routes().sources() {
        let rules = source.rules();
        let destination =
            rules.destination.as_ref().map_or("nowhere (archived)", |name| name.as_str());
        let covers = rules.scheme.covers();
        tracing::info!(
            "source {}: {} -> {destination}, signature covers {covers}",
            rules.name,
            rules.path
        );
    }
}
