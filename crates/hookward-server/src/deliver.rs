//! The whole path of one delivery attempt: lease, post, decide, settle.
//!
//! Each destination has a lane of its own, so that a slow or broken one delays nobody else.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use hookward_core::{
    Timestamp, limits,
    retry::{GiveUp, Next},
};
use hookward_store::{Attempt, Leased, Outcome, StoreError};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    circuit::Gate,
    destination::{Delivery, chain},
    gateway::{Gateway, Lane},
    metrics::{DeliveryOutcome, DestinationMetrics},
    outage::Outage,
    slots::Slot,
};

/// How long a lane waits at most before it looks again: a wake-up that got lost (a sender that hung up while its
/// event was being stored) costs no more than this.
const IDLE: Duration = Duration::from_secs(1);

/// Delivers to one destination until `stop` says so, then finishes what is on its way.
pub(crate) async fn run(gateway: Arc<Gateway>, lane: Lane, mut stop: watch::Receiver<bool>) {
    let metrics = gateway.metrics.destination(lane.destination.name().as_str());
    let mut attempts = JoinSet::new();
    let mut outage = Outage::default();
    while !*stop.borrow_and_update() {
        let leases = lease(&gateway, &lane).await;
        outage = told(outage, &leases, &lane, gateway.clock.elapsed());
        let wait = match leases {
            Ok(Leases::Some(leased)) => {
                for (leased, slot) in leased {
                    let (gateway, lane, metrics) =
                        (Arc::clone(&gateway), lane.clone(), metrics.clone());
                    attempts.spawn(async move {
                        attempt(&gateway, &lane, &metrics, leased, slot).await;
                    });
                }
                while attempts.try_join_next().is_some() {}
                continue;
            }
            Ok(Leases::None { wait } | Leases::Unasked { wait }) => wait,
            Err(StoreError::Closed) => break,
            Err(_) => IDLE,
        };
        tokio::select! {
            () = lane.wake.notified() => {}
            Some(_) = attempts.join_next() => {}
            () = sleep(wait) => {}
            _ = stop.changed() => {}
        }
    }
    while attempts.join_next().await.is_some() {
        // The lane that took over after a reload may have waited for the slot.
        lane.wake.notify_one();
    }
}

enum Leases {
    Some(Vec<(Leased, Slot)>),
    /// The store has none that is due.
    None {
        wait: Duration,
    },
    /// It was not asked.
    Unasked {
        wait: Duration,
    },
}

/// Logs that the store leases nothing, why, and when it leases again: not each time.
fn told(
    outage: Outage,
    leases: &Result<Leases, StoreError>,
    lane: &Lane,
    elapsed: Duration,
) -> Outage {
    let destination = lane.destination.name();
    match leases {
        Ok(Leases::Unasked { .. }) | Err(StoreError::Closed) => outage,
        Ok(Leases::Some(_) | Leases::None { .. }) => {
            let (outage, lasted) = outage.succeeded(elapsed);
            if let Some(lasted) = lasted {
                let lasted_secs = lasted.as_secs();
                tracing::info!(%destination, lasted_secs, "events can be leased for delivery again");
            }
            outage
        }
        Err(error) => {
            let why = chain(error);
            let (outage, is_told) = outage.failed(&why, elapsed);
            if is_told {
                tracing::error!(%destination, "cannot lease events for delivery, will try again: {why}");
            }
            outage
        }
    }
}

/// Leases as much as the destination's slots and its circuit let through.
async fn lease(gateway: &Gateway, lane: &Lane) -> Result<Leases, StoreError> {
    let destination = &lane.destination;
    let elapsed = gateway.clock.elapsed();
    let gate = destination.circuit.lock().unwrap_or_else(PoisonError::into_inner).gate(elapsed);
    let wanted = match gate {
        Gate::Through => usize::MAX,
        Gate::One => 1,
        Gate::Not { until } => {
            return Ok(Leases::Unasked { wait: until.saturating_sub(elapsed).min(IDLE) });
        }
    };
    // Taken before the lease is: after a reload the former lane may be at the same.
    let slots = destination.slots.take(wanted, destination.config().concurrency);
    if slots.held() == 0 {
        return Ok(Leases::Unasked { wait: IDLE });
    }
    let now = gateway.clock.now();
    let until = now.saturating_add(destination.config().timeout + limits::LEASE_MARGIN);
    let work = gateway.store.lease(&lane.sources, now, until, slots.held()).await?;
    if work.leased.is_empty() {
        let wait =
            work.next_due.map_or(IDLE, |due| due.since(now)).clamp(Duration::from_millis(1), IDLE);
        return Ok(Leases::None { wait });
    }
    if gate == Gate::One {
        let mut circuit = destination.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        *circuit = circuit.probing(&destination.circuit_rules(), elapsed);
    }
    Ok(Leases::Some(work.leased.into_iter().zip(slots).collect()))
}

