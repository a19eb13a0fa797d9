//! JSON Web Tokens (RFC 7519) as compact JWS (RFC 7515), by which some senders sign: LiveKit, Netlify, Plaid, FusionAuth,
//! Google Pub/Sub, Monday, Kinde, Atlassian Connect.
//!
//! A row says where the token is, its one algorithm, which claims must hold and where the key is; nothing of that is taken
//! from a token. Refused are other algorithms, `none` and `crit` among them, JSON with a key twice, base64 that could be
//! written otherwise, a token that lasts for more than a day. `jku`, `jwk` and `x5u` mean nothing here.
//!
//! What is covered: the claims, and so the time where `exp` or `iat` is demanded; the URL where the audience is the URL, or where
//! a claim holds a hash of it; the body only where a claim holds its digest, or where the body is the token. Without that (Pub/Sub, Monday) a token proves
//! who sends, and whoever captured one can send another body with it until it ends.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL},
};
use http::{HeaderName, Method};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    Algorithm, BadScheme, Coverage, Encoding, Key, KeyEncoding, Names, SchemeError, SchemeRules,
    SignedTime, Signer, TimePlace, TimeUnit, Version,
    code::{Sample, Settings, Signed, Unproven, Verify, Wanted},
    jwks::{Signing, strict_json},
    key_ring::{KeyRing, KeySource},
    location::{ambiguous, malformed, query_value},
    query_hash::query_hash,
    same,
    template::{Part, external_url, path_and_query},
};
use crate::{
    Head, Refusal, Timestamp, limits,
    secret::{Secret, Validity},
};

/// A row's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    place: Place,
    algorithm: Jws,
    keys: Keys,
    issuers: Vec<Box<str>>,
    /// The option that names the issuer.
    issuer_option: Option<&'static str>,
    audience: Audience,
    /// The claim that holds the body's digest.
    digest: Option<(Box<str>, Encoding)>,
    /// Whether the claim `qsh` holds a hash of method and URL.
    hashes_url: bool,
    /// The claims without which no token counts.
    demands: Vec<Box<str>>,
    /// Whether the option `email` names an account that the token must be of.
    names_account: bool,
    wants: &'static [Wanted],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A header, or a field of the URL's query.
    Header {
        names: Names,
        prefix: Box<str>,
        query: Option<Box<str>>,
    },
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jws {
    Hs256,
    Rs256,
    Es256,
}

/// How it signs, in words.
impl fmt::Display for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header { names, query: None, .. } => write!(f, "header {names}")?,
            Place::Header { names, query: Some(query), .. } => {
                write!(f, "header {names} or query {query}")?;
            }
            Place::Body => f.write_str("the body")?,
        }
        write!(f, ": a JSON Web Token ({})", self.algorithm.name())?;
        match &self.digest {
            Some((claim, _)) => write!(f, " with the digest of the body in its claim {claim}"),
            None if self.hashes_url => {
                f.write_str(" with a hash of the method and the URL in its claim qsh")
            }
            None => Ok(()),
        }
    }
}

