//! Questions that a sender asks to see whether anyone is there, and their answers. Neither is an event.
//!
//! Some are asked without a signature, when an endpoint is registered; others are signed like events. A question is
//! recognised by what it holds ([`Handshake::when`]), may have to show something ([`Handshake::check`]), and is answered with
//! what it brought. What strangers can make a source say is a short visible text that they sent themselves.

use std::{fmt, str::FromStr};

use http::{HeaderName, Method};

use crate::{
    Head, Refusal, Timestamp, form,
    json::{Found, Pointer, Scalar},
    limits,
    scheme::{Scheme, query_values},
    secret::Secret,
};

/// A question of a sender, and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The method that it comes by.
    pub method: Method,
    /// Whether it is signed like an event.
    pub verified: bool,
    /// What tells it from an event: each place has the value, or any.
    pub when: Vec<(Place, Is)>,
    /// What it must show beside that.
    pub check: Vec<(Place, Is)>,
    /// The status for one that does not show it.
    pub otherwise: u16,
    /// The status of the answer.
    pub status: u16,
    /// What the answer says.
    pub says: Says,
    /// The headers of the answer.
    pub headers: Vec<(HeaderName, Phrase)>,
    /// Where it brings the secret that the sender signs with from then on.
    pub secret: Option<Place>,
    /// Where it brings a URL that is to be fetched to agree.
    pub visit: Option<Place>,
}

/// A place in a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value of the URL's query.
    Query(Box<str>),
    /// A header.
    Header(HeaderName),
    /// A field of the body, by JSON pointer.
    Field(Pointer),
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// Anything.
    There,
    /// Nothing.
    Absent,
    /// This text, or this integer as it is written.
    Text(Box<str>),
    /// The source's `verify_token`, compared in constant time.
    VerifyToken,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing.
    Nothing,
    /// This, as plain text.
    Text(Phrase),
    /// These fields, as JSON.
    Json(Vec<(Box<str>, Value)>),
}

/// A field of an answer in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Phrase),
    /// An integer.
    Integer(i64),
    /// A truth value.
    Bool(bool),
}

impl Value {
    fn phrase(&self) -> Option<&Phrase> {
        match self {
            Self::Text(phrase) => Some(phrase),
            Self::Integer(_) | Self::Bool(_) => None,
        }
    }
}

/// A text with values of the question in it: `{query:challenge}`, `{hmac-sha256-hex:field:/token}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Literal(Box<str>),
    Value(Place),
    /// The HMAC-SHA-256 of the value under the source's secret.
    HmacHex(Place),
    HmacBase64(Place),
    /// What the code of the source's scheme answers to the value.
    Code(Place),
}

impl Word {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Literal(_) => None,
            Self::Value(place)
            | Self::HmacHex(place)
            | Self::HmacBase64(place)
            | Self::Code(place) => Some(place),
        }
    }
}

/// The answer that a question gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The status.
    pub status: u16,
    /// The media type of the body; `None` where there is none.
    pub media_type: Option<&'static str>,
    /// The body.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// The secret to keep before this answer is given: the sender signs with it from then on.
    pub secret: Option<Secret>,
    /// The URL to fetch in order to agree.
    pub visit: Option<String>,
}

/// Who knows the source's secret, for the answers that show it.
#[derive(Clone, Copy)]
pub(crate) struct Knower<'a> {
    pub(crate) scheme: &'a Scheme,
    pub(crate) now: Timestamp,
}

/// What a question holds: the head, and the fields of the body where it has come.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) head: &'a Head<'a>,
    pub(crate) fields: Fields<'a>,
}

/// The fields of a question's body.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    /// The body has not come, or nothing in it can be looked at.
    None,
    /// Of a form.
    Form(&'a [u8]),
    /// Of JSON that was read once for all places: what was found, and the index of each pointer in it.
    Json(&'a Found, &'a [(Pointer, usize)]),
}

impl Fields<'_> {
    fn value(self, pointer: &Pointer) -> Option<String> {
        match self {
            Self::None => None,
            Self::Form(body) => form::field(body, pointer.only_key()?),
            Self::Json(found, wanted) => {
                let (_, index) = wanted.iter().find(|(known, _)| known == pointer)?;
                match found.get(*index) {
                    Some(Scalar::Text(text) | Scalar::Integer(text)) => Some(text.clone()),
                    Some(Scalar::Bool(is)) => Some(is.to_string()),
                    Some(Scalar::Number(_) | Scalar::Null | Scalar::Container) | None => None,
                }
            }
        }
    }
}

