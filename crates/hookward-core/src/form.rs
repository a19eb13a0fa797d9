//! Forms (`application/x-www-form-urlencoded`), for the senders that use them beside JSON.

use std::fmt::Write as _;

use http::header;

use crate::{Head, request::Single};

/// Whether a body says that it is a form.
pub(crate) fn is_form(head: &Head<'_>) -> bool {
    let Single::Once(value) = head.single(&header::CONTENT_TYPE) else { return false };
    means_form(value)
}

/// Whether a media type is that of forms.
pub(crate) fn means_form(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The values of all fields of this name, decoded; `None` for one that is no text.
pub(crate) fn values<'a>(
    body: &'a [u8],
    name: &'a str,
) -> impl Iterator<Item = Option<String>> + 'a {
    pairs(body).filter(move |(key, _)| key.as_deref() == Some(name)).map(|(_, value)| value)
}

/// All fields in their order, decoded; `None` where one is no text.
pub fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    pairs(body).map(|(name, value)| Some((name?, value?))).collect()
}

/// All fields in their order, decoded; `None` for what is no text.
pub(crate) fn pairs(body: &[u8]) -> impl Iterator<Item = (Option<String>, Option<String>)> + '_ {
    body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        (decoded(key), decoded(value))
    })
}

/// All fields, sorted by name and then by value; `None` where one is no text.
pub(crate) fn sorted(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields = fields(body)?;
    fields.sort();
    Some(fields)
}

/// Text as a form or a query writes it.
pub(crate) fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*') {
            written.push(char::from(byte));
        } else if byte == b' ' {
            written.push('+');
        } else {
            let _infallible = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// The value of the one field of this name. `None` when there is none, when there are several, of which two readers might
/// take different ones, and when the value is no text.
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut values = values(body, name);
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) | (Some(_), Some(_)) => None,
    }
}

/// Text with `+` for a space and `%` before two hex digits; `None` when it is not written so, or no UTF-8.
fn decoded(written: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                let [byte] = byte;
                byte
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, name: &str, expected: Option<&str>) {
        assert_eq!(field(body.as_bytes(), name).as_deref(), expected, "{name} in {body}");
    }

    #[test]
    fn a_field_is_there_once_or_not_at_all() {
        check("a=1&b=2", "b", Some("2"));
        check("a=1&b=2", "c", None);
        check("a=1&a=1", "a", None);
        check("%61=1&a=2", "a", None);
        check("a=1&a=%zz", "a", None);
        check("", "a", None);
        check("a", "a", Some(""));
        check("&&a=b=c", "a", Some("b=c"));
    }

    #[test]
    fn a_value_is_decoded_or_is_none() {
        check("a=x+y%20%C3%A9%2b", "a", Some("x y é+"));
        for value in ["%", "%4", "%zz", "%ff", "%+1"] {
            check(&format!("a={value}"), "a", None);
        }
    }
}