impl Jws {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// By a public key.
    const fn signing(self) -> Option<Signing> {
        match self {
            Self::Hs256 => None,
            Self::Rs256 => Some(Signing::RsaSha256),
            Self::Es256 => Some(Signing::P256),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Keys {
    /// The source's secret.
    Secret,
    /// A set at this URL, in which `{domain}` stands for the option of that name.
    Set(Box<str>),
    /// A set at the URL in the option `jwks`, for RS256; without it, the source's secret.
    SetOrSecret,
    /// Plaid's, asked for one by one with the client's id and the source's secret.
    Plaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Any,
    /// One of the option `audience`.
    Option,
    /// The URL that the sender calls.
    Url,
}

const AUDIENCE: Wanted = Wanted {
    name: "audience",
    doc: "the audience that the sender's tokens are for, as configured there",
    required: true,
    example: "https://hooks.example.com/hooks/google-pubsub",
};
const EMAIL: Wanted = Wanted {
    name: "email",
    doc: "the service account that sends, such as push@project.iam.gserviceaccount.com",
    required: true,
    example: "push@project.iam.gserviceaccount.com",
};
const API_KEY: Wanted = Wanted {
    name: "api_key",
    doc: "the API key whose secret signs: the token's issuer",
    required: true,
    example: "APIabcdefghijk",
};
const CLIENT_KEY: Wanted = Wanted {
    name: "client_key",
    doc: "the clientKey of the installation that sends: the token's issuer",
    required: true,
    example: "9f9b8c1e-3a4d-4c2b-8a55-1d2e3f405162",
};
const BASE_URL: Wanted = Wanted {
    name: "base_url",
    doc: "the baseUrl of the app's descriptor, where that has a path",
    required: false,
    example: "",
};
const DOMAIN: Wanted = Wanted {
    name: "domain",
    doc: "the domain of the account, such as example.kinde.com",
    required: true,
    example: "example.kinde.com",
};
const JWKS: Wanted = Wanted {
    name: "jwks",
    doc: "the URL of the sender's public keys, where it signs by RS256; then there is no secret",
    required: false,
    example: "",
};
const CLIENT_ID: Wanted = Wanted {
    name: "client_id",
    doc: "the client's id, with which keys are asked for",
    required: true,
    example: "5f9ed2cd4b5c2a0010b5a1d7",
};
const ENVIRONMENT: Wanted = Wanted {
    name: "environment",
    doc: "\"production\" unless it says \"sandbox\"",
    required: false,
    example: "",
};

impl Jwt {
    /// Of a row's settings; `None` when they make no sense.
    pub(super) fn of(mut settings: BTreeMap<String, String>) -> Option<Self> {
        let mut take = |name: &str| settings.remove(name);
        let place = match take("in").as_deref() {
            Some("body") => Place::Body,
            Some(header) => Place::Header {
                names: Names::one(header.strip_prefix("header:")?.parse().ok()?),
                prefix: take("prefix").unwrap_or_default().into(),
                query: take("query").map(Into::into),
            },
            None => return None,
        };
        let algorithm = match take("alg").as_deref() {
            Some("HS256") => Jws::Hs256,
            Some("RS256") => Jws::Rs256,
            Some("ES256") => Jws::Es256,
            Some(_) | None => return None,
        };
        let mut wants = Vec::new();
        let keys = match (algorithm, take("keys").as_deref()) {
            (Jws::Hs256, None) => Keys::Secret,
            (Jws::Hs256, Some("secret or set")) => Keys::SetOrSecret,
            (Jws::Es256, Some("plaid")) => Keys::Plaid,
            (Jws::Rs256 | Jws::Es256, Some(url)) if url.starts_with("https://") => {
                Keys::Set(url.into())
            }
            (Jws::Hs256 | Jws::Rs256 | Jws::Es256, _) => return None,
        };
        match &keys {
            Keys::Secret => {}
            Keys::Set(url) => wants.extend(url.contains("{domain}").then_some(DOMAIN)),
            Keys::SetOrSecret => wants.push(JWKS),
            Keys::Plaid => wants.extend([CLIENT_ID, ENVIRONMENT]),
        }
        let list = |text: Option<String>| -> Vec<Box<str>> {
            text.iter().flat_map(|it| it.split(' ')).map(Into::into).collect()
        };
        let issuers = take("iss");
        let (issuers, issuer_option) =
            match issuers.as_deref().and_then(|it| it.strip_prefix("option:")) {
                Some(name) => {
                    let named = [API_KEY, CLIENT_KEY].into_iter().find(|it| it.name == name)?;
                    let name = named.name;
                    wants.push(named);
                    (Vec::new(), Some(name))
                }
                None => (list(issuers), None),
            };
        let audience = match take("aud").as_deref() {
            None => Audience::Any,
            Some("option") => {
                wants.push(AUDIENCE);
                Audience::Option
            }
            Some("url") => Audience::Url,
            Some(_) => return None,
        };
        let digest = match (take("sha256_hex"), take("sha256_base64")) {
            (None, None) => None,
            (Some(claim), None) => Some((claim.into(), Encoding::Hex)),
            (None, Some(claim)) => Some((claim.into(), Encoding::Base64)),
            (Some(_), Some(_)) => return None,
        };
        let names_account = match take("email").as_deref() {
            None => false,
            Some("option") => {
                wants.push(EMAIL);
                true
            }
            Some(_) => return None,
        };
        let hashes_url = match take("qsh").as_deref() {
            None => false,
            Some("url") => {
                wants.push(BASE_URL);
                true
            }
            Some(_) => return None,
        };
        let demands = list(take("demands"));
        let wants = wants.leak();
        let row = Self {
            place,
            algorithm,
            keys,
            issuers,
            issuer_option,
            audience,
            digest,
            hashes_url,
            demands,
            names_account,
            wants,
        };
        settings.is_empty().then_some(row)
    }

    pub(super) fn covers(&self) -> Coverage {
        Coverage {
            body: self.covers_body(),
            time: self.demands.iter().any(|claim| matches!(&**claim, "exp" | "iat")),
            url: self.wants_url(),
            method: self.hashes_url,
            ..Coverage::NONE
        }
    }

    fn covers_body(&self) -> bool {
        self.digest.is_some() || self.place == Place::Body
    }

    /// Whether it proves who sends and not what.
    pub(super) fn proves_sender_only(&self) -> bool {
        !self.covers_body()
    }

    /// For how long a token may count beyond the tolerance.
    pub(super) fn lifetime(&self) -> Duration {
        let ends = self.demands.iter().any(|claim| **claim == *"exp");
        if ends { limits::JWT_LIFETIME_MAX } else { Duration::ZERO }
    }

    pub(super) fn wants(&self) -> &'static [Wanted] {
        self.wants
    }

    pub(super) fn wants_url(&self) -> bool {
        self.hashes_url || self.audience == Audience::Url
    }

    pub(super) fn signer(&self) -> Signer {
        match self.keys {
            Keys::Secret | Keys::SetOrSecret => Signer::Secret,
            Keys::Set(_) | Keys::Plaid => Signer::Sender,
        }
    }

    pub(super) fn wants_secret(&self, settings: &Settings) -> bool {
        match self.keys {
            Keys::Secret | Keys::Plaid => true,
            Keys::Set(_) => false,
            Keys::SetOrSecret => settings.option(JWKS.name).is_empty(),
        }
    }

    pub(super) fn verifier(
        &self,
        rules: &SchemeRules,
        secrets: &[(Secret, Validity)],
    ) -> Result<Verifier, SchemeError> {
        let settings = &rules.settings;
        let one = |name: &'static str| match settings.option(name) {
            [] => Ok(None),
            [one] => Ok(Some(&**one)),
            [_, ..] => Err(SchemeError::from(BadScheme::BadOption(name))),
        };
        let (mut algorithm, mut shared, mut ring) = (self.algorithm, Vec::new(), None);
        match (&self.keys, one(JWKS.name)?) {
            (Keys::SetOrSecret, Some(url)) => {
                if !is_fetchable(url) {
                    return Err(BadScheme::BadOption(JWKS.name).into());
                }
                algorithm = Jws::Rs256;
                ring = Some(KeySource::Set { url: url.into(), signing: Signing::RsaSha256 });
            }
            (Keys::Secret | Keys::SetOrSecret, _) => {
                let version = [Version {
                    label: "".into(),
                    algorithm: Algorithm::HmacSha256,
                    encoding: Encoding::Base64Url,
                }];
                for (index, (secret, validity)) in secrets.iter().enumerate() {
                    let key = Key::new(secret, KeyEncoding::Utf8, "", &version)
                        .map_err(|reason| SchemeError::WeakSecret { index, reason })?;
                    shared.push((key, *validity));
                }
            }
            (Keys::Set(url), _) => {
                let domain = one(DOMAIN.name)?.unwrap_or_default();
                if url.contains("{domain}") && !is_host(domain) {
                    return Err(BadScheme::BadOption(DOMAIN.name).into());
                }
                let url = url.replace("{domain}", domain).into();
                let signing = self.algorithm.signing().unwrap_or(Signing::RsaSha256);
                ring = Some(KeySource::Set { url, signing });
            }
            (Keys::Plaid, _) => {
                let host = match one(ENVIRONMENT.name)? {
                    None | Some("production") => "production.plaid.com",
                    Some("sandbox") => "sandbox.plaid.com",
                    Some(_) => return Err(BadScheme::BadOption(ENVIRONMENT.name).into()),
                };
                let (secret, _) = secrets.first().ok_or(SchemeError::NoSecret)?;
                let secret = secret
                    .clone()
                    .strong()
                    .map_err(|reason| SchemeError::WeakSecret { index: 0, reason })?;
                ring = Some(KeySource::Asked {
                    url: format!("https://{host}/webhook_verification_key/get").into(),
                    client_id: one(CLIENT_ID.name)?.unwrap_or_default().into(),
                    secret,
                    signing: Signing::P256,
                });
            }
        }
        if secrets.is_empty() && self.wants_secret(settings) {
            return Err(SchemeError::NoSecret);
        }
        let mut issuers = self.issuers.clone();
        issuers.extend(self.issuer_option.into_iter().flat_map(|it| settings.option(it)).cloned());
        let audiences = match self.audience {
            Audience::Any => Vec::new(),
            Audience::Option => settings.option(AUDIENCE.name).to_vec(),
            Audience::Url => settings.url.iter().cloned().collect(),
        };
        let base_path = one(BASE_URL.name)?.map_or("", path_and_query);
        Ok(Verifier {
            url: settings.url.clone().unwrap_or_default(),
            base_path: base_path.into(),
            row: self.clone(),
            algorithm,
            shared,
            ring: ring.map(KeyRing::new),
            issuers,
            audiences,
            accounts: settings.option(EMAIL.name).to_vec(),
            // A row without a tolerance still holds tokens to the times in them.
            time: rules.time.clone().unwrap_or(SignedTime {
                place: TimePlace::Code,
                unit: TimeUnit::Seconds,
                past: limits::TOLERANCE_DEFAULT,
                future: limits::TOLERANCE_DEFAULT,
            }),
        })
    }
}

/// A name of a host and nothing else.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

/// Whether keys may be fetched there: by https, or on this machine.
pub(super) fn is_fetchable(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let no_user = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("https") => no_user && !host.is_empty(),
        Some("http") => no_user && is_loopback(host),
        Some(_) | None => false,
    }
}

