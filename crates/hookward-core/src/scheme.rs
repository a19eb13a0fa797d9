//! How a sender signs, and what its signature covers.
//!
//! A scheme is data ([`SchemeRules`]): where the signature is, how it is written, which bytes it is over, where
//! the signed time is. One interpreter ([`Scheme`]) verifies them all, in two steps, so that most forgeries
//! are refused before their body is read: [`Scheme::screen`] on the head, [`Scheme::verify`] on the body.
//!
//! Which sender has which rules is in the table of [providers](crate::provider). What no rules can say is [`code`].

use std::{borrow::Cow, fmt, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL},
};
use http::HeaderName;
use subtle::ConstantTimeEq;

use crate::{
    Head, Refusal, Timestamp, form,
    json::Pointer,
    limits,
    secret::{Secret, Validity, WeakSecret},
};

mod adyen;
mod braintree;
pub mod code;
mod contentful;
mod http_message;
mod jwks;
mod jwt;
mod key;
pub mod key_ring;
mod keys;
mod location;
mod mandrill;
mod microsoft_graph;
mod paddle_classic;
mod paypal;
mod query_hash;
mod sample;
mod sns;
mod template;
mod time;
mod twilio;
mod wanted;

pub use code::{Code, Sample, Settings, Signed, Unproven, Wanted};
pub use jwks::{BadKeys, TrustAnchor};
pub use jwt::Jwt;
pub use key::{Algorithm, Key, KeyEncoding};
pub use key_ring::KeyRing;
pub use location::{Location, Names};
pub use template::{BadTemplate, Piece, Template};
pub use time::{SignedTime, TimePlace, TimeUnit};

pub(crate) use location::query_values;
use location::{Fields, ambiguous, malformed};
use template::{Inputs, Part};

/// A scheme as data: what a provider's documentation says, in one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeRules {
    /// Where the signature is, or the signatures are.
    pub signature: Location,
    /// Further headers with a signature each: any of them may be the right one.
    pub more_headers: Vec<HeaderName>,
    /// How the signature's place is written.
    pub format: Format,
    /// The signatures that count, by the label they carry. A label that is not here is ignored, so that a
    /// sender can add a scheme and nobody can downgrade to one.
    pub versions: Vec<Version>,
    /// The bytes that are signed.
    pub content: Template,
    /// Whether the content may leave the body out: what it holds is then not proven, and a sender has nothing better.
    pub body_unsigned: bool,
    /// The signed time, if one is signed.
    pub time: Option<SignedTime>,
    /// The header that holds the signed id, if one is signed.
    pub id: Option<Names>,
    /// How the secret's text becomes the key.
    pub key: KeyEncoding,
    /// What the sender puts behind the secret's text.
    pub key_suffix: Cow<'static, str>,
    /// Headers that must have these values.
    pub require: Vec<(HeaderName, Box<str>)>,
    /// The code that takes the place of all this, for a scheme that no rules describe; `time` says its tolerance.
    pub code: Option<Code>,
    /// What is configured of it beside its secrets.
    pub settings: Settings,
}

/// How a signature's place is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One signature behind a fixed prefix (perhaps none): `sha256=…`.
    Single {
        /// What precedes the signature.
        prefix: Cow<'static, str>,
        /// Whether the prefix may be left out.
        optional: bool,
    },
    /// Labelled elements: `t=…,v1=…,v1=…` or `v1,… v1a,…`.
    List {
        /// Between elements; white space around elements is ignored.
        separator: char,
        /// Between an element's label and its value.
        assign: char,
        /// Whether the sender writes a space behind each separator.
        spaced: bool,
    },
    /// Elements without labels: the time, then signatures.
    Plain {
        /// Between elements.
        separator: char,
        /// Whether the sender writes a space behind each separator.
        spaced: bool,
        /// What precedes the time.
        first_prefix: Cow<'static, str>,
    },
}

