//! What came over the wire, before anything about it is believed.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A webhook request as it arrived: a stranger's bytes. [`Source::admit`](crate::Source::admit) makes an
/// [`Event`](crate::Event) of it, or says why not.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// All that precedes the body.
    pub head: Head<'a>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// What precedes the body: enough to refuse most forgeries before the body is read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method as sent.
    pub method: &'a Method,
    /// Path and query as sent, such as `/hooks/stripe?x=1`.
    pub target: &'a str,
    /// The headers as sent; a name may occur more than once.
    pub headers: &'a HeaderMap,
}

/// The value of a header that may occur at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// The header is absent.
    Absent,
    /// The header is there once, with these bytes (perhaps empty).
    Once(&'a [u8]),
    /// The header is there more than once: two readers could believe different things.
    Repeated,
}

impl<'a> Head<'a> {
    /// The value of `name`, told apart from an absent and from a repeated header.
    pub fn single(&self, name: &HeaderName) -> Single<'a> {
        let mut values = self.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::Once(value),
            (Some(_), Some(_)) => Single::Repeated,
        }
    }

    /// The value of `name` as visible ASCII, if it is there once and is that.
    pub fn text(&self, name: &HeaderName) -> Option<&'a str> {
        match self.single(name) {
            Single::Once(value) => std::str::from_utf8(value)
                .ok()
                .filter(|text| text.bytes().all(|b| matches!(b, b' '..=b'~'))),
            Single::Absent | Single::Repeated => None,
        }
    }
}