/// Whether this names this machine, by number.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What verifies tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    row: Jwt,
    url: Box<str>,
    /// The path that the URLs in hashes are relative to.
    base_path: Box<str>,
    algorithm: Jws,
    shared: Vec<(Key, Validity)>,
    ring: Option<KeyRing>,
    /// Any of them; none means that no issuer is demanded.
    issuers: Vec<Box<str>>,
    audiences: Vec<Box<str>>,
    accounts: Vec<Box<str>>,
    time: SignedTime,
}

/// A token that was read; nothing is proven.
struct Token<'a> {
    key_id: Option<String>,
    claims: Map<String, Value>,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl Verifier {
    /// What to call the token's place in a refusal.
    fn place(&self) -> &str {
        match &self.row.place {
            Place::Header { names, .. } => names.first().as_str(),
            Place::Body => "body",
        }
    }

    fn token<'a>(&self, text: &'a [u8]) -> Result<Token<'a>, Refusal> {
        let bad = || malformed(self.place());
        let mut parts = text.split(|b| *b == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        if header.len() > limits::JWT_HEADER_BYTES_MAX {
            return Err(bad());
        }
        let read = |part: &[u8]| BASE64_URL.decode(part).map_err(|_| bad());
        let object = |part: &[u8]| match strict_json(&read(part)?) {
            Some(Value::Object(object)) => Ok(object),
            Some(_) | None => Err(bad()),
        };
        let mut header_fields = object(header)?;
        if header_fields.get("alg").and_then(Value::as_str) != Some(self.algorithm.name())
            || header_fields.contains_key("crit")
        {
            return Err(bad());
        }
        let key_id = match header_fields.remove("kid") {
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(bad()),
            None => None,
        };
        let signature = read(signature)?;
        if signature.is_empty() || signature.len() > super::key::SIGNATURE_BYTES_MAX {
            return Err(bad());
        }
        let signed = text.get(..header.len() + 1 + claims.len()).ok_or_else(bad)?;
        Ok(Token { key_id, claims: object(claims)?, signed, signature })
    }

    /// The times in a token.
    fn in_time(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
        let wrong = |claim: &str| Refusal::WrongClaim { claim: claim.to_owned().into() };
        for demanded in &self.row.demands {
            if !claims.contains_key(&**demanded) {
                return Err(wrong(demanded));
            }
        }
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => date(value).map(Some).ok_or_else(|| wrong(name)),
        };
        if let Some(end) = time("exp")? {
            if end <= now {
                let rule = SignedTime { future: Duration::MAX, ..self.time.clone() };
                rule.check(end, now)?;
            }
            if end > now.saturating_add(limits::JWT_LIFETIME_MAX) {
                return Err(wrong("exp"));
            }
        }
        for name in ["nbf", "iat"] {
            if let Some(start) = time(name)? {
                // How old it may be `iat` says where it is demanded, and `exp` elsewhere.
                let ages = name == "iat" && self.row.demands.iter().any(|it| **it == *name);
                let past = if ages { self.time.past } else { Duration::MAX };
                SignedTime { past, ..self.time.clone() }.check(start, now)?;
            }
        }
        Ok(())
    }

    /// What else the claims have to say.
    fn as_configured(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let wrong = |claim: &'static str| Refusal::WrongClaim { claim: claim.into() };
        let is_one_of = |value: &Value, known: &[Box<str>]| {
            value.as_str().is_some_and(|text| known.iter().any(|it| **it == *text))
        };
        if !self.issuers.is_empty() || self.row.issuer_option.is_some() {
            let issuer = claims.get("iss").ok_or_else(|| wrong("iss"))?;
            if !is_one_of(issuer, &self.issuers) {
                return Err(wrong("iss"));
            }
        }
        if self.row.audience != Audience::Any {
            let is_for_us = match claims.get("aud") {
                Some(Value::Array(list)) => list.iter().any(|it| is_one_of(it, &self.audiences)),
                Some(one) => is_one_of(one, &self.audiences),
                None => false,
            };
            if !is_for_us {
                return Err(wrong("aud"));
            }
        }
        if self.row.names_account {
            if claims.get("email_verified") != Some(&Value::Bool(true)) {
                return Err(wrong("email_verified"));
            }
            if !claims.get("email").is_some_and(|it| is_one_of(it, &self.accounts)) {
                return Err(wrong("email"));
            }
        }
        Ok(())
    }

    /// Whether it is for this method and URL, where it says so.
    fn is_for(&self, claims: &Map<String, Value>, head: &Head<'_>) -> Result<(), Refusal> {
        if !self.row.hashes_url {
            return Ok(());
        }
        let url = external_url(&self.url, head.target);
        let hash = query_hash(head.method, &url, &self.base_path);
        let hash = hash.ok_or_else(|| malformed("query"))?;
        if claims.get("qsh").and_then(Value::as_str) == Some(&*hash) {
            Ok(())
        } else {
            Err(Refusal::WrongClaim { claim: "qsh".into() })
        }
    }

    /// The claims of a token that somebody carries beside its signature of the whole: in time, as configured and signed.
    pub(super) fn claims(&self, text: &str, now: Timestamp) -> Result<Map<String, Value>, Refusal> {
        let token = self.token(text.as_bytes())?;
        self.in_time(&token.claims, now)?;
        self.as_configured(&token.claims)?;
        self.is_signed(&token, now)?;
        Ok(token.claims)
    }

    fn is_of(&self, claims: &Map<String, Value>, body: &[u8]) -> Result<(), Refusal> {
        let Some((claim, encoding)) = &self.row.digest else { return Ok(()) };
        let wrong = || Refusal::WrongClaim { claim: claim.to_string().into() };
        let written = claims.get(&**claim).and_then(Value::as_str).ok_or_else(wrong)?;
        let digest = match encoding {
            Encoding::Hex => hex::decode(written).ok(),
            Encoding::Base64 => BASE64.decode(written).ok(),
            Encoding::Base64Url => BASE64_URL.decode(written).ok(),
            Encoding::Plain => None,
        };
        if same(&digest.ok_or_else(wrong)?, &Sha256::digest(body)) {
            Ok(())
        } else {
            Err(Refusal::WrongSignature)
        }
    }

    fn is_signed(&self, token: &Token<'_>, now: Timestamp) -> Result<(), Refusal> {
        let is_right = match (self.algorithm.signing(), &self.ring) {
            (Some(signing), Some(ring)) => {
                let id = token.key_id.as_deref().ok_or_else(|| malformed(self.place()))?;
                ring.key(id, now)?.verify(signing, token.signed, &token.signature)
            }
            (None, _) => {
                self.shared.iter().filter(|(_, validity)| validity.contains(now)).any(|(key, _)| {
                    let content = [Part::Bytes(token.signed.into())];
                    key.verify(Algorithm::HmacSha256, &content, &token.signature)
                })
            }
            (Some(_), None) => false,
        };
        if is_right { Ok(()) } else { Err(Refusal::WrongSignature) }
    }

    /// The token in the header or the query; `None` where it is the body.
    fn in_head<'a>(&self, head: &Head<'a>) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        let Place::Header { names, prefix, query } = &self.row.place else { return Ok(None) };
        if let Some(query) = query {
            let is_in_header = names.iter().any(|name| head.headers.contains_key(name));
            match (is_in_header, query_value(head.target, query)) {
                (true, Ok(_) | Err(Refusal::AmbiguousSignature { .. })) => {
                    return Err(ambiguous(query));
                }
                (false, Ok(token)) if token.len() <= limits::JWT_BYTES_MAX => {
                    return Ok(Some(token.into_bytes().into()));
                }
                (false, Ok(_)) => return Err(malformed(query)),
                (false, Err(refusal @ Refusal::AmbiguousSignature { .. })) => return Err(refusal),
                (_, Err(_)) => {}
            }
        }
        let value = names.required(head)?;
        if value.len() > limits::JWT_BYTES_MAX {
            return Err(malformed(self.place()));
        }
        if value.contains(&b',') {
            return Err(ambiguous(self.place()));
        }
        // `Bearer` is written in either case.
        let (start, token) =
            value.split_at_checked(prefix.len()).ok_or_else(|| malformed(self.place()))?;
        if !start.eq_ignore_ascii_case(prefix.as_bytes()) {
            return Err(malformed(self.place()));
        }
        Ok(Some(token.into()))
    }
}

