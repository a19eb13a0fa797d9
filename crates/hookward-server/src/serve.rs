//! The life of a gateway: bind, spawn, reload, drain.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use arc_swap::ArcSwap;
use hookward_core::{Timestamp, config, limits};
use hookward_store::{Expired, StoreError};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::{JoinHandle, JoinSet},
    time::{interval, timeout},
};

use crate::{
    admin::{self, AdminToken, SharedToken},
    deliver,
    gateway::{Gateway, RoutesBuilder},
    listen::{self, Listen},
    tls::{Tls, TlsError},
    workers::Workers,
};

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    token: Option<SharedToken>,
    tls: Option<Arc<Tls>>,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
    admin: Option<JoinHandle<()>>,
    housekeeper: JoinHandle<()>,
    lanes: Mutex<Lanes>,
    pace: Pace,
}

/// The lanes of the current routes, and those of former ones as long as they have attempts on their way.
#[derive(Debug)]
struct Lanes {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
    former: JoinSet<()>,
}

/// How often a gateway looks after itself, and how long it waits for its store.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The time between two looks at what has expired and at the certificate's files.
    pub housekeeping: Duration,
    /// How long the store may take to close.
    pub close: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { housekeeping: limits::HOUSEKEEPING_INTERVAL, close: limits::STORE_CLOSE_TIMEOUT }
    }
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener's address is taken or not this machine's.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The threads that serve connections cannot be started.
    #[error("cannot start a thread")]
    Threads(#[source] io::Error),
    /// The certificate or its key is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds every listener, then starts taking webhooks and delivering. Nothing runs when any part cannot.
    ///
    /// Call it inside a Tokio runtime.
    pub fn start(
        gateway: Arc<Gateway>,
        server: &config::Server,
        admin: Option<(SocketAddr, AdminToken)>,
    ) -> Result<Self, ServeError> {
        Self::start_at(Pace::default(), gateway, server, admin)
    }

    /// [`start`](Self::start) at another pace: for tests, which cannot wait.
    pub fn start_at(
        pace: Pace,
        gateway: Arc<Gateway>,
        server: &config::Server,
        admin: Option<(SocketAddr, AdminToken)>,
    ) -> Result<Self, ServeError> {
        let tls = server.tls.as_ref().map(|tls| Tls::load(&tls.cert, &tls.key)).transpose()?;
        let (listener, address) = bind(server.listen)?;
        let admin = match admin {
            Some((address, token)) => {
                Some((bind(address)?, Arc::new(ArcSwap::from_pointee(token))))
            }
            None => None,
        };

        let (stop, stopping) = watch::channel(false);
        let workers = Workers::start(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
            .map_err(ServeError::Threads)?;
        let listen =
            Listen { listener, workers, tls: tls.clone(), http2_cleartext: server.http2_cleartext };
        let admin_address = admin.as_ref().map(|((_, address), _)| *address);
        let token = admin.as_ref().map(|(_, token)| Arc::clone(token));
        Ok(Self {
            listener: tokio::spawn(listen::run(Arc::clone(&gateway), listen, stopping.clone())),
            admin: admin.map(|((listener, _), token)| {
                tokio::spawn(admin::run(Arc::clone(&gateway), listener, token))
            }),
            housekeeper: tokio::spawn(keep_house(
                Arc::clone(&gateway),
                tls.clone(),
                pace.housekeeping,
            )),
            lanes: Mutex::new(Lanes::start(&gateway)),
            gateway,
            address,
            admin_address,
            token,
            tls,
            stop,
            pace,
        })
    }

    /// Where webhooks are taken: with the port that the system picked, when the configured one was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin API is, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What its parts share.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Replaces sources and destinations at once and drops no request: those in progress see the former ones to
    /// their end. The certificate's files are read again too. If they are of no use nothing at all is replaced.
    pub async fn reload(&self, routes: RoutesBuilder) -> Result<(), TlsError> {
        let mut lanes = self.lanes.lock().await;
        if let Some(tls) = &self.tls {
            tls.renew(tls.read_again()?);
        }
        self.replace(&mut lanes, routes);
        Ok(())
    }

    /// Replaces sources and destinations as [`reload`](Self::reload) does, and nothing else: their secrets are other ones.
    pub async fn renew(&self, routes: RoutesBuilder) {
        let mut lanes = self.lanes.lock().await;
        self.replace(&mut lanes, routes);
    }

    /// Lets nobody operate the gateway but with this token from now on.
    pub fn renew_token(&self, token: AdminToken) {
        if let Some(current) = &self.token {
            current.store(Arc::new(token));
        }
    }

    fn replace(&self, lanes: &mut Lanes, routes: RoutesBuilder) {
        let before = self.gateway.routes();
        self.gateway.routes.store(Arc::new(routes.build(&self.gateway.metrics, Some(&before))));
        lanes.restart(&self.gateway);
    }

    /// Stops: takes no more webhooks, finishes what is on its way, closes the store. What is not finished within
    /// `drain` is cut off: a request without an answer, a delivery that will be made again. `Ok(true)` when all was finished.
    ///
    /// A store that does not close in time is an error: nothing that it acknowledged is lost, but whatever it hangs in (a
    /// disk, usually) may hang on in a task of its own. Shut the runtime down without waiting.
    pub async fn stop(self, drain: Duration) -> Result<bool, StoreError> {
        self.gateway.stop();
        self.stop.send_replace(true);
        self.housekeeper.abort();
        let mut listener = self.listener;
        let lanes = self.lanes.into_inner();
        let finished = timeout(drain, async {
            let (_, ()) = tokio::join!(&mut listener, lanes.stop());
        })
        .await
        .is_ok();
        listener.abort();
        if let Some(admin) = self.admin {
            admin.abort();
        }
        let store = Arc::clone(&self.gateway.store);
        let closing = tokio::spawn(async move { store.close().await });
        let unavailable = |cause: io::Error| StoreError::Unavailable(Arc::new(cause));
        match timeout(self.pace.close, closing).await {
            Ok(Ok(closed)) => closed.map(|()| finished),
            Ok(Err(panicked)) => Err(unavailable(io::Error::other(panicked))),
            Err(_) => Err(unavailable(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not close within {:?}", self.pace.close),
            ))),
        }
    }
}