/// A kind of signature that a scheme takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its label in a list; not used in a single value.
    pub label: Cow<'static, str>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// How the signature's bytes are written.
    pub encoding: Encoding,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hex digits of either case.
    Hex,
    /// Standard alphabet, padded, canonical.
    Base64,
    /// URL-safe alphabet, without padding.
    Base64Url,
    /// As they are: a shared token.
    Plain,
}

/// What a signature covers: what an attacker who captured a request cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Coverage {
    /// The body.
    pub body: bool,
    /// The time, so that a captured request grows stale.
    pub time: bool,
    /// An id, so that it can serve for de-duplication.
    pub id: bool,
    /// The URL, so that it counts at one endpoint only.
    pub url: bool,
    /// The method.
    pub method: bool,
}

impl Coverage {
    /// Nothing.
    pub const NONE: Self = Self { body: false, time: false, id: false, url: false, method: false };
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = [
            (self.id, "id"),
            (self.time, "time"),
            (self.method, "method"),
            (self.url, "URL"),
            (self.body, "body"),
        ];
        let names: Vec<_> = covered.iter().filter_map(|(is, name)| is.then_some(*name)).collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl SchemeRules {
    /// One HMAC-SHA-256 of the body in a header, in hex: where descriptions start from.
    pub fn hmac(header: HeaderName) -> Self {
        Self {
            signature: Location::Header(Names::one(header)),
            more_headers: Vec::new(),
            format: Format::Single { prefix: "".into(), optional: false },
            versions: vec![Version {
                label: "".into(),
                algorithm: Algorithm::HmacSha256,
                encoding: Encoding::Hex,
            }],
            content: "{body}".parse().expect("a constant template"),
            body_unsigned: false,
            time: None,
            id: None,
            key: KeyEncoding::Utf8,
            key_suffix: "".into(),
            require: Vec::new(),
            code: None,
            settings: Settings::default(),
        }
    }

    /// A scheme that is code.
    pub fn of_code(code: Code) -> Self {
        let id = code.id_header().map(Names::one);
        Self { code: Some(code), id, ..Self::hmac(HeaderName::from_static("x-signature")) }
    }

    /// Whether it is a shared token: who sends it is known, and nothing of what is sent is covered.
    pub fn is_token(&self) -> bool {
        self.code.is_none() && self.versions.iter().all(|it| it.algorithm == Algorithm::Token)
    }

    /// What the signature covers.
    pub fn covers(&self) -> Coverage {
        if let Some(code) = &self.code {
            return code.covers();
        }
        if self.is_token() {
            return Coverage::NONE;
        }
        let body = self.content.contains(&Piece::Body);
        let time = self.time.as_ref().is_some_and(|time| match &time.place {
            TimePlace::Field(pointer) => {
                body || self.content.fields().any(|signed| signed == pointer)
            }
            TimePlace::Header(_) | TimePlace::Element(_) | TimePlace::First | TimePlace::Code => {
                self.content.contains(&Piece::Time)
            }
        });
        Coverage {
            body,
            time,
            id: self.id.is_some() && self.content.contains(&Piece::Id),
            url: self.content.contains(&Piece::Url),
            method: self.content.contains(&Piece::Method),
        }
    }

    /// Whether it proves who sends and nothing of what is sent.
    pub fn proves_sender_only(&self) -> bool {
        self.is_token() || self.code.as_ref().is_some_and(Code::proves_sender_only)
    }

    /// For how long a captured request counts at most; `None`: for ever, since no time is signed.
    pub fn fresh_for(&self) -> Option<Duration> {
        let time = self.time.as_ref()?;
        let lifetime = self.code.as_ref().map_or(Duration::ZERO, Code::lifetime);
        Some(time.past.saturating_add(time.future).saturating_add(lifetime))
    }

    /// Whether it verifies with a secret, and not only with what the sender publishes.
    pub fn wants_secret(&self) -> bool {
        self.code.as_ref().is_none_or(|code| code.wants_secret(&self.settings))
    }

    /// Whether an identity in this field of the body is in signed bytes, or from a sender that is proven and believed.
    pub fn covers_field(&self, pointer: &Pointer) -> bool {
        let covers = self.covers();
        covers.body
            || self.proves_sender_only()
            || self.content.fields().any(|signed| signed == pointer)
    }

    /// Whether it knows at which host a URL has to be that a sender wants to have visited.
    pub fn visits(&self) -> bool {
        self.code.as_ref().is_some_and(Code::visits)
    }

    /// Who can sign a sample as this sender.
    pub fn signer(&self) -> Signer {
        match (&self.code, self.versions.first().map(|it| it.algorithm)) {
            (Some(code), _) => code.signer(),
            (None, Some(Algorithm::RsaSha1)) => Signer::Nobody,
            (None, Some(algorithm)) if algorithm.is_asymmetric() => Signer::OwnKey,
            (None, _) if self.versions.iter().any(|it| it.algorithm.is_asymmetric()) => {
                Signer::Either
            }
            (None, _) => Signer::Secret,
        }
    }

    /// Whether it has to be told the URL that the sender calls.
    pub fn wants_url(&self) -> bool {
        self.code.as_ref().map_or_else(|| self.content.contains(&Piece::Url), Code::wants_url)
    }

    /// Finds what would make the scheme meaningless, before a request does.
    pub fn check(&self) -> Result<(), BadScheme> {
        if let Some(time) = &self.time {
            let allowed = Duration::from_secs(1)..=limits::TOLERANCE_MAX;
            if !allowed.contains(&time.past) || !allowed.contains(&time.future) {
                return Err(BadScheme::Tolerance);
            }
        }
        if self.wants_url() && self.settings.url.is_none() {
            return Err(BadScheme::NoUrl);
        }
        if let Some(code) = &self.code {
            return match code
                .wants()
                .iter()
                .find(|wanted| wanted.required && self.settings.option(wanted.name).is_empty())
            {
                Some(wanted) => Err(BadScheme::NoOption(wanted.name)),
                None => Ok(()),
            };
        }
        if self.versions.is_empty() {
            return Err(BadScheme::NoVersion);
        }
        if self.is_token() {
            return Ok(());
        }
        let covers = self.covers();
        if !covers.body && !self.body_unsigned {
            return Err(BadScheme::BodyNotSigned);
        }
        if covers.time != self.time.is_some()
            || (self.time.is_none() && self.content.contains(&Piece::Time))
        {
            return Err(BadScheme::TimeNotSigned);
        }
        if self.content.contains(&Piece::Id) != self.id.is_some() {
            return Err(BadScheme::IdNotSigned);
        }
        let keyed_hash = |it: &Version| matches!(it.algorithm, Algorithm::Sha256 | Algorithm::Sha1);
        if self.versions.iter().any(keyed_hash) != self.content.contains(&Piece::Secret) {
            return Err(BadScheme::SecretNotHashed);
        }
        match (self.time.as_ref().map(|time| &time.place), &self.format) {
            (Some(TimePlace::Element(_)), Format::Single { .. } | Format::Plain { .. })
            | (Some(TimePlace::First), Format::Single { .. } | Format::List { .. }) => {
                Err(BadScheme::TimeElementWithoutList)
            }
            _ => Ok(()),
        }
    }
}

/// Who can sign a sample as a sender, so that an endpoint can be tried without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Whoever has the secret.
    Secret,
    /// Whoever has a private key whose public half the endpoint is given in place of the sender's.
    OwnKey,
    /// The one or the other, as configured.
    Either,
    /// The sender alone: endpoints fetch what verifies from it, and take no other key.
    Sender,
    /// Nobody here: RSA with SHA-1 is verified for senders that have nothing else, and nothing new is signed with it.
    Nobody,
}

