//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]` over `{t}.{body}`.
//!
//! Covers time and body. The secret is the whole text `whsec_…`, not its base64. Several `v1` while a secret is rolled;
//! `v0` (Stripe's test scheme) never counts. Stripe's libraries look at the past only; here the future is bounded too.
//! Source: docs.stripe.com "Verify webhook signatures manually", and the package `stripe`.

use http::HeaderName;

use super::{
    Algorithm, Encoding, Format, KeyEncoding, SchemeRules, SignedTime, TimePlace, TimeUnit, Version,
};
use crate::limits::TOLERANCE_DEFAULT;

/// Stripe's rules.
pub fn rules() -> SchemeRules {
    SchemeRules {
        header: HeaderName::from_static("stripe-signature"),
        format: Format::List { separator: ',', assign: '=' },
        versions: vec![Version {
            label: "v1".into(),
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Hex,
        }],
        content: "{timestamp}.{body}".parse().expect("a constant template"),
        time: Some(SignedTime {
            place: TimePlace::Element("t".into()),
            unit: TimeUnit::Seconds,
            past: TOLERANCE_DEFAULT,
            future: TOLERANCE_DEFAULT,
        }),
        id: None,
        key: KeyEncoding::Utf8,
    }
}
