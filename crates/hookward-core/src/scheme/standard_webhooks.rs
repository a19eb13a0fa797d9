//! Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>[ v1a,<base64>]` over `{id}.{timestamp}.{body}`.
//!
//! Covers id, time and body: the only family here whose id in a header can serve for de-duplication. `v1` is HMAC-SHA-256 with
//! the base64-decoded secret, `v1a` is Ed25519. A secret verifies only signatures of its own kind.
//! Source: standardwebhooks.com specification, and the packages `standardwebhooks` and `svix` (which says `svix-` for `webhook-`).

use http::HeaderName;

use super::{
    Algorithm, Encoding, Format, KeyEncoding, SchemeRules, SignedTime, TimePlace, TimeUnit, Version,
};
use crate::limits::TOLERANCE_DEFAULT;

/// The rules of Standard Webhooks.
pub fn rules() -> SchemeRules {
    with_headers(["webhook-id", "webhook-timestamp", "webhook-signature"])
}

/// The same under Svix's header names.
pub fn svix() -> SchemeRules {
    with_headers(["svix-id", "svix-timestamp", "svix-signature"])
}

fn with_headers([id, timestamp, signature]: [&'static str; 3]) -> SchemeRules {
    let version = |label: &'static str, algorithm| Version {
        label: label.into(),
        algorithm,
        encoding: Encoding::Base64,
    };
    SchemeRules {
        header: HeaderName::from_static(signature),
        format: Format::List { separator: ' ', assign: ',' },
        versions: vec![version("v1", Algorithm::HmacSha256), version("v1a", Algorithm::Ed25519)],
        content: "{id}.{timestamp}.{body}".parse().expect("a constant template"),
        time: Some(SignedTime {
            place: TimePlace::Header(HeaderName::from_static(timestamp)),
            unit: TimeUnit::Seconds,
            past: TOLERANCE_DEFAULT,
            future: TOLERANCE_DEFAULT,
        }),
        id: Some(HeaderName::from_static(id)),
        key: KeyEncoding::StandardWebhooks,
    }
}
