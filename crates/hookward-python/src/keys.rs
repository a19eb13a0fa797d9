//! Published keys that Python fetches.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use hookward_core::{
    Timestamp,
    scheme::{
        KeyRing,
        key_ring::{Fetch, Fetched},
    },
};
use pyo3::{prelude::*, types::PyBytes};

use crate::error::guarded;

/// A document with keys that is to be fetched.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct KeyFetch {
    ring: KeyRing,
    fetch: Fetch,
    asked_at: Timestamp,
    is_settled: AtomicBool,
}

impl KeyFetch {
    pub(crate) fn new(ring: KeyRing, fetch: Fetch, asked_at: Timestamp) -> Self {
        Self { ring, fetch, asked_at, is_settled: AtomicBool::new(false) }
    }

    /// Tells the ring once.
    fn settle(&self, fetched: Fetched<'_>, now: Timestamp) -> bool {
        let first = !self.is_settled.swap(true, Ordering::Relaxed);
        let anchors = webpki_roots::TLS_SERVER_ROOTS;
        first && self.ring.settle(&self.fetch, fetched, anchors, now).is_ok()
    }
}

#[pymethods]
impl KeyFetch {
    #[getter]
    fn url(&self) -> &str {
        &self.fetch.url
    }

    #[getter]
    fn post<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.fetch.post.as_ref().map(|post| PyBytes::new(py, post.as_bytes()))
    }

    #[pyo3(signature = (body, max_age, now))]
    fn here(&self, body: &[u8], max_age: Option<u64>, now: u64) -> PyResult<bool> {
        let max_age = max_age.map(Duration::from_secs);
        guarded(|| Ok(self.settle(Fetched::Here { body, max_age }, Timestamp::from_micros(now))))
    }

    fn not_there(&self, now: u64) {
        self.settle(Fetched::NotThere, Timestamp::from_micros(now));
    }

    fn failed(&self, now: u64) {
        self.settle(Fetched::Failed, Timestamp::from_micros(now));
    }

    fn __repr__(&self) -> String {
        format!("<KeyFetch: {}>", self.fetch.url)
    }
}

/// Whoever drops it did not get the document: others may try.
impl Drop for KeyFetch {
    fn drop(&mut self) {
        self.settle(Fetched::Failed, self.asked_at);
    }
}
