//! A configured sender, and the door that its webhooks come through.

use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, Method, header};

use crate::{
    ContentDigest, Event, EventKey, EventParts, Head, Intake, Quarantine, Refusal, Request,
    Timestamp,
    address::Cidrs,
    form,
    handshake::{Challenge, Handshake, Knower, Question, is_token},
    identity::{Identity, IdentityRule},
    json::{self, Pointer, Pointers, Scalar, TopLevel},
    limits,
    provider::Media,
    rate::Budget,
    request::Single,
    schema::Schema,
    scheme::{Presented, Scheme, SchemeError, SchemeRules, Unproven},
    secret::{Secret, Validity},
};

/// A configured sender: its rules, ready to judge requests.
#[derive(Debug)]
pub struct Source {
    rules: SourceRules,
    scheme: Scheme,
    verify_token: Option<Secret>,
    pointers: WantedPointers,
}

/// What is configured of a source, apart from its secrets.
#[derive(Clone, Debug)]
pub struct SourceRules {
    /// Its name: in logs, metrics, keys.
    pub name: SourceName,
    /// The one path that it is reached at, such as `/hooks/stripe`.
    pub path: Box<str>,
    /// How it signs.
    pub scheme: SchemeRules,
    /// Where its events have their identity.
    pub identity: IdentityRule,
    /// Where it says what type an event is of.
    pub event_type: EventTypeRule,
    /// The header with the sender's own id, signed or not, kept for people to search by.
    pub sender_id: Option<HeaderName>,
    /// The types that it knows; `None`: any.
    pub types: Option<BTreeSet<Box<str>>>,
    /// What becomes of a type that is not among them.
    pub unknown_types: UnknownTypes,
    /// What becomes of verified requests that are not well formed.
    pub malformed: Malformed,
    /// What bodies must match.
    pub schemas: Schemas,
    /// Fields that must have these values, such as `/livemode` = `true`; otherwise the event is quarantined.
    pub expect: Vec<(Pointer, Expected)>,
    /// What its bodies are beside JSON.
    pub media: Media,
    /// The questions that are answered and not stored.
    pub handshakes: Vec<Handshake>,
    /// The addresses that it may come from; `None`: any.
    pub origin: Option<Cidrs>,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How many verified requests it may send.
    pub budget: Option<Budget>,
    /// How many write units of the store its events may use, where use is billed.
    pub write_budget: Option<Budget>,
    /// The status that tells it that it is over its budget: 503, or 429 where it is known to retry that.
    pub over_budget_status: u16,
    /// The status that tells it that an event was accepted.
    pub accepted_status: u16,
    /// What it wants to read in that answer, if anything.
    pub accepted_text: Option<&'static str>,
    /// The status for whatever cannot be verified: 403, or what it is known to want.
    pub refused_status: u16,
    /// Whether the answer to a duplicate has the header `Hookward-Duplicate: 1`, which tells whoever holds the secret that an id is known.
    pub tell_duplicates: bool,
    /// The headers that are kept beside the body and handed on; `Content-Type` should be among them.
    pub keep_headers: Vec<HeaderName>,
    /// How long bodies are kept.
    pub body_retention: Duration,
    /// How long keys are remembered; `None`: for ever.
    pub key_retention: Option<Duration>,
    /// Where its events go; `None`: they are kept and go nowhere.
    pub destination: Option<DestinationName>,
    /// Whether whoever verifies its events handles them too, as the library does: then they need no destination.
    pub handled_here: bool,
}

/// Where a request says what type of event it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTypeRule {
    /// At this place in the body.
    Body(Pointer),
    /// In this header. Where the signature does not cover it, an attacker who captured a request can change it.
    Header(HeaderName),
    /// Nowhere.
    None,
}

/// What becomes of an event whose type the source does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownTypes {
    /// It is delivered like any other.
    #[default]
    Deliver,
    /// It is kept as a dead letter.
    Quarantine,
    /// It is refused.
    Refuse,
}

/// What becomes of a verified request that is not JSON, does not match its schema or has no id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Malformed {
    /// It is kept as a dead letter and acknowledged: a permanent error must not cause a retry storm.
    #[default]
    Quarantine,
    /// It is refused.
    Reject,
}

/// The schemas of a source.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    /// For types without one of their own.
    pub fallback: Option<Arc<Schema>>,
    /// By event type.
    pub by_type: BTreeMap<Box<str>, Arc<Schema>>,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This text.
    Text(Box<str>),
    /// This integer.
    Integer(i64),
    /// This truth value.
    Bool(bool),
}

