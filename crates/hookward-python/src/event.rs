//! An admitted request.

use hookward_core::{self as core, Content, Intake, json};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyList},
};

use crate::error::guarded;

/// A request that was admitted: proof that its bytes were verified. Only `Screened.verify` makes one.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Event {
    pub(crate) event: core::Event,
    body: Py<PyBytes>,
}

impl Event {
    pub(crate) fn new(event: core::Event, body: Py<PyBytes>) -> Self {
        Self { event, body }
    }
}

#[pymethods]
impl Event {
    #[getter]
    fn source(&self) -> &str {
        self.event.source.as_str()
    }

    #[getter]
    fn key(&self) -> String {
        self.event.key.to_string()
    }

    #[getter]
    fn id(&self) -> Option<&str> {
        self.event.sender_id.as_deref()
    }

    #[getter]
    fn r#type(&self) -> Option<&str> {
        self.event.event_type.as_deref()
    }

    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.event.content.as_bytes())
    }

    #[getter]
    fn received_at(&self) -> u64 {
        self.event.received_at.as_micros()
    }

    #[getter]
    fn quarantine(&self) -> Option<&'static str> {
        match self.event.intake {
            Intake::Quarantine(why) => Some(why.as_str()),
            Intake::Deliver | Intake::Archive => None,
        }
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Vec<(String, Bound<'py, PyBytes>)> {
        let headers = self.event.headers.iter();
        headers.map(|(name, value)| (name.to_string(), PyBytes::new(py, value))).collect()
    }

    #[getter]
    fn body(&self, py: Python<'_>) -> Py<PyBytes> {
        self.body.clone_ref(py)
    }

    #[getter]
    fn body_expires_at(&self) -> u64 {
        self.event.body_expires_at.as_micros()
    }

    #[getter]
    fn key_expires_at(&self) -> Option<u64> {
        self.event.key_expires_at.map(core::Timestamp::as_micros)
    }

    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guarded(|| objects(py, self.event.read()))
    }

    #[expect(
        clippy::wrong_self_convention,
        reason = "it is called as in Rust, and Python shares its objects"
    )]
    fn into_conflict(&self, py: Python<'_>) -> Self {
        Self { event: self.event.clone().into_conflict(), body: self.body.clone_ref(py) }
    }

    fn __repr__(&self) -> String {
        format!("<Event: {} {}>", self.event.source, self.event.key)
    }
}

/// A body as Python objects: JSON, or a form; None for another one.
#[pyfunction]
pub(crate) fn read_body(py: Python<'_>, media_type: &str, body: &[u8]) -> PyResult<Py<PyAny>> {
    guarded(|| objects(py, Content::of(media_type.as_bytes(), body)))
}

fn objects(py: Python<'_>, content: Content<'_>) -> PyResult<Py<PyAny>> {
    match content {
        Content::Json(text) => loads(py, text),
        Content::Form(fields) => Ok(form(py, fields)?.into_any().unbind()),
        Content::Opaque => Ok(py.None()),
    }
}

/// A form's fields by name, in order; the value of one that is there several times is a list.
fn form(py: Python<'_>, fields: Vec<(String, String)>) -> PyResult<Bound<'_, PyDict>> {
    let form = PyDict::new(py);
    for (name, value) in fields {
        match form.get_item(&name)? {
            None => form.set_item(name, value)?,
            Some(before) => match before.cast_into::<PyList>() {
                Ok(values) => values.append(value)?,
                Err(single) => {
                    form.set_item(
                        name,
                        PyList::new(
                            py,
                            [single.into_inner(), value.into_pyobject(py)?.into_any()],
                        )?,
                    )?;
                }
            },
        }
    }
    Ok(form)
}

/// Strict JSON as Python objects: no duplicate keys, NaN, invalid UTF-8, bounded depth. Raises ValueError.
#[pyfunction]
pub(crate) fn parse_json(py: Python<'_>, body: &[u8]) -> PyResult<Py<PyAny>> {
    guarded(|| match json::strict(body) {
        Ok(text) => loads(py, text),
        Err(reason) => Err(PyValueError::new_err(reason.to_string())),
    })
}

/// Python's own parser makes the objects of a text that the core has found to be strict: integers of any size stay exact.
fn loads(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")?.call1((text,)).map(Bound::unbind)
}
