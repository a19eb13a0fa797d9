//! How a sender signs, and what its signature covers.
//!
//! A scheme is data ([`SchemeRules`]): where the signature is, how it is written, which bytes it is over, where
//! the signed time is. One interpreter ([`Scheme`]) verifies them all, in two steps, so that most forgeries
//! are refused before their body is read: [`Scheme::screen`] on the head, [`Scheme::verify`] on the body.
//!
//! Each preset is a file: [`hmac`], [`standard_webhooks`], [`stripe`], [`github`], [`shopify`], [`slack`].

use std::{borrow::Cow, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderName;
use subtle::ConstantTimeEq;

use crate::{
    Head, Refusal, Timestamp, limits,
    request::Single,
    secret::{Secret, Validity, WeakSecret},
};

pub mod github;
pub mod hmac;
mod key;
pub mod shopify;
pub mod slack;
pub mod standard_webhooks;
pub mod stripe;
mod template;

pub use key::{Algorithm, Key, KeyEncoding};
pub use template::{BadTemplate, Piece, Template};

/// A scheme as data: what a provider's documentation says, in one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeRules {
    /// The header that holds the signature or signatures.
    pub header: HeaderName,
    /// How the header's value is written.
    pub format: Format,
    /// The signatures that count, by the label they carry. A label that is not here is ignored, so that a
    /// sender can add a scheme and nobody can downgrade to one.
    pub versions: Vec<Version>,
    /// The bytes that are signed.
    pub content: Template,
    /// The signed time, if one is signed.
    pub time: Option<SignedTime>,
    /// The header that holds the signed id, if one is signed.
    pub id: Option<HeaderName>,
    /// How the secret's text becomes the key.
    pub key: KeyEncoding,
}

/// How a signature header's value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One signature behind a fixed prefix (perhaps none): `sha256=…`.
    Single {
        /// What precedes the signature.
        prefix: Cow<'static, str>,
    },
    /// Labelled elements: `t=…,v1=…,v1=…` or `v1,… v1a,…`.
    List {
        /// Between elements; white space around elements is ignored.
        separator: char,
        /// Between an element's label and its value.
        assign: char,
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

/// How bytes are written in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hex digits of either case.
    Hex,
    /// Standard alphabet, padded, canonical.
    Base64,
}

/// A signed time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTime {
    /// Where it is.
    pub place: TimePlace,
    /// What it counts.
    pub unit: TimeUnit,
    /// How old it may be.
    pub past: Duration,
    /// How far ahead it may be: clocks differ.
    pub future: Duration,
}

/// Where a signed time is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In a header of its own.
    Header(HeaderName),
    /// In the signature header's list, under this label.
    Element(Cow<'static, str>),
}

/// What a signed time counts since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// What a signature covers: what an attacker who captured a request cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The body.
    pub body: bool,
    /// The time, so that a captured request grows stale.
    pub time: bool,
    /// An id, so that it can serve for de-duplication.
    pub id: bool,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = [(self.id, "id"), (self.time, "time"), (self.body, "body")];
        let names: Vec<_> = covered.iter().filter_map(|(is, name)| is.then_some(*name)).collect();
        f.write_str(&names.join(", "))
    }
}

impl SchemeRules {
    /// What the signature covers.
    pub fn covers(&self) -> Coverage {
        Coverage {
            body: self.content.contains(&Piece::Body),
            time: self.time.is_some() && self.content.contains(&Piece::Time),
            id: self.id.is_some() && self.content.contains(&Piece::Id),
        }
    }

    /// Finds what would make the scheme meaningless, before a request does.
    pub fn check(&self) -> Result<(), BadScheme> {
        let covers = self.covers();
        if !covers.body {
            return Err(BadScheme::BodyNotSigned);
        }
        if self.versions.is_empty() {
            return Err(BadScheme::NoVersion);
        }
        if self.content.contains(&Piece::Time) != self.time.is_some() {
            return Err(BadScheme::TimeNotSigned);
        }
        if self.content.contains(&Piece::Id) != self.id.is_some() {
            return Err(BadScheme::IdNotSigned);
        }
        if let Some(time) = &self.time {
            let allowed = Duration::from_secs(1)..=limits::TOLERANCE_MAX;
            if !allowed.contains(&time.past) || !allowed.contains(&time.future) {
                return Err(BadScheme::Tolerance);
            }
            if matches!((&time.place, &self.format), (TimePlace::Element(_), Format::Single { .. }))
            {
                return Err(BadScheme::TimeElementWithoutList);
            }
        }
        Ok(())
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
    /// A tolerance of zero or of days.
    #[error("a tolerance is between 1 second and 24 hours: zero would switch the check off")]
    Tolerance,
    /// The time is said to be in a list that is none.
    #[error("the timestamp is in the signature header, which then must be a list")]
    TimeElementWithoutList,
}

/// A scheme with its keys: what verifies.
#[derive(Debug)]
pub struct Scheme {
    rules: SchemeRules,
    keys: Vec<(Key, Validity)>,
}

/// What a head presents to be verified: read, well shaped, its time in the window, nothing proven yet.
#[derive(Debug)]
pub struct Presented<'a> {
    time: &'a [u8],
    id: &'a str,
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
    bytes: [u8; key::SIGNATURE_BYTES_MAX],
    len: usize,
}