impl Signer {
    /// Whether samples can be signed here.
    pub const fn is_here(self) -> bool {
        match self {
            Self::Secret | Self::OwnKey | Self::Either => true,
            Self::Sender | Self::Nobody => false,
        }
    }
}

/// By what, or why not.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "signed with the secret",
            Self::OwnKey => {
                "signed with a private key of your own (PEM, PKCS #8); give the endpoint its public half in place of the sender's"
            }
            Self::Either => {
                "signed with the secret, or with a private key of your own whose public half the endpoint is given"
            }
            Self::Sender => {
                "not signed: only the sender has the keys, and an endpoint fetches what verifies from the sender alone"
            }
            Self::Nobody => {
                "not signed: RSA with SHA-1 is only verified here, since nothing new should be signed with it"
            }
        })
    }
}

/// Why rules make no scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScheme {
    /// The content leaves the body out.
    #[error("the signed content must contain {{body}}: otherwise the body can be replaced at will")]
    BodyNotSigned,
    /// No signature would ever count.
    #[error("no signature version is named")]
    NoVersion,
    /// A time is configured and not signed, or the reverse.
    #[error(
        "a timestamp must be both located and part of the signed content: an unsigned one proves nothing"
    )]
    TimeNotSigned,
    /// An id is configured and not signed, or the reverse.
    #[error(
        "an id header must be both named and part of the signed content: an unsigned one proves nothing"
    )]
    IdNotSigned,
    /// A hash without the secret, which anyone can make; or the secret in what an HMAC signs.
    #[error("a plain hash must be over a content with {{secret}}, and nothing else may be")]
    SecretNotHashed,
    /// A tolerance of zero or of days.
    #[error("a tolerance is between 1 second and 24 hours: zero would switch the check off")]
    Tolerance,
    /// The time is said to be in a list that is none.
    #[error("the timestamp is in the signature header, which then must be a list")]
    TimeElementWithoutList,
    /// The URL is signed and not known.
    #[error("the signature covers the URL that the sender calls, which has to be known")]
    NoUrl,
    /// Something that the scheme has to be told is missing.
    #[error("the option {0:?} is missing, without which nothing is proven")]
    NoOption(&'static str),
    /// Something that the scheme is told makes no sense to it.
    #[error(
        "the option {0:?} has a value that means nothing: `hookward providers show` lists what it takes"
    )]
    BadOption(&'static str),
}

