//! HTTP Message Signatures (RFC 9421), for senders that sign their webhooks with them. Covered is the body, by a `Content-Digest`
//! (RFC 9530, SHA-256 or SHA-512) that the signature must cover, and `created`, within the window; and `expires`, where there is
//! one. What else must be covered is configured (`components`).
//!
//! The algorithm is configured and never the request's choice. Derived components come from the configured URL, since a proxy may
//! have changed what arrives. Not taken: components with parameters (`;sf`, `;key`, `;req` …), `@query-param`, `@status`, and
//! `Signature` or `Signature-Input` in several lines.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderName, Uri};
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, ListEntry, Parser};
use sha2::{Digest as _, Sha256, Sha512};

use super::{
    Algorithm, BadScheme, KeyEncoding, Names, Sample, SchemeError, SchemeRules, Signed, SignedTime,
    Unproven,
    code::{self, Verify, Wanted},
    keys::Keys,
    location::{malformed, missing},
    same, sample,
    template::external_url,
};
use crate::{
    Head, Refusal, Timestamp, limits,
    secret::{Secret, Validity},
};

const INPUT: HeaderName = HeaderName::from_static("signature-input");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const DIGEST: HeaderName = HeaderName::from_static("content-digest");

#[derive(Debug)]
pub(super) struct HttpMessage {
    url: Box<str>,
    uri: Uri,
    algorithm: Named,
    label: Option<Box<str>>,
    key_id: Option<Box<str>>,
    components: Vec<Box<str>>,
    window: SignedTime,
    keys: Keys,
}

/// An algorithm and its name in the registry of RFC 9421.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    name: &'static str,
    algorithm: Algorithm,
}

const ALGORITHMS: [Named; 5] = [
    Named { name: "hmac-sha256", algorithm: Algorithm::HmacSha256 },
    Named { name: "ed25519", algorithm: Algorithm::Ed25519 },
    Named { name: "ecdsa-p256-sha256", algorithm: Algorithm::EcdsaP256Sha256 },
    Named { name: "rsa-v1_5-sha256", algorithm: Algorithm::RsaSha256 },
    Named { name: "rsa-pss-sha512", algorithm: Algorithm::RsaPssSha512 },
];

