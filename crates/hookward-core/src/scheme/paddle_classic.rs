//! Paddle Classic: a form with `p_signature`, an RSA-SHA-1 signature over all other fields as PHP serialises them, sorted by name,
//! each a text. Covered are all fields; no time is signed.
//! <https://developer.paddle.com/classic/webhook-reference/verifying-webhooks>

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    Algorithm, KeyEncoding, Sample, SchemeError, Signed, Unproven,
    code::Verify,
    key::SIGNATURE_BYTES_MAX,
    keys::Keys,
    location::{ambiguous, malformed, missing},
};
use crate::{
    Head, Refusal, Timestamp, form,
    secret::{Secret, Validity},
};

const SIGNATURE: &str = "p_signature";

#[derive(Debug)]
pub(super) struct PaddleClassic(Keys);

impl PaddleClassic {
    pub(super) fn new(secrets: &[(Secret, Validity)]) -> Result<Self, SchemeError> {
        Keys::new(Algorithm::RsaSha1, KeyEncoding::Pem, secrets).map(Self)
    }
}

/// The signature, and what it is over.
fn read(body: &[u8]) -> Result<(Vec<u8>, String), Refusal> {
    let mut fields = form::sorted(body).ok_or_else(|| malformed("body"))?;
    let repeated = fields.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
    if let Some([(name, _), ..]) = repeated {
        return Err(ambiguous(if name == SIGNATURE { SIGNATURE } else { "body" }));
    }
    let at = fields.iter().position(|(name, _)| name == SIGNATURE);
    let (_, written) = fields.remove(at.ok_or_else(|| missing(SIGNATURE))?);
    if written.is_empty() {
        return Err(missing(SIGNATURE));
    }
    let signature =
        BASE64.decode(written).ok().filter(|it| (128..=SIGNATURE_BYTES_MAX).contains(&it.len()));
    let mut content = format!("a:{}:{{", fields.len());
    for (name, value) in &fields {
        for text in [name, value] {
            let _infallible = write!(content, "s:{}:\"{text}\";", text.len());
        }
    }
    content.push('}');
    Ok((signature.ok_or_else(|| malformed(SIGNATURE))?, content))
}

impl Verify for PaddleClassic {
    fn screen(&self, head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        if form::is_form(head) { Ok(()) } else { Err(Refusal::UnsupportedType) }
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let (signature, content) = read(request.body)?;
        let is_right = self.0.verify(content.as_bytes(), &signature, now);
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        read(request.body).ok().map(|(_, content)| content.into_bytes())
    }

    fn can_sign(&self) -> bool {
        self.0.can_sign()
    }

    /// Nothing here makes signatures with RSA and SHA-1.
    fn sign(&self, _sample: Sample<'_>) -> Option<Signed> {
        None
    }
}
