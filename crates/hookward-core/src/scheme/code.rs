//! Schemes that no template describes: each a file below, named like what it verifies.
//!
//! The rest of the crate knows them by [`Code`], which says what each covers and what it has to be told, and by [`Verify`],
//! which is all that they do.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::HeaderName;
use serde_json::Value;

use super::{
    Coverage, KeyRing, SchemeError, SchemeRules, SignedTime, Signer, TimePlace, TimeUnit,
    adyen::Adyen,
    braintree::Braintree,
    contentful::Contentful,
    http_message::HttpMessage,
    jwt::Jwt,
    location::{malformed, missing},
    mandrill::Mandrill,
    microsoft_graph::MicrosoftGraph,
    paddle_classic::PaddleClassic,
    paypal, sns,
    twilio::Twilio,
};
use crate::{
    Head, Refusal, Timestamp,
    json::{self, Pointers},
    limits,
    secret::{Secret, Validity},
};

/// A scheme that is code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Adyen's payments: an HMAC in each notification, over eight of its fields.
    Adyen,
    /// Braintree: an HMAC over a field of a form.
    Braintree,
    /// Contentful: an HMAC over a canonical request, with the headers that a header lists.
    Contentful,
    /// HTTP Message Signatures (RFC 9421).
    HttpMessage,
    /// Mandrill: an HMAC over the URL and the sorted fields of a form.
    Mandrill,
    /// Microsoft Graph: a shared token in each notification.
    MicrosoftGraph,
    /// Paddle Classic: an RSA signature over the sorted fields of a form.
    PaddleClassic,
    /// Twilio: an HMAC over the URL and the sorted fields of a form, or over a URL with the digest of the body.
    Twilio,
    /// JSON Web Tokens, with a row's settings.
    Jwt(Box<Jwt>),
    /// Amazon SNS.
    Sns,
    /// PayPal.
    PayPal,
}

/// How it signs, in words.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adyen => "body: HMAC-SHA-256 in each notification, of eight of its fields",
            Self::Braintree => "form field bt_signature: HMAC-SHA-1 of the field bt_payload",
            Self::Mandrill => {
                "header x-mandrill-signature: HMAC-SHA-1 of the URL and the sorted fields of the form"
            }
            Self::Contentful => {
                "header x-contentful-signature: HMAC-SHA-256 of the method, the URL, the listed headers and the body"
            }
            Self::HttpMessage => {
                "headers signature and signature-input: RFC 9421, over content-digest and what else is configured"
            }
            Self::Jwt(row) => return write!(f, "{row}"),
            Self::MicrosoftGraph => "body: the secret itself in each notification (clientState)",
            Self::PaddleClassic => "form field p_signature: RSA (SHA-1) of the sorted fields of the form",
            Self::PayPal => {
                "header paypal-transmission-sig: RSA (SHA-256) of id, time, webhook_id and the CRC-32 of the body, by a certificate of PayPal's"
            }
            Self::Sns => "body: RSA of its fields, by a certificate of Amazon's",
            Self::Twilio => {
                "header x-twilio-signature: HMAC-SHA-1 of the URL and the sorted fields of the form, or of a URL with the digest of the body"
            }
        })
    }
}

/// Something that a scheme has to be told, by its name in `options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// What it is, in words.
    pub doc: &'static str,
    /// Whether the scheme proves nothing without it.
    pub required: bool,
    /// What it looks like, where it is required.
    pub example: &'static str,
}

/// What is configured of a scheme beside its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The URL that the sender calls, as it knows it.
    pub url: Option<Box<str>>,
    /// What the provider has to be told, by name: see [`Code::wants`].
    pub options: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Settings {
    /// The values of an option; none where it is not given.
    pub fn option(&self, name: &str) -> &[Box<str>] {
        self.options.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A sample to sign.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The id that the sender would give it.
    pub id: &'a str,
    /// When it is sent.
    pub at: Timestamp,
    /// Its body, before whatever a signature adds to it.
    pub body: &'a [u8],
}

/// A sample with its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// The headers to send with it.
    pub headers: Vec<(HeaderName, String)>,
    /// The body to send: for most senders as it was.
    pub body: Vec<u8>,
    /// The query to put behind the URL, without `?`; empty for most senders.
    pub query: String,
}

/// A request of which nothing is known yet.
#[derive(Clone, Copy, Debug)]
pub struct Unproven<'a> {
    /// All that precedes the body.
    pub head: &'a Head<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// What a scheme that is code does.
