//! Schemes that no template describes: each a file below, named like what it verifies.
//!
//! The rest of the crate knows them by [`Code`], which says what each covers and what it has to be told, and by [`Verify`],
//! which is all that they do.

use std::{collections::BTreeMap, fmt};

use http::HeaderName;

use super::{Coverage, SchemeError};
use crate::{
    Head, Refusal, Timestamp,
    secret::{Secret, Validity},
};

/// A scheme that is code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {}

impl fmt::Display for Code {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
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

    /// Whether [`sign`](Self::sign) can sign with the secrets at hand.
    fn can_sign(&self) -> bool;

    /// Signs a sample as the sender would.
    fn sign(&self, sample: Sample<'_>) -> Option<Signed>;
}

impl Code {
    /// The scheme of this name in the table of providers, with the settings of its row; `None` when there is none, or not with
    /// such settings.
    pub fn named(_name: &str, _settings: BTreeMap<String, String>) -> Option<Self> {
        None
    }

    /// The name in the table of providers.
    pub fn name(&self) -> &'static str {
        match *self {}
    }

    /// What a signature covers.
    pub fn covers(&self) -> Coverage {
        match *self {}
    }

    /// What it has to be told.
    pub fn wants(&self) -> &'static [Wanted] {
        match *self {}
    }

    /// Whether it needs to know the URL that the sender calls.
    pub fn wants_url(&self) -> bool {
        match *self {}
    }

    /// Makes what verifies. `tolerance` is what [`SchemeRules::time`](super::SchemeRules::time) says.
    pub(super) fn verifier(
        &self,
        _rules: &super::SchemeRules,
        _secrets: Vec<(Secret, Validity)>,
    ) -> Result<Box<dyn Verify>, SchemeError> {
        match *self {}
    }
}
