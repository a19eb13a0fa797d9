//! Microsoft Graph: each notification of a body carries the `clientState` of its subscription, a token of your own choice.
//! Who sends is known, and nothing of what is sent is covered. Tokens of rich notifications (`validationTokens`) are not looked
//! at. <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>

use serde_json::Value;

use super::{
    Algorithm, KeyEncoding, Sample, SchemeError, Signed, Unproven,
    code::{self, Verify},
    keys::Keys,
    location::{malformed, missing},
};
use crate::{
    Head, Refusal, Timestamp,
    secret::{Secret, Validity},
};

const ITEMS: &str = "/value";
const TOKEN: &str = "clientState";

#[derive(Debug)]
pub(super) struct MicrosoftGraph(Keys);

impl MicrosoftGraph {
    pub(super) fn new(secrets: &[(Secret, Validity)]) -> Result<Self, SchemeError> {
        Keys::new(Algorithm::Token, KeyEncoding::Utf8, secrets).map(Self)
    }
}

impl Verify for MicrosoftGraph {
    fn screen(&self, _head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        for notification in code::items(request.body, ITEMS)? {
            match notification.get(TOKEN) {
                Some(Value::String(token)) if !token.is_empty() => {
                    if !self.0.verify(b"", token.as_bytes(), now) {
                        return Err(Refusal::WrongSignature);
                    }
                }
                Some(Value::String(_) | Value::Null) | None => return Err(missing(TOKEN)),
                Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    return Err(malformed(TOKEN));
                }
            }
        }
        Ok(())
    }

    fn can_sign(&self) -> bool {
        self.0.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let token = String::from_utf8(self.0.sign(b"")?).ok()?;
        let mut document: Value = serde_json::from_slice(sample.body).ok()?;
        for notification in document.pointer_mut(ITEMS)?.as_array_mut()? {
            notification.as_object_mut()?.insert(TOKEN.to_owned(), token.clone().into());
        }
        let body = serde_json::to_vec(&document).ok()?;
        Some(Signed { headers: Vec::new(), body, query: String::new() })
    }
}
