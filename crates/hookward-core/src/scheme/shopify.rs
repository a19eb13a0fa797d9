//! Shopify: `X-Shopify-Hmac-Sha256: <base64>`, keyed with the app's client secret as text.
//!
//! Covers the body and nothing else: not `X-Shopify-Webhook-Id`, not `X-Shopify-Event-Id`, not the topic, no time.
//! Source: shopify.dev "Verify webhook deliveries", and the package `@shopify/shopify-api`.

use http::HeaderName;

use super::{Encoding, SchemeRules, hmac::body_only};

/// Shopify's rules.
pub fn rules() -> SchemeRules {
    body_only(HeaderName::from_static("x-shopify-hmac-sha256"), "", Encoding::Base64)
}
