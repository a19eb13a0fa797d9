//! The exceptions, and what becomes of a panic.

use std::panic::{self, AssertUnwindSafe};

use hookward_core::config;
use hookward_store as store;
use pyo3::{create_exception, exceptions::PyException, prelude::*};

use crate::config::Diagnostic;

create_exception!(
    hookward._core,
    HookwardError,
    PyException,
    "What everything here raises derives from this."
);
create_exception!(
    hookward._core,
    ConfigError,
    HookwardError,
    "The settings are wrong. `diagnostics` has all that is, not only the first."
);
create_exception!(
    hookward._core,
    SecretError,
    HookwardError,
    "Secrets are missing, weak or cannot be looked up. `diagnostics` has all of them; no text has a secret in it."
);
create_exception!(hookward._core, StoreError, HookwardError, "The store did not do it.");
create_exception!(
    hookward._core,
    Unavailable,
    StoreError,
    "The store cannot be reached, or throttles: try again later. Whether an event was kept is not known."
);
create_exception!(
    hookward._core,
    Fenced,
    StoreError,
    "The lease is no longer the caller's: stop working on the event."
);
create_exception!(hookward._core, NotFound, StoreError, "No such event.");
create_exception!(
    hookward._core,
    BodyExpired,
    StoreError,
    "The body of this event was forgotten: it cannot be run again."
);
create_exception!(
    hookward._core,
    TooLarge,
    StoreError,
    "The event is larger than what the store keeps."
);

/// The settings are wrong.
pub(crate) fn config_error(py: Python<'_>, wrong: Vec<config::Diagnostic>) -> PyErr {
    with_diagnostics(py, ConfigError::new_err(listed(&wrong)), wrong)
}

/// The secrets are wrong.
pub(crate) fn secret_error(py: Python<'_>, wrong: Vec<config::Diagnostic>) -> PyErr {
    with_diagnostics(py, SecretError::new_err(listed(&wrong)), wrong)
}

/// What the store says, with what caused it.
pub(crate) fn store_error(error: &store::StoreError) -> PyErr {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    match error {
        store::StoreError::Fenced => Fenced::new_err(said),
        store::StoreError::NotFound => NotFound::new_err(said),
        store::StoreError::BodyExpired => BodyExpired::new_err(said),
        store::StoreError::TooLarge { .. } => TooLarge::new_err(said),
        store::StoreError::Full
        | store::StoreError::OverBudget { .. }
        | store::StoreError::Unavailable(_) => Unavailable::new_err(said),
        store::StoreError::Unsupported { .. }
        | store::StoreError::Closed
        | store::StoreError::Damaged { .. } => StoreError::new_err(said),
    }
}

fn with_diagnostics(py: Python<'_>, error: PyErr, wrong: Vec<config::Diagnostic>) -> PyErr {
    let diagnostics: Vec<_> = wrong.into_iter().map(Diagnostic::from).collect();
    match error.value(py).setattr("diagnostics", diagnostics) {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// A line for each: its place in the settings, and what to do.
fn listed(wrong: &[config::Diagnostic]) -> String {
    let line = |it: &config::Diagnostic| {
        // Lines and columns are those of a file that nobody wrote.
        let whole = it.to_string();
        let shown = whole.splitn(3, ':').nth(2).map(str::trim_start);
        shown.unwrap_or(&whole).to_owned()
    };
    wrong.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Runs what must not panic. A panic that came through to Python would be a `BaseException`, which ends a worker: a bug here costs
/// one request.
pub(crate) fn guarded<T>(run: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(HookwardError::new_err(
            "Hookward has a bug: it panicked, and said where on standard error. Please report it",
        ))
    })
}
