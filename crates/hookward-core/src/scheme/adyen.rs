//! Adyen's payment webhooks: an HMAC-SHA-256 in each notification of the body, over eight of its fields. Covered are these
//! eight, and nothing else of the body. Adyen's other webhooks (Balance Platform, Management) sign the whole body in a header.
//! <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
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

const ITEMS: &str = "/notificationItems";
const ITEM: &str = "NotificationRequestItem";
const SIGNATURE: &str = "/additionalData/hmacSignature";

/// What is signed of a notification, in this order; what is absent counts as empty.
const SIGNED: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];

#[derive(Debug)]
pub(super) struct Adyen(Keys);

impl Adyen {
    pub(super) fn new(secrets: &[(Secret, Validity)]) -> Result<Self, SchemeError> {
        Keys::new(Algorithm::HmacSha256, KeyEncoding::Hex, secrets).map(Self)
    }
}

/// The notifications of a body; at least one, since none would prove nothing.
fn notifications(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let items = code::items(body, ITEMS)?;
    let inner = |mut item: Value| item.get_mut(ITEM).map(Value::take);
    items.into_iter().map(inner).collect::<Option<_>>().ok_or_else(|| missing(ITEM))
}

/// The signed fields with a colon between them. Adyen escapes nothing.
fn content(notification: &Value) -> Result<String, Refusal> {
    let text = |pointer: &str| match notification.pointer(pointer) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(is)) => Ok(is.to_string()),
        Some(Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
        Some(Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(malformed(pointer)),
    };
    Ok(SIGNED.into_iter().map(text).collect::<Result<Vec<_>, _>>()?.join(":"))
}

fn signature(notification: &Value) -> Result<Vec<u8>, Refusal> {
    let written = code::text_of(notification, SIGNATURE)?;
    let bytes = BASE64.decode(written).ok().filter(|bytes| bytes.len() == 32);
    bytes.ok_or_else(|| malformed(SIGNATURE))
}

impl Verify for Adyen {
    fn screen(&self, _head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        for notification in notifications(request.body)? {
            let signature = signature(&notification)?;
            let content = content(&notification)?;
            if !self.0.verify(content.as_bytes(), &signature, now) {
                return Err(Refusal::WrongSignature);
            }
        }
        Ok(())
    }

    fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        let mut identity = Vec::new();
        for notification in notifications(request.body).ok()? {
            let content = content(&notification).ok()?;
            identity.extend_from_slice(&(content.len() as u64).to_le_bytes());
            identity.extend_from_slice(content.as_bytes());
        }
        Some(identity)
    }

    fn can_sign(&self) -> bool {
        self.0.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        code::sample_with_items(sample.body, ITEMS, |item| {
            let notification = item.get_mut(ITEM)?;
            let signature = self.0.sign(content(notification).ok()?.as_bytes())?;
            let fields = notification.as_object_mut()?;
            let data =
                fields.entry("additionalData").or_insert_with(|| Value::Object(<_>::default()));
            data.as_object_mut()?
                .insert("hmacSignature".to_owned(), BASE64.encode(signature).into());
            Some(())
        })
    }
}