impl Expected {
    fn is(&self, found: &Scalar) -> bool {
        match (self, found) {
            (Self::Text(expected), Scalar::Text(found)) => **expected == **found,
            (Self::Integer(expected), Scalar::Integer(found)) => **found == *expected.to_string(),
            (Self::Bool(expected), Scalar::Bool(found)) => expected == found,
            (
                Self::Text(_) | Self::Integer(_) | Self::Bool(_),
                Scalar::Text(_)
                | Scalar::Integer(_)
                | Scalar::Number(_)
                | Scalar::Bool(_)
                | Scalar::Null
                | Scalar::Container,
            ) => false,
        }
    }

    /// The same for a form's field, in which everything is text.
    fn is_written(&self, found: &str) -> bool {
        match self {
            Self::Text(expected) => **expected == *found,
            Self::Integer(expected) => *found == *expected.to_string(),
            Self::Bool(expected) => *found == *expected.to_string(),
        }
    }
}

/// The pointers that a source wants from a body, and which is which.
#[derive(Debug)]
struct WantedPointers {
    all: Pointers,
    id: Option<usize>,
    event_type: Option<usize>,
    expect: Vec<usize>,
}

impl WantedPointers {
    fn of(rules: &SourceRules) -> Self {
        let mut all: Vec<Pointer> = Vec::new();
        let mut want = |pointer: &Pointer| {
            all.iter().position(|known| known == pointer).unwrap_or_else(|| {
                all.push(pointer.clone());
                all.len() - 1
            })
        };
        let id = match &rules.identity {
            IdentityRule::Body(pointer) => Some(want(pointer)),
            IdentityRule::SignedHeader | IdentityRule::Content | IdentityRule::Each => None,
        };
        let event_type = match &rules.event_type {
            EventTypeRule::Body(pointer) => Some(want(pointer)),
            EventTypeRule::Header(_) | EventTypeRule::None => None,
        };
        let expect = rules.expect.iter().map(|(pointer, _)| want(pointer)).collect();
        Self { id, event_type, expect, all: Pointers::new(all) }
    }
}

impl Source {
    /// Makes a source of its rules and secrets. Refuses weak secrets, and a source without any.
    pub fn new(rules: SourceRules, secrets: Vec<(Secret, Validity)>) -> Result<Self, SchemeError> {
        let scheme = if secrets.is_empty() && rules.learns_secret() {
            Scheme::without_secret(rules.scheme.clone())
        } else {
            Scheme::new(rules.scheme.clone(), secrets)?
        };
        let pointers = WantedPointers::of(&rules);
        Ok(Self { rules, scheme, verify_token: None, pointers })
    }

    /// The same, and the token that a sender has to show when it asks whether anyone is there.
    #[must_use]
    pub fn with_verify_token(self, token: Option<Secret>) -> Self {
        Self { verify_token: token, ..self }
    }

    /// A source of which every secret was revoked while it ran: it is there, and takes nothing.
    pub fn revoked(rules: SourceRules) -> Self {
        let pointers = WantedPointers::of(&rules);
        let scheme = Scheme::without_secret(rules.scheme.clone());
        Self { scheme, rules, verify_token: None, pointers }
    }

    /// Its name.
    pub fn name(&self) -> &SourceName {
        &self.rules.name
    }

    /// Its rules.
    pub fn rules(&self) -> &SourceRules {
        &self.rules
    }

    /// Its scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The door: a stranger's request becomes an event, or a refusal that says why not.
    ///
    /// The same as [`verify`](Self::verify) and then [`Verified::admit`]; the gateway asks the source's budget in between.
    pub fn admit(&self, request: Request<'_>, now: Timestamp) -> Result<Event, Refusal> {
        self.verify(request, now)?.admit()
    }

    /// The answer when a request is not an event but a question without a signature; `body` once it has come. Such a question
    /// is cheap to answer and says nothing that its sender did not bring.
    pub fn greeting(
        &self,
        head: &Head<'_>,
        body: Option<&[u8]>,
        now: Timestamp,
    ) -> Option<Result<Challenge, Refusal>> {
        let unsigned = self.rules.handshakes.iter().filter(|it| !it.verified);
        self.answer_first(unsigned.filter(|it| body.is_some() || !it.needs_body()), head, body, now)
    }