impl Handshake {
    /// Whether a stranger gets something that was signed with the source's secret.
    pub(crate) fn signs_for_strangers(&self) -> bool {
        let says = match &self.says {
            Says::Nothing => false,
            Says::Text(phrase) => phrase.is_proof(),
            Says::Json(fields) => fields
                .iter()
                .any(|(_, value)| matches!(value, Value::Text(phrase) if phrase.is_proof())),
        };
        !self.verified && (says || self.headers.iter().any(|(_, phrase)| phrase.is_proof()))
    }

    /// Whether it can only be recognised by its body.
    pub(crate) fn needs_body(&self) -> bool {
        let fields = |places: &[(Place, Is)]| {
            places.iter().any(|(place, _)| matches!(place, Place::Field(_)))
        };
        fields(&self.when) || fields(&self.check) || matches!(self.secret, Some(Place::Field(_)))
    }

    /// The fields of the body that it looks at.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Pointer> {
        let conditions = self.when.iter().chain(&self.check).map(|(place, _)| place);
        let phrases: Vec<&Phrase> = match &self.says {
            Says::Nothing => Vec::new(),
            Says::Text(phrase) => vec![phrase],
            Says::Json(fields) => fields.iter().filter_map(|(_, value)| value.phrase()).collect(),
        };
        let phrases = phrases.into_iter().chain(self.headers.iter().map(|(_, phrase)| phrase));
        let said = phrases.flat_map(|phrase| phrase.0.iter().filter_map(Word::place));
        let places = conditions.chain(said).chain(&self.secret).chain(&self.visit);
        places.filter_map(|place| match place {
            Place::Field(pointer) => Some(pointer),
            Place::Query(_) | Place::Header(_) => None,
        })
    }

    /// The answer, when this is the question. Refused when it is and does not show what it must.
    pub(crate) fn answer(
        &self,
        question: Question<'_>,
        verify_token: Option<&Secret>,
        knower: Knower<'_>,
    ) -> Option<Result<Challenge, Refusal>> {
        let holds = |conditions: &[(Place, Is)]| {
            conditions
                .iter()
                .all(|(place, is)| is.holds(question.value(place).as_deref(), verify_token))
        };
        if question.head.method != self.method || !holds(&self.when) {
            return None;
        }
        if !holds(&self.check) {
            return Some(Err(Refusal::HandshakeRefused { status: self.otherwise }));
        }
        Some(
            self.words(question, knower)
                .ok_or(Refusal::HandshakeRefused { status: self.otherwise }),
        )
    }

    fn words(&self, question: Question<'_>, knower: Knower<'_>) -> Option<Challenge> {
        let say = |phrase: &Phrase| phrase.say(question, knower);
        let (media_type, body) = match &self.says {
            Says::Nothing => (None, String::new()),
            Says::Text(phrase) => (Some("text/plain; charset=utf-8"), say(phrase)?),
            Says::Json(fields) => {
                let field = |(name, value): &(Box<str>, Value)| {
                    let value = match value {
                        Value::Text(phrase) => say(phrase)?.into(),
                        Value::Integer(number) => (*number).into(),
                        Value::Bool(is) => (*is).into(),
                    };
                    Some((name.to_string(), value))
                };
                let fields: serde_json::Map<_, _> =
                    fields.iter().map(field).collect::<Option<_>>()?;
                (Some("application/json"), serde_json::Value::from(fields).to_string())
            }
        };
        let headers = self.headers.iter().map(|(name, phrase)| Some((name.clone(), say(phrase)?)));
        let value = |place: &Place| question.value(place).filter(|value| is_sayable(value));
        Some(Challenge {
            status: self.status,
            media_type,
            body,
            headers: headers.collect::<Option<_>>()?,
            secret: match &self.secret {
                Some(place) => Some(Secret::new(value(place)?)),
                None => None,
            },
            visit: match &self.visit {
                Some(place) => Some(value(place)?),
                None => None,
            },
        })
    }
}

impl Question<'_> {
    /// The value at a place, if it is there once.
    fn value(&self, place: &Place) -> Option<String> {
        match place {
            Place::Query(name) => {
                let mut values = query_values(self.head.target, name);
                match (values.next(), values.next()) {
                    (Some(value), None) => value,
                    (None, _) | (Some(_), Some(_)) => None,
                }
            }
            Place::Header(name) => self.head.text(name).map(str::to_owned),
            Place::Field(pointer) => self.fields.value(pointer),
        }
    }
}

