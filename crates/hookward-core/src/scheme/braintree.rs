//! Braintree: a form with `bt_payload`, an XML document in base64, and `bt_signature`, for each public key that may be meant an
//! HMAC-SHA-1 of the payload's text. Covered is the payload; no time is signed.
//!
//! The key is the SHA-1 of the private key. Which signature is ours is said by the public key, an option. When a webhook is made,
//! Braintree asks with `bt_challenge`.
//! <https://developer.paypal.com/braintree/docs/guides/webhooks/parse>

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha1::{Digest as _, Sha1};

use super::{
    Algorithm, Key, Sample, SchemeError, SchemeRules, Signed, Unproven,
    code::{Verify, Wanted},
    keys::Keys,
    location::{ambiguous, malformed, missing},
};
use crate::{
    Head, Refusal, Timestamp, form, limits,
    secret::{Secret, Validity},
};

const SIGNATURE: &str = "bt_signature";
const PAYLOAD: &str = "bt_payload";
const PUBLIC_KEY: &str = "public_key";

/// The line length of the base64 that Braintree sends.
const LINE: usize = 60;

#[derive(Debug)]
pub(super) struct Braintree {
    public_key: Box<str>,
    keys: Keys,
}

impl Braintree {
    pub(super) const WANTS: &'static [Wanted] = &[Wanted {
        name: PUBLIC_KEY,
        doc: "the public key that belongs to the private key: a signature says whose it is",
        required: true,
        example: "9hprv5fmxkq4ncsr",
    }];

    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        let keys = Keys::made(Algorithm::HmacSha1, secrets, |secret| {
            let secret = secret.clone().strong()?;
            Ok(Key::hmac_sha1(&Sha1::digest(secret.expose())))
        })?;
        let public_key = rules.settings.option(PUBLIC_KEY).first().cloned().unwrap_or_default();
        Ok(Self { public_key, keys })
    }

    /// The signatures under our public key.
    fn signatures(&self, written: &str) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut ours = Vec::new();
        for (count, pair) in written.split('&').enumerate() {
            if count == limits::SIGNATURES_MAX {
                return Err(malformed(SIGNATURE));
            }
            if let Some((public_key, signature)) = pair.split_once('|')
                && *public_key == *self.public_key
            {
                let bytes = hex::decode(signature).ok().filter(|bytes| bytes.len() == 20);
                ours.push(bytes.ok_or_else(|| malformed(SIGNATURE))?);
            }
        }
        if ours.is_empty() { Err(malformed(SIGNATURE)) } else { Ok(ours) }
    }
}

/// The field of this name, which must be there once.
fn field(body: &[u8], name: &'static str) -> Result<String, Refusal> {
    let mut values = form::values(body, name);
    match (values.next(), values.next()) {
        (Some(Some(value)), None) if !value.is_empty() => Ok(value),
        (Some(Some(_)) | None, None) => Err(missing(name)),
        (Some(None), None) => Err(malformed(name)),
        (_, Some(_)) => Err(ambiguous(name)),
    }
}

/// What Braintree's own libraries take for a challenge.
fn is_challenge(text: &str) -> bool {
    (20..=32).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Verify for Braintree {
    fn screen(&self, head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        if form::is_form(head) { Ok(()) } else { Err(Refusal::UnsupportedType) }
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let signatures = self.signatures(&field(request.body, SIGNATURE)?)?;
        let payload = field(request.body, PAYLOAD)?;
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=' | b'/' | b'\n');
        if !payload.bytes().all(alphabet) {
            return Err(malformed(PAYLOAD));
        }
        // Whoever asks gets a signature of what looks like a challenge: it vouches for nothing.
        if is_challenge(payload.trim_end_matches('\n')) {
            return Err(Refusal::WrongSignature);
        }
        // A form may have lost the last line break of the text that was signed.
        let is_right = [payload.clone(), format!("{payload}\n")].iter().any(|payload| {
            signatures.iter().any(|it| self.keys.verify(payload.as_bytes(), it, now))
        });
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        let payload = field(request.body, PAYLOAD).ok()?;
        Some(payload.strip_suffix('\n').unwrap_or(&payload).as_bytes().to_vec())
    }

    /// Only what a challenge looks like: otherwise a stranger could have any payload signed.
    fn answer(&self, asked: &str, now: Timestamp) -> Option<String> {
        if !is_challenge(asked) {
            return None;
        }
        let signature = hex::encode(self.keys.sign_now(asked.as_bytes(), now)?);
        Some(format!("{}|{signature}", self.public_key))
    }

    fn can_sign(&self) -> bool {
        self.keys.can_sign()
    }

    /// The body is the XML document.
    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let written = BASE64.encode(sample.body);
        let mut payload = String::with_capacity(written.len() + written.len() / LINE + 1);
        for line in written.as_bytes().chunks(LINE) {
            payload.push_str(std::str::from_utf8(line).ok()?);
            payload.push('\n');
        }
        let signature = hex::encode(self.keys.sign(payload.as_bytes())?);
        let signature = form::encoded(&format!("{}|{signature}", self.public_key));
        let body = format!("{SIGNATURE}={signature}&{PAYLOAD}={}", form::encoded(&payload));
        Some(Signed { headers: Vec::new(), body: body.into_bytes(), query: String::new() })
    }
}