impl HttpMessage {
    pub(super) const WANTS: &'static [Wanted] = &[
        Wanted {
            name: "algorithm",
            doc: "how it signs: hmac-sha256, ed25519, ecdsa-p256-sha256, rsa-v1_5-sha256 or rsa-pss-sha512",
            required: true,
            example: "hmac-sha256",
        },
        Wanted {
            name: "components",
            doc: "what a signature must cover beside content-digest, such as @method and @target-uri",
            required: false,
            example: "",
        },
        Wanted {
            name: "key_id",
            doc: "the keyid that a signature must name",
            required: false,
            example: "",
        },
        Wanted {
            name: "label",
            doc: "the label of the signature that counts; otherwise any that is right",
            required: false,
            example: "",
        },
        Wanted {
            name: "secret_encoding",
            doc: "utf8, unless the secret of hmac-sha256 is written as base64 or hex",
            required: false,
            example: "",
        },
    ];

    pub(super) fn new(
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        let one = |name: &'static str| match rules.settings.option(name) {
            [] => Ok(None),
            [value] => Ok(Some(value.clone())),
            [_, ..] => Err(BadScheme::BadOption(name)),
        };
        let written = one("algorithm")?;
        let algorithm = ALGORITHMS.into_iter().find(|it| written.as_deref() == Some(it.name));
        let algorithm = algorithm.ok_or(BadScheme::BadOption("algorithm"))?;
        let encoding =
            match (algorithm.algorithm.is_asymmetric(), one("secret_encoding")?.as_deref()) {
                (true, None) => KeyEncoding::Base64,
                (false, None | Some("utf8")) => KeyEncoding::Utf8,
                (false, Some("base64")) => KeyEncoding::Base64,
                (false, Some("hex")) => KeyEncoding::Hex,
                (_, Some(_)) => return Err(BadScheme::BadOption("secret_encoding").into()),
            };
        let url = rules.settings.url.clone().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|_| BadScheme::NoUrl)?;
        let components: Vec<_> = rules.settings.option("components").to_vec();
        let is_known = |it: &str| match it.strip_prefix('@') {
            Some(_) => DERIVED.contains(&it),
            None => it.bytes().all(|b| !b.is_ascii_uppercase()) && it.parse::<HeaderName>().is_ok(),
        };
        if !components.iter().all(|it| is_known(it)) {
            return Err(BadScheme::BadOption("components").into());
        }
        Ok(Self {
            uri,
            url,
            algorithm,
            label: one("label")?,
            key_id: one("key_id")?,
            components,
            window: code::window(rules),
            keys: Keys::new(algorithm.algorithm, encoding, secrets)?,
        })
    }

    /// The signatures that may count, each with what it is over; refused where none of them does what it must.
    fn signatures(
        &self,
        head: &Head<'_>,
        now: Timestamp,
    ) -> Result<Vec<(InnerList, Vec<u8>)>, Refusal> {
        let inputs = dictionary(head, &INPUT)?;
        let mut signatures = dictionary(head, &SIGNATURE)?;
        if inputs.len() > limits::SIGNATURES_MAX {
            return Err(malformed(INPUT.as_str()));
        }
        let mut found = Vec::new();
        let mut refusal = missing(INPUT.as_str());
        for (label, entry) in inputs {
            if self.label.as_deref().is_some_and(|it| it != label.as_str()) {
                continue;
            }
            let signature = signatures.shift_remove(label.as_str());
            match self.signature(entry, signature, now) {
                Ok(signature) => found.push(signature),
                Err(why) => refusal = why,
            }
        }
        if found.is_empty() { Err(refusal) } else { Ok(found) }
    }

    fn signature(
        &self,
        input: ListEntry,
        signature: Option<ListEntry>,
        now: Timestamp,
    ) -> Result<(InnerList, Vec<u8>), Refusal> {
        let ListEntry::InnerList(input) = input else { return Err(malformed(INPUT.as_str())) };
        let bytes = match signature {
            Some(ListEntry::Item(item)) => match item.bare_item {
                BareItem::ByteSequence(bytes) => bytes,
                BareItem::Integer(_)
                | BareItem::Decimal(_)
                | BareItem::String(_)
                | BareItem::Token(_)
                | BareItem::Boolean(_)
                | BareItem::Date(_)
                | BareItem::DisplayString(_) => return Err(malformed(SIGNATURE.as_str())),
            },
            Some(ListEntry::InnerList(_)) => return Err(malformed(SIGNATURE.as_str())),
            None => return Err(missing(SIGNATURE.as_str())),
        };
        let names = names(&input).ok_or_else(|| malformed(INPUT.as_str()))?;
        let covers = |name: &str| names.contains(&name);
        if !covers(DIGEST.as_str()) || !self.components.iter().all(|it| covers(it)) {
            return Err(malformed(INPUT.as_str()));
        }
        let text = |name: &str| match input.params.get(name) {
            Some(BareItem::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(malformed(INPUT.as_str())),
            None => Ok(None),
        };
        // The algorithm and key are ours to choose: a request may repeat them and not change them.
        if text("alg")?.is_some_and(|it| it != self.algorithm.name)
            || self.key_id.as_deref().is_some_and(|it| text("keyid") != Ok(Some(it)))
        {
            return Err(malformed(INPUT.as_str()));
        }
        let time = |name: &str| match input.params.get(name) {
            Some(BareItem::Integer(secs)) => u64::try_from(i64::from(*secs))
                .map(|secs| Some(Timestamp::from_secs(secs)))
                .map_err(|_| malformed(INPUT.as_str())),
            Some(_) => Err(malformed(INPUT.as_str())),
            None => Ok(None),
        };
        let created = time("created")?.ok_or_else(|| missing("signature-input created"))?;
        self.window.check(created, now)?;
        if let Some(expires) = time("expires")?
            && expires < now
        {
            let age_secs = now.as_secs().saturating_sub(expires.as_secs());
            return Err(Refusal::Stale { age_secs, max_secs: 0 });
        }
        if self.algorithm.algorithm.signature_bytes().is_some_and(|it| it != bytes.len()) {
            return Err(malformed(SIGNATURE.as_str()));
        }
        let bytes = match self.algorithm.algorithm {
            // RFC 9421 writes r and s, each 32 bytes; the key verifies DER.
            Algorithm::EcdsaP256Sha256 => {
                der(&bytes).ok_or_else(|| malformed(SIGNATURE.as_str()))?
            }
            Algorithm::HmacSha256
            | Algorithm::HmacSha512
            | Algorithm::HmacSha1
            | Algorithm::Sha256
            | Algorithm::Sha1
            | Algorithm::Ed25519
            | Algorithm::RsaSha256
            | Algorithm::RsaSha1
            | Algorithm::RsaPssSha256
            | Algorithm::RsaPssSha512
            | Algorithm::Token => bytes,
        };
        Ok((input, bytes))
    }

    /// The signature base of RFC 9421, section 2.5.
    fn base(&self, input: &InnerList, head: &Head<'_>) -> Result<String, Refusal> {
        let mut base = String::new();
        for name in names(input).ok_or_else(|| malformed(INPUT.as_str()))? {
            let value = if name.starts_with('@') {
                self.derived(name, head).ok_or_else(|| malformed(INPUT.as_str()))?
            } else {
                field(name, head)?
            };
            let _infallible = writeln!(base, "\"{name}\": {value}");
        }
        let written = serialised(input).ok_or_else(|| malformed(INPUT.as_str()))?;
        let _infallible = write!(base, "\"@signature-params\": {written}");
        Ok(base)
    }

    fn derived(&self, name: &str, head: &Head<'_>) -> Option<String> {
        let url = external_url(&self.url, head.target);
        let path = self.uri.path();
        let path = if path.is_empty() { "/" } else { path };
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let scheme = self.uri.scheme_str()?.to_ascii_lowercase();
        Some(match name {
            "@method" => head.method.as_str().to_owned(),
            "@target-uri" => url.into_owned(),
            "@authority" => {
                let host = self.uri.host()?.to_ascii_lowercase();
                match (self.uri.port_u16(), scheme.as_str()) {
                    (None, _) | (Some(443), "https") | (Some(80), "http") => host,
                    (Some(port), _) => format!("{host}:{port}"),
                }
            }
            "@scheme" => scheme,
            "@path" => path.to_owned(),
            "@query" => format!("?{query}"),
            "@request-target" if query.is_empty() => path.to_owned(),
            "@request-target" => format!("{path}?{query}"),
            _ => return None,
        })
    }
}