    /// Whether a question without a signature may be recognised once its body has come.
    pub fn may_greet_in_body(&self, method: &Method) -> bool {
        let mut unsigned = self.rules.handshakes.iter().filter(|it| !it.verified);
        unsigned.any(|it| it.needs_body() && it.method == *method)
    }

    fn answer_first<'h>(
        &self,
        mut handshakes: impl Iterator<Item = &'h Handshake>,
        head: &Head<'_>,
        body: Option<&[u8]>,
        now: Timestamp,
    ) -> Option<Result<Challenge, Refusal>> {
        let knower = Knower { scheme: &self.scheme, now };
        let question = Question { head, body };
        let answered = handshakes.find_map(|it| {
            let answer = it.answer(question, self.verify_token.as_ref(), knower)?;
            Some((it, answer))
        });
        let (handshake, answer) = answered?;
        Some(answer.and_then(|mut challenge| {
            if let Some(url) = challenge.visit.take() {
                let visit = self.scheme.visit(&url).filter(|_| handshake.verified);
                let status = handshake.otherwise;
                challenge.visit = Some(visit.ok_or(Refusal::HandshakeRefused { status })?);
            }
            Ok(challenge)
        }))
    }

    /// Refuses every method but POST.
    pub fn takes(&self, method: &Method) -> Result<(), Refusal> {
        if method == Method::POST { Ok(()) } else { Err(Refusal::MethodNotAllowed) }
    }

    /// Refuses what the head alone shows to be wrong: method, type, encoding, declared length, signature headers, signed time.
    ///
    /// [`verify`](Self::verify) repeats it; asking first spares reading the body.
    pub fn screen<'a>(&self, head: &Head<'a>, now: Timestamp) -> Result<Screened<'a>, Refusal> {
        self.takes(head.method)?;
        let format = self.body_format(head)?;
        if let Some(length) = declared_length(head)?
            && length > self.rules.body_bytes_max as u64
        {
            return Err(Refusal::BodyTooLarge { max: self.rules.body_bytes_max });
        }
        Ok(Screened { presented: self.scheme.screen(head, now)?, format })
    }

    /// Verifies the signature over the raw body. What it returns is from a holder of the secret.
    pub fn verify<'s>(
        &'s self,
        request: Request<'s>,
        now: Timestamp,
    ) -> Result<Verified<'s>, Refusal> {
        let screened = self.screen(&request.head, now)?;
        self.verify_screened(screened, request, now)
    }

    /// [`verify`](Self::verify) for a head that was screened already.
    pub fn verify_screened<'s>(
        &'s self,
        screened: Screened<'s>,
        request: Request<'s>,
        now: Timestamp,
    ) -> Result<Verified<'s>, Refusal> {
        if request.body.len() > self.rules.body_bytes_max {
            return Err(Refusal::BodyTooLarge { max: self.rules.body_bytes_max });
        }
        let unproven = Unproven { head: &request.head, body: &request.body };
        self.scheme.verify(&screened.presented, unproven, now)?;
        // A signature of a mere token is one that a stranger could have asked for, as a proof in a handshake.
        if is_token(&request.body)
            && self.rules.handshakes.iter().any(Handshake::signs_for_strangers)
        {
            return Err(Refusal::WrongSignature);
        }
        Ok(Verified { source: self, screened, request, now })
    }

    fn body_format(&self, head: &Head<'_>) -> Result<BodyFormat, Refusal> {
        if !matches!(
            head.single(&header::CONTENT_ENCODING),
            Single::Absent | Single::Once(b"identity")
        ) {
            return Err(Refusal::UnsupportedEncoding);
        }
        let Single::Once(value) = head.single(&header::CONTENT_TYPE) else {
            return Err(Refusal::UnsupportedType);
        };
        let value = std::str::from_utf8(value).map_err(|_| Refusal::UnsupportedType)?;
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let utf8 =
            parameters.split(';').map(str::trim).filter(|parameter| !parameter.is_empty()).all(
                |parameter| {
                    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                    !name.trim().eq_ignore_ascii_case("charset")
                        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
                },
            );
        let essence = essence.trim();
        let is_one_of =
            |types: &[Box<str>]| types.iter().any(|it| essence.eq_ignore_ascii_case(it));
        let media = &self.rules.media;
        if !utf8 {
            Err(Refusal::UnsupportedType)
        } else if essence.eq_ignore_ascii_case("application/json") || is_one_of(&media.json) {
            Ok(BodyFormat::Json)
        } else if is_one_of(&media.opaque) {
            Ok(BodyFormat::Opaque)
        } else if media.forms && essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Ok(BodyFormat::Form)
        } else {
            Err(Refusal::UnsupportedType)
        }
    }
}