impl Scheme {
    /// Makes keys of secrets. Refuses weak secrets, secrets in the wrong encoding, and a scheme without any.
    pub fn new(rules: SchemeRules, secrets: Vec<(Secret, Validity)>) -> Result<Self, SchemeError> {
        rules.check()?;
        if secrets.is_empty() {
            return Err(SchemeError::NoSecret);
        }
        let keys = secrets
            .into_iter()
            .enumerate()
            .map(|(index, (secret, validity))| {
                let key = secret
                    .strong()
                    .and_then(|secret| Key::new(&secret, rules.key, &rules.versions));
                key.map(|key| (key, validity))
                    .map_err(|reason| SchemeError::WeakSecret { index, reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rules, keys })
    }

    /// A scheme that takes no signature any more: every secret was revoked while it was in use.
    pub fn revoked(rules: SchemeRules) -> Self {
        Self { rules, keys: Vec::new() }
    }

    /// The rules.
    pub fn rules(&self) -> &SchemeRules {
        &self.rules
    }

    /// Reads the signature's headers and checks the signed time, without the body.
    pub fn screen<'a>(&self, head: &Head<'a>, now: Timestamp) -> Result<Presented<'a>, Refusal> {
        let value = required(head, &self.rules.header)?;
        let mut presented = Presented { time: b"", id: "", candidates: Vec::with_capacity(1) };
        match &self.rules.format {
            Format::Single { prefix } => {
                let signature = value
                    .strip_prefix(prefix.as_bytes())
                    .ok_or_else(|| malformed(&self.rules.header))?;
                if let Some(version) = self.rules.versions.first() {
                    presented.candidates.extend(candidate(version, signature));
                }
            }
            Format::List { separator, assign } => {
                let text = std::str::from_utf8(value).map_err(|_| malformed(&self.rules.header))?;
                self.read_list(text, *separator, *assign, &mut presented)?;
            }
        }
        if presented.candidates.is_empty() {
            return Err(malformed(&self.rules.header));
        }
        if let Some(time) = &self.rules.time {
            let header = match &time.place {
                TimePlace::Header(name) => {
                    presented.time = required(head, name)?;
                    name
                }
                TimePlace::Element(_) if presented.time.is_empty() => {
                    return Err(malformed(&self.rules.header));
                }
                TimePlace::Element(_) => &self.rules.header,
            };
            let signed = time.unit.read(presented.time).ok_or_else(|| malformed(header))?;
            time.check(signed, now)?;
        }
        if let Some(name) = &self.rules.id {
            let id = required(head, name)?;
            presented.id = std::str::from_utf8(id)
                .ok()
                .filter(|id| is_id(id))
                .ok_or_else(|| malformed(name))?;
        }
        Ok(presented)
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
            Some(TimePlace::Header(_)) | None => None,
        };
        let mut signatures = 0;
        for element in text.split(separator) {
            let Some((label, value)) = element.trim().split_once(assign) else { continue };
            if Some(label) == time_label {
                if !presented.time.is_empty() {
                    return Err(ambiguous(&self.rules.header));
                }
                presented.time = value.as_bytes();
            } else if let Some(version) =
                self.rules.versions.iter().find(|version| version.label == label)
            {
                signatures += 1;
                if signatures > limits::SIGNATURES_MAX {
                    return Err(malformed(&self.rules.header));
                }
                presented.candidates.extend(candidate(version, value.as_bytes()));
            }
        }
        Ok(())
    }

    /// Whether any presented signature is right for this body under any key that is valid now.
    pub fn verify(
        &self,
        presented: &Presented<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let content = self.rules.content.resolve(presented.id.as_bytes(), presented.time, body);
        for (key, validity) in &self.keys {
            if !validity.contains(now) {
                continue;
            }
            for candidate in &presented.candidates {
                if candidate.is_right(key, content.clone()) {
                    return Ok(());
                }
            }
        }
        Err(Refusal::WrongSignature)
    }

    /// Whether every one of its keys can sign, and not only verify.
    pub fn can_sign(&self) -> bool {
        self.keys.iter().all(|(key, _)| key.can_sign())
    }

    /// Signs as a sender would: the headers that go with this body. For samples and tests; `None` when the
    /// scheme's keys can verify and not sign.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Option<Vec<(HeaderName, String)>> {
        let time = self.rules.time.as_ref().map_or_else(String::new, |time| time.unit.write(at));
        let content = self.rules.content.resolve(id.as_bytes(), time.as_bytes(), body);
        let (key, _) = self.keys.first()?;
        let (version, signature) =
            self.rules.versions.iter().find_map(|version| {
                Some((version, key.sign(version.algorithm, content.clone())?))
            })?;
        let written = match version.encoding {
            Encoding::Hex => hex::encode(signature),
            Encoding::Base64 => BASE64.encode(signature),
        };
        let mut headers = Vec::with_capacity(3);
        let element = self.rules.time.as_ref().and_then(|time| match &time.place {
            TimePlace::Header(name) => {
                headers.push((name.clone(), time.unit.write(at)));
                None
            }
            TimePlace::Element(label) => Some(label),
        });
        let value = match &self.rules.format {
            Format::Single { prefix } => format!("{prefix}{written}"),
            Format::List { separator, assign } => {
                let time = element
                    .map(|label| format!("{label}{assign}{time}{separator}"))
                    .unwrap_or_default();
                format!("{time}{}{assign}{written}", version.label)
            }
        };
        headers.push((self.rules.header.clone(), value));
        headers.extend(self.rules.id.clone().map(|name| (name, id.to_owned())));
        Some(headers)
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
    /// A secret that can only verify, where one is needed to sign.
    #[error("it can verify and not sign: whpk_ is a public key, whsk_ and whsec_ sign")]
    CannotSign,
}