impl Lanes {
    fn start(gateway: &Arc<Gateway>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut running = JoinSet::new();
        for lane in gateway.routes().lanes.values().filter(|lane| !lane.sources.is_empty()) {
            running.spawn(deliver::run(Arc::clone(gateway), lane.clone(), stopping.clone()));
        }
        Self { stop, running, former: JoinSet::new() }
    }

    /// Puts lanes of the current routes in the place of the former ones. What those have on its way ends in its own time.
    fn restart(&mut self, gateway: &Arc<Gateway>) {
        let mut lanes = Self::start(gateway);
        std::mem::swap(self, &mut lanes);
        self.former.spawn(lanes.stop());
    }

    /// Leases nothing more and waits for the attempts that are on their way.
    async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.running.join_next().await.is_some() {}
        while self.former.join_next().await.is_some() {}
    }
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |cause| ServeError::Bind { address, cause };
    let listener = listener(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A listener whose queue is long enough for a burst of connections.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 4096;
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Forgets what has expired, and notices new certificates.
async fn keep_house(gateway: Arc<Gateway>, tls: Option<Arc<Tls>>, every: Duration) {
    let mut ticks = interval(every);
    let mut clock = SteadyClock::default();
    loop {
        ticks.tick().await;
        let now = gateway.clock.now();
        let expired = if clock.trusts(Reading { now, elapsed: gateway.clock.elapsed() }) {
            gateway.store.expire(now).await
        } else {
            tracing::error!(%now, wait_s = STEP_TRUSTED_AFTER.as_secs(), "the clock was put forward; nothing is forgotten by it unless it stays so");
            Ok(Expired::default())
        };
        match expired {
            Ok(expired) if expired.bodies + expired.keys > 0 => {
                let (bodies, keys, bytes) = (expired.bodies, expired.keys, expired.bytes);
                tracing::info!(bodies, keys, bytes, "forgot what had expired");
            }
            Ok(_) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot forget what has expired"),
        }
        match tls.as_ref().map(|tls| tls.reload()).transpose() {
            Ok(Some(true)) => tracing::info!("certificate reloaded"),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "certificate not reloaded, the former stays in use");
            }
        }
    }
}

/// A clock that is put forward by more than this is not believed at once: what is forgotten by a wrong time is gone.
const STEP_MAX: Duration = Duration::from_mins(5);

/// A clock that has gone on for so long since it was put forward is right: an operator had the time to correct it.
const STEP_TRUSTED_AFTER: Duration = Duration::from_hours(1);

/// Both readings of a clock at one moment.
#[derive(Clone, Copy)]
struct Reading {
    now: Timestamp,
    elapsed: Duration,
}

impl Reading {
    /// Whether the wall clock went further since an earlier reading than time did.
    fn is_ahead_of(self, earlier: Self) -> bool {
        let passed = self.elapsed.saturating_sub(earlier.elapsed);
        self.now > earlier.now.saturating_add(passed).saturating_add(STEP_MAX)
    }
}

/// Says whether the wall clock is believed.
#[derive(Default)]
struct SteadyClock {
    trusted: Option<Reading>,
    /// The first reading after it was put forward.
    put_forward: Option<Reading>,
}

impl SteadyClock {
    fn trusts(&mut self, reading: Reading) -> bool {
        if self.trusted.is_some_and(|trusted| reading.is_ahead_of(trusted)) {
            let since = match self.put_forward.filter(|since| !reading.is_ahead_of(*since)) {
                Some(since) => since,
                None => *self.put_forward.insert(reading),
            };
            if reading.elapsed.saturating_sub(since.elapsed) < STEP_TRUSTED_AFTER {
                return false;
            }
        }
        (self.trusted, self.put_forward) = (Some(reading), None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading so many seconds after the start, of a clock that is ahead by so many.
    fn reading(second: u64, ahead: u64) -> Reading {
        Reading {
            now: Timestamp::from_secs(1_000_000 + second + ahead),
            elapsed: Duration::from_secs(second),
        }
    }

    #[test]
    fn a_clock_that_was_put_forward_is_not_believed_until_it_stays_so() {
        let hour = STEP_TRUSTED_AFTER.as_secs();
        let mut clock = SteadyClock::default();
        for (second, ahead, trusted) in [
            (0, 0, true),
            (30, 0, true),
            (60, 299, true),
            (90, 299 + 301, false),
            // Corrected: as if nothing had been.
            (120, 0, true),
            (150, 86_400, false),
            (180, 86_400, false),
            // Put forward again: the wait begins anew.
            (210, 172_800, false),
            (150 + hour, 172_800, false),
            (209 + hour, 172_800, false),
            (210 + hour, 172_800, true),
            (240 + hour, 172_800, true),
            // A clock that was put back forgets less, which does no harm.
            (270 + hour, 0, true),
            (300 + hour, 172_800, false),
        ] {
            assert_eq!(
                clock.trusts(reading(second, ahead)),
                trusted,
                "{second} s, {ahead} s ahead"
            );
        }
    }

    #[test]
    fn a_long_pause_is_not_a_step() {
        let mut clock = SteadyClock::default();
        assert!(clock.trusts(reading(0, 0)) && clock.trusts(reading(86_400 * 30, 0)));
    }
}
