//! Amazon SNS over HTTPS: a signature by a certificate that AWS publishes, in fields of the body.
//!
//! Signed are some fields of the message, each as its name and its value in a line each: `Message, MessageId, Subject (if
//! there is one), Timestamp, TopicArn, Type` of a notification, `Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn,
//! Type` of a confirmation. Other fields, such as `MessageAttributes`, are not covered. After AWS's documentation
//! (sns-verify-signature-of-message) and sns-validator 0.3.5; of an `UnsubscribeConfirmation` that library leaves `Token` out,
//! which the documentation has.
//!
//! Narrower than both:
//! - Only topics in the option `topics` count, and before anything is fetched.
//! - The certificate's host is the one of the topic's region. The usual pattern, any one label between `sns.` and
//!   `.amazonaws.com`, is also met by `sns.s3-eu-west-1.amazonaws.com`: a bucket.
//! - `SignatureVersion` is the one that is configured, 2 (SHA-256) unless the option `signature_version` says 1 (SHA-1). Topics
//!   have 1 until their attribute `SignatureVersion` is set; a message cannot choose.
//! - `SubscribeURL` is visited at the same host only, and only with the token that the signature covers.
//!
//! The time is that of publishing, and AWS tries again for up to an hour.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    BadScheme, SchemeError, SchemeRules, SignedTime,
    code::{Sample, Signed, Unproven, Verify, Wanted},
    jwks::Signing,
    jwt::is_loopback,
    key_ring::{KeyRing, KeySource, at_endpoint},
    location::{Fields, ambiguous, malformed, missing},
};
use crate::{Head, Refusal, Timestamp, json::Pointer, limits};

pub(super) const WANTS: &[Wanted] = &[
    Wanted {
        name: "topics",
        doc: "the ARNs of the topics that may send here",
        required: true,
        example: "arn:aws:sns:eu-central-1:123456789012:orders",
    },
    Wanted {
        name: "signature_version",
        doc: "\"1\" (SHA-1) for topics that are not set to 2",
        required: false,
        example: "",
    },
    Wanted {
        name: "endpoint",
        doc: "what is asked in place of AWS for certificates and confirmations: on this machine, for tests",
        required: false,
        example: "",
    },
];

/// The fields that are read, in the order of the constants below.
const FIELDS: [&str; 12] = [
    "/Type",
    "/Message",
    "/MessageId",
    "/Subject",
    "/SubscribeURL",
    "/Timestamp",
    "/Token",
    "/TopicArn",
    "/SignatureVersion",
    "/Signature",
    "/SigningCertURL",
    // As AWS Lambda hands it on.
    "/SigningCertUrl",
];
const TYPE: usize = 0;
const TIMESTAMP: usize = 5;
const SUBJECT: usize = 3;
const SUBSCRIBE_URL: usize = 4;
const TOPIC: usize = 7;
const SIGNATURE_VERSION: usize = 8;
const SIGNATURE: usize = 9;
const CERTIFICATE: usize = 10;
const CERTIFICATE_OF_LAMBDA: usize = 11;
const OF_NOTIFICATION: [usize; 6] = [1, 2, SUBJECT, TIMESTAMP, TOPIC, TYPE];
const OF_CONFIRMATION: [usize; 7] = [1, 2, SUBSCRIBE_URL, TIMESTAMP, 6, TOPIC, TYPE];

pub(super) fn verifier(rules: &SchemeRules) -> Result<Box<dyn Verify>, SchemeError> {
    let settings = &rules.settings;
    let topics = settings.option("topics");
    if topics.iter().any(|topic| host_of(topic).is_none()) {
        return Err(BadScheme::BadOption("topics").into());
    }
    let signing = match settings.option("signature_version") {
        [] => Signing::RsaSha256,
        [version] if **version == *"2" => Signing::RsaSha256,
        [version] if **version == *"1" => Signing::RsaSha1,
        _ => return Err(BadScheme::BadOption("signature_version").into()),
    };
    let endpoint = match settings.option("endpoint") {
        [] => None,
        [endpoint] if is_on_this_machine(endpoint) => Some(endpoint.clone()),
        _ => return Err(BadScheme::BadOption("endpoint").into()),
    };
    Ok(Box::new(Verifier {
        topics: topics.to_vec(),
        signing,
        ring: KeyRing::new(KeySource::Certificates {
            endpoint: endpoint.clone(),
            vouched_name: None,
        }),
        endpoint,
        time: rules.time.clone(),
        pointers: FIELDS.iter().map(|it| it.parse().expect("a constant pointer")).collect(),
    }))
}

#[derive(Debug)]
struct Verifier {
    topics: Vec<Box<str>>,
    signing: Signing,
    ring: KeyRing,
    endpoint: Option<Box<str>>,
    time: Option<SignedTime>,
    pointers: Vec<Pointer>,
}

/// The host of SNS in a topic's region: `arn:aws:sns:eu-central-1:123456789012:orders`.
fn host_of(topic: &str) -> Option<String> {
    let mut parts = topic.split(':');
    let (Some("arn"), Some(partition), Some("sns"), Some(region)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let (Some(account), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let is_region = region.len() >= 3
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    // A bucket's regional host of old looks much like a region.
    if !is_region || region.starts_with("s3") || account.is_empty() || name.is_empty() {
        return None;
    }
    match partition {
        "aws" | "aws-us-gov" => Some(format!("sns.{region}.amazonaws.com")),
        "aws-cn" => Some(format!("sns.{region}.amazonaws.com.cn")),
        _ => None,
    }
}

fn is_on_this_machine(endpoint: &str) -> bool {
    endpoint.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(is_loopback)
            && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
    })
}

