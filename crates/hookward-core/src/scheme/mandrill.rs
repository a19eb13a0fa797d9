//! Mandrill (Mailchimp Transactional): an HMAC-SHA-1 over the webhook's URL and the sorted fields of the form. Covered are the
//! URL and all fields. No time is signed.
//! <https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/#authenticating-webhook-requests>

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderName;

use super::{
    Algorithm, Key, Names, Sample, SchemeError, SchemeRules, Signed, Unproven,
    code::Verify,
    keys::Keys,
    location::{ambiguous, malformed},
    template::external_url,
    twilio::{SortedFields, joined},
};
use crate::{
    Head, Refusal, Timestamp, form,
    secret::{Secret, Validity},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-mandrill-signature");

/// Mandrill issues keys of 22 characters: 16 bytes in base64.
const KEY_BYTES_MIN: usize = 22;

#[derive(Debug)]
pub(super) struct Mandrill {
    url: Box<str>,
    keys: Keys,
}

impl Mandrill {
    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        let keys = Keys::made(Algorithm::HmacSha1, secrets, |secret| {
            let secret = secret.clone().strong_from(KEY_BYTES_MIN)?;
            Ok(Key::hmac_sha1(secret.expose().as_bytes()))
        })?;
        Ok(Self { url: rules.settings.url.clone().unwrap_or_default(), keys })
    }

    fn content(&self, head: &Head<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(joined(&external_url(&self.url, head.target), &fields(body)?))
    }
}

/// A name that occurs twice is one field to some readers: which value is signed is not said.
fn fields(body: &[u8]) -> Result<SortedFields, Refusal> {
    let fields = form::sorted(body).ok_or_else(|| malformed("body"))?;
    let repeated = fields.windows(2).any(|pair| match pair {
        [(first, _), (second, _)] => first == second,
        _ => false,
    });
    if repeated { Err(ambiguous("body")) } else { Ok(fields) }
}

fn signature(head: &Head<'_>) -> Result<Vec<u8>, Refusal> {
    let written = Names::one(SIGNATURE).required(head)?;
    let bytes = BASE64.decode(written).ok().filter(|bytes| bytes.len() == 20);
    bytes.ok_or_else(|| malformed(SIGNATURE.as_str()))
}

impl Verify for Mandrill {
    fn screen(&self, head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        if !form::is_form(head) {
            return Err(Refusal::UnsupportedType);
        }
        signature(head).map(|_| ())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let signature = signature(request.head)?;
        let content = self.content(request.head, request.body)?;
        let is_right = self.keys.verify(&content, &signature, now);
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        self.content(request.head, request.body).ok()
    }

    fn can_sign(&self) -> bool {
        self.keys.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let content = joined(&self.url, &fields(sample.body).ok()?);
        let signature = BASE64.encode(self.keys.sign(&content)?);
        let headers = vec![(SIGNATURE, signature)];
        Some(Signed { headers, body: sample.body.to_vec(), query: String::new() })
    }
}
