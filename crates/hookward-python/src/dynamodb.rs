//! Claims on a DynamoDB table.

use std::{future::Future, process, sync::Arc};

use arc_swap::ArcSwapOption;
use aws_sdk_dynamodb::Client;
use hookward_core::{EventKey, SourceName, Timestamp};
use hookward_secrets::aws::{self, Unfit};
use hookward_store::{
    self as store, Attempt, Cursor, DeadReason, Lease, Outcome, Query, State, StoreError,
    UsedUnits,
    dynamodb::{
        self, Patience,
        bodies::{Bucket, LargeBodies},
        claims::{Claims, Held, Options, Recovery},
        setup,
    },
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    pybacked::PyBackedStr,
    types::{PyBytes, PyDict},
};

use crate::{
    clock::said_or_now,
    error::{ConfigError, guarded, store_error},
    event::Event,
    process::{abandon, wait_for},
};

/// Claims on a DynamoDB table, for processes that come and go. Connects at its first call in each process.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct DynamoDb {
    table: String,
    region: Option<String>,
    endpoint: Option<String>,
    large_bodies_bucket: Option<String>,
    recovery: Recovery,
    connected: ArcSwapOption<Connected>,
}

struct Connected {
    process: u32,
    claims: Claims,
    client: Client,
}

/// Connections that are kept: as many as threads use at once in one process, and more are made where they are needed.
const CONNECTIONS: usize = 64;

/// What the keys of large bodies begin with, as the gateway has it.
const PREFIX: &str = "hookward/";

impl DynamoDb {
    /// Does something with the table, on a connection of this process.
    fn on<T, F>(&self, py: Python<'_>, act: impl FnOnce(Arc<Connected>) -> F) -> PyResult<T>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let connected = self.connected(py)?;
        wait_for(py, act(connected))?.map_err(|error| store_error(&error))
    }

    fn connected(&self, py: Python<'_>) -> PyResult<Arc<Connected>> {
        let process = process::id();
        let before = self.connected.load_full();
        if let Some(connected) = &before
            && connected.process == process
        {
            return Ok(Arc::clone(connected));
        }
        let made = wait_for(py, self.connect(process))?;
        let made = Arc::new(made.map_err(|unfit| ConfigError::new_err(unfit.to_string()))?);
        self.connected.store(Some(Arc::clone(&made)));
        if let Some(of_parent) = before {
            abandon(of_parent);
        }
        Ok(made)
    }

    async fn connect(&self, process: u32) -> Result<Connected, Unfit> {
        let region = self.region.as_deref();
        let (connection, _) = aws::table(region, self.endpoint.as_deref(), CONNECTIONS).await?;
        let patience = Patience::default();
        let client = dynamodb::patient_client(connection, &patience);
        let large_bodies = match &self.large_bodies_bucket {
            Some(bucket) => {
                let bodies = Arc::new(Bucket::new(aws::bucket(region).await?, bucket, &patience));
                Some(LargeBodies { bodies, prefix: PREFIX.to_owned() })
            }
            None => None,
        };
        let recovery = self.recovery;
        let options = Options { large_bodies, recovery, ..Options::new(&*self.table) };
        Ok(Connected { process, claims: Claims::new(client.clone(), options), client })
    }
}

#[pymethods]
impl DynamoDb {
    #[new]
    #[pyo3(signature = (table, *, region = None, endpoint = None, large_bodies_bucket = None, recovered_by_sender = false))]
    fn new(
        table: String,
        region: Option<String>,
        endpoint: Option<String>,
        large_bodies_bucket: Option<String>,
        recovered_by_sender: bool,
    ) -> Self {
        let recovery = if recovered_by_sender { Recovery::BySender } else { Recovery::Swept };
        let connected = ArcSwapOption::empty();
        Self { table, region, endpoint, large_bodies_bucket, recovery, connected }
    }

    fn claim(&self, py: Python<'_>, event: &Event, now: u64, until: u64) -> PyResult<Claimed> {
        let (now, until) = (Timestamp::from_micros(now), Timestamp::from_micros(until));
        let event = event.event.clone();
        let claim = |it: Arc<Connected>| async move { it.claims.claim(event, now, until).await };
        guarded(|| self.on(py, claim)).map(Claimed::of)
    }

