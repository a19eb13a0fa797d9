//! What signing a sample needs and verifying does not.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use crate::{Head, json::Pointer};

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

/// A JSON body with a field set, objects on the way made where there are none. `None` when the body is not JSON, or something
/// else stands in the way.
pub(super) fn with_field(body: &[u8], pointer: &Pointer, value: Value) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
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
