//! Generic HMAC: what our own senders use, and what a sender that nobody knows is described with.
//!
//! Covers the body, and whatever else its template names. Nothing but the body by default: such a request can be
//! replayed for as long as its key is not remembered.

use http::HeaderName;

use super::{Algorithm, Encoding, Format, KeyEncoding, SchemeRules, Version};

/// `X-Signature: <hex HMAC-SHA-256 of the body>`.
pub fn rules() -> SchemeRules {
    body_only(HeaderName::from_static("x-signature"), "", Encoding::Hex)
}

/// HMAC-SHA-256 over nothing but the body, in one header.
pub(super) fn body_only(
    header: HeaderName,
    prefix: &'static str,
    encoding: Encoding,
) -> SchemeRules {
    SchemeRules {
        header,
        format: Format::Single { prefix: prefix.into() },
        versions: vec![Version { label: "".into(), algorithm: Algorithm::HmacSha256, encoding }],
        content: "{body}".parse().expect("a constant template"),
        time: None,
        id: None,
        key: KeyEncoding::Utf8,
    }
}