fn declared_length(head: &Head<'_>) -> Result<Option<u64>, Refusal> {
    match head.single(&header::CONTENT_LENGTH) {
        Single::Absent => Ok(None),
        Single::Repeated => Err(Refusal::BadFraming("two lengths")),
        Single::Once(value) if value.iter().all(u8::is_ascii_digit) => std::str::from_utf8(value)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .map(Some)
            .ok_or(Refusal::BadFraming("the length is no number")),
        Single::Once(_) => Err(Refusal::BadFraming("the length is no number")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFormat {
    Json,
    Form,
    /// Not looked into.
    Opaque,
}

/// A head that may be worth reading a body for. Nothing is proven yet.
#[derive(Debug)]
pub struct Screened<'a> {
    presented: Presented<'a>,
    format: BodyFormat,
}

/// A request whose signature is right. Who sent it is known; whether it makes sense is not.
#[derive(Debug)]
pub struct Verified<'s> {
    source: &'s Source,
    screened: Screened<'s>,
    request: Request<'s>,
    now: Timestamp,
}

impl Verified<'_> {
    /// Identifies and checks the body: the second half of [`Source::admit`].
    pub fn admit(self) -> Result<Event, Refusal> {
        let unproven = Unproven { head: &self.request.head, body: &self.request.body };
        let content = match self.source.scheme.identity(unproven) {
            Some(signed) => ContentDigest::of(&signed),
            None => ContentDigest::of(&self.request.body),
        };
        let reading = self.read(content)?;
        let rules = &self.source.rules;
        let intake = match (reading.quarantine, rules.malformed) {
            (Some(Quarantine::UnknownType), _) if rules.unknown_types == UnknownTypes::Refuse => {
                return Err(Refusal::TypeRefused);
            }
            (
                Some(
                    why @ (Quarantine::NotJson
                    | Quarantine::SchemaViolation
                    | Quarantine::MissingId),
                ),
                Malformed::Reject,
            ) => {
                return Err(Refusal::Rejected(why));
            }
            (Some(why), _) => Intake::Quarantine(why),
            (None, _) if rules.destination.is_none() && !rules.handled_here => Intake::Archive,
            (None, _) => Intake::Deliver,
        };
        Ok(Event::new(EventParts {
            key: reading.key,
            source: rules.name.clone(),
            event_type: reading.event_type,
            sender_id: self.sender_id(reading.id),
            content,
            received_at: self.now,
            intake,
            headers: self.kept_headers(),
            body: self.request.body,
            body_expires_at: self.now.saturating_add(rules.body_retention),
            key_expires_at: rules.key_retention.map(|retention| self.now.saturating_add(retention)),
        }))
    }

    /// What the body says. A malformed body still has an identity, its content, so that repeating it is a duplicate.
    fn read(&self, content: ContentDigest) -> Result<Reading, Refusal> {
        let Source { rules, pointers, .. } = self.source;
        let name = &rules.name;
        let signed = rules.handshakes.iter().filter(|it| it.verified);
        let (head, body) = (&self.request.head, Some(&*self.request.body));
        if let Some(answer) = self.source.answer_first(signed, head, body, self.now) {
            return Err(Refusal::Handshake(answer?.into()));
        }
        let header_type = match &rules.event_type {
            EventTypeRule::Header(header) => self.request.head.text(header).map(label),
            EventTypeRule::Body(_) | EventTypeRule::None => None,
        };
        let content_identity = match rules.identity {
            IdentityRule::Each => Identity::Each(content, self.now),
            IdentityRule::Body(_) | IdentityRule::SignedHeader | IdentityRule::Content => {
                Identity::Content(content)
            }
        };
        let by_content = |event_type, quarantine| Reading {
            key: content_identity.key(name),
            id: None,
            event_type,
            quarantine,
        };
        let signed_id = match rules.identity {
            IdentityRule::SignedHeader => Some(self.screened.presented.id()),
            IdentityRule::Body(_) | IdentityRule::Content | IdentityRule::Each => None,
        };
        if self.screened.format == BodyFormat::Form {
            let event_type = header_type.or_else(|| self.form_type());
            let quarantine = self.form_quarantine(event_type.as_deref());
            let mut reading = by_content(event_type, quarantine);
            let field = match &rules.identity {
                IdentityRule::Body(pointer) => self.form_field(pointer).filter(|id| !id.is_empty()),
                IdentityRule::SignedHeader | IdentityRule::Content | IdentityRule::Each => None,
            };
            if let Some(id) = signed_id.or(field.as_deref()) {
                reading.key = Identity::Text(id).key(name);
                // A whole document in a field is an identity, and nothing to search by.
                reading.id = (id.len() <= limits::LABEL_BYTES_MAX).then(|| label(id));
            }
            return Ok(reading);
        }

        if self.screened.format == BodyFormat::Opaque {
            let quarantine = self.unknown_type(header_type.as_deref());
            return Ok(by_content(header_type, quarantine));
        }
        let top_level = if rules.media.arrays { TopLevel::ObjectOrArray } else { TopLevel::Object };
        let scan_rules = json::Rules { depth_max: limits::JSON_DEPTH_MAX, top_level };
        let Ok(found) = json::scan(&self.request.body, &pointers.all, scan_rules) else {
            return Ok(by_content(header_type, Some(Quarantine::NotJson)));
        };
        let text_at = |index| match found.get(index) {
            Some(Scalar::Text(text)) => Some(&**text),
            _ => None,
        };

        let event_type = header_type.or_else(|| pointers.event_type.and_then(text_at).map(label));
        let identity = match (&rules.identity, signed_id) {
            (IdentityRule::Content | IdentityRule::Each, _) => Some(content_identity),
            (_, Some(id)) => Some(Identity::Text(id)),
            (_, None) => {
                pointers.id.and_then(|index| found.get(index)).and_then(Identity::from_scalar)
            }
        };
        let Some(identity) = identity else {
            return Ok(by_content(event_type, Some(Quarantine::MissingId)));
        };
        let as_expected = rules
            .expect
            .iter()
            .zip(&pointers.expect)
            .all(|((_, expected), index)| found.get(*index).is_some_and(|it| expected.is(it)));
        let quarantine = if as_expected {
            self.unknown_type(event_type.as_deref())
                .or_else(|| self.schema_violation(event_type.as_deref()))
        } else {
            Some(Quarantine::UnexpectedValue)
        };
        let id = match identity {
            Identity::Text(id) | Identity::Integer(id) => Some(label(id)),
            Identity::Content(_) | Identity::Each(..) => None,
        };
        Ok(Reading { key: identity.key(name), id, event_type, quarantine })
    }

    /// A form's field at this place: a form has one level.
    fn form_field(&self, pointer: &Pointer) -> Option<String> {
        form::field(&self.request.body, pointer.only_key()?)
    }

    fn form_type(&self) -> Option<Box<str>> {
        match &self.source.rules.event_type {
            EventTypeRule::Body(pointer) => self.form_field(pointer).as_deref().map(label),
            EventTypeRule::Header(_) | EventTypeRule::None => None,
        }
    }

    /// A form is held to the same as JSON; what it has no place for, it does not have. No form matches a schema.
    fn form_quarantine(&self, event_type: Option<&str>) -> Option<Quarantine> {
        let as_expected = self.source.rules.expect.iter().all(|(pointer, expected)| {
            self.form_field(pointer).is_some_and(|found| expected.is_written(&found))
        });
        if !as_expected {
            return Some(Quarantine::UnexpectedValue);
        }
        let schema = self.schema_of(event_type);
        self.unknown_type(event_type).or_else(|| schema.map(|_| Quarantine::SchemaViolation))
    }

    fn unknown_type(&self, event_type: Option<&str>) -> Option<Quarantine> {
        let rules = &self.source.rules;
        let known = match (&rules.types, event_type) {
            (None, _) => true,
            (Some(types), Some(event_type)) => types.contains(event_type),
            (Some(_), None) => false,
        };
        (!known && rules.unknown_types != UnknownTypes::Deliver).then_some(Quarantine::UnknownType)
    }

    fn schema_violation(&self, event_type: Option<&str>) -> Option<Quarantine> {
        let schema = self.schema_of(event_type)?;
        schema.check(&self.request.body).is_err().then_some(Quarantine::SchemaViolation)
    }

    fn schema_of(&self, event_type: Option<&str>) -> Option<&Schema> {
        let schemas = &self.source.rules.schemas;
        let own = event_type.and_then(|it| schemas.by_type.get(it));
        own.or(schemas.fallback.as_ref()).map(AsRef::as_ref)
    }

    fn sender_id(&self, id: Option<Box<str>>) -> Option<Box<str>> {
        let header = self.source.rules.sender_id.as_ref();
        id.or_else(|| header.and_then(|name| self.request.head.text(name)).map(label))
    }

    fn kept_headers(&self) -> Vec<(Box<str>, Box<[u8]>)> {
        let keep = |name: &HeaderName| match self.request.head.single(name) {
            Single::Once(value) if value.len() <= limits::KEPT_HEADER_BYTES_MAX => {
                Some((name.as_str().into(), value.into()))
            }
            Single::Once(_) | Single::Absent | Single::Repeated => None,
        };
        self.source.rules.keep_headers.iter().filter_map(keep).collect()
    }
}

