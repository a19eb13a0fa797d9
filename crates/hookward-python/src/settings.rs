//! Settings, from Python's mappings to what the core reads.

use hookward_core::config::Written;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyMapping, PySequence, PyString},
};

/// What a mapping says. A value that is None is as if it were not there; a `timedelta` is a duration, an aware `datetime` a point
/// in time, a path or a name its text.
pub(crate) fn written(value: &Bound<'_, PyAny>) -> PyResult<Written> {
    nested(value, 0)
}

/// Deeper than any settings, and than what would need much stack.
const DEPTH_MAX: usize = 16;

fn nested(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Written> {
    if depth > DEPTH_MAX {
        return Err(PyTypeError::new_err("settings nest too deep"));
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Written::Bool(value.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        // What does not fit is larger than any number in the settings may be: it is told to be out of range.
        return Ok(Written::Integer(value.extract().unwrap_or(i64::MAX)));
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(Written::Float(value.extract()?));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Written::Text(text.to_cow()?.into_owned()));
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        return table(mapping, depth);
    }
    if value.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("settings hold text and no bytes"));
    }
    if let Ok(list) = value.cast::<PySequence>() {
        let items = list.try_iter()?.map(|item| nested(&item?, depth + 1));
        return Ok(Written::List(items.collect::<PyResult<_>>()?));
    }
    if value.hasattr("total_seconds")? {
        let seconds: f64 = value.call_method0("total_seconds")?.extract()?;
        return Ok(Written::Text(duration(seconds)));
    }
    if value.hasattr("isoformat")? {
        return Ok(Written::Moment(value.call_method0("isoformat")?.extract()?));
    }
    if value.hasattr("__fspath__")? {
        return Ok(Written::Text(value.call_method0("__fspath__")?.extract()?));
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("settings hold no {kind}")))
}

fn table(mapping: &Bound<'_, PyMapping>, depth: usize) -> PyResult<Written> {
    // A dict of its own, so that nothing changes while it is read, and no key is there twice.
    let entries = PyDict::new(mapping.py());
    entries.update(mapping)?;
    let mut table = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let key = key.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err("a key of the settings is a text, and there is another one")
        })?;
        if !value.is_none() {
            table.push((key.to_cow()?.into_owned(), nested(&value, depth + 1)?));
        }
    }
    Ok(Written::Table(table))
}

/// A length of time, in the file's words.
fn duration(seconds: f64) -> String {
    let millis = (seconds * 1_000.0).round();
    format!("{millis}ms")
}
