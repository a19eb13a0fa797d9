//! Microsoft Graph: each notification of a body carries the `clientState` of its subscription, a token of your own choice.
//! Who sends is known, and nothing of what is sent is covered.
//! <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>
//!
//! Notifications with content also carry `validationTokens`: JSON Web Tokens of Microsoft's identity platform, one for each
//! application and tenant. Where the option `audience` names the application, every body must have them, each must be right and
//! from Graph itself, and each notification's tenant must have one. They are no signature of the content either; that is
//! encrypted, and carries a signature for who decrypts it.
//! <https://learn.microsoft.com/graph/change-notifications-with-resource-data>

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Algorithm, KeyEncoding, KeyRing, Sample, SchemeError, SchemeRules, Signed, Unproven,
    code::{self, Verify, Wanted},
    jwt::{self, Jwt},
    keys::Keys,
};
use crate::{
    Head, Refusal, Timestamp,
    secret::{Secret, Validity},
};

const ITEMS: &str = "/value";
const TOKEN: &str = "/clientState";
const TENANT: &str = "/tenantId";
const VALIDATION_TOKENS: &str = "/validationTokens";

/// Where Microsoft's identity platform publishes its keys, and how its tokens are written.
const TOKENS: [(&str, &str); 5] = [
    ("in", "body"),
    ("alg", "RS256"),
    ("keys", "https://login.microsoftonline.com/common/discovery/v2.0/keys"),
    ("aud", "option"),
    ("demands", "exp iss tid"),
];

/// The application that publishes notifications: Microsoft Graph Change Tracking.
const PUBLISHER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

#[derive(Debug)]
pub(super) struct MicrosoftGraph {
    states: Keys,
    tokens: Option<jwt::Verifier>,
}

impl MicrosoftGraph {
    pub(super) const WANTS: &'static [Wanted] = &[Wanted {
        name: "audience",
        doc: "the id of the application whose notifications have content: then each must have Microsoft's validationTokens for it",
        required: false,
        example: "",
    }];

    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        let tokens = if rules.settings.option("audience").is_empty() {
            None
        } else {
            let row = TOKENS.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let row = Jwt::of(row.into()).expect("constant settings");
            Some(row.verifier(rules, &[])?)
        };
        let states = Keys::new(Algorithm::Token, KeyEncoding::Utf8, secrets)?;
        Ok(Self { states, tokens })
    }
}

/// The tenant that a token is of, if Graph is who got it.
fn tenant(claims: &Map<String, Value>) -> Result<&str, Refusal> {
    let text = |claim: &'static str| claims.get(claim).and_then(Value::as_str);
    let wrong = |claim: &'static str| Refusal::WrongClaim { claim: claim.into() };
    let tenant = text("tid").ok_or_else(|| wrong("tid"))?;
    // Two versions of tokens are in use.
    let (issuer, publisher) = match text("ver") {
        Some("2.0") => (format!("https://login.microsoftonline.com/{tenant}/v2.0"), "azp"),
        Some(_) | None => (format!("https://sts.windows.net/{tenant}/"), "appid"),
    };
    if text("iss") != Some(&*issuer) {
        return Err(wrong("iss"));
    }
    if text(publisher) != Some(PUBLISHER) {
        return Err(wrong(publisher));
    }
    Ok(tenant)
}

impl Verify for MicrosoftGraph {
    fn screen(&self, _head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let notifications = code::items(request.body, ITEMS)?;
        for notification in &notifications {
            if !self.states.verify(b"", code::text_of(notification, TOKEN)?.as_bytes(), now) {
                return Err(Refusal::WrongSignature);
            }
        }
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let mut tenants = BTreeSet::new();
        for token in code::items(request.body, VALIDATION_TOKENS)? {
            let claims = tokens.claims(code::text_of(&token, "")?, now)?;
            tenants.insert(tenant(&claims)?.to_owned());
        }
        for notification in &notifications {
            if !tenants.contains(code::text_of(notification, TENANT)?) {
                return Err(Refusal::WrongClaim { claim: "tid".into() });
            }
        }
        Ok(())
    }

    fn key_ring(&self) -> Option<&KeyRing> {
        self.tokens.as_ref().and_then(Verify::key_ring)
    }

    /// Tokens only Microsoft can sign.
    fn can_sign(&self) -> bool {
        self.tokens.is_none() && self.states.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        if self.tokens.is_some() {
            return None;
        }
        let token = String::from_utf8(self.states.sign(b"")?).ok()?;
        code::sample_with_items(sample.body, ITEMS, |notification| {
            notification.as_object_mut()?.insert("clientState".to_owned(), token.clone().into());
            Some(())
        })
    }
}