    #[pyo3(signature = (event, now = None))]
    fn accept(&self, py: Python<'_>, event: &Event, now: Option<u64>) -> PyResult<Claimed> {
        let event = event.event.clone();
        let now = now.map_or(event.received_at, Timestamp::from_micros);
        let accept = |it: Arc<Connected>| async move { it.claims.accept(event, now).await };
        guarded(|| self.on(py, accept)).map(Claimed::of)
    }

    fn lease(
        &self,
        py: Python<'_>,
        sources: Vec<PyBackedStr>,
        now: u64,
        until: u64,
        limit: usize,
    ) -> PyResult<(Vec<Leased>, Option<u64>)> {
        let (now, until) = (Timestamp::from_micros(now), Timestamp::from_micros(until));
        let sources = sources.into_iter().map(|it| source(&it)).collect::<PyResult<Vec<_>>>()?;
        let lease =
            |it: Arc<Connected>| async move { it.claims.lease(&sources, now, until, limit).await };
        let work = guarded(|| self.on(py, lease))?;
        let leased =
            work.leased.into_iter().map(|it| Leased::of(py, it)).collect::<PyResult<_>>()?;
        Ok((leased, work.next_due.map(Timestamp::as_micros)))
    }

    fn extend(&self, py: Python<'_>, key: &str, token: u64, now: u64, until: u64) -> PyResult<()> {
        let until = Timestamp::from_micros(until);
        let lease = Lease { key: event_key(key)?, token, until: Timestamp::from_micros(now) };
        let extend =
            |it: Arc<Connected>| async move { it.claims.extend(&lease, until).await.map(drop) };
        guarded(|| self.on(py, extend))
    }

    #[pyo3(signature = (key, token, outcome, now, due_at = None, status = None, note = ""))]
    #[expect(clippy::too_many_arguments, reason = "arguments with defaults in Python")]
    fn settle(
        &self,
        py: Python<'_>,
        key: &str,
        token: u64,
        outcome: &str,
        now: u64,
        due_at: Option<u64>,
        status: Option<u16>,
        note: &str,
    ) -> PyResult<()> {
        let now = Timestamp::from_micros(now);
        let lease = Lease { key: event_key(key)?, token, until: now };
        let attempt = Attempt { at: now, status, note: note.into() };
        let due_at = due_at.map(Timestamp::from_micros);
        let outcome = match (outcome, due_at) {
            ("done", _) => Outcome::Done(attempt),
            ("again", Some(at)) => Outcome::Again { at, attempt },
            ("again", None) => return Err(PyValueError::new_err("again needs a due_at")),
            ("release", at) => Outcome::Release { at: at.unwrap_or(now) },
            ("dead", _) => Outcome::Dead(attempt),
            _ => return Err(PyValueError::new_err("an outcome is done, again, release or dead")),
        };
        let settle =
            |it: Arc<Connected>| async move { it.claims.settle(&lease, outcome, now).await };
        guarded(|| self.on(py, settle))
    }

    #[pyo3(signature = (key, now = None))]
    fn get(&self, py: Python<'_>, key: &str, now: Option<u64>) -> PyResult<Option<Kept>> {
        let (key, now) = (event_key(key)?, said_or_now(now));
        let get = |it: Arc<Connected>| async move { it.claims.get(key, now).await };
        let kept = guarded(|| self.on(py, get))?;
        Ok(kept.map(|it| Kept::of(py, it)))
    }

