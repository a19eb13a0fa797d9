//! What signing a sample needs and verifying does not.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use crate::{Head, form, json::Pointer};

/// The head of a sample that is being signed.
pub(super) struct SampleHead {
    method: Method,
    headers: HeaderMap,
}

pub(super) fn head(headers: &[(HeaderName, String)]) -> SampleHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            map.append(name, value);
        }
    }
    SampleHead { method: Method::POST, headers: map }
}

impl SampleHead {
    pub(super) fn as_head(&self) -> Head<'_> {
        Head { method: &self.method, target: "/", headers: &self.headers }
    }
}

/// A body with a field set: of JSON, with objects on the way made where there are none, otherwise of a form. `None` when something
/// stands in the way.
pub(super) fn with_field(body: &[u8], pointer: &Pointer, value: Value) -> Option<Vec<u8>> {
    let Ok(mut document) = serde_json::from_slice::<Value>(body) else {
        return with_form_field(body, pointer.only_key()?, &value);
    };
    let mut place = &mut document;
    for key in pointer.keys() {
        place = match place {
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?)?,
            Value::Object(fields) => {
                fields.entry(key).or_insert_with(|| Value::Object(Map::default()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    *place = value;
    serde_json::to_vec(&document).ok()
}

fn with_form_field(body: &[u8], name: &str, value: &Value) -> Option<Vec<u8>> {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut form = String::with_capacity(body.len() + name.len() + value.len() + 2);
    let others = form::pairs(body).filter(|(key, _)| key.as_deref() != Some(name));
    for (key, value) in others.chain([(Some(name.to_owned()), Some(value))]) {
        let separator = if form.is_empty() { "" } else { "&" };
        let (key, value) = (form::encoded(&key?), form::encoded(&value?));
        let _infallible = write!(form, "{separator}{key}={value}");
    }
    Some(form.into_bytes())
}