/// One attempt, under a lease and a slot.
async fn attempt(
    gateway: &Gateway,
    lane: &Lane,
    metrics: &DestinationMetrics,
    leased: Leased,
    slot: Slot,
) {
    let destination = &lane.destination;
    let number = leased.attempts.saturating_add(1);
    let delivery = Delivery { event: &leased.event, attempt: number, replays: leased.replays };

    let started = gateway.clock.elapsed();
    let posted = destination.post(&delivery, gateway.clock.now()).await;
    drop(slot);
    let elapsed = gateway.clock.elapsed();
    let took = elapsed.saturating_sub(started);

    let now = gateway.clock.now();
    let next = destination.config().retry.next(number, posted.end, now, fastrand::f64());
    turn_circuit(lane, metrics, next, elapsed);
    let attempt = Attempt { at: now, status: status(&posted), note: posted.note };
    let (outcome, counted) = match next {
        Next::Delivered => (Outcome::Done(attempt), DeliveryOutcome::Delivered),
        Next::At(at) => (Outcome::Again { at, attempt }, DeliveryOutcome::Retried),
        Next::GiveUp(_) => (Outcome::Dead(attempt), DeliveryOutcome::Dead),
    };
    log(lane, &leased, number, next, &outcome, now);
    match gateway.store.settle(leased.lease, outcome, now).await {
        Ok(()) => metrics.count(counted, took),
        Err(StoreError::Fenced) => metrics.count(DeliveryOutcome::Fenced, took),
        Err(error) => {
            tracing::error!(
                destination = %destination.name(), key = %leased.event.key,
                "the outcome of a delivery was not kept, the event will be delivered again: {}", chain(&error)
            );
        }
    }
}

fn status(posted: &crate::destination::Posted) -> Option<u16> {
    match posted.end {
        hookward_core::retry::AttemptEnd::Answered { status, .. } => Some(status),
        hookward_core::retry::AttemptEnd::NoAnswer => None,
    }
}

fn turn_circuit(lane: &Lane, metrics: &DestinationMetrics, next: Next, elapsed: Duration) {
    let mut circuit = lane.destination.circuit.lock().unwrap_or_else(PoisonError::into_inner);
    let before = circuit.is_open();
    // Gone for good (410) says something about the event's endpoint, not about its health.
    let success = matches!(next, Next::Delivered | Next::GiveUp(GiveUp::Gone));
    *circuit = circuit.after(success, &lane.destination.circuit_rules(), elapsed);
    let after = circuit.is_open();
    drop(circuit);
    if before != after {
        metrics.circuit(after);
        let destination = lane.destination.name();
        if after {
            tracing::warn!(%destination, "circuit opened: the destination is given time to recover");
        } else {
            tracing::info!(%destination, "circuit closed: the destination answers again");
        }
    }
}

fn log(lane: &Lane, leased: &Leased, number: u32, next: Next, outcome: &Outcome, now: Timestamp) {
    let (source, key, destination) =
        (&leased.event.source, leased.event.key, lane.destination.name());
    let note = match outcome {
        Outcome::Done(attempt) | Outcome::Again { attempt, .. } | Outcome::Dead(attempt) => {
            &*attempt.note
        }
        Outcome::Release { .. } => "",
    };
    match next {
        Next::Delivered => {
            tracing::debug!(%source, %key, %destination, attempt = number, "event delivered");
        }
        Next::At(at) => {
            let wait_ms = at.since(now).as_millis();
            tracing::info!(%source, %key, %destination, attempt = number, wait_ms, "delivery failed, will be tried again: {note}");
        }
        Next::GiveUp(_) => {
            tracing::warn!(%source, %key, %destination, attempt = number, "delivery given up, event is a dead letter: {note}");
        }
    }
}