pub(super) trait Verify: fmt::Debug + Send + Sync {
    /// Refuses what the head alone shows to be wrong, so that most forgeries go before their body is read.
    fn screen(&self, head: &Head<'_>, now: Timestamp) -> Result<(), Refusal>;

    /// Whether the request is from a holder of a secret that is valid now.
    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal>;

    /// The bytes that make a verified request this event and no other, where that is not the whole body: what is signed, so that
    /// what anyone can change beside it makes no new event.
    fn identity(&self, _request: Unproven<'_>) -> Option<Vec<u8>> {
        None
    }

    /// The answer to a value of a question, for the word `{code:…}` in a handshake. `None` when there is none.
    fn answer(&self, _asked: &str, _now: Timestamp) -> Option<String> {
        None
    }

    /// The keys that are fetched for it, where any are.
    fn key_ring(&self) -> Option<&KeyRing> {
        None
    }

    /// Where to go to agree, when a proven request says this URL; `None`: nowhere.
    fn visit(&self, _url: &str) -> Option<String> {
        None
    }

    /// Whether [`sign`](Self::sign) can sign with the secrets at hand.
    fn can_sign(&self) -> bool;

    /// Signs a sample as the sender would.
    fn sign(&self, sample: Sample<'_>) -> Option<Signed>;
}

/// The items at a pointer of a strict JSON body, each of which is to be verified; at least one, since none prove nothing.
pub(super) fn items(body: &[u8], pointer: &str) -> Result<Vec<Value>, Refusal> {
    // What has a key twice is refused: two readers would see two values of it.
    json::scan(body, &Pointers::new([]), json::Rules::default()).map_err(|_| malformed("body"))?;
    let mut document: Value = serde_json::from_slice(body).map_err(|_| malformed("body"))?;
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(items)) if items.is_empty() => Err(missing(pointer)),
        Some(Value::Array(items)) if items.len() <= limits::NOTIFICATIONS_MAX => Ok(items),
        Some(_) => Err(malformed(pointer)),
        None => Err(missing(pointer)),
    }
}

/// The text at a pointer of such an item, which has to be there and not empty: a signature, or a token.
pub(super) fn text_of<'i>(item: &'i Value, pointer: &str) -> Result<&'i str, Refusal> {
    match item.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(Value::String(_) | Value::Null) | None => Err(missing(pointer)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(malformed(pointer))
        }
    }
}

/// A sample after something was written into each of the items at a pointer.
pub(super) fn sample_with_items(
    body: &[u8],
    pointer: &str,
    write: impl Fn(&mut Value) -> Option<()>,
) -> Option<Signed> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    document.pointer_mut(pointer)?.as_array_mut()?.iter_mut().try_for_each(write)?;
    let body = serde_json::to_vec(&document).ok()?;
    Some(Signed { headers: Vec::new(), body, query: String::new() })
}

/// The window of a scheme whose code finds the signed time.
pub(super) fn window(rules: &SchemeRules) -> SignedTime {
    rules.time.clone().unwrap_or(SignedTime {
        place: TimePlace::Code,
        unit: TimeUnit::Seconds,
        past: limits::TOLERANCE_DEFAULT,
        future: limits::TOLERANCE_DEFAULT,
    })
}

impl Code {
    /// The scheme of this name in the table of providers, with the settings of its row; `None` when there is none, or not with
    /// such settings.
    pub fn named(name: &str, settings: BTreeMap<String, String>) -> Option<Self> {
        match name {
            "jwt" => Jwt::of(settings).map(|row| Self::Jwt(row.into())),
            _ if !settings.is_empty() => None,
            "adyen" => Some(Self::Adyen),
            "braintree" => Some(Self::Braintree),
            "contentful" => Some(Self::Contentful),
            "http-message-signatures" => Some(Self::HttpMessage),
            "mandrill" => Some(Self::Mandrill),
            "microsoft-graph" => Some(Self::MicrosoftGraph),
            "paddle-classic" => Some(Self::PaddleClassic),
            "paypal" => Some(Self::PayPal),
            "sns" => Some(Self::Sns),
            "twilio" => Some(Self::Twilio),
            _ => None,
        }
    }

