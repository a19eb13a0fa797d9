//! Schemes that no template describes: each a file below, named like what it verifies.
//!
//! The rest of the crate knows them by [`Code`], which says what each covers and what it has to be told, and by [`Verify`],
//! which is all that they do.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::HeaderName;

use super::{Coverage, KeyRing, SchemeError, TimeUnit, jwt::Jwt, paypal, sns};
use crate::{
    Head, Refusal, Timestamp,
    secret::{Secret, Validity},
};

/// A scheme that is code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// JSON Web Tokens, with a row's settings.
    Jwt(Box<Jwt>),
    /// Amazon SNS.
    Sns,
    /// PayPal.
    PayPal,
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

impl Code {
    /// The scheme of this name in the table of providers, with the settings of its row; `None` when there is none, or not with
    /// such settings.
    pub fn named(name: &str, settings: BTreeMap<String, String>) -> Option<Self> {
        match name {
            "jwt" => Jwt::of(settings).map(|row| Self::Jwt(row.into())),
            _ if !settings.is_empty() => None,
            "sns" => Some(Self::Sns),
            "paypal" => Some(Self::PayPal),
            _ => None,
        }
    }

    /// The name in the table of providers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Jwt(_) => "jwt",
            Self::Sns => "sns",
            Self::PayPal => "paypal",
        }
    }

    /// What a signature covers.
    pub fn covers(&self) -> Coverage {
        match self {
            Self::Jwt(row) => row.covers(),
            Self::Sns => Coverage { body: true, time: true, ..Coverage::NONE },
            Self::PayPal => Coverage { id: true, time: true, ..Coverage::NONE },
        }
    }

    /// Whether it proves who sends and not what: what such a sender says of itself is believed, as with a shared token.
    pub fn proves_sender_only(&self) -> bool {
        match self {
            Self::Jwt(row) => row.proves_sender_only(),
            Self::Sns | Self::PayPal => false,
        }
    }

    /// What it has to be told.
    pub fn wants(&self) -> &'static [Wanted] {
        match self {
            Self::Jwt(row) => row.wants(),
            Self::Sns => sns::WANTS,
            Self::PayPal => paypal::WANTS,
        }
    }

    /// Whether it needs to know the URL that the sender calls.
    pub fn wants_url(&self) -> bool {
        match self {
            Self::Jwt(row) => row.wants_url(),
            Self::Sns | Self::PayPal => false,
        }
    }

    /// Whether it verifies with a secret, and not only with what the sender publishes.
    pub fn wants_secret(&self, settings: &Settings) -> bool {
        match self {
            Self::Jwt(row) => row.wants_secret(settings),
            Self::Sns | Self::PayPal => false,
        }
    }

    /// For how long a request may count beyond the tolerance, because it says itself until when.
    pub(super) fn lifetime(&self) -> Duration {
        match self {
            Self::Jwt(row) => row.lifetime(),
            Self::Sns | Self::PayPal => Duration::ZERO,
        }
    }

    /// The header that holds the signed id, where one is signed.
    pub(super) fn id_header(&self) -> Option<HeaderName> {
        match self {
            Self::PayPal => Some(HeaderName::from_static(paypal::ID)),
            Self::Jwt(_) | Self::Sns => None,
        }
    }

    /// Makes what verifies. The tolerance is what [`SchemeRules::time`](super::SchemeRules::time) says.
    pub(super) fn verifier(
        &self,
        rules: &super::SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Box<dyn Verify>, SchemeError> {
        if !secrets.is_empty() && !self.wants_secret(&rules.settings) {
            return Err(SchemeError::NeedlessSecret);
        }
        match self {
            Self::Jwt(row) => row.verifier(rules, secrets),
            Self::Sns => sns::verifier(rules),
            Self::PayPal => paypal::verifier(rules),
        }
    }

    /// How the time that it finds is written.
    pub fn time_unit(&self) -> TimeUnit {
        match self {
            Self::Jwt(_) => TimeUnit::Seconds,
            Self::Sns | Self::PayPal => TimeUnit::Rfc3339,
        }
    }
}
