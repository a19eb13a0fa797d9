//! Microsoft Graph: each notification of a body carries the `clientState` of its subscription, a token of your own choice.
//! Who sends is known, and nothing of what is sent is covered. Tokens of rich notifications (`validationTokens`) are not looked
//! at. <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>

use super::{
    Algorithm, KeyEncoding, Sample, SchemeError, Signed, Unproven,
    code::{self, Verify},
    keys::Keys,
};
use crate::{
    Head, Refusal, Timestamp,
    secret::{Secret, Validity},
};

const ITEMS: &str = "/value";
const TOKEN: &str = "/clientState";

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
            if !self.0.verify(b"", code::text_of(&notification, TOKEN)?.as_bytes(), now) {
                return Err(Refusal::WrongSignature);
            }
        }
        Ok(())
    }

    fn can_sign(&self) -> bool {
        self.0.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let token = String::from_utf8(self.0.sign(b"")?).ok()?;
        code::sample_with_items(sample.body, ITEMS, |notification| {
            notification.as_object_mut()?.insert("clientState".to_owned(), token.clone().into());
            Some(())
        })
    }
}
