//! Keeping a receiver's secrets up to date, as the gateway's keeper does: they are looked up again now and then, and a source's
//! when a signature was wrong.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hookward_core::{
    config::{Config, SourceConfig},
    rate::DOUBT_BUDGET,
    secret::SecretRef,
};
use hookward_secrets::{Look as _, Renewed, Whole, can_change, distinct, pace, sources};
use pyo3::prelude::*;

use crate::{
    clock::micros,
    process::wait_for,
    receiver::{Live, Receiver, Route},
};

/// Every reference of these sources, each one once.
pub(crate) fn references(config: &Config, of: impl Fn(&SourceConfig) -> bool) -> Vec<SecretRef> {
    distinct(config.sources.iter().filter(|it| of(it)).flat_map(sources::references))
}

/// How long to wait before all of them are looked up again.
pub(crate) fn pause(config: &Config, troubled: bool) -> Duration {
    pace::pause(config.secrets.refresh, troubled, fastrand::f64())
}

/// Doubts the secrets of a source, as often as strangers may cause it.
pub(crate) fn doubt(route: &Route, now: Duration) {
    let state = route.state();
    if state.doubt_budget.take(&DOUBT_BUDGET, now).is_ok() {
        state.is_doubted.store(true, Ordering::Relaxed);
    }
}

/// How long until there is something to do.
pub(crate) fn after(receiver: &Receiver) -> Duration {
    let live = receiver.live();
    if live.routes().any(|route| route.state().is_doubted.load(Ordering::Relaxed)) {
        return Duration::ZERO;
    }
    let due = Duration::from_micros(live.keeping.due.load(Ordering::Relaxed));
    due.saturating_sub(receiver.clock.elapsed())
}

/// Looks secrets up again where it is time; what changed, in sentences.
pub(crate) fn tend(py: Python<'_>, receiver: &Receiver) -> PyResult<Vec<String>> {
    let live = Arc::clone(&receiver.live());
    if live.keeping.is_busy.swap(true, Ordering::Acquire) {
        // Another thread is at it.
        return Ok(Vec::new());
    }
    let told = look_again(py, receiver, &live);
    live.keeping.is_busy.store(false, Ordering::Release);
    told
}

fn look_again(py: Python<'_>, receiver: &Receiver, live: &Arc<Live>) -> PyResult<Vec<String>> {
    let (config, keeping) = (&*receiver.config, &live.keeping);
    let now = receiver.clock.elapsed();
    let all = micros(now) >= keeping.due.load(Ordering::Relaxed);
    let mut doubted = Vec::new();
    for route in live.routes() {
        if route.state().is_doubted.swap(false, Ordering::Relaxed) {
            doubted.push(route.source.name());
        }
    }
    if !all && doubted.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = references(config, |it| all || doubted.contains(&it.name()));
    asked.retain(can_change);
    let looked = if asked.is_empty() {
        Vec::new()
    } else {
        wait_for(py, keeping.backends.look(&asked, sources::region(config)))?
    };
    let mut vault = (*keeping.vault.load_full()).clone();
    let (mut told, mut changed, mut troubled) = (Vec::new(), false, false);
    for (reference, looked) in asked.iter().zip(looked) {
        let suits = |secret: &_| sources::suits(&config.sources, reference, secret);
        match vault.renew(reference, looked, suits, now) {
            Renewed::Same { recovered: true } => {
                told.push(format!("{reference}: the secret can be looked up again"));
            }
            Renewed::Same { recovered: false } => {}
            Renewed::Changed => {
                changed = true;
                told.push(format!("{reference}: the secret was changed"));
            }
            Renewed::Kept { why, log } => {
                troubled = true;
                if log {
                    let why = Whole(&why);
                    told.push(format!(
                        "the secret cannot be looked up, the last good one stays: {why}"
                    ));
                }
            }
        }
    }
    if changed {
        let wrong = receiver.go_on(live, &vault);
        told.extend(wrong.into_iter().map(|it| format!("{}: {}", it.path, it.message)));
    }
    keeping.vault.store(Arc::new(vault));
    if all {
        keeping.due.store(micros(now + pause(config, troubled)), Ordering::Relaxed);
    }
    Ok(told)
}
