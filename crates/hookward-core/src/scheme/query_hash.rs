//! The query string hash (`qsh`) of Atlassian's tokens: SHA-256 of a request's method, path and query in one way of writing them.
//!
//! After <https://developer.atlassian.com/cloud/bitbucket/query-string-hash/> and atlassian-jwt 2.0.3, which is right where the
//! two differ: the path is relative to the `baseUrl` of the app, without a slash at its end; the query is sorted by its decoded
//! names, without `jwt`, several values of one name sorted and with a comma between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::Method;
use sha2::{Digest as _, Sha256};

use super::template::path_and_query;
use crate::form;

/// The hash in hex. `base_path` is the path of the app's `baseUrl`. `None` when the query cannot be decoded.
pub(super) fn query_hash(method: &Method, url: &str, base_path: &str) -> Option<String> {
    let target = path_and_query(url);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix(base_path.trim_end_matches('/')).unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path).replace('&', "%26");
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form::pairs(query.as_bytes()) {
        let (name, value) = (name?, value?);
        if name != "jwt" {
            fields.entry(name).or_default().push(value);
        }
    }
    let fields = fields.into_iter().map(|(name, mut values)| {
        values.sort();
        let values: Vec<_> = values.iter().map(|value| encoded(value)).collect();
        format!("{}={}", encoded(&name), values.join(","))
    });
    let query = fields.collect::<Vec<_>>().join("&");
    Some(hex::encode(Sha256::digest(format!("{method}&/{path}&{query}"))))
}

/// Text with everything but the unreserved characters of RFC 3986 in `%` and hex digits.
fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            written.push(char::from(byte));
        } else {
            let _infallible = write!(written, "%{byte:02X}");
        }
    }
    written
}
