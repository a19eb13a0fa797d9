//! A request's head, from Python.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hookward_core::{Refusal, reception};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pyo3::{
    prelude::*,
    pybacked::{PyBackedBytes, PyBackedStr},
};

/// A name or value of a header: bytes, or text as WSGI has it, a character a byte.
#[derive(FromPyObject)]
pub(crate) enum Raw {
    Text(PyBackedStr),
    Bytes(PyBackedBytes),
}

impl Raw {
    /// Its bytes; `None` for text that is more than a byte a character.
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) if text.is_ascii() => Some(text.as_bytes().to_vec()),
            Self::Text(text) => text.chars().map(|c| u8::try_from(c).ok()).collect(),
            Self::Bytes(bytes) => Some(bytes.to_vec()),
        }
    }
}

/// Headers as they came. Those with an underscore in their names are nothing here.
pub(crate) fn headers(written: &[(Raw, Raw)]) -> Result<HeaderMap, Refusal> {
    const BAD: Refusal = Refusal::BadFraming("a header that is none");
    let mut headers = HeaderMap::with_capacity(written.len());
    for (name, value) in written {
        let name = name.bytes().and_then(|it| HeaderName::from_bytes(&it).ok()).ok_or(BAD)?;
        let value = value.bytes().and_then(|it| HeaderValue::try_from(it).ok()).ok_or(BAD)?;
        if headers.try_append(name, value).is_err() {
            return Err(Refusal::BadFraming("too many headers"));
        }
    }
    reception::drop_underscored(&mut headers);
    reception::check_framing(&headers)?;
    Ok(headers)
}

pub(crate) fn method(written: &str) -> Result<Method, Refusal> {
    Method::from_bytes(written.as_bytes()).map_err(|_| Refusal::MethodNotAllowed)
}

/// The address of a connection. A server that was reached through a socket of this machine has none to tell, so that it is this
/// machine's; what is no address is nobody's.
pub(crate) fn peer(written: &str) -> IpAddr {
    if written.is_empty() {
        return IpAddr::V4(Ipv4Addr::LOCALHOST);
    }
    let with_port = || written.parse::<SocketAddr>().ok().map(|it| it.ip());
    written.parse().ok().or_else(with_port).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