struct Reading {
    key: EventKey,
    id: Option<Box<str>>,
    event_type: Option<Box<str>>,
    quarantine: Option<Quarantine>,
}

/// A text for people to search by: bounded, cut at a character.
fn label(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(limits::LABEL_BYTES_MAX)).unwrap_or_default().into()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes 1 to 64 of `a-z`, `0-9`, `-` and `_`, the first one a letter or digit.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
                let fits = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
                if starts && fits && text.len() <= 64 { Ok(Self(text.into())) } else { Err(BadName) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a source.
    SourceName
);
name!(
    /// The name of a destination.
    DestinationName
);

/// The text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of a-z, 0-9, - and _, and starts with a letter or digit")]
pub struct BadName;

impl SourceRules {
    /// A source's rules with every default, for the given scheme: what a configuration changes.
    pub fn with_defaults(name: SourceName, path: &str, scheme: SchemeRules) -> Self {
        let covers = scheme.covers();
        let tolerance = scheme.fresh_for();
        Self {
            name,
            path: path.into(),
            identity: if covers.id { IdentityRule::SignedHeader } else { IdentityRule::Content },
            scheme,
            event_type: EventTypeRule::None,
            sender_id: None,
            types: None,
            unknown_types: UnknownTypes::default(),
            malformed: Malformed::default(),
            schemas: Schemas::default(),
            expect: Vec::new(),
            media: Media::default(),
            handshakes: Vec::new(),
            origin: None,
            body_bytes_max: limits::BODY_BYTES_DEFAULT,
            body_timeout: limits::BODY_TIMEOUT_DEFAULT,
            budget: None,
            write_budget: None,
            over_budget_status: 503,
            accepted_status: 200,
            accepted_text: None,
            refused_status: 403,
            tell_duplicates: false,
            keep_headers: vec![header::CONTENT_TYPE],
            body_retention: limits::BODY_RETENTION_DEFAULT,
            key_retention: tolerance
                .map(|tolerance| limits::BODY_RETENTION_DEFAULT.saturating_add(tolerance)),
            destination: None,
            handled_here: false,
        }
    }

