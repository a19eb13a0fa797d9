//! What to tell the sender.

use std::time::Duration;

use hookward_core::{
    Refusal,
    answer::{self, Statuses, Told},
    handshake::Challenge,
};
use http::header;
use pyo3::{prelude::*, types::PyBytes};

use crate::{error::guarded, receiver::Receiver};

/// What to tell the sender.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Answer {
    told: answer::Answer,
    reason: &'static str,
    message: String,
    verified: bool,
    visit: Option<String>,
    learnt: bool,
}

impl Answer {
    /// Of a request that was refused.
    pub(crate) fn refused(refusal: &Refusal, statuses: Statuses) -> Self {
        let told = Told::of_refusal(refusal, statuses).answer(fastrand::f64());
        let verified = refusal.is_of_a_verified_request();
        Self { verified, ..Self::told(told, refusal.as_str(), refusal.to_string()) }
    }

    /// Of a question.
    pub(crate) fn challenge(challenge: Challenge, verified: bool) -> Self {
        let message = "a question of the sender, answered".to_owned();
        let told = Self::told(answer::challenge(&challenge), "handshake", message);
        Self { verified, learnt: challenge.secret.is_some(), visit: challenge.visit, ..told }
    }

    /// Of who has proven who it is.
    fn told(told: answer::Answer, reason: &'static str, message: String) -> Self {
        Self { told, reason, message, verified: true, visit: None, learnt: false }
    }
}

#[pymethods]
impl Answer {
    #[getter]
    fn status(&self) -> u16 {
        self.told.status().as_u16()
    }

    /// Without `Connection`, which is the server's to say.
    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        let headers = self.told.headers().iter().filter(|(name, _)| *name != header::CONNECTION);
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
        headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.told.body())
    }

    #[getter]
    fn reason(&self) -> &'static str {
        self.reason
    }

    #[getter]
    fn message(&self) -> &str {
        &self.message
    }

    #[getter]
    fn verified(&self) -> bool {
        self.verified
    }

    #[getter]
    fn visit(&self) -> Option<&str> {
        self.visit.as_deref()
    }

    #[getter]
    fn learnt(&self) -> bool {
        self.learnt
    }

    fn __repr__(&self) -> String {
        format!("<Answer: {} {}>", self.status(), self.reason)
    }
}

/// The one acknowledgement of a source.
#[pyfunction]
pub(crate) fn accepted(receiver: &Receiver, source: &str, duplicate: bool) -> PyResult<Answer> {
    guarded(|| {
        let route = receiver.route(source)?;
        let reason = if duplicate { "duplicate" } else { "accepted" };
        let told = answer::accepted(route.source.rules(), duplicate);
        Ok(Answer::told(told, reason, format!("the event was {reason}")))
    })
}

/// 503 with Retry-After, spread upwards.
#[pyfunction]
#[pyo3(signature = (receiver, source, retry_after))]
pub(crate) fn retry_later(
    receiver: &Receiver,
    source: &str,
    retry_after: Option<f64>,
) -> PyResult<Answer> {
    guarded(|| {
        receiver.route(source)?;
        let wait = retry_after.map(|secs| Duration::try_from_secs_f64(secs).unwrap_or_default());
        let told = Told::unavailable(wait).answer(fastrand::f64());
        Ok(Answer::told(told, "retry_later", "the sender was told to try again".to_owned()))
    })
}