    #[pyo3(signature = (
        *, source = None, state = None, since = None, before = None, cursor = None, limit = 50, now = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn list(
        &self,
        py: Python<'_>,
        source: Option<&str>,
        state: Option<&str>,
        since: Option<u64>,
        before: Option<u64>,
        cursor: Option<&str>,
        limit: usize,
        now: Option<u64>,
    ) -> PyResult<(Vec<Kept>, Option<String>)> {
        let query = Query {
            source: source.map(self::source).transpose()?,
            state: state.map(self::state).transpose()?,
            since: since.map(Timestamp::from_micros),
            before: before.map(Timestamp::from_micros),
            cursor: cursor.map(self::cursor).transpose()?,
            limit,
        };
        let now = said_or_now(now);
        let list = |it: Arc<Connected>| async move { it.claims.list(&query, now).await };
        let page = guarded(|| self.on(py, list))?;
        let next = page.next.map(|it| it.0.to_string());
        Ok((page.events.into_iter().map(|it| Kept::of(py, it)).collect(), next))
    }

    #[pyo3(signature = (now = None))]
    fn counts<'py>(&self, py: Python<'py>, now: Option<u64>) -> PyResult<Bound<'py, PyDict>> {
        let now = said_or_now(now);
        let tally = |it: Arc<Connected>| async move { it.claims.tally(now).await };
        let tally = guarded(|| self.on(py, tally))?;
        let counts = PyDict::new(py);
        counts.set_item("pending", tally.pending)?;
        counts.set_item("dead", tally.dead)?;
        if let Some(oldest) = tally.oldest_pending {
            counts.set_item("oldest_pending", oldest.as_micros())?;
        }
        Ok(counts)
    }

    fn requeue(&self, py: Python<'_>, key: &str, now: u64) -> PyResult<()> {
        let (key, now) = (event_key(key)?, Timestamp::from_micros(now));
        let requeue = |it: Arc<Connected>| async move { it.claims.requeue(key, now).await };
        guarded(|| self.on(py, requeue))
    }

    fn discard(&self, py: Python<'_>, key: &str, now: u64) -> PyResult<()> {
        let (key, now) = (event_key(key)?, Timestamp::from_micros(now));
        let discard = |it: Arc<Connected>| async move { it.claims.discard(key, now).await };
        guarded(|| self.on(py, discard))
    }

    fn health(&self, py: Python<'_>) -> PyResult<()> {
        guarded(|| self.on(py, |it| async move { it.claims.health().await }))
    }

    fn usage(&self, py: Python<'_>) -> PyResult<Vec<Used>> {
        let usage = guarded(|| Ok(self.connected(py)?.claims.usage()))?;
        let units = usage.units.into_iter().map(|UsedUnits { source, outcome, reads, writes }| {
            (source.map(|it| it.to_string()), outcome, reads, writes)
        });
        Ok(units.collect())
    }

    fn description<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let table = self.table.clone();
        let describe =
            |it: Arc<Connected>| async move { setup::describe(&it.client, &table).await };
        let found = guarded(|| self.on(py, describe))?;
        let description = PyDict::new(py);
        description.set_item("status", found.status)?;
        description.set_item("ttl", found.ttl)?;
        // DynamoDB encrypts every table, under a key that AWS owns where nothing else is said.
        description.set_item("encryption", if found.own_key { "KMS" } else { "DEFAULT" })?;
        description.set_item("point_in_time_recovery", found.point_in_time_recovery)?;
        description.set_item("deletion_protection", found.deletion_protection)?;
        Ok(description)
    }

    fn create(&self, py: Python<'_>) -> PyResult<bool> {
        let table = self.table.clone();
        guarded(|| self.on(py, |it| async move { setup::create(&it.client, &table).await }))
    }

    fn __repr__(&self) -> String {
        format!("<DynamoDb: {}>", self.table)
    }
}