impl Is {
    fn holds(&self, value: Option<&str>, verify_token: Option<&Secret>) -> bool {
        match self {
            Self::There => value.is_some_and(|value| !value.is_empty()),
            Self::Absent => value.is_none(),
            Self::Text(text) => value == Some(&**text),
            Self::VerifyToken => {
                let token = verify_token.map(|token| token.expose().as_bytes());
                match (value, token) {
                    (Some(value), Some(token)) => {
                        use subtle::ConstantTimeEq as _;
                        value.as_bytes().ct_eq(token).into()
                    }
                    (None, _) | (_, None) => false,
                }
            }
        }
    }
}

/// What a source says on a stranger's behalf: short, visible, no line break that could begin a header, and nothing that could
/// begin a tag where somebody takes it for a page after all.
fn is_sayable(text: &str) -> bool {
    text.len() <= limits::CHALLENGE_BYTES_MAX
        && text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'<' && b != b'>')
}

/// Whether this is what senders make tokens of, and no JSON and no form of more than one field. [`Source`](crate::Source)
/// takes no such body from a sender whose questions are answered with a proof.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let punctuation = |b: u8| matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=');
    text.iter().all(|b| b.is_ascii_alphanumeric() || punctuation(*b))
}

impl Phrase {
    /// Whether it shows that the source's secret is known.
    fn is_proof(&self) -> bool {
        self.0.iter().any(|word| match word {
            Word::HmacHex(_) | Word::HmacBase64(_) => true,
            // The code looks to it itself.
            Word::Literal(_) | Word::Value(_) | Word::Code(_) => false,
        })
    }

    fn say(&self, question: Question<'_>, knower: Knower<'_>) -> Option<String> {
        use base64::Engine as _;
        let value = |place: &Place| question.value(place).filter(|value| is_sayable(value));
        // Whoever asks chooses what is signed here, under the secret that signs events too: no text that an event could be.
        let hmac = |text: String| {
            let text = Some(text).filter(|text| is_token(text.as_bytes()))?;
            knower.scheme.hmac_sha256(text.as_bytes(), knower.now)
        };
        let mut said = String::new();
        for word in &self.0 {
            match word {
                Word::Literal(text) => said.push_str(text),
                Word::Value(place) => said.push_str(&value(place)?),
                Word::HmacHex(place) => {
                    said.push_str(&hex::encode(hmac(value(place)?)?));
                }
                Word::HmacBase64(place) => {
                    let mac = hmac(value(place)?)?;
                    said.push_str(&base64::engine::general_purpose::STANDARD.encode(mac));
                }
                Word::Code(place) => {
                    said.push_str(&knower.scheme.answer(&value(place)?, knower.now)?);
                }
            }
        }
        Some(said)
    }
}

impl FromStr for Place {
    type Err = BadPhrase;

    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        let bad = || BadPhrase(text.to_owned());
        match text.split_once(':') {
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.into())),
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| bad()),
            Some(("field", pointer)) if !pointer.is_empty() => {
                pointer.parse().map(Self::Field).map_err(|_| bad())
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Field(pointer) => write!(f, "field:{pointer}"),
        }
    }
}

impl FromStr for Is {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "*" => Self::There,
            "" => Self::Absent,
            "{verify_token}" => Self::VerifyToken,
            text => Self::Text(text.into()),
        })
    }
}

impl FromStr for Phrase {
    type Err = BadPhrase;

    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        let mut words = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                words.push(Word::Literal(literal.into()));
            }
            let (name, after) = after.split_once('}').ok_or_else(|| BadPhrase(text.to_owned()))?;
            words.push(match name.split_once(':') {
                Some(("hmac-sha256-hex", place)) => Word::HmacHex(place.parse()?),
                Some(("hmac-sha256-base64", place)) => Word::HmacBase64(place.parse()?),
                Some(("code", place)) => Word::Code(place.parse()?),
                _ => Word::Value(name.parse()?),
            });
            rest = after;
        }
        if !rest.is_empty() {
            words.push(Word::Literal(rest.into()));
        }
        Ok(Self(words))
    }
}

/// Why a text is neither a place nor a phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no place: use query:<name>, header:<name> or field:<JSON pointer>, in a phrase within braces"
)]
pub struct BadPhrase(String);
