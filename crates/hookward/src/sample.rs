//! What goes into a sample webhook: random ids, and secrets as a provider's scheme takes them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::{provider::Provider, scheme::KeyEncoding};

/// Random text of this many hex digits, for ids and secrets.
pub(crate) fn random_hex(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    let mut text = hex::encode(bytes);
    text.truncate(digits);
    text
}

/// A random secret of the form that the provider's scheme takes, where it is one that both sides hold.
pub(crate) fn secret(provider: &Provider) -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    match provider.scheme.key {
        KeyEncoding::StandardWebhooks | KeyEncoding::WhsecOrUtf8 => {
            format!("whsec_{}", BASE64.encode(bytes))
        }
        KeyEncoding::Base64 => BASE64.encode(bytes),
        KeyEncoding::Hex | KeyEncoding::Utf8 | KeyEncoding::Pem => hex::encode(bytes),
    }
}