    /// The same with what is known of a provider.
    #[must_use]
    pub fn of_provider(name: SourceName, path: &str, provider: &crate::provider::Provider) -> Self {
        Self {
            identity: provider.identity.clone(),
            event_type: provider.event_type.clone(),
            sender_id: provider.sender_id.clone(),
            media: provider.media.clone(),
            handshakes: provider.handshakes.clone(),
            accepted_status: provider.accepted_status,
            accepted_text: provider.accepted_text,
            refused_status: provider.refused_status,
            ..Self::with_defaults(name, path, provider.scheme.clone())
        }
    }

    /// Whether its sender brings the secret in a question, so that there may be none yet.
    pub fn learns_secret(&self) -> bool {
        self.handshakes.iter().any(|it| it.secret.is_some())
    }

    /// What stands between a replay and a second delivery, in a sentence, where something is left open.
    pub fn replay_window(&self) -> Option<Cow<'static, str>> {
        if self.identity == IdentityRule::Each {
            return None;
        }
        match (self.key_retention, self.scheme.fresh_for()) {
            (None, _) => None,
            (Some(_), None) => Some(
                "the scheme signs no time, so a captured request can be replayed once its key is forgotten: \
                 leave `remember` out to remember keys for ever"
                    .into(),
            ),
            (Some(keep), Some(fresh)) if keep < fresh => Some(
                "keys are forgotten while their requests are still fresh, so they can be replayed: raise `remember` \
                 above twice the tolerance"
                    .into(),
            ),
            (Some(_), Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests;