/// What follows `https://` and exactly this host; `None` for a URL that is elsewhere or not plain.
fn path_at<'a>(url: &'a str, host: &str) -> Option<&'a str> {
    let path = url.strip_prefix("https://")?.strip_prefix(host)?.strip_prefix('/')?;
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\' | b'@' | b'"');
    (url.len() <= limits::CHALLENGE_BYTES_MAX && url.bytes().all(plain)).then_some(path)
}

fn is_certificate_at(url: &str, host: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    url.len() <= limits::KEY_NAME_BYTES_MAX
        && path_at(url, host)
            .and_then(|path| path.strip_suffix(".pem"))
            .is_some_and(|it| !it.is_empty() && it.bytes().all(name) && !it.contains(".."))
}

impl Verifier {
    fn field<'f>(&self, fields: &'f Fields, index: usize) -> Result<&'f str, Refusal> {
        let pointer = self.pointers.get(index).ok_or_else(|| missing("body"))?;
        fields.required(index, pointer)
    }
}

impl Verify for Verifier {
    fn screen(&self, _head: &Head<'_>, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let fields = Fields::of(&self.pointers, request.head, request.body)?;
        let field = |index| self.field(&fields, index);
        let signature = BASE64
            .decode(field(SIGNATURE)?)
            .ok()
            .filter(|it| !it.is_empty() && it.len() <= super::key::SIGNATURE_BYTES_MAX)
            .ok_or_else(|| malformed("/Signature"))?;
        let version = match self.signing {
            Signing::RsaSha1 => "1",
            Signing::RsaSha256 | Signing::P256 => "2",
        };
        if field(SIGNATURE_VERSION)? != version {
            return Err(malformed("/SignatureVersion"));
        }
        let certificate = match (field(CERTIFICATE), field(CERTIFICATE_OF_LAMBDA)) {
            (Ok(_), Ok(_)) => return Err(ambiguous("/SigningCertURL")),
            (Ok(url), Err(_)) | (Err(_), Ok(url)) => url,
            (Err(missing), Err(_)) => return Err(missing),
        };
        let topic = field(TOPIC)?;
        let host = self.topics.iter().find(|it| ***it == *topic).and_then(|it| host_of(it));
        let host = host.ok_or(Refusal::WrongSignature)?;
        if !is_certificate_at(certificate, &host) {
            return Err(malformed("/SigningCertURL"));
        }
        let signed: &[usize] = match field(TYPE)? {
            "Notification" => &OF_NOTIFICATION,
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                if path_at(field(SUBSCRIBE_URL)?, &host).is_none() {
                    return Err(malformed("/SubscribeURL"));
                }
                &OF_CONFIRMATION
            }
            _ => return Err(malformed("/Type")),
        };
        if let Some(rule) = &self.time {
            let time = rule.unit.read(field(TIMESTAMP)?.as_bytes());
            rule.check(time.ok_or_else(|| malformed("/Timestamp"))?, now)?;
        }
        let mut content = String::new();
        for index in signed {
            let value = match field(*index) {
                Err(_) if *index == SUBJECT => continue,
                value => value?,
            };
            let name = FIELDS.get(*index).and_then(|it| it.strip_prefix('/')).unwrap_or_default();
            content.extend([name, "\n", value, "\n"]);
        }
        let key: Arc<_> = self.ring.key(certificate, now)?;
        if key.verify(self.signing, content.as_bytes(), &signature) {
            Ok(())
        } else {
            Err(Refusal::WrongSignature)
        }
    }

    fn key_ring(&self) -> Option<&KeyRing> {
        Some(&self.ring)
    }

    /// Its host was compared when the message was verified; it is here again, for itself.
    fn visit(&self, url: &str) -> Option<String> {
        let mut hosts = self.topics.iter().filter_map(|topic| host_of(topic));
        let is_ours = hosts.any(|host| path_at(url, &host).is_some());
        is_ours.then(|| at_endpoint(url, self.endpoint.as_deref()))
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
    fn a_certificate_is_at_the_host_of_the_topics_region() {
        let host = host_of("arn:aws:sns:eu-central-1:123456789012:orders").unwrap();
        let check = |url: &str, is| assert_eq!(is_certificate_at(url, &host), is, "{url}");
        let at = |rest: &str| format!("https://sns.eu-central-1.amazonaws.com{rest}");
        check(&at("/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"), true);
        check(&at("/a.pem?x=.pem"), false);
        check(&at("/a.pem#.pem"), false);
        check(&at("/../a.pem"), false);
        check(&at("/a/b.pem"), false);
        check(&at("/.pem"), false);
        check(&at(":8443/a.pem"), false);
        check(&at(".evil.example/a.pem"), false);
        check(&at("@evil.example/a.pem"), false);
        check("http://sns.eu-central-1.amazonaws.com/a.pem", false);
        check("https://sns.s3-eu-west-1.amazonaws.com/a.pem", false);
        check("https://sns.us-east-1.amazonaws.com/a.pem", false);
        check("https://user@sns.eu-central-1.amazonaws.com/a.pem", false);
    }

    #[test]
    fn hosts_follow_from_topics() {
        let check =
            |topic, host: Option<&str>| assert_eq!(host_of(topic).as_deref(), host, "{topic}");
        check("arn:aws-cn:sns:cn-north-1:1:t", Some("sns.cn-north-1.amazonaws.com.cn"));
        check("arn:aws-us-gov:sns:us-gov-west-1:1:t", Some("sns.us-gov-west-1.amazonaws.com"));
        check("arn:aws:sqs:eu-central-1:1:t", None);
        check("arn:aws:sns:evil.example/:1:t", None);
        check("arn:aws:sns:eu-central-1:1:t:subscription", None);
        check("*", None);
    }
}
