//! Slack: `X-Slack-Signature: v0=<hex>` and `X-Slack-Request-Timestamp`, over `v0:{timestamp}:{body}`.
//!
//! Covers time and body. Slash commands and interactions are forms; their raw bytes are signed all the same.
//! Source: docs.slack.dev "Verifying requests from Slack", and the package `slack-sdk`.

use http::HeaderName;

use super::{
    Algorithm, Encoding, Format, KeyEncoding, SchemeRules, SignedTime, TimePlace, TimeUnit, Version,
};
use crate::limits::TOLERANCE_DEFAULT;

/// Slack's rules.
pub fn rules() -> SchemeRules {
    SchemeRules {
        header: HeaderName::from_static("x-slack-signature"),
        format: Format::Single { prefix: "v0=".into() },
        versions: vec![Version {
            label: "".into(),
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Hex,
        }],
        content: "v0:{timestamp}:{body}".parse().expect("a constant template"),
        time: Some(SignedTime {
            place: TimePlace::Header(HeaderName::from_static("x-slack-request-timestamp")),
            unit: TimeUnit::Seconds,
            past: TOLERANCE_DEFAULT,
            future: TOLERANCE_DEFAULT,
        }),
        id: None,
        key: KeyEncoding::Utf8,
    }
}
