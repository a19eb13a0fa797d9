//! What is counted, for Prometheus. Labels come from the configuration and from this code, never from a request.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hookward_core::{Intake, Quarantine, Refusal, SourceName};
use hookward_store::{Counts, Receipt, State, StoreError, Usage};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::answer::ReceiveError;

/// How a request ended, for the counters: one value of the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// New and durable.
    Accepted,
    /// The same event was there before.
    Duplicate,
    /// Another event under the same id; kept as a dead letter.
    Conflict,
    /// Kept as a dead letter for this reason.
    Quarantined(Quarantine),
    /// Not admitted, by the stable name of the refusal.
    Refused(&'static str),
    /// Verified and not kept: the store said no, or nothing.
    StoreUnavailable,
    /// Verified and not kept: too much waits.
    QueueFull,
    /// Not looked at: the gateway is stopping.
    ShuttingDown,
}

impl RequestOutcome {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Quarantined(why) => why.as_str(),
            Self::Refused(why) => why,
            Self::StoreUnavailable => "store_unavailable",
            Self::QueueFull => "queue_full",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Of a receipt for an event with this intake.
    pub fn of_receipt(receipt: &Receipt, intake: Intake) -> Self {
        match (receipt, intake) {
            (Receipt::Duplicate { .. }, _) => Self::Duplicate,
            (Receipt::Conflict { .. }, _) => Self::Conflict,
            (Receipt::Kept { .. }, Intake::Quarantine(why)) => Self::Quarantined(why),
            (Receipt::Kept { .. }, Intake::Deliver | Intake::Archive) => Self::Accepted,
        }
    }

    /// Of an error.
    pub fn of_error(error: &ReceiveError) -> Self {
        match error {
            ReceiveError::Refused(refusal) => Self::Refused(Refusal::as_str(refusal)),
            ReceiveError::Store(StoreError::Full) => Self::QueueFull,
            ReceiveError::Store(StoreError::OverBudget { .. }) => Self::Refused("write_budget"),
            ReceiveError::Store(_) | ReceiveError::StoreTimeout => Self::StoreUnavailable,
            ReceiveError::ShuttingDown => Self::ShuttingDown,
        }
    }
}

/// How a delivery attempt ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The destination answered 2xx.
    Delivered,
    /// It will be tried again.
    Retried,
    /// It was given up.
    Dead,
    /// The outcome came too late: somebody else holds the event.
    Fenced,
}

