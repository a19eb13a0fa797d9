//! Twilio: an HMAC over the URL and the fields of the form, sorted, each distinct value once; for any other body over a URL
//! whose query ends in the body's digest, `bodySHA256`. Covered are the URL and all fields, or the body.
//!
//! SHA-1 under the account's auth token, or what the header `X-Twilio-Webhooks-Signature-Settings` names under a shared key:
//! a header that can choose, but not a weaker scheme than the secret's own, since both are keyed with it.
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-security>

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderName;
use sha2::{Digest as _, Sha256};

use super::{
    Algorithm, KeyEncoding, Names, Sample, SchemeError, SchemeRules, Signed, Unproven,
    code::Verify,
    keys::Keys,
    location::{ambiguous, malformed, missing, query_values},
    same,
    template::external_url,
};
use crate::{
    Head, Refusal, Timestamp, form,
    request::Single,
    secret::{Secret, Validity},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
const SETTINGS: HeaderName = HeaderName::from_static("x-twilio-webhooks-signature-settings");
const BODY_DIGEST: &str = "bodySHA256";

#[derive(Debug)]
pub(super) struct Twilio {
    url: Box<str>,
    sha1: Keys,
    sha256: Keys,
}

/// Fields as they are signed.
pub(super) type SortedFields = Vec<(String, String)>;

impl Twilio {
    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        Ok(Self {
            url: rules.settings.url.clone().unwrap_or_default(),
            sha1: Keys::new(Algorithm::HmacSha1, KeyEncoding::Utf8, secrets)?,
            sha256: Keys::new(Algorithm::HmacSha256, KeyEncoding::Utf8, secrets)?,
        })
    }

    /// The keys of the algorithm that the request is signed with.
    fn keys(&self, head: &Head<'_>) -> Result<&Keys, Refusal> {
        let settings = match head.single(&SETTINGS) {
            Single::Absent => return Ok(&self.sha1),
            Single::Once(settings) => std::str::from_utf8(settings).unwrap_or_default(),
            Single::Repeated => return Err(ambiguous(SETTINGS.as_str())),
        };
        let mut algorithms = settings.split(',').filter_map(|element| {
            let (name, value) = element.split_once('=')?;
            (name.trim() == "algorithm").then_some(value.trim())
        });
        match (algorithms.next(), algorithms.next()) {
            (Some("HMAC_SHA256"), None) => Ok(&self.sha256),
            (Some("HMAC_SHA1"), None) => Ok(&self.sha1),
            (_, Some(_)) => Err(ambiguous(SETTINGS.as_str())),
            (Some(_) | None, None) => Err(malformed(SETTINGS.as_str())),
        }
    }

    fn signature(&self, head: &Head<'_>) -> Result<(&Keys, Vec<u8>), Refusal> {
        let keys = self.keys(head)?;
        let written = Names::one(SIGNATURE).required(head)?;
        let bytes = BASE64.decode(written).ok();
        let bytes = bytes.filter(|it| Some(it.len()) == keys.algorithm().signature_bytes());
        Ok((keys, bytes.ok_or_else(|| malformed(SIGNATURE.as_str()))?))
    }

    /// The URL as Twilio knows it, with the digest that it puts behind it.
    fn url(&self, target: &str) -> String {
        let digest = match target.split_once('?') {
            // Only what a digest looks like is taken from the request where the query is configured.
            Some((_, query)) if self.url.contains('?') => {
                let last = query.rsplit('&').next().unwrap_or_default();
                last.strip_prefix("bodySHA256=").map(|_| last)
            }
            Some(_) | None => None,
        };
        match digest {
            Some(digest) => format!("{}&{digest}", self.url),
            None => external_url(&self.url, target).into_owned(),
        }
    }

    /// What follows the URL in what is signed. A digest in the URL goes for every body, a form's too: otherwise a URL that was
    /// signed with one would do for an empty form.
    fn fields(url: &str, request: Unproven<'_>) -> Result<SortedFields, Refusal> {
        let mut digests = query_values(url, BODY_DIGEST);
        match (digests.next(), digests.next()) {
            (Some(Some(digest)), None) => {
                let expected = hex::encode(Sha256::digest(request.body));
                let is_right = same(expected.as_bytes(), digest.as_bytes());
                is_right.then(Vec::new).ok_or(Refusal::WrongSignature)
            }
            (Some(None), None) => Err(malformed(BODY_DIGEST)),
            (_, Some(_)) => Err(ambiguous(BODY_DIGEST)),
            (None, None) if form::is_form(request.head) => {
                let mut fields = form::sorted(request.body).ok_or_else(|| malformed("body"))?;
                fields.dedup();
                Ok(fields)
            }
            (None, None) => Err(missing(BODY_DIGEST)),
        }
    }
}