/// The source, what for, read units and write units.
type Used = (Option<String>, &'static str, f64, f64);

fn event_key(text: &str) -> PyResult<EventKey> {
    text.parse().map_err(|_| PyValueError::new_err("a key is 32 hex digits"))
}

fn source(name: &str) -> PyResult<SourceName> {
    SourceName::parse(name).map_err(|bad| PyValueError::new_err(bad.to_string()))
}

fn state(name: &str) -> PyResult<State> {
    let known = State::ALL.into_iter().find(|it| it.as_str() == name);
    known.ok_or_else(|| PyValueError::new_err(format!("no state is called {name:?}")))
}

fn cursor(text: &str) -> PyResult<Cursor> {
    let number = text.parse().map_err(|_| PyValueError::new_err("this is no cursor of a list"))?;
    Ok(Cursor(number))
}

/// What became of a claim.
#[pyclass(frozen, get_all, module = "hookward._core")]
pub(crate) struct Claimed {
    kind: &'static str,
    token: Option<u64>,
    attempts: u32,
    new: bool,
    until: Option<u64>,
}

impl Claimed {
    fn of(claimed: dynamodb::claims::Claimed) -> Self {
        let dynamodb::claims::Claimed { standing, attempts, replays: _, new } = claimed;
        let (kind, token, until) = match standing {
            Held::Claimed(lease) => ("claimed", Some(lease.token), Some(lease.until)),
            Held::Kept => ("kept", None, None),
            Held::Running { until } => ("running", None, until),
            Held::Done(_) => ("done", None, None),
            Held::Dead(DeadReason::Quarantined(_)) => ("quarantined", None, None),
            Held::Dead(DeadReason::Undeliverable) => ("dead", None, None),
            Held::Conflict => ("conflict", None, None),
        };
        Self { kind, token, attempts, new, until: until.map(Timestamp::as_micros) }
    }
}

#[pymethods]
impl Claimed {
    fn __repr__(&self) -> String {
        format!("<Claimed: {}>", self.kind)
    }
}

/// An event under a lease.
#[pyclass(frozen, get_all, module = "hookward._core")]
pub(crate) struct Leased {
    token: u64,
    until: u64,
    attempts: u32,
    replays: u32,
    event: Py<Kept>,
}

impl Leased {
    fn of(py: Python<'_>, leased: store::Leased) -> PyResult<Self> {
        let store::Leased { lease, event, attempts, replays } = leased;
        let kept = store::Kept {
            body_bytes: event.body.len(),
            event,
            state: State::Pending,
            dead: None,
            attempts,
            replays,
            due_at: None,
            history: Vec::new(),
            body_expired: false,
        };
        let event = Py::new(py, Kept::of(py, kept))?;
        Ok(Self { token: lease.token, until: lease.until.as_micros(), attempts, replays, event })
    }
}

/// What a store knows of one event.
#[pyclass(frozen, get_all, module = "hookward._core")]
pub(crate) struct Kept {
    key: String,
    source: String,
    r#type: Option<String>,
    id: Option<String>,
    received_at: u64,
    state: &'static str,
    dead_reason: Option<&'static str>,
    attempts: u32,
    replays: u32,
    due_at: Option<u64>,
    body: Py<PyBytes>,
    body_bytes: usize,
    body_expired: bool,
    headers: Vec<(String, Py<PyBytes>)>,
    history: Vec<(u64, Option<u16>, String)>,
}

impl Kept {
    fn of(py: Python<'_>, kept: store::Kept) -> Self {
        let store::Kept {
            event,
            body_bytes,
            state,
            dead,
            attempts,
            replays,
            due_at,
            history,
            body_expired,
        } = kept;
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes).unbind();
        let headers = event.headers.iter();
        let history = history.into_iter();
        Self {
            key: event.key.to_string(),
            source: event.source.to_string(),
            r#type: event.event_type.as_deref().map(str::to_owned),
            id: event.sender_id.as_deref().map(str::to_owned),
            received_at: event.received_at.as_micros(),
            state: state.as_str(),
            dead_reason: dead.map(|why| match why {
                DeadReason::Quarantined(why) => why.as_str(),
                DeadReason::Undeliverable => "undeliverable",
            }),
            attempts,
            replays,
            due_at: due_at.map(Timestamp::as_micros),
            body: bytes(&event.body),
            body_bytes,
            body_expired,
            headers: headers.map(|(name, value)| (name.to_string(), bytes(value))).collect(),
            history: history.map(|it| (it.at.as_micros(), it.status, it.note.into())).collect(),
        }
    }
}

#[pymethods]
impl Kept {
    fn __repr__(&self) -> String {
        format!("<Kept: {} {} {}>", self.source, self.key, self.state)
    }
}