impl Candidate {
    fn is_right<'c>(&self, key: &Key, content: impl Iterator<Item = &'c [u8]>) -> bool {
        let Some(bytes) = self.bytes.get(..self.len) else { return false };
        key.verify(self.algorithm, content, bytes)
    }
}

/// A written signature as bytes; `None` when it cannot be one of this version.
fn candidate(version: &Version, written: &[u8]) -> Option<Candidate> {
    let mut bytes = [0; key::SIGNATURE_BYTES_MAX];
    let len = version.algorithm.signature_bytes();
    let room = bytes.get_mut(..len)?;
    match version.encoding {
        Encoding::Hex => hex::decode_to_slice(written, room).ok()?,
        Encoding::Base64 => {
            let mut decoded = [0; key::SIGNATURE_BYTES_MAX + 2];
            let decoded_len = BASE64.decode_slice(written, &mut decoded).ok()?;
            room.copy_from_slice(
                decoded.get(..decoded_len).filter(|decoded| decoded.len() == len)?,
            );
        }
    }
    Some(Candidate { algorithm: version.algorithm, bytes, len })
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

fn required<'a>(head: &Head<'a>, name: &HeaderName) -> Result<&'a [u8], Refusal> {
    match head.single(name) {
        Single::Absent | Single::Once(b"") => {
            Err(Refusal::MissingSignature { header: label(name) })
        }
        Single::Repeated => Err(ambiguous(name)),
        Single::Once(value) => Ok(value),
    }
}

fn malformed(name: &HeaderName) -> Refusal {
    Refusal::MalformedSignature { header: label(name) }
}

fn ambiguous(name: &HeaderName) -> Refusal {
    Refusal::AmbiguousSignature { header: label(name) }
}

fn label(name: &HeaderName) -> Cow<'static, str> {
    name.as_str().to_owned().into()
}

impl TimeUnit {
    /// Digits only, as all senders write it: no sign, space, fraction, exponent or other script.
    fn read(self, text: &[u8]) -> Option<Timestamp> {
        if text.is_empty() || text.len() > 16 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = text.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        Some(match self {
            Self::Seconds => Timestamp::from_secs(number),
            Self::Milliseconds => Timestamp::from_millis(number),
        })
    }

    fn write(self, at: Timestamp) -> String {
        match self {
            Self::Seconds => at.as_secs().to_string(),
            Self::Milliseconds => at.as_millis().to_string(),
        }
    }
}

impl SignedTime {
    /// Both directions: a time far ahead would stay fresh for as long. Compared in whole seconds, edges included.
    fn check(&self, signed: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let (signed, now) = (signed.as_secs(), now.as_secs());
        let (age_secs, ahead_secs) = (now.saturating_sub(signed), signed.saturating_sub(now));
        if age_secs > self.past.as_secs() {
            return Err(Refusal::Stale { age_secs, max_secs: self.past.as_secs() });
        }
        if ahead_secs > self.future.as_secs() {
            return Err(Refusal::FromTheFuture { ahead_secs, max_secs: self.future.as_secs() });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
