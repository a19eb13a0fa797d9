//! The bytes that a signature is over, as a template.

use std::{fmt, str::FromStr};

/// What is signed, piece by piece, such as `{id}.{timestamp}.{body}`.
///
/// Resolved to slices and never to text, so a body that is not UTF-8 is signed as it is.
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
}

impl Template {
    /// Whether a piece occurs.
    pub fn contains(&self, piece: &Piece) -> bool {
        self.0.contains(piece)
    }

    /// The pieces' bytes, in order.
    pub(super) fn resolve<'a>(
        &'a self,
        id: &'a [u8],
        time: &'a [u8],
        body: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.0.iter().map(move |piece| match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Id => id,
            Piece::Time => time,
            Piece::Body => body,
        })
    }
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
            let piece = match name {
                "id" => Piece::Id,
                "timestamp" => Piece::Time,
                "body" => Piece::Body,
                other => return Err(BadTemplate::Unknown(other.to_owned())),
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
        self.0.iter().try_for_each(|piece| {
            f.write_str(match piece {
                Piece::Literal(text) => text,
                Piece::Id => "{id}",
                Piece::Time => "{timestamp}",
                Piece::Body => "{body}",
            })
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
    #[error("{{{0}}} is unknown: use {{id}}, {{timestamp}} or {{body}}")]
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
        for text in ["{body}", "{id}.{timestamp}.{body}", "v0:{timestamp}:{body}", "{body}-"] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let check =
            |text: &str, expected| assert_eq!(text.parse::<Template>(), Err(expected), "{text}");
        check("{body", BadTemplate::Unclosed);
        check("{boddy}", BadTemplate::Unknown("boddy".to_owned()));
        check("{body}{body}", BadTemplate::Repeated("body".to_owned()));
    }

    #[test]
    fn bodies_are_signed_as_they_are() {
        let template: Template = "{id}.{timestamp}.{body}".parse().unwrap();
        let bytes: Vec<u8> =
            template.resolve(b"msg", b"1", b"\xff\r\n").flatten().copied().collect();
        assert_eq!(bytes, b"msg.1.\xff\r\n");
    }
}