/// A scheme with its keys: what verifies.
#[derive(Debug)]
pub struct Scheme {
    rules: SchemeRules,
    verifier: Verifier,
}

#[derive(Debug)]
enum Verifier {
    Rules {
        keys: Vec<(Key, Validity)>,
        /// The fields of the body that are needed.
        pointers: Vec<Pointer>,
    },
    Code(Box<dyn code::Verify>),
}

/// What a head presents to be verified: read, well shaped, its time in the window, nothing proven yet.
#[derive(Debug, Default)]
pub struct Presented<'a> {
    time: &'a [u8],
    id: &'a str,
    /// How many signatures there were, well shaped or not.
    signatures: usize,
    candidates: Vec<Candidate>,
}

impl<'a> Presented<'a> {
    /// The id in the signed header; empty when the scheme signs none. Believe it after [`Scheme::verify`].
    pub(crate) fn id(&self) -> &'a str {
        self.id
    }
}

#[derive(Debug)]
struct Candidate {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Scheme {
    /// Makes keys of secrets. Refuses weak secrets, secrets in the wrong encoding, and a scheme without any.
    pub fn new(rules: SchemeRules, secrets: Vec<(Secret, Validity)>) -> Result<Self, SchemeError> {
        rules.check()?;
        if let Some(code) = &rules.code {
            let verifier = Verifier::Code(code.verifier(&rules, &secrets)?);
            return Ok(Self { rules, verifier });
        }
        if secrets.is_empty() {
            return Err(SchemeError::NoSecret);
        }
        let keys = secrets
            .into_iter()
            .enumerate()
            .map(|(index, (secret, validity))| {
                Key::new(&secret, rules.key, &rules.key_suffix, &rules.versions)
                    .map(|key| (key, validity))
                    .map_err(|reason| SchemeError::WeakSecret { index, reason })
            })
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = rules.content.fields().cloned().collect();
        if let Location::Field(pointer) = &rules.signature {
            pointers.push(pointer.clone());
        }
        if let Some(SignedTime { place: TimePlace::Field(pointer), .. }) = &rules.time {
            pointers.push(pointer.clone());
        }
        Ok(Self { rules, verifier: Verifier::Rules { keys, pointers } })
    }

