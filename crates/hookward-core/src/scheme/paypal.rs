//! PayPal: a signature by a certificate that the request names, over the transmission's id, its time, the webhook's id and a
//! CRC-32 of the body.
//!
//! After paypalrestsdk 1.13.3 and PayPal's documentation. The signed text is `<id>|<time>|<webhook id>|<CRC-32 in decimal>`,
//! RSA with SHA-256. The webhook's id is not in the request and comes from the configuration: without it, whoever has a
//! webhook of PayPal's own could pass its events on.
//!
//! A CRC is no digest: whoever captured a request can make another body with the same one. So the body does not count as
//! covered; what is told apart by is the signed transmission id, so that another body under it is a conflict that a person
//! sees. Unlike the SDK, which fetches any URL, a certificate is taken from PayPal's API only, and an authority has to vouch
//! for it and for its name below `paypal.com`.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderName;

use super::{
    BadScheme, Names, SchemeError, SchemeRules, SignedTime,
    code::{Sample, Signed, Unproven, Verify, Wanted},
    jwks::Signing,
    key_ring::{KeyRing, KeySource},
    location::malformed,
};
use crate::{Head, Refusal, Timestamp, limits};

pub(super) const WANTS: &[Wanted] = &[
    Wanted {
        name: "webhook_id",
        doc: "the id of the webhook, as PayPal's developer dashboard shows it",
        required: true,
        example: "8PT597110X687430LKGECATA",
    },
    Wanted {
        name: "environment",
        doc: "\"production\" unless it says \"sandbox\"",
        required: false,
        example: "",
    },
];

/// The header with the signed id.
pub(super) const ID: &str = "paypal-transmission-id";
const TIME: &str = "paypal-transmission-time";
const SIGNATURE: &str = "paypal-transmission-sig";
const CERTIFICATE: &str = "paypal-cert-url";
const ALGORITHM: &str = "paypal-auth-algo";

pub(super) fn verifier(rules: &SchemeRules) -> Result<Box<dyn Verify>, SchemeError> {
    let settings = &rules.settings;
    let host = match settings.option("environment") {
        [] => "api.paypal.com",
        [it] if **it == *"production" => "api.paypal.com",
        [it] if **it == *"sandbox" => "api.sandbox.paypal.com",
        _ => return Err(BadScheme::BadOption("environment").into()),
    };
    let webhook_id = match settings.option("webhook_id") {
        [id] if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => id,
        _ => return Err(BadScheme::BadOption("webhook_id").into()),
    };
    let ring =
        KeyRing::new(KeySource::Certificates { endpoint: None, vouched_name: Some(".paypal.com") });
    Ok(Box::new(Verifier { host, webhook_id: webhook_id.clone(), ring, time: rules.time.clone() }))
}

#[derive(Debug)]
struct Verifier {
    host: &'static str,
    webhook_id: Box<str>,
    ring: KeyRing,
    time: Option<SignedTime>,
}

struct Read<'a> {
    id: &'a str,
    time: &'a str,
    certificate: &'a str,
    signature: Vec<u8>,
}

impl Verifier {
    fn read<'a>(&self, head: &Head<'a>, now: Timestamp) -> Result<Read<'a>, Refusal> {
        let text = |name: &'static str| {
            let value = Names::one(HeaderName::from_static(name)).required(head)?;
            let is_plain = |text: &&str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'|');
            std::str::from_utf8(value).ok().filter(is_plain).ok_or_else(|| malformed(name))
        };
        if text(ALGORITHM)? != "SHA256withRSA" {
            return Err(malformed(ALGORITHM));
        }
        let signature = BASE64
            .decode(text(SIGNATURE)?)
            .ok()
            .filter(|it| !it.is_empty() && it.len() <= super::key::SIGNATURE_BYTES_MAX)
            .ok_or_else(|| malformed(SIGNATURE))?;
        let (id, time, certificate) = (text(ID)?, text(TIME)?, text(CERTIFICATE)?);
        if !is_certificate_at(certificate, self.host) {
            return Err(malformed(CERTIFICATE));
        }
        if let Some(rule) = &self.time {
            let read = rule.unit.read(time.as_bytes()).ok_or_else(|| malformed(TIME))?;
            rule.check(read, now)?;
        }
        Ok(Read { id, time, certificate, signature })
    }
}

fn is_certificate_at(url: &str, host: &str) -> bool {
    let path = url
        .strip_prefix("https://")
        .and_then(|it| it.strip_prefix(host))
        .and_then(|it| it.strip_prefix("/v1/notifications/certs/"));
    url.len() <= limits::KEY_NAME_BYTES_MAX
        && path.is_some_and(|it| {
            !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

impl Verify for Verifier {
    fn screen(&self, head: &Head<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.read(head, now).map(drop)
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let Read { id, time, certificate, signature } = self.read(request.head, now)?;
        let content = format!("{id}|{time}|{}|{}", self.webhook_id, crc32fast::hash(request.body));
        let key = self.ring.key(certificate, now)?;
        if key.verify(Signing::RsaSha256, content.as_bytes(), &signature) {
            Ok(())
        } else {
            Err(Refusal::WrongSignature)
        }
    }

    fn key_ring(&self) -> Option<&KeyRing> {
        Some(&self.ring)
    }

    fn can_sign(&self) -> bool {
        false
    }

    fn sign(&self, _sample: Sample<'_>) -> Option<Signed> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_at_paypals_api() {
        let check =
            |url: &str, is| assert_eq!(is_certificate_at(url, "api.paypal.com"), is, "{url}");
        check(
            "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
            true,
        );
        check("https://api.paypal.com/v1/notifications/certs/", false);
        check("https://api.paypal.com/v1/notifications/certs/../x", false);
        check("https://api.paypal.com/v1/notifications/certs/x?y", false);
        check("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1", false);
        check("https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1", false);
        check("https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1", false);
        check("http://api.paypal.com/v1/notifications/certs/CERT-1", false);
    }
}