impl DeliveryOutcome {
    const ALL: [Self; 4] = [Self::Delivered, Self::Retried, Self::Dead, Self::Fenced];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Fenced => "fenced",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceOutcome {
    source: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationOutcome {
    destination: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabel {
    destination: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnitsLabel {
    /// Empty where the units were used for no source's events.
    source: Arc<str>,
    outcome: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ReferenceLabel {
    /// As it is configured: where a secret is, never what it is.
    reference: Arc<str>,
}

impl ReferenceLabel {
    fn of(reference: &str) -> Self {
        Self { reference: reference.into() }
    }
}

/// All metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<SourceOutcome, Counter>,
    request_seconds: Family<SourceLabel, Histogram, fn() -> Histogram>,
    deliveries: Family<DestinationOutcome, Counter>,
    delivery_seconds: Family<DestinationLabel, Histogram, fn() -> Histogram>,
    circuit_open: Family<DestinationLabel, Gauge>,
    events: Family<StateLabel, Gauge>,
    leased: Gauge,
    oldest_pending_seconds: Gauge<f64, AtomicU64>,
    stored_bytes: Gauge,
    store_units: Family<UnitsLabel, Counter<f64, AtomicU64>>,
    store_throttled: Family<ReasonLabel, Counter>,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were turned away for there being too many.
    pub connections_refused: Counter,
    /// Operators' replays.
    pub replays: Counter,
    secret_refresh_failures: Family<ReferenceLabel, Counter>,
    secret_age_seconds: Family<ReferenceLabel, Gauge<f64, AtomicU64>>,
    secret_revoked: Family<ReferenceLabel, Gauge>,
    /// When each secret was last looked up, by the monotonic clock.
    secrets_seen: Mutex<BTreeMap<ReferenceLabel, Duration>>,
}

fn request_histogram() -> Histogram {
    Histogram::new([
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5,
    ])
}

fn delivery_histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("hookward");
        let requests = Family::<SourceOutcome, Counter>::default();
        let request_seconds =
            Family::<SourceLabel, Histogram, fn() -> Histogram>::new_with_constructor(
                request_histogram,
            );
        let deliveries = Family::<DestinationOutcome, Counter>::default();
        let delivery_seconds =
            Family::<DestinationLabel, Histogram, fn() -> Histogram>::new_with_constructor(
                delivery_histogram,
            );
        let circuit_open = Family::<DestinationLabel, Gauge>::default();
        let events = Family::<StateLabel, Gauge>::default();
        let leased = Gauge::default();
        let oldest_pending_seconds = Gauge::<f64, AtomicU64>::default();
        let stored_bytes = Gauge::default();
        let store_units = Family::<UnitsLabel, Counter<f64, AtomicU64>>::default();
        let store_throttled = Family::<ReasonLabel, Counter>::default();
        let connections = Gauge::default();
        let connections_refused = Counter::default();
        let replays = Counter::default();
        let secret_refresh_failures = Family::<ReferenceLabel, Counter>::default();
        let secret_age_seconds = Family::<ReferenceLabel, Gauge<f64, AtomicU64>>::default();
        let secret_revoked = Family::<ReferenceLabel, Gauge>::default();

        registry.register("requests", "Requests by source and outcome", requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From the head of a request to its answer",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register(
            "deliveries",
            "Delivery attempts by destination and outcome",
            deliveries.clone(),
        );
        registry.register_with_unit(
            "delivery_duration",
            "Delivery attempts, from connecting to the answer",
            Unit::Seconds,
            delivery_seconds.clone(),
        );
        registry.register(
            "circuit_open",
            "1 while a destination is given time to recover",
            circuit_open.clone(),
        );
        registry.register("events", "Events in the store by state", events.clone());
        registry.register("events_leased", "Events that are being delivered", leased.clone());
        registry.register_with_unit(
            "oldest_pending_age",
            "Age of the oldest event that is not delivered",
            Unit::Seconds,
            oldest_pending_seconds.clone(),
        );
        registry.register_with_unit(
            "stored",
            "What the store takes up",
            Unit::Bytes,
            stored_bytes.clone(),
        );
        registry.register(
            "store_units",
            "Units that a store consumed that is billed by use, by source and what for",
            store_units.clone(),
        );
        registry.register(
            "store_throttled",
            "Calls that such a store throttled, by its reason",
            store_throttled.clone(),
        );
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "connections_refused",
            "Connections turned away",
            connections_refused.clone(),
        );
        registry.register("replays", "Events replayed by an operator", replays.clone());
        registry.register(
            "secret_refresh_failures",
            "Times that a secret could not be looked up again; the last good value stays",
            secret_refresh_failures.clone(),
        );
        registry.register_with_unit(
            "secret_age",
            "Since a secret was last looked up",
            Unit::Seconds,
            secret_age_seconds.clone(),
        );
        registry.register(
            "secret_revoked",
            "1 while a reference leads to no secret any more",
            secret_revoked.clone(),
        );
        Self {
            registry,
            requests,
            request_seconds,
            deliveries,
            delivery_seconds,
            circuit_open,
            events,
            leased,
            oldest_pending_seconds,
            stored_bytes,
            store_units,
            store_throttled,
            connections,
            connections_refused,
            replays,
            secret_refresh_failures,
            secret_age_seconds,
            secret_revoked,
            secrets_seen: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The counters of a source, looked up once.
    pub fn source(&self, name: &str) -> SourceMetrics {
        let source: Arc<str> = name.into();
        let counter = |outcome| {
            self.requests
                .get_or_create(&SourceOutcome { source: Arc::clone(&source), outcome })
                .clone()
        };
        SourceMetrics {
            accepted: counter(RequestOutcome::Accepted.as_str()),
            duplicate: counter(RequestOutcome::Duplicate.as_str()),
            seconds: self
                .request_seconds
                .get_or_create(&SourceLabel { source: Arc::clone(&source) })
                .clone(),
            others: self.requests.clone(),
            source,
        }
    }

    /// The counters of a destination, looked up once.
    pub fn destination(&self, name: &str) -> DestinationMetrics {
        let destination: Arc<str> = name.into();
        let label = DestinationLabel { destination: Arc::clone(&destination) };
        DestinationMetrics {
            outcomes: array::from_fn(|index| {
                let outcome =
                    DeliveryOutcome::ALL.get(index).map_or("", |outcome| outcome.as_str());
                let labels = DestinationOutcome { destination: Arc::clone(&destination), outcome };
                self.deliveries.get_or_create(&labels).clone()
            }),
            seconds: self.delivery_seconds.get_or_create(&label).clone(),
            circuit_open: self.circuit_open.get_or_create(&label).clone(),
        }
    }

    /// Shows that a secret could not be looked up.
    pub fn secret_failed(&self, reference: &str) {
        self.secret_refresh_failures.get_or_create(&ReferenceLabel::of(reference)).inc();
    }

    /// Shows that a secret was looked up, and whether it was revoked.
    pub fn secret_seen(&self, reference: &str, revoked: bool, now: Duration) {
        let label = ReferenceLabel::of(reference);
        // It is there from the start, to be alerted on.
        self.secret_refresh_failures.get_or_create(&label).inc_by(0);
        self.secret_revoked.get_or_create(&label).set(revoked.into());
        self.secrets_seen.lock().unwrap_or_else(PoisonError::into_inner).insert(label, now);
    }

    /// Shows nothing more of secrets but these.
    pub fn only_secrets(&self, references: &[String]) {
        let mut seen = self.secrets_seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|label, _| {
            let kept = references.iter().any(|it| **it == *label.reference);
            if !kept {
                self.secret_refresh_failures.remove(label);
                self.secret_age_seconds.remove(label);
                self.secret_revoked.remove(label);
            }
            kept
        });
    }

    /// Brings the ages of secrets up to date.
    pub fn age_secrets(&self, now: Duration) {
        for (label, seen) in &*self.secrets_seen.lock().unwrap_or_else(PoisonError::into_inner) {
            let age = now.saturating_sub(*seen).as_secs_f64();
            self.secret_age_seconds.get_or_create(label).set(age);
        }
    }

    /// All metrics in the text format of OpenMetrics, with what the store says about itself.
    pub fn render(
        &self,
        counts: Option<Counts>,
        oldest_pending_age: Duration,
        usage: &Usage,
    ) -> String {
        for used in &usage.units {
            let source: Arc<str> = used.source.as_ref().map_or("", SourceName::as_str).into();
            for (kind, units) in [("read", used.reads), ("write", used.writes)] {
                let labels =
                    UnitsLabel { source: Arc::clone(&source), outcome: used.outcome, kind };
                // The store counts; this shows.
                let counter = self.store_units.get_or_create(&labels);
                counter.inner().store(units.to_bits(), Ordering::Relaxed);
            }
        }
        for (reason, count) in &usage.throttled {
            let counter =
                self.store_throttled.get_or_create(&ReasonLabel { reason: reason.as_str().into() });
            counter.inner().store(*count, Ordering::Relaxed);
        }
        if let Some(counts) = counts {
            let in_state = [
                (State::Pending, counts.pending),
                (State::Dead, counts.dead),
                (State::Done, counts.finished),
            ];
            for (state, count) in in_state {
                let label = if state == State::Done { "finished" } else { state.as_str() };
                self.events.get_or_create(&StateLabel { state: label }).set(signed(count));
            }
            self.leased.set(signed(counts.leased));
            self.stored_bytes.set(signed(counts.stored_bytes));
            self.oldest_pending_seconds.set(oldest_pending_age.as_secs_f64());
        }
        let mut rendered = String::new();
        // Writing to a string does not fail.
        text::encode(&mut rendered, &self.registry).unwrap_or_default();
        rendered
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// One source's counters.
#[derive(Clone, Debug)]
pub struct SourceMetrics {
    source: Arc<str>,
    accepted: Counter,
    duplicate: Counter,
    seconds: Histogram,
    others: Family<SourceOutcome, Counter>,
}

impl SourceMetrics {
    /// Counts a request.
    pub fn count(&self, outcome: RequestOutcome, took: Duration) {
        match outcome {
            RequestOutcome::Accepted => self.accepted.inc(),
            RequestOutcome::Duplicate => self.duplicate.inc(),
            other => {
                let labels =
                    SourceOutcome { source: Arc::clone(&self.source), outcome: other.as_str() };
                self.others.get_or_create(&labels).inc()
            }
        };
        self.seconds.observe(took.as_secs_f64());
    }
}

/// One destination's counters.
#[derive(Clone, Debug)]
pub struct DestinationMetrics {
    outcomes: [Counter; DeliveryOutcome::ALL.len()],
    seconds: Histogram,
    circuit_open: Gauge,
}

impl DestinationMetrics {
    /// Counts an attempt.
    pub fn count(&self, outcome: DeliveryOutcome, took: Duration) {
        let index = DeliveryOutcome::ALL.iter().position(|it| *it == outcome).unwrap_or_default();
        if let Some(counter) = self.outcomes.get(index) {
            counter.inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }

    /// Shows whether the circuit is open.
    pub fn circuit(&self, open: bool) {
        self.circuit_open.set(open.into());
    }
}
