//! The sources with their secrets and budgets: what judges requests, one in a process.

use std::{
    collections::HashMap,
    net::IpAddr,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use hookward_core::{
    Event as Admitted, Head, Refusal, Request, Source, Timestamp,
    answer::Statuses,
    config,
    handshake::Challenge,
    rate::{SharedAddressBudgets, SharedBucket},
    reception::Reception,
    scheme::{Sample, key_ring::Due},
};
use hookward_secrets::{Backends, Vault, sources};
use http::{HeaderMap, Method};
use pyo3::{exceptions::PyKeyError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{
    answer::Answer,
    clock::{Clock, micros},
    config::Config,
    error::{HookwardError, guarded, secret_error},
    event::Event,
    headers::{self, Raw},
    keys::KeyFetch,
    process::{abandon, wait_for},
    tending,
};

/// The sources with their secrets and budgets: judges requests.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Receiver {
    pub(crate) config: Arc<config::Config>,
    pub(crate) clock: Arc<Clock>,
    live: ArcSwap<Live>,
}

/// What a receiver has in one process, with one set of secrets.
pub(crate) struct Live {
    process: u32,
    routes: HashMap<Box<str>, Arc<Route>>,
    unverified: Arc<SharedAddressBudgets>,
    pub(crate) keeping: Arc<Keeping>,
}

/// What is known of the secrets.
pub(crate) struct Keeping {
    pub(crate) vault: ArcSwap<Vault>,
    pub(crate) backends: Backends,
    /// Whether a thread is looking secrets up.
    pub(crate) is_busy: AtomicBool,
    /// When all of them are to be looked up again, in microseconds by the receiver's clock.
    pub(crate) due: AtomicU64,
}

impl Keeping {
    fn new(vault: Arc<Vault>, backends: Backends, due: Duration) -> Self {
        let due = AtomicU64::new(micros(due));
        Self { vault: ArcSwap::new(vault), backends, is_busy: AtomicBool::new(false), due }
    }
}

/// A source as it runs.
pub(crate) struct Route {
    pub(crate) source: Source,
    state: Arc<RouteState>,
}

/// What of a source outlives its secrets, and a fork.
#[derive(Default)]
pub(crate) struct RouteState {
    budget: SharedBucket,
    /// Wrong signatures make its secrets doubted at this budget.
    pub(crate) doubt_budget: SharedBucket,
    /// Whether its secrets are to be looked up again.
    pub(crate) is_doubted: AtomicBool,
}

impl Route {
    pub(crate) fn state(&self) -> &RouteState {
        &self.state
    }

    fn statuses(&self) -> Statuses {
        Statuses::of(self.source.rules())
    }
}

impl Receiver {
    /// The source of this name.
    pub(crate) fn route(&self, source: &str) -> PyResult<Arc<Route>> {
        self.live().find(source).ok_or_else(|| PyKeyError::new_err(source.to_owned()))
    }

    /// What there is in this process. After a fork, all that a thread of the parent might have held a lock of is made anew.
    pub(crate) fn live(&self) -> Guard<Arc<Live>> {
        let live = self.live.load();
        if live.process == process::id() {
            return live;
        }
        let keeping = &live.keeping;
        let due = Duration::from_micros(keeping.due.load(std::sync::atomic::Ordering::Relaxed));
        let vault = keeping.vault.load_full();
        let (routes, _) = self.made_of(&vault, |source| live.state_of(source));
        let next = Live {
            process: process::id(),
            routes,
            unverified: Arc::new(SharedAddressBudgets::new(self.config.limits.unverified)),
            keeping: Arc::new(Keeping::new(vault, Backends::default(), due)),
        };
        abandon(Arc::clone(&live));
        self.live.compare_and_swap(&*live, Arc::new(next));
        self.live.load()
    }

    /// Goes on with other secrets: their sources keep their budgets and the keys that were fetched for them. What is wrong with
    /// them.
    pub(crate) fn go_on(&self, live: &Arc<Live>, vault: &Vault) -> Vec<config::Diagnostic> {
        let (routes, wrong) = self.made_of(vault, |source| live.state_of(source));
        for (name, route) in &routes {
            let former = live.routes.get(name).and_then(|it| it.source.scheme().key_ring());
            if let (Some(ring), Some(former)) = (route.source.scheme().key_ring(), former) {
                ring.succeed(former);
            }
        }
        let next = Live {
            process: live.process,
            routes,
            unverified: Arc::clone(&live.unverified),
            keeping: Arc::clone(&live.keeping),
        };
        self.live.store(Arc::new(next));
        wrong
    }

    fn made_of(
        &self,
        vault: &Vault,
        state_of: impl Fn(&str) -> Arc<RouteState>,
    ) -> (HashMap<Box<str>, Arc<Route>>, Vec<config::Diagnostic>) {
        let mut all = Vec::new();
        let routes = self.config.sources.iter().map(|it| {
            let (source, wrong) = sources::go_on(it, vault);
            all.extend(wrong);
            let name = it.name().as_str();
            (name.into(), Arc::new(Route { source, state: state_of(name) }))
        });
        (routes.collect(), all)
    }
}

impl Live {
    fn find(&self, source: &str) -> Option<Arc<Route>> {
        self.routes.get(source).cloned()
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    fn state_of(&self, source: &str) -> Arc<RouteState> {
        self.routes.get(source).map(|it| Arc::clone(&it.state)).unwrap_or_default()
    }
}

#[pymethods]
impl Receiver {
    #[new]
    fn new(py: Python<'_>, config: &Config) -> PyResult<Self> {
        guarded(|| {
            let config = Arc::clone(&config.meant);
            let references = tending::references(&config, |_| true);
            let backends = Backends::default();
            let region = sources::region(&config);
            let vault = if references.iter().any(hookward_secrets::is_elsewhere) {
                wait_for(py, Vault::of(&references, region, &backends))?
            } else {
                Vault::here(&references)
            };
            let mut routes = HashMap::with_capacity(config.sources.len());
            let mut wrong = Vec::new();
            for it in &config.sources {
                match sources::source(it, &vault) {
                    Ok(source) => {
                        let route = Route { source, state: Arc::default() };
                        routes.insert(it.name().as_str().into(), Arc::new(route));
                    }
                    Err(mistakes) => wrong.extend(mistakes),
                }
            }
            if !wrong.is_empty() {
                return Err(secret_error(py, wrong));
            }
            let clock = Arc::new(Clock::start());
            let due = clock.elapsed() + tending::pause(&config, false);
            let live = Live {
                process: process::id(),
                routes,
                unverified: Arc::new(SharedAddressBudgets::new(config.limits.unverified)),
                keeping: Arc::new(Keeping::new(Arc::new(vault), backends, due)),
            };
            Ok(Self { config, clock, live: ArcSwap::from_pointee(live) })
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "what PyO3 hands over")]
    fn screen(
        slf: Bound<'_, Self>,
        source: &str,
        method: &str,
        target: String,
        headers: Vec<(Raw, Raw)>,
        peer: &str,
        now: u64,
    ) -> PyResult<Judged> {
        guarded(|| {
            let this = slf.get();
            let live = Arc::clone(&this.live());
            let Some(route) = live.find(source) else {
                let refused = Answer::refused(&Refusal::UnknownSource, Statuses::default());
                return Ok(Judged::Answer(refused));
            };
            let asked = || -> Result<(Method, HeaderMap, IpAddr), Refusal> {
                let method = headers::method(method)?;
                let headers = headers::headers(&headers)?;
                let head = Head { method: &method, target: &target, headers: &headers };
                let reception = this.reception(&live, &route);
                let client = reception.enter(&head, headers::peer(peer), this.clock.elapsed())?;
                reception.screen(&head, Timestamp::from_micros(now))?;
                Ok((method, headers, client))
            };
            match asked() {
                Ok((method, headers, client)) => Ok(Judged::Screened(Screened {
                    receiver: slf.unbind(),
                    live,
                    route,
                    method,
                    target,
                    headers,
                    client,
                    now: Timestamp::from_micros(now),
                })),
                Err(Refusal::Handshake(challenge)) => {
                    Ok(Judged::Answer(this.shake_hands(&route, *challenge, false)))
                }
                Err(refusal) => Ok(Judged::Answer(this.refuse(&route, &refusal))),
            }
        })
    }

    fn tend(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        guarded(|| tending::tend(py, self))
    }

    #[getter]
    fn tend_after(&self) -> f64 {
        tending::after(self).as_secs_f64()
    }

    fn keys_due(&self, now: u64) -> PyResult<Vec<KeyFetch>> {
        guarded(|| {
            let now = Timestamp::from_micros(now);
            let live = self.live();
            let rings = live.routes().filter_map(|route| route.source.scheme().key_ring());
            let due = rings.filter_map(|ring| match ring.due(now) {
                Due::Now(fetch) => Some(KeyFetch::new(ring.clone(), fetch, now)),
                Due::In(_) => None,
            });
            Ok(due.collect())
        })
    }

    fn sign(&self, source: &str, body: &[u8], id: &str, now: u64) -> PyResult<Signed> {
        guarded(|| {
            let route = self.route(source)?;
            let sample = Sample { id, at: Timestamp::from_micros(now), body };
            let signed = route.source.scheme().sign(sample).ok_or_else(|| {
                HookwardError::new_err(format!(
                    "only the sender of {source} can sign this: its secret verifies and does not sign, or the body is not what it signs"
                ))
            })?;
            let headers = signed.headers.into_iter();
            Ok(Signed {
                headers: headers.map(|(name, value)| (name.to_string(), value)).collect(),
                body: signed.body,
                query: Some(signed.query).filter(|query| !query.is_empty()),
            })
        })
    }

    #[pyo3(signature = (seconds))]
    fn set_budget_clock(&self, seconds: Option<f64>) {
        self.clock.freeze(seconds.map(|it| Duration::try_from_secs_f64(it).unwrap_or_default()));
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self.config.sources.iter().map(|it| it.name().as_str()).collect();
        format!("<Receiver: {}>", names.join(", "))
    }
}

impl Receiver {
    fn reception<'r>(&'r self, live: &'r Live, route: &'r Route) -> Reception<'r> {
        Reception {
            source: &route.source,
            trusted_proxies: &self.config.server.trusted_proxies,
            unverified: &live.unverified,
            budget: &route.state.budget,
        }
    }

    fn refuse(&self, route: &Route, refusal: &Refusal) -> Answer {
        if matches!(refusal, Refusal::WrongSignature) {
            tending::doubt(route, self.clock.elapsed());
        }
        Answer::refused(refusal, route.statuses())
    }

    /// Answers a question, once what it brings is kept.
    fn shake_hands(&self, route: &Route, challenge: Challenge, verified: bool) -> Answer {
        if let Some(secret) = &challenge.secret {
            let kept = self
                .config
                .source(route.source.name().as_str())
                .map(|source| hookward_secrets::learn(source, secret));
            if !matches!(kept, Some(Ok(()))) {
                return self.refuse(route, &Refusal::HandshakeRefused { status: 403 });
            }
            route.state.is_doubted.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        Answer::challenge(challenge, verified)
    }
}

/// A head that is worth reading a body for. Nothing is proven.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Screened {
    receiver: Py<Receiver>,
    live: Arc<Live>,
    route: Arc<Route>,
    method: Method,
    target: String,
    headers: HeaderMap,
    client: IpAddr,
    now: Timestamp,
}

/// A head that was judged.
#[derive(IntoPyObject)]
pub(crate) enum Judged {
    Screened(Screened),
    Answer(Answer),
}

/// A request that was judged.
#[derive(IntoPyObject)]
pub(crate) enum Verdict {
    Event(Event),
    Answer(Answer),
}

/// Bodies from this size on are verified without the GIL: below it, to give it up and take it again costs more.
pub(crate) const LARGE_BODY_BYTES: usize = 16 << 10;

#[pymethods]
impl Screened {
    #[getter]
    fn body_max(&self) -> usize {
        self.route.source.rules().body_bytes_max
    }

    #[getter]
    fn client(&self) -> String {
        self.client.to_string()
    }

    fn verify(&self, body: Bound<'_, PyBytes>) -> PyResult<Verdict> {
        guarded(|| {
            let py = body.py();
            let raw = Bytes::from_owner(PyBackedBytes::from(body.clone()));
            let receiver = self.receiver.get();
            let judged = if raw.len() < LARGE_BODY_BYTES {
                self.judge(receiver, raw)
            } else {
                py.detach(|| self.judge(receiver, raw))
            };
            Ok(match judged {
                Ok(event) => Verdict::Event(Event::new(event, body.unbind())),
                Err((Refusal::Handshake(challenge), verified)) => {
                    Verdict::Answer(receiver.shake_hands(&self.route, *challenge, verified))
                }
                Err((refusal, _)) => Verdict::Answer(receiver.refuse(&self.route, &refusal)),
            })
        })
    }

    fn __repr__(&self) -> String {
        format!("<Screened: {} from {}>", self.route.source.name(), self.client)
    }
}

impl Screened {
    /// The event; or why there is none, and whether the sender had proven who it is when a question was found.
    fn judge(&self, receiver: &Receiver, body: Bytes) -> Result<Admitted, (Refusal, bool)> {
        let (live, route);
        let reception = if self.live.process == process::id() {
            receiver.reception(&self.live, &self.route)
        } else {
            // It was screened before a fork.
            live = Arc::clone(&receiver.live());
            route = live.find(self.route.source.name().as_str());
            receiver.reception(&live, route.as_ref().unwrap_or(&self.route))
        };
        let head = Head { method: &self.method, target: &self.target, headers: &self.headers };
        let unproven = |refusal| (refusal, false);
        // Once more: what it found belongs to the head, and the head to this object.
        let awaited = reception.screen(&head, self.now).map_err(unproven)?;
        let request = Request { head, body };
        let elapsed = receiver.clock.elapsed();
        let verified = reception.verify(awaited, request, self.client, self.now, elapsed);
        verified.map_err(unproven)?.admit().map_err(|refusal| (refusal, true))
    }
}

/// What a sender would send.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Signed {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    query: Option<String>,
}

#[pymethods]
impl Signed {
    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    #[getter]
    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}