    /// The HMAC-SHA-256 of a text under the first secret that is valid now, for the answer to a question.
    pub(crate) fn hmac_sha256(&self, text: &[u8], now: Timestamp) -> Option<[u8; 32]> {
        let Verifier::Rules { keys, .. } = &self.verifier else { return None };
        let (key, _) = keys.iter().find(|(_, validity)| validity.contains(now))?;
        key.sign(Algorithm::HmacSha256, &[Part::Bytes(text.into())])?.try_into().ok()
    }

    /// What the code of the scheme answers to a value of a question.
    pub(crate) fn answer(&self, asked: &str, now: Timestamp) -> Option<String> {
        match &self.verifier {
            Verifier::Rules { .. } => None,
            Verifier::Code(code) => code.answer(asked, now),
        }
    }

    /// The bytes by which a verified request is told from others, where these are not its whole body.
    pub(crate) fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        match &self.verifier {
            Verifier::Rules { .. } => None,
            Verifier::Code(code) => code.identity(request),
        }
    }

    /// A scheme that nothing satisfies: every secret was revoked while it was in use, or the sender has yet to bring one.
    pub fn without_secret(rules: SchemeRules) -> Self {
        Self { rules, verifier: Verifier::Rules { keys: Vec::new(), pointers: Vec::new() } }
    }

    /// The rules.
    pub fn rules(&self) -> &SchemeRules {
        &self.rules
    }