impl Verify for Verifier {
    fn screen(&self, head: &Head<'_>, now: Timestamp) -> Result<(), Refusal> {
        let Some(text) = self.in_head(head)? else { return Ok(()) };
        let token = self.token(&text)?;
        self.in_time(&token.claims, now)?;
        self.as_configured(&token.claims)?;
        self.is_for(&token.claims, head)
    }

    fn verify(&self, request: Unproven<'_>, now: Timestamp) -> Result<(), Refusal> {
        let text = match self.in_head(request.head)? {
            Some(text) => text,
            None if request.body.is_empty() => return Err(super::location::missing("body")),
            None => request.body.into(),
        };
        let token = self.token(&text)?;
        self.in_time(&token.claims, now)?;
        self.as_configured(&token.claims)?;
        self.is_for(&token.claims, request.head)?;
        self.is_of(&token.claims, request.body)?;
        self.is_signed(&token, now)
    }

    fn key_ring(&self) -> Option<&KeyRing> {
        self.ring.as_ref()
    }

    fn can_sign(&self) -> bool {
        !self.shared.is_empty() && self.row.place != Place::Body
    }

    fn sign(&self, sample: Sample<'_>) -> Option<Signed> {
        let Place::Header { names, prefix, .. } = &self.row.place else { return None };
        let (key, _) = self.shared.first()?;
        let now = sample.at.as_secs();
        let mut claims = Map::new();
        let first = |list: &[Box<str>]| list.first().map(|it| Value::from(&**it));
        claims.extend(first(&self.issuers).map(|it| ("iss".to_owned(), it)));
        claims.extend(first(&self.audiences).map(|it| ("aud".to_owned(), it)));
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), now.saturating_add(300).into());
        if self.row.hashes_url {
            let hash = query_hash(&Method::POST, &self.url, &self.base_path)?;
            claims.insert("qsh".to_owned(), hash.into());
        }
        if let Some((claim, encoding)) = &self.row.digest {
            let digest = Sha256::digest(sample.body);
            let written = match encoding {
                Encoding::Hex => hex::encode(digest),
                Encoding::Base64 => BASE64.encode(digest),
                Encoding::Base64Url => BASE64_URL.encode(digest),
                Encoding::Plain => return None,
            };
            claims.insert(claim.to_string(), written.into());
        }
        let part = |text: String| BASE64_URL.encode(text);
        let signed = format!(
            "{}.{}",
            part(serde_json::json!({ "alg": self.algorithm.name(), "typ": "JWT" }).to_string()),
            part(Value::Object(claims).to_string())
        );
        let signature =
            key.sign(Algorithm::HmacSha256, &[Part::Bytes(signed.as_bytes().into())])?;
        let value = format!("{prefix}{signed}.{}", BASE64_URL.encode(signature));
        let headers: Vec<(HeaderName, String)> = vec![(names.first().clone(), value)];
        Some(Signed { headers, body: sample.body.to_vec(), query: String::new() })
    }
}

/// A claim's time: seconds since 1970, perhaps with a fraction.
fn date(value: &Value) -> Option<Timestamp> {
    let secs = value.as_u64().or_else(|| {
        let secs = value.as_f64().filter(|secs| (0.0..1e11).contains(secs))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within 0 and 1e11"
        )]
        Some(secs as u64)
    });
    secs.map(Timestamp::from_secs)
}
