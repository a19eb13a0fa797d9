//! Forms (`application/x-www-form-urlencoded`), for the senders that use them beside JSON.

/// The value of the one field of this name. `None` when there is none, when there are several, of which two readers might
/// take different ones, and when the value is no text.
pub(crate) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    for pair in body.split(|byte| *byte == b'&') {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if decoded(key).as_deref() == Some(name) && found.replace(decoded(value)).is_some() {
            return None;
        }
    }
    found.flatten()
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