    /// The name in the table of providers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adyen => "adyen",
            Self::Braintree => "braintree",
            Self::Contentful => "contentful",
            Self::HttpMessage => "http-message-signatures",
            Self::Mandrill => "mandrill",
            Self::MicrosoftGraph => "microsoft-graph",
            Self::PaddleClassic => "paddle-classic",
            Self::Twilio => "twilio",
            Self::Jwt(_) => "jwt",
            Self::Sns => "sns",
            Self::PayPal => "paypal",
        }
    }

    /// What a signature covers.
    pub fn covers(&self) -> Coverage {
        match self {
            Self::Adyen | Self::MicrosoftGraph => Coverage::NONE,
            Self::Braintree | Self::PaddleClassic => Coverage { body: true, ..Coverage::NONE },
            Self::Contentful => {
                Coverage { body: true, time: true, url: true, method: true, ..Coverage::NONE }
            }
            // What else a signature covers is up to the sender, and to `components`.
            Self::HttpMessage => Coverage { body: true, time: true, ..Coverage::NONE },
            Self::Mandrill | Self::Twilio => Coverage { body: true, url: true, ..Coverage::NONE },
            Self::Jwt(row) => row.covers(),
            Self::Sns => Coverage { body: true, time: true, ..Coverage::NONE },
            Self::PayPal => Coverage { id: true, time: true, ..Coverage::NONE },
        }
    }

    /// Whether it proves who sends and not what: what such a sender says of itself is believed, as with a shared token.
    pub fn proves_sender_only(&self) -> bool {
        match self {
            Self::Jwt(row) => row.proves_sender_only(),
            Self::MicrosoftGraph => true,
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::HttpMessage
            | Self::Mandrill
            | Self::PaddleClassic
            | Self::PayPal
            | Self::Sns
            | Self::Twilio => false,
        }
    }

    /// What it has to be told.
    pub fn wants(&self) -> &'static [Wanted] {
        match self {
            Self::Braintree => Braintree::WANTS,
            Self::HttpMessage => HttpMessage::WANTS,
            Self::MicrosoftGraph => MicrosoftGraph::WANTS,
            Self::Adyen
            | Self::Contentful
            | Self::Mandrill
            | Self::PaddleClassic
            | Self::Twilio => &[],
            Self::Jwt(row) => row.wants(),
            Self::PayPal => paypal::WANTS,
            Self::Sns => sns::WANTS,
        }
    }

    /// Whether it needs to know the URL that the sender calls.
    pub fn wants_url(&self) -> bool {
        match self {
            Self::Jwt(row) => row.wants_url(),
            Self::Adyen
            | Self::Braintree
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::PayPal
            | Self::Sns => false,
            Self::Contentful | Self::HttpMessage | Self::Mandrill | Self::Twilio => true,
        }
    }

    /// Who can sign a sample as this sender.
    pub fn signer(&self) -> Signer {
        match self {
            Self::Jwt(row) => row.signer(),
            Self::PayPal | Self::Sns => Signer::Sender,
            Self::PaddleClassic => Signer::Nobody,
            Self::HttpMessage => Signer::Either,
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::Twilio => Signer::Secret,
        }
    }

    /// Whether it verifies with a secret, and not only with what the sender publishes.
    pub fn wants_secret(&self, settings: &Settings) -> bool {
        match self {
            Self::Jwt(row) => row.wants_secret(settings),
            Self::PayPal | Self::Sns => false,
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::HttpMessage
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::Twilio => true,
        }
    }

    /// Whether it knows at which host a URL has to be that a sender wants to have visited.
    pub(super) fn visits(&self) -> bool {
        match self {
            Self::Sns => true,
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::HttpMessage
            | Self::Jwt(_)
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::PayPal
            | Self::Twilio => false,
        }
    }

    /// For how long a request may count beyond the tolerance, because it says itself until when.
    pub(super) fn lifetime(&self) -> Duration {
        match self {
            Self::Jwt(row) => row.lifetime(),
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::HttpMessage
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::PayPal
            | Self::Sns
            | Self::Twilio => Duration::ZERO,
        }
    }

    /// The header that holds the signed id, where one is signed.
    pub(super) fn id_header(&self) -> Option<HeaderName> {
        match self {
            Self::PayPal => Some(HeaderName::from_static(paypal::ID)),
            Self::Adyen
            | Self::Braintree
            | Self::Contentful
            | Self::HttpMessage
            | Self::Jwt(_)
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::Sns
            | Self::Twilio => None,
        }
    }

    /// Makes what verifies. The tolerance is what [`SchemeRules::time`](super::SchemeRules::time) says.
    pub(super) fn verifier(
        &self,
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Box<dyn Verify>, SchemeError> {
        match (secrets.is_empty(), self.wants_secret(&rules.settings)) {
            (true, true) => return Err(SchemeError::NoSecret),
            (false, false) => return Err(SchemeError::NeedlessSecret),
            (true, false) | (false, true) => {}
        }
        Ok(match self {
            Self::Adyen => Box::new(Adyen::new(secrets)?),
            Self::Braintree => Box::new(Braintree::new(rules, secrets)?),
            Self::Contentful => Box::new(Contentful::new(rules, secrets)?),
            Self::HttpMessage => Box::new(HttpMessage::new(rules, secrets)?),
            Self::Jwt(row) => Box::new(row.verifier(rules, secrets)?),
            Self::Mandrill => Box::new(Mandrill::new(rules, secrets)?),
            Self::MicrosoftGraph => Box::new(MicrosoftGraph::new(rules, secrets)?),
            Self::PaddleClassic => Box::new(PaddleClassic::new(secrets)?),
            Self::PayPal => paypal::verifier(rules)?,
            Self::Sns => sns::verifier(rules)?,
            Self::Twilio => Box::new(Twilio::new(rules, secrets)?),
        })
    }

    /// How the time that it finds is written.
    pub fn time_unit(&self) -> TimeUnit {
        match self {
            Self::PayPal | Self::Sns => TimeUnit::Rfc3339,
            Self::Contentful => TimeUnit::Milliseconds,
            Self::Adyen
            | Self::Braintree
            | Self::HttpMessage
            | Self::Jwt(_)
            | Self::Mandrill
            | Self::MicrosoftGraph
            | Self::PaddleClassic
            | Self::Twilio => TimeUnit::Seconds,
        }
    }
}
