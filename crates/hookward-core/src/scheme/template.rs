//! What is signed, as a text with names in it: `v0:{timestamp}:{body}`.

use std::{borrow::Cow, fmt, str::FromStr};

use http::HeaderName;

use super::location::{Fields, Names, missing};
use crate::{Head, Refusal, json::Pointer};

/// The signed content, in pieces. Resolved to slices of bytes, never by way of text, so that a body needs not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Literal(Box<str>),
    /// The signed id as received.
    Id,
    /// The signed time as received.
    Time,
    /// The body.
    Body,
    /// The method.
    Method,
    /// The URL as the sender knows it: configured, since a proxy may have changed what arrives; with the query as received,
    /// unless one is configured.
    Url,
    /// The secret, for the senders that hash it in place of an HMAC.
    Secret,
    /// The value of a header.
    Header(HeaderName),
    /// The value of a field of the body.
    Field(Pointer),
}

/// What the pieces stand for in one request.
pub(super) struct Inputs<'a> {
    pub(super) id: &'a [u8],
    pub(super) time: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) head: &'a Head<'a>,
    /// The configured URL, where there is one.
    pub(super) url: Option<&'a str>,
    pub(super) fields: &'a Fields,
    /// The fields, in the order of `fields`.
    pub(super) pointers: &'a [Pointer],
}

/// A resolved piece.
#[derive(Clone, Debug)]
pub(super) enum Part<'a> {
    Bytes(Cow<'a, [u8]>),
    /// The text of whichever secret is tried.
    Secret,
}

impl Template {
    /// Whether a piece occurs.
    pub fn contains(&self, piece: &Piece) -> bool {
        self.0.contains(piece)
    }

    /// The fields of the body that occur.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Pointer> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(pointer) => Some(pointer),
            Piece::Literal(_)
            | Piece::Id
            | Piece::Time
            | Piece::Body
            | Piece::Method
            | Piece::Url
            | Piece::Secret
            | Piece::Header(_) => None,
        })
    }

    /// The pieces' bytes, in order.
    pub(super) fn resolve<'a>(&'a self, inputs: &Inputs<'a>) -> Result<Vec<Part<'a>>, Refusal> {
        let resolve = |piece: &'a Piece| {
            Ok(Part::Bytes(match piece {
                Piece::Literal(text) => text.as_bytes().into(),
                Piece::Id => inputs.id.into(),
                Piece::Time => inputs.time.into(),
                Piece::Body => inputs.body.into(),
                Piece::Method => inputs.head.method.as_str().as_bytes().into(),
                Piece::Url => {
                    match external_url(inputs.url.unwrap_or_default(), inputs.head.target) {
                        Cow::Borrowed(url) => url.as_bytes().into(),
                        Cow::Owned(url) => url.into_bytes().into(),
                    }
                }
                Piece::Secret => return Ok(Part::Secret),
                Piece::Header(name) => Names::one(name.clone()).required(inputs.head)?.into(),
                Piece::Field(pointer) => {
                    let index = inputs.pointers.iter().position(|known| known == pointer);
                    let index = index.ok_or_else(|| missing(pointer.as_str()))?;
                    inputs.fields.required(index, pointer)?.as_bytes().into()
                }
            }))
        };
        self.0.iter().map(resolve).collect()
    }
}

/// The URL that the sender called: the configured one, with the query of the request where none is configured.
pub(crate) fn external_url<'a>(configured: &'a str, target: &'a str) -> Cow<'a, str> {
    match target.split_once('?') {
        Some((_, query)) if !configured.contains('?') => format!("{configured}?{query}").into(),
        Some(_) | None => configured.into(),
    }
}

/// What follows the authority of a URL.
pub(super) fn path_and_query(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default()
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            let (name, after) = after.split_once('}').ok_or(BadTemplate::Unclosed)?;
            let unknown = || BadTemplate::Unknown(name.to_owned());
            let piece = match (name, name.split_once(':')) {
                ("id", _) => Piece::Id,
                ("timestamp", _) => Piece::Time,
                ("body", _) => Piece::Body,
                ("method", _) => Piece::Method,
                ("url", _) => Piece::Url,
                ("secret", _) => Piece::Secret,
                (_, Some(("header", header))) => {
                    Piece::Header(header.parse().map_err(|_| unknown())?)
                }
                (_, Some(("field", pointer))) if !pointer.is_empty() => {
                    Piece::Field(pointer.parse().map_err(|_| unknown())?)
                }
                _ => return Err(unknown()),
            };
            if pieces.contains(&piece) {
                return Err(BadTemplate::Repeated(name.to_owned()));
            }
            pieces.push(piece);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.into()));
        }
        Ok(Self(pieces))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Id => f.write_str("{id}"),
            Piece::Time => f.write_str("{timestamp}"),
            Piece::Body => f.write_str("{body}"),
            Piece::Method => f.write_str("{method}"),
            Piece::Url => f.write_str("{url}"),
            Piece::Secret => f.write_str("{secret}"),
            Piece::Header(name) => write!(f, "{{header:{name}}}"),
            Piece::Field(pointer) => write!(f, "{{field:{pointer}}}"),
        })
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A brace stays open.
    #[error("a {{ has no }}")]
    Unclosed,
    /// A name that means nothing here.
    #[error(
        "{{{0}}} is unknown: use {{id}}, {{timestamp}}, {{body}}, {{method}}, {{url}}, {{secret}}, {{header:<name>}} or {{field:<JSON pointer>}}"
    )]
    Unknown(String),
    /// A name occurs twice.
    #[error("{{{0}}} occurs twice")]
    Repeated(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_it_is_written() {
        for text in [
            "{body}",
            "{id}.{timestamp}.{body}",
            "v0:{timestamp}:{body}",
            "{body}-",
            "{secret}{method}{url}{body}",
            "{header:x-time}\n{field:/signature/token}",
        ] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let check =
            |text: &str, expected| assert_eq!(text.parse::<Template>(), Err(expected), "{text}");
        check("{body", BadTemplate::Unclosed);
        check("{boddy}", BadTemplate::Unknown("boddy".to_owned()));
        check("{field:}", BadTemplate::Unknown("field:".to_owned()));
        check("{field:id}", BadTemplate::Unknown("field:id".to_owned()));
        check("{body}{body}", BadTemplate::Repeated("body".to_owned()));
    }

    #[test]
    fn a_configured_query_is_the_one_that_counts() {
        assert_eq!(external_url("https://a.b/c", "/c"), "https://a.b/c");
        assert_eq!(external_url("https://a.b/c", "/c?d=1"), "https://a.b/c?d=1");
        assert_eq!(external_url("https://a.b/c?d=1", "/c?d=2"), "https://a.b/c?d=1");
    }
}