/// The derived components that are taken.
const DERIVED: [&str; 7] =
    ["@method", "@target-uri", "@authority", "@scheme", "@path", "@query", "@request-target"];

/// A field's value as it is signed: its lines trimmed and joined.
fn field(name: &str, head: &Head<'_>) -> Result<String, Refusal> {
    let lines = head.headers.get_all(name).iter().map(|line| {
        let line = std::str::from_utf8(line.as_bytes()).map_err(|_| malformed(name))?;
        Ok::<_, Refusal>(line.trim())
    });
    let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
    if lines.is_empty() { Err(missing(name)) } else { Ok(lines.join(", ")) }
}

fn dictionary(head: &Head<'_>, name: &HeaderName) -> Result<Dictionary, Refusal> {
    let written = Names::one(name.clone()).required(head)?;
    let dictionary: Dictionary =
        Parser::new(written).parse().map_err(|_| malformed(name.as_str()))?;
    if dictionary.is_empty() { Err(missing(name.as_str())) } else { Ok(dictionary) }
}

/// The components' names; `None` where one has parameters, occurs twice or is no field's name.
fn names(input: &InnerList) -> Option<Vec<&str>> {
    let mut names: Vec<&str> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let BareItem::String(name) = &item.bare_item else { return None };
        let name = name.as_str();
        if !item.params.is_empty()
            || name.bytes().any(|b| b.is_ascii_uppercase())
            || names.contains(&name)
        {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

fn serialised(input: &InnerList) -> Option<String> {
    vec![ListEntry::InnerList(input.clone())].serialize()
}

/// Checks every digest that is known; at least one must be.
fn check_digest(head: &Head<'_>, body: &[u8]) -> Result<(), Refusal> {
    let mut checked = 0;
    for (name, entry) in dictionary(head, &DIGEST)? {
        let digest = match name.as_str() {
            "sha-256" => Sha256::digest(body).to_vec(),
            "sha-512" => Sha512::digest(body).to_vec(),
            _ => continue,
        };
        let is_right = matches!(&entry, ListEntry::Item(item)
            if matches!(&item.bare_item, BareItem::ByteSequence(bytes) if same(bytes, &digest)));
        if !is_right {
            return Err(Refusal::WrongSignature);
        }
        checked += 1;
    }
    if checked == 0 { Err(malformed(DIGEST.as_str())) } else { Ok(()) }
}

impl Verify for HttpMessage {
    fn screen(&self, head: &Head<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.signatures(head, now)?;
        dictionary(head, &DIGEST).map(|_| ())
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let signatures = self.signatures(request.head, now)?;
        check_digest(request.head, request.body)?;
        for (input, signature) in &signatures {
            let base = self.base(input, request.head)?;
            if self.keys.verify(base.as_bytes(), signature, now) {
                return Ok(());
            }
        }
        Err(Refusal::WrongSignature)
    }

    fn can_sign(&self) -> bool {
        self.keys.can_sign()
    }

    /// Covers the method, the URL, the digest, and what must be covered beside these as far as a sample has it.
    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let digest = BASE64.encode(Sha256::digest(sample.body));
        let mut headers = vec![(DIGEST, format!("sha-256=:{digest}:"))];
        let mut names = vec!["@method", "@target-uri", "content-digest"];
        for name in &self.components {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
        let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let key_id = self.key_id.as_ref().map(|it| format!(";keyid=\"{it}\"")).unwrap_or_default();
        let created = sample.at.as_secs();
        let written = format!("({});created={created}{key_id}", names.join(" "));
        let label = self.label.as_deref().unwrap_or("sig1");
        let list: sfv::List = Parser::new(written.as_bytes()).parse().ok()?;
        let Some(ListEntry::InnerList(input)) = list.into_iter().next() else { return None };
        let head = sample::head(&headers);
        let base = self.base(&input, &head.as_head()).ok()?;
        let signature = self.keys.sign(base.as_bytes())?;
        let is_ecdsa = self.algorithm.algorithm == Algorithm::EcdsaP256Sha256;
        let signature = if is_ecdsa { fixed(&signature)? } else { signature };
        headers.push((INPUT, format!("{label}={written}")));
        headers.push((SIGNATURE, format!("{label}=:{}:", BASE64.encode(signature))));
        Some(Signed { headers, body: sample.body.to_vec(), query: String::new() })
    }
}

/// An ECDSA signature of two numbers of 32 bytes, in DER.
fn der(fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    let mut inner = Vec::with_capacity(70);
    for number in [r, s] {
        let digits = number.iter().position(|byte| *byte != 0).unwrap_or(31);
        let digits = number.get(digits..)?;
        let padding = usize::from(digits.first()? & 0x80 != 0);
        inner.extend([2, u8::try_from(digits.len() + padding).ok()?]);
        inner.extend(std::iter::repeat_n(0, padding));
        inner.extend_from_slice(digits);
    }
    Some([&[0x30, u8::try_from(inner.len()).ok()?], &*inner].concat())
}

/// The same, back.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, rest @ ..] = der else { return None };
    let mut rest = (rest.len() == usize::from(*length)).then_some(rest)?;
    let mut fixed = Vec::with_capacity(64);
    for _ in 0..2 {
        let [2, length, after @ ..] = rest else { return None };
        let (digits, after) = after.split_at_checked(usize::from(*length))?;
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        fixed.extend(std::iter::repeat_n(0, 32_usize.checked_sub(digits.len())?));
        fixed.extend_from_slice(digits);
        rest = after;
    }
    rest.is_empty().then_some(fixed)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::scheme::Settings;

    /// The request of RFC 9421, appendix B.2.
    fn request() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.com"),
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", "application/json"),
            (
                "content-digest",
                "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            ),
            ("content-length", "18"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    fn scheme(options: &[(&str, &str)], secret: &str) -> HttpMessage {
        let options = options.iter().map(|(name, value)| ((*name).into(), vec![(*value).into()]));
        let mut rules = SchemeRules::of_code(super::super::Code::HttpMessage);
        rules.settings = Settings {
            url: Some("https://example.com/foo?param=Value&Pet=dog".into()),
            options: options.collect(),
        };
        let secrets = [(Secret::new(secret.to_owned()), Validity::default())];
        HttpMessage::new(&rules, &secrets).unwrap()
    }

    /// Whether the signature is right, whatever it covers: these examples do not cover the digest.
    fn check(scheme: &HttpMessage, input: &str, signature: &str, base: &str) {
        let list: sfv::List = Parser::new(input.as_bytes()).parse().unwrap();
        let ListEntry::InnerList(input) = &list[0] else { panic!("an inner list") };
        let headers = request();
        let head =
            Head { method: &Method::POST, target: "/foo?param=Value&Pet=dog", headers: &headers };
        assert_eq!(scheme.base(input, &head).unwrap(), base);
        let signature = BASE64.decode(signature).unwrap();
        assert!(scheme.keys.verify(base.as_bytes(), &signature, Timestamp::default()));
        let changed = base.replace("POST", "PUT").replace("Tue", "Wed");
        assert!(!scheme.keys.verify(changed.as_bytes(), &signature, Timestamp::default()));
        // What is right and does not cover what it must is refused.
        let written = ListEntry::InnerList(input.clone());
        let created = Timestamp::from_secs(1_618_884_473);
        let entry = ListEntry::Item(sfv::Item::new(signature));
        assert_eq!(
            scheme.signature(written, Some(entry), created),
            Err(malformed("signature-input"))
        );
    }

    #[test]
    fn b_2_5_is_right() {
        let options = [("algorithm", "hmac-sha256"), ("secret_encoding", "base64")];
        let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
        check(
            &scheme(&options, secret),
            r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n\
             \"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        );
    }

    #[test]
    fn b_2_6_is_right() {
        let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
        check(
            &scheme(&[("algorithm", "ed25519")], key),
            r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\
             \"content-type\": application/json\n\"content-length\": 18\n\
             \"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
             ;created=1618884473;keyid=\"test-key-ed25519\"",
        );
    }

    #[test]
    fn the_digest_of_the_rfc_is_right() {
        let headers = request();
        let head = Head { method: &Method::POST, target: "/foo", headers: &headers };
        assert_eq!(check_digest(&head, b"{\"hello\": \"world\"}"), Ok(()));
        assert_eq!(check_digest(&head, b"{\"hello\": \"World\"}"), Err(Refusal::WrongSignature));
    }

    #[test]
    fn numbers_go_into_der_and_back() {
        for first in [0, 1, 0x7f, 0x80, 0xff] {
            let mut written = [7; 64];
            written[0] = first;
            written[1] = 0x80;
            written[32..].fill(0);
            written[63] = first;
            assert_eq!(fixed(&der(&written).unwrap()).unwrap(), written);
        }
        assert_eq!(der(&[1; 63]), None);
        assert_eq!(fixed(&[0x30, 2, 2, 0]), None);
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        for (name, value) in [
            ("algorithm", "none"),
            ("algorithm", "HMAC-SHA256"),
            ("components", "@status"),
            ("components", "Date"),
            ("secret_encoding", "base32"),
        ] {
            let mut rules = SchemeRules::of_code(super::super::Code::HttpMessage);
            rules.settings.url = Some("https://example.com/foo".into());
            rules.settings.options.insert("algorithm".into(), vec!["hmac-sha256".into()]);
            rules.settings.options.insert(name.into(), vec![value.into()]);
            let secret = Secret::new("c21acdf7adbdf2b9d9f1e2a66bd5a3c8".to_owned());
            let outcome = HttpMessage::new(&rules, &[(secret, Validity::default())]);
            assert_eq!(outcome.unwrap_err(), BadScheme::BadOption(name).into(), "{name} {value}");
        }
    }
}