    /// Reads the signature's headers and checks the signed time, as far as they are not in the body.
    pub fn screen<'a>(&self, head: &Head<'a>, now: Timestamp) -> Result<Presented<'a>, Refusal> {
        let mut presented = Presented::default();
        if let Verifier::Code(code) = &self.verifier {
            code.screen(head, now)?;
            presented.id = self.presented_id(head)?;
            return Ok(presented);
        }
        for (name, expected) in &self.rules.require {
            if Names::one(name.clone()).required(head)? != expected.as_bytes() {
                return Err(malformed(name.as_str()));
            }
        }
        match &self.rules.signature {
            Location::Header(names) => self.read_headers(names, head, &mut presented)?,
            Location::Query(name) => {
                let value = location::query_value(head.target, name)?;
                self.read_single(value.as_bytes(), &mut presented)?;
                if presented.candidates.is_empty() {
                    return Err(malformed(name));
                }
            }
            Location::Field(_) => {}
        }
        if let Some(time) = &self.rules.time {
            let at = match &time.place {
                TimePlace::Header(names) => {
                    presented.time = names.required(head)?;
                    names.first().as_str()
                }
                TimePlace::Element(_) | TimePlace::First => self.signature_name(),
                TimePlace::Field(_) | TimePlace::Code => "",
            };
            if !at.is_empty() {
                let signed = time.unit.read(presented.time).ok_or_else(|| malformed(at))?;
                time.check(signed, now)?;
            }
        }
        presented.id = self.presented_id(head)?;
        Ok(presented)
    }

    /// The id in the signed header, where one is signed.
    fn presented_id<'a>(&self, head: &Head<'a>) -> Result<&'a str, Refusal> {
        let Some(names) = &self.rules.id else { return Ok("") };
        let id = std::str::from_utf8(names.required(head)?).ok().filter(|id| is_id(id));
        id.ok_or_else(|| malformed(names.first().as_str()))
    }

    /// The keys that are fetched for it, where any are.
    pub fn key_ring(&self) -> Option<&KeyRing> {
        match &self.verifier {
            Verifier::Rules { .. } => None,
            Verifier::Code(code) => code.key_ring(),
        }
    }

    /// Where to go to agree, when a proven request says this URL; `None`: nowhere. A URL in a request is only ever visited
    /// where a scheme knows the host that it must be at.
    pub(crate) fn visit(&self, url: &str) -> Option<String> {
        match &self.verifier {
            Verifier::Rules { .. } => None,
            Verifier::Code(code) => code.visit(url),
        }
    }

    /// What to call the signature's place in a refusal.
    fn signature_name(&self) -> &str {
        match &self.rules.signature {
            Location::Header(names) => names.first().as_str(),
            Location::Field(pointer) => pointer.as_str(),
            Location::Query(name) => name,
        }
    }

    fn read_headers<'a>(
        &self,
        names: &Names,
        head: &Head<'a>,
        presented: &mut Presented<'a>,
    ) -> Result<(), Refusal> {
        let more = &self.rules.more_headers;
        let is_there = |name: &HeaderName| head.headers.contains_key(name);
        if names.iter().any(is_there) || !more.iter().any(is_there) {
            self.read_header(names.required(head)?, presented)?;
        }
        for name in more.iter().filter(|name| is_there(name)) {
            self.read_header(Names::one(name.clone()).required(head)?, presented)?;
        }
        if presented.candidates.is_empty() {
            return Err(malformed(names.first().as_str()));
        }
        Ok(())
    }

    /// The signatures in a header's value, and the time in it if there is one.
    fn read_header<'a>(
        &self,
        value: &'a [u8],
        presented: &mut Presented<'a>,
    ) -> Result<(), Refusal> {
        let name = self.signature_name();
        match &self.rules.format {
            Format::Single { .. } => self.read_single(value, presented),
            Format::List { separator, assign, .. } => {
                let text = std::str::from_utf8(value).map_err(|_| malformed(name))?;
                self.read_list(text, *separator, *assign, presented)
            }
            Format::Plain { separator, first_prefix, .. } => {
                let text = std::str::from_utf8(value).map_err(|_| malformed(name))?;
                let mut elements = text.split(*separator).map(str::trim);
                let first = elements.next().and_then(|first| first.strip_prefix(&**first_prefix));
                presented.time = first.ok_or_else(|| malformed(name))?.as_bytes();
                for element in elements {
                    self.take_candidate(self.rules.versions.first(), element, presented)?;
                }
                Ok(())
            }
        }
    }

    fn read_single(&self, value: &[u8], presented: &mut Presented<'_>) -> Result<(), Refusal> {
        let Format::Single { prefix, optional } = &self.rules.format else {
            return Err(malformed(self.signature_name()));
        };
        let signature = match value.strip_prefix(prefix.as_bytes()) {
            Some(signature) => signature,
            None if *optional => value,
            None => return Err(malformed(self.signature_name())),
        };
        let version = self.rules.versions.first();
        presented.candidates.extend(version.and_then(|version| candidate(version, signature)));
        Ok(())
    }

    fn read_list<'a>(
        &self,
        text: &'a str,
        separator: char,
        assign: char,
        presented: &mut Presented<'a>,
    ) -> Result<(), Refusal> {
        let time_label = match self.rules.time.as_ref().map(|time| &time.place) {
            Some(TimePlace::Element(label)) => Some(label.as_ref()),
            Some(
                TimePlace::Header(_) | TimePlace::First | TimePlace::Field(_) | TimePlace::Code,
            )
            | None => None,
        };
        for element in text.split(separator) {
            let Some((label, value)) = element.trim().split_once(assign) else { continue };
            if Some(label) == time_label {
                if !presented.time.is_empty() {
                    return Err(ambiguous(self.signature_name()));
                }
                presented.time = value.as_bytes();
            } else if let Some(version) =
                self.rules.versions.iter().find(|version| version.label == label)
            {
                self.take_candidate(Some(version), value, presented)?;
            }
        }
        Ok(())
    }

    fn take_candidate(
        &self,
        version: Option<&Version>,
        written: &str,
        presented: &mut Presented<'_>,
    ) -> Result<(), Refusal> {
        presented.signatures += 1;
        if presented.signatures > limits::SIGNATURES_MAX {
            return Err(malformed(self.signature_name()));
        }
        presented
            .candidates
            .extend(version.and_then(|version| candidate(version, written.as_bytes())));
        Ok(())
    }

    /// Whether any presented signature is right for this request under any key that is valid now.
    pub fn verify(
        &self,
        presented: &Presented<'_>,
        request: Unproven<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (keys, pointers) = match &self.verifier {
            Verifier::Rules { keys, pointers } => (keys, pointers),
            Verifier::Code(code) => return code.verify(request, now),
        };
        let fields = Fields::of(pointers, request.head, request.body)?;
        let field = |pointer: &Pointer| {
            let index = pointers.iter().position(|known| known == pointer);
            fields.required(index.unwrap_or(pointers.len()), pointer)
        };
        let mut in_body = Presented::default();
        if let Location::Field(pointer) = &self.rules.signature {
            self.read_single(field(pointer)?.as_bytes(), &mut in_body)?;
            if in_body.candidates.is_empty() {
                return Err(malformed(pointer.as_str()));
            }
        }
        let mut time = presented.time;
        if let Some(SignedTime { place: TimePlace::Field(pointer), unit, .. }) = &self.rules.time {
            time = field(pointer)?.as_bytes();
            unit.read(time).ok_or_else(|| malformed(pointer.as_str()))?;
        }
        let content = self.rules.content.resolve(&Inputs {
            id: presented.id.as_bytes(),
            time,
            body: request.body,
            head: request.head,
            url: self.rules.settings.url.as_deref(),
            fields: &fields,
            pointers,
        })?;
        let is_right =
            keys.iter().filter(|(_, validity)| validity.contains(now)).any(|(key, _)| {
                let candidates = presented.candidates.iter().chain(&in_body.candidates);
                candidates.into_iter().any(|it| key.verify(it.algorithm, &content, &it.bytes))
            });
        if !is_right {
            return Err(Refusal::WrongSignature);
        }
        // What a body says of its own time is worth looking at once it is proven.
        match &self.rules.time {
            Some(rule @ SignedTime { place: TimePlace::Field(pointer), unit, .. }) => {
                let signed = unit.read(time).ok_or_else(|| malformed(pointer.as_str()))?;
                rule.check(signed, now)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether every one of its keys can sign, and not only verify.
    pub fn can_sign(&self) -> bool {
        match &self.verifier {
            Verifier::Rules { keys, .. } => keys.iter().all(|(key, _)| key.can_sign()),
            Verifier::Code(code) => code.can_sign(),
        }
    }

    /// Signs as a sender would. For samples and tests; `None` when the scheme's keys can verify and not sign, or the body is
    /// not what the scheme signs.
    pub fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let (keys, pointers) = match &self.verifier {
            Verifier::Rules { keys, pointers } => (keys, pointers),
            Verifier::Code(code) => return code.sign(sample),
        };
        let (key, _) = keys.first()?;
        let rules = &self.rules;
        let time = rules.time.as_ref().map_or_else(String::new, |time| time.unit.write(sample.at));
        let mut headers: Vec<(HeaderName, String)> = Vec::with_capacity(3);
        headers.extend(rules.require.iter().map(|(name, value)| (name.clone(), value.to_string())));
        headers.extend(rules.id.as_ref().map(|name| (name.first().clone(), sample.id.to_owned())));
        let mut body = sample.body.to_vec();
        match rules.time.as_ref().map(|time| (&time.place, time.unit)) {
            Some((TimePlace::Header(name), _)) => {
                headers.push((name.first().clone(), time.clone()));
            }
            Some((TimePlace::Field(pointer), unit)) => {
                let value = match (unit, time.parse::<u64>()) {
                    (TimeUnit::Seconds | TimeUnit::Milliseconds, Ok(number)) => number.into(),
                    _ => time.clone().into(),
                };
                body = sample::with_field(&body, pointer, value)?;
            }
            Some((TimePlace::Element(_) | TimePlace::First | TimePlace::Code, _)) | None => {}
        }
        let head_of_sample = sample::head(&headers);
        let head = head_of_sample.as_head();
        let fields = Fields::of_sample(pointers, &body);
        let content = rules.content.resolve(&Inputs {
            id: sample.id.as_bytes(),
            time: time.as_bytes(),
            body: &body,
            head: &head,
            url: rules.settings.url.as_deref(),
            fields: &fields,
            pointers,
        });
        let content = content.ok()?;
        let (version, signature) = rules
            .versions
            .iter()
            .find_map(|version| Some((version, key.sign(version.algorithm, &content)?)))?;
        let written = match version.encoding {
            Encoding::Hex => hex::encode(signature),
            Encoding::Base64 => BASE64.encode(signature),
            Encoding::Base64Url => BASE64_URL.encode(signature),
            Encoding::Plain => String::from_utf8(signature).ok()?,
        };
        let value = match &rules.format {
            Format::Single { prefix, .. } => format!("{prefix}{written}"),
            Format::List { separator, assign, spaced } => {
                let space = if *spaced { " " } else { "" };
                let time = match rules.time.as_ref().map(|it| &it.place) {
                    Some(TimePlace::Element(label)) => {
                        format!("{label}{assign}{time}{separator}{space}")
                    }
                    _ => String::new(),
                };
                format!("{time}{}{assign}{written}", version.label)
            }
            Format::Plain { separator, spaced, first_prefix } => {
                let space = if *spaced { " " } else { "" };
                format!("{first_prefix}{time}{separator}{space}{written}")
            }
        };
        let mut query = String::new();
        match &rules.signature {
            Location::Header(names) => headers.push((names.first().clone(), value)),
            Location::Query(name) => query = format!("{name}={}", form::encoded(&value)),
            Location::Field(pointer) => {
                body = sample::with_field(&body, pointer, value.into())?;
            }
        }
        Some(Signed { headers, body, query })
    }
}

/// Why there is no scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// The rules are meaningless.
    #[error(transparent)]
    Rules(#[from] BadScheme),
    /// Nothing to verify with.
    #[error("a source needs at least one secret: without one, anyone can send")]
    NoSecret,
    /// A secret is refused.
    #[error("secret {} is refused: {reason}", .index + 1)]
    WeakSecret {
        /// Which one, from 0.
        index: usize,
        /// Why.
        reason: WeakSecret,
    },
    /// A secret where the sender signs with keys that it publishes.
    #[error("there is a secret, and this sender signs with keys that it publishes: remove it")]
    NeedlessSecret,
    /// A secret that can only verify, where one is needed to sign.
    #[error("it can verify and not sign: a public key (whpk_ …) verifies, its private half signs")]
    CannotSign,
}

/// A written signature as bytes; `None` when it cannot be one of this version.
fn candidate(version: &Version, written: &[u8]) -> Option<Candidate> {
    let bytes = match version.encoding {
        Encoding::Hex => hex::decode(written).ok()?,
        Encoding::Base64 => BASE64.decode(written).ok()?,
        Encoding::Base64Url => BASE64_URL.decode(written).ok()?,
        Encoding::Plain => written.to_vec(),
    };
    let fits = version
        .algorithm
        .signature_bytes()
        .map_or(1..=key::SIGNATURE_BYTES_MAX, |exactly| exactly..=exactly);
    fits.contains(&bytes.len()).then_some(Candidate { algorithm: version.algorithm, bytes })
}

/// Whether two signatures are the same, in a time that does not depend on where they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Ids in signed headers are visible ASCII without `.`: the dot separates the parts of what is signed.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= limits::HEADER_ID_BYTES_MAX
        && id.bytes().all(|b| b.is_ascii_graphic() && b != b'.')
}

#[cfg(test)]
pub(crate) mod tests;
