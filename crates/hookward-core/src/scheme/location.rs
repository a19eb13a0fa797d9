//! Where a part of a signature is in a request.

use std::{borrow::Cow, fmt};

use http::HeaderName;

use crate::{
    Head, Refusal, form,
    json::{self, Pointer, Pointers, Scalar, TopLevel},
    limits,
    request::Single,
};

/// A header, under any of its names: a sender that renames one sends the other for a while. Two of them at once are
/// ambiguous, as one name twice is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<HeaderName>);

impl Names {
    /// A header of one name.
    pub fn one(name: HeaderName) -> Self {
        Self(vec![name])
    }

    /// A header and its other names.
    pub fn with_others(name: HeaderName, others: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(std::iter::once(name).chain(others).collect())
    }

    /// The name to send it under.
    pub fn first(&self) -> &HeaderName {
        self.0.first().expect("a header has a name")
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter()
    }

    /// The header's value, which must be there once, under one name, and not empty.
    pub(super) fn required<'a>(&self, head: &Head<'a>) -> Result<&'a [u8], Refusal> {
        let mut found = None;
        for name in &self.0 {
            match head.single(name) {
                Single::Absent => {}
                Single::Once(value) if found.is_none() => found = Some(value),
                Single::Once(_) | Single::Repeated => return Err(ambiguous(name.as_str())),
            }
        }
        found.filter(|value| !value.is_empty()).ok_or_else(|| missing(self.first().as_str()))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(HeaderName::as_str).collect();
        f.write_str(&names.join(" or "))
    }
}

/// Where a signature or a shared token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a header.
    Header(Names),
    /// In a field of the body: of a JSON body at this pointer, of a form under its only key.
    Field(Pointer),
    /// In the query of the URL, under this name.
    Query(Box<str>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(names) => write!(f, "header {names}"),
            Self::Field(pointer) => write!(f, "body {pointer}"),
            Self::Query(name) => write!(f, "query {name}"),
        }
    }
}

/// The values at some fields of a body that nobody vouches for yet: texts, and integers as they are written.
pub(super) struct Fields(Vec<Option<String>>);

impl Fields {
    /// Reads a body, as a form if it is one and as strict JSON otherwise.
    pub(super) fn of(pointers: &[Pointer], head: &Head<'_>, body: &[u8]) -> Result<Self, Refusal> {
        if pointers.is_empty() {
            return Ok(Self(Vec::new()));
        }
        if form::is_form(head) {
            Ok(Self::of_form(pointers, body))
        } else {
            Self::of_json(pointers, body)
        }
    }

    /// The same for a sample, which is JSON or else a form.
    pub(super) fn of_sample(pointers: &[Pointer], body: &[u8]) -> Self {
        Self::of_json(pointers, body).unwrap_or_else(|_| Self::of_form(pointers, body))
    }

    fn of_form(pointers: &[Pointer], body: &[u8]) -> Self {
        let read = |pointer: &Pointer| form::field(body, pointer.only_key()?);
        Self(pointers.iter().map(read).collect())
    }

    fn of_json(pointers: &[Pointer], body: &[u8]) -> Result<Self, Refusal> {
        let rules =
            json::Rules { depth_max: limits::JSON_DEPTH_MAX, top_level: TopLevel::ObjectOrArray };
        let found = json::scan(body, &Pointers::new(pointers.iter().cloned()), rules)
            .map_err(|_| malformed("body"))?;
        let text = |index| match found.get(index) {
            Some(Scalar::Text(text) | Scalar::Integer(text)) => Some(text.clone()),
            Some(Scalar::Number(_) | Scalar::Bool(_) | Scalar::Null | Scalar::Container) | None => {
                None
            }
        };
        Ok(Self((0..pointers.len()).map(text).collect()))
    }

    /// The value at the pointer with this index.
    pub(super) fn required(&self, index: usize, pointer: &Pointer) -> Result<&str, Refusal> {
        let value = self.0.get(index).and_then(Option::as_deref).filter(|value| !value.is_empty());
        value.ok_or_else(|| missing(pointer.as_str()))
    }
}

/// The values of a URL's query under a name, decoded; `None` for one that cannot be.
pub(crate) fn query_values<'a>(
    target: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Option<String>> + 'a {
    let (_, query) = target.split_once('?').unwrap_or((target, ""));
    form::values(query.as_bytes(), name)
}

/// The one value of a URL's query under a name.
pub(super) fn query_value(target: &str, name: &str) -> Result<String, Refusal> {
    let mut values = query_values(target, name);
    match (values.next(), values.next()) {
        (None, _) => Err(missing(name)),
        (Some(_), Some(_)) => Err(ambiguous(name)),
        (Some(value), None) => match value {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(missing(name)),
            None => Err(malformed(name)),
        },
    }
}

pub(super) fn missing(what: &str) -> Refusal {
    Refusal::MissingSignature { header: label(what) }
}

pub(super) fn malformed(what: &str) -> Refusal {
    Refusal::MalformedSignature { header: label(what) }
}

pub(super) fn ambiguous(what: &str) -> Refusal {
    Refusal::AmbiguousSignature { header: label(what) }
}

fn label(what: &str) -> Cow<'static, str> {
    what.to_owned().into()
}