impl Verify for Twilio {
    fn screen(&self, head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        self.signature(head).map(|_| ())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let (keys, signature) = self.signature(request.head)?;
        let url = self.url(request.head.target);
        let fields = Self::fields(&url, request)?;
        // Twilio signs a URL now with a default port and now without, whatever it calls.
        let is_right = [without_port(&url), with_port(&url)]
            .iter()
            .any(|url| keys.verify(&joined(url, &fields), &signature, now));
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    fn identity(&self, request: Unproven<'_>) -> Option<Vec<u8>> {
        let url = self.url(request.head.target);
        let fields = Self::fields(&url, request).ok()?;
        Some(joined(&url, &fields))
    }

    fn can_sign(&self) -> bool {
        self.sha1.can_sign()
    }

    /// A JSON body gets its digest into the query; any other is a form.
    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(sample.body).is_ok();
        let (fields, query) = if is_json {
            let digest = hex::encode(Sha256::digest(sample.body));
            (Vec::new(), format!("{BODY_DIGEST}={digest}"))
        } else {
            let mut fields = form::sorted(sample.body)?;
            fields.dedup();
            (fields, String::new())
        };
        let url = self.url(&if is_json { format!("?{query}") } else { String::new() });
        let signature = BASE64.encode(self.sha1.sign(&joined(&url, &fields))?);
        let headers = vec![(SIGNATURE, signature)];
        Some(Signed { headers, body: sample.body.to_vec(), query })
    }
}

/// The URL, and behind it each name with its value; nothing between them.
pub(super) fn joined(url: &str, fields: &SortedFields) -> Vec<u8> {
    let mut content = url.as_bytes().to_vec();
    for (name, value) in fields {
        content.extend_from_slice(name.as_bytes());
        content.extend_from_slice(value.as_bytes());
    }
    content
}

/// The parts of a URL around its port: what precedes it, the port's digits, what follows.
fn around_port(url: &str) -> (&str, &str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at_checked(start).unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let port_at = authority.rfind(':').filter(|at| *at >= host_at);
    // The colons of an IPv6 address are in brackets.
    let port_at = port_at.filter(|at| authority.rfind(']').is_none_or(|bracket| bracket < *at));
    let host_end = scheme.len() + port_at.unwrap_or(end);
    let port_end = scheme.len() + end;
    let port = url.get(host_end..port_end).unwrap_or_default();
    (
        url.get(..host_end).unwrap_or(url),
        port.trim_start_matches(':'),
        url.get(port_end..).unwrap_or_default(),
    )
}

fn without_port(url: &str) -> String {
    let (before, _, after) = around_port(url);
    format!("{before}{after}")
}

fn with_port(url: &str) -> String {
    let (before, port, after) = around_port(url);
    let port = match port {
        "" if url.starts_with("https:") => "443",
        "" => "80",
        port => port,
    };
    format!("{before}:{port}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_left_out_and_put_in() {
        for (url, without, with) in [
            ("https://a.b/c?d", "https://a.b/c?d", "https://a.b:443/c?d"),
            ("http://a.b", "http://a.b", "http://a.b:80"),
            ("https://a.b:8443/c:d", "https://a.b/c:d", "https://a.b:8443/c:d"),
            ("https://u:p@a.b/c", "https://u:p@a.b/c", "https://u:p@a.b:443/c"),
            ("https://u:p@a.b:1?x=:2", "https://u:p@a.b?x=:2", "https://u:p@a.b:1?x=:2"),
            ("https://[::1]/c", "https://[::1]/c", "https://[::1]:443/c"),
            ("https://[::1]:9/c", "https://[::1]/c", "https://[::1]:9/c"),
        ] {
            assert_eq!((without_port(url).as_str(), with_port(url).as_str()), (without, with));
        }
    }
}
