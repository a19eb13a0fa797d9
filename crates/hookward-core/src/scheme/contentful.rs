//! Contentful: an HMAC-SHA-256 over a canonical request: method, path, the headers that a header lists, body. Covered are these;
//! the list must hold the time, in milliseconds, and itself.
//!
//! The path is the one that Contentful calls, with the query written as its library does: escaped once more, then the whole
//! percent-encoded. Contentful's library takes requests up to 30 s old; here the window is the usual one, since keys are
//! remembered for longer than it.
//! <https://www.contentful.com/developers/docs/webhooks/request-verification/>

use std::fmt::Write as _;

use http::HeaderName;

use super::{
    Algorithm, KeyEncoding, Names, Sample, SchemeError, SchemeRules, Signed, SignedTime, TimeUnit,
    Unproven,
    code::{self, Verify},
    keys::Keys,
    location::{ambiguous, malformed, missing},
    sample,
    template::{external_url, path_and_query},
};
use crate::{
    Head, Refusal, Timestamp, limits,
    request::Single,
    secret::{Secret, Validity},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-contentful-signature");
const LIST: HeaderName = HeaderName::from_static("x-contentful-signed-headers");
const TIME: HeaderName = HeaderName::from_static("x-contentful-timestamp");

#[derive(Debug)]
pub(super) struct Contentful {
    url: Box<str>,
    window: SignedTime,
    keys: Keys,
}

impl Contentful {
    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        Ok(Self {
            url: rules.settings.url.clone().unwrap_or_default(),
            window: code::window(rules),
            keys: Keys::new(Algorithm::HmacSha256, KeyEncoding::Utf8, secrets)?,
        })
    }

    fn content(&self, head: &Head<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let url = external_url(&self.url, head.target);
        let mut content = format!("{}\n{}\n", head.method, canonical(path_and_query(&url)));
        content.push_str(&signed_headers(head)?);
        content.push('\n');
        let mut content = content.into_bytes();
        content.extend_from_slice(body);
        Ok(content)
    }
}

fn signature(head: &Head<'_>) -> Result<Vec<u8>, Refusal> {
    let written = Names::one(SIGNATURE).required(head)?;
    let bytes = hex::decode(written).ok().filter(|bytes| bytes.len() == 32);
    bytes.ok_or_else(|| malformed(SIGNATURE.as_str()))
}

/// The headers that the list names, sorted by name.
fn signed_headers(head: &Head<'_>) -> Result<String, Refusal> {
    let listed = Names::one(LIST).required(head)?;
    let listed = std::str::from_utf8(listed).map_err(|_| malformed(LIST.as_str()))?;
    let names = listed.split(',').map(|name| name.trim().parse());
    let names: Result<Vec<HeaderName>, _> = names.take(limits::HEADERS_MAX + 1).collect();
    let mut names = names.map_err(|_| malformed(LIST.as_str()))?;
    names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    let repeated = names.windows(2).any(|pair| matches!(pair, [first, second] if first == second));
    let complete = names.contains(&LIST) && names.contains(&TIME);
    if repeated || !complete || names.len() > limits::HEADERS_MAX {
        return Err(malformed(LIST.as_str()));
    }
    let mut written = Vec::with_capacity(names.len());
    for name in names {
        let value = match head.single(&name) {
            Single::Once(value) => std::str::from_utf8(value).map_err(|_| malformed(name.as_str())),
            Single::Absent => Err(missing(name.as_str())),
            Single::Repeated => Err(ambiguous(name.as_str())),
        };
        written.push(format!("{name}:{}", value?.trim()));
    }
    Ok(written.join(";"))
}

/// As JavaScript's `encodeURI` writes `path?` and what Node's `querystring.escape` makes of the query.
fn canonical(path_and_query: &str) -> String {
    let mut parts = path_and_query.split('?');
    let path = parts.next().unwrap_or_default();
    let query = parts.next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let mut written = String::with_capacity(path_and_query.len());
    escape(path, b";,/?:@&=+$#", &mut written);
    if !query.is_empty() {
        let mut escaped = String::with_capacity(query.len());
        escape(query, b"", &mut escaped);
        written.push('?');
        escape(&escaped, b";,/?:@&=+$#", &mut written);
    }
    written
}

/// Percent-encodes all but what JavaScript never does and these.
fn escape(text: &str, but: &[u8], written: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) || but.contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _infallible = write!(written, "%{byte:02X}");
        }
    }
}

impl Verify for Contentful {
    fn screen(&self, head: &Head<'_>, now: Timestamp) -> Result<(), Refusal> {
        signature(head)?;
        signed_headers(head)?;
        let time = TimeUnit::Milliseconds.read(Names::one(TIME).required(head)?);
        self.window.check(time.ok_or_else(|| malformed(TIME.as_str()))?, now)
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.screen(request.head, now)?;
        let signature = signature(request.head)?;
        let content = self.content(request.head, request.body)?;
        let is_right = self.keys.verify(&content, &signature, now);
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn can_sign(&self) -> bool {
        self.keys.can_sign()
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let mut headers =
            vec![(LIST, format!("{LIST},{TIME}")), (TIME, TimeUnit::Milliseconds.write(sample.at))];
        let head = sample::head(&headers);
        let content = self.content(&head.as_head(), sample.body).ok()?;
        headers.push((SIGNATURE, hex::encode(self.keys.sign(&content)?)));
        Some(Signed { headers, body: sample.body.to_vec(), query: String::new() })
    }
}
