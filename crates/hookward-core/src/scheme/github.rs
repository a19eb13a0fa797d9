//! GitHub: `X-Hub-Signature-256: sha256=<hex>`.
//!
//! Covers the body and nothing else: not `X-GitHub-Delivery`, not `X-GitHub-Event`, no time. The older `X-Hub-Signature`
//! (SHA-1) is not looked at, so nobody can downgrade to it. Source: docs.github.com "Validating webhook deliveries",
//! and the package `@octokit/webhooks-methods`.

use http::HeaderName;

use super::{Encoding, SchemeRules, hmac::body_only};

/// GitHub's rules.
pub fn rules() -> SchemeRules {
    body_only(HeaderName::from_static("x-hub-signature-256"), "sha256=", Encoding::Hex)
}
