//! Public keys as senders publish them: JSON Web Keys (RFC 7517) and certificates (RFC 5280).
//!
//! Of a set of keys those count that are for signatures and for the one algorithm that is pinned; others are passed over,
//! as the RFC wants. A document in which a key of an object is there twice is refused whole.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::{Certificate, der::Decode as _, time::Time};

use super::key::der;
use crate::{
    Timestamp,
    json::{self, Pointers, TopLevel},
    limits,
    secret::Validity,
};

pub use rustls_pki_types::TrustAnchor;
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};

/// A signature by a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    /// RSA (PKCS #1 v1.5) with SHA-256: RS256.
    RsaSha256,
    /// The same with SHA-1.
    RsaSha1,
    /// ECDSA on P-256 with SHA-256, both numbers in 32 bytes each: ES256.
    P256,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// A modulus and an exponent.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// The same as PKCS #1 writes it.
    RsaDer(Vec<u8>),
    /// A point, uncompressed.
    P256(Vec<u8>),
}

impl PublicKey {
    /// A key of another kind than the signature's verifies nothing.
    pub(super) fn verify(&self, signing: Signing, content: &[u8], signature: &[u8]) -> bool {
        match (self, signing) {
            (Self::Rsa { n, e }, Signing::RsaSha256) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, content, signature)
                .is_ok(),
            (Self::RsaDer(key), Signing::RsaSha256) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
                    .verify(content, signature)
                    .is_ok()
            }
            (Self::RsaDer(key), Signing::RsaSha1) => {
                UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
                    .verify(content, signature)
                    .is_ok()
            }
            (Self::P256(point), Signing::P256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(content, signature)
                    .is_ok()
            }
            (Self::Rsa { .. } | Self::RsaDer(_) | Self::P256(_), _) => false,
        }
    }
}

/// Why a document has no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It is no JSON that everybody reads alike, or not of the shape that it has to have.
    #[error("it is not a document with keys")]
    NotADocument,
    /// None of its keys is of the kind that verifies.
    #[error("it has no key for signatures of the expected algorithm")]
    NoKey,
    /// It holds no certificate in PEM.
    #[error("it is not a certificate")]
    NotACertificate,
    /// The certificate's time is over or has not come.
    #[error("the certificate is not valid now")]
    NotValidNow,
    /// The certificate is not from an authority that is trusted, or not for such a name.
    #[error("the certificate is not from a trusted authority for the sender's name")]
    NotTrusted,
}

/// Strict JSON as a value: nothing in it is there twice.
pub(super) fn strict_json(text: &[u8]) -> Option<Value> {
    let rules = json::Rules { depth_max: limits::JSON_DEPTH_MAX, top_level: TopLevel::Object };
    json::scan(text, &Pointers::new([]), rules).ok()?;
    serde_json::from_slice(text).ok()
}

/// The keys of a set by their ids.
pub(super) fn key_set(
    document: &[u8],
    signing: Signing,
) -> Result<Vec<(String, PublicKey)>, BadKeys> {
    let document = strict_json(document).ok_or(BadKeys::NotADocument)?;
    let keys = document.get("keys").and_then(Value::as_array).ok_or(BadKeys::NotADocument)?;
    let keys: Vec<_> =
        keys.iter().filter_map(|key| jwk(key, signing)).take(limits::KEYS_MAX).collect();
    if keys.is_empty() { Err(BadKeys::NoKey) } else { Ok(keys) }
}

/// A key and its id, if it is one for such signatures.
pub(super) fn jwk(key: &Value, signing: Signing) -> Option<(String, PublicKey)> {
    let text = |name| key.get(name).and_then(Value::as_str);
    let bytes = |name| BASE64_URL.decode(text(name)?).ok();
    let (kind, algorithm) = match signing {
        Signing::RsaSha256 => ("RSA", "RS256"),
        Signing::P256 => ("EC", "ES256"),
        Signing::RsaSha1 => return None,
    };
    let or_absent = |name, expected| key.get(name).is_none_or(|it| it == expected);
    if text("kty") != Some(kind) || !or_absent("use", "sig") || !or_absent("alg", algorithm) {
        return None;
    }
    let id = text("kid").filter(|id| !id.is_empty() && id.len() <= limits::KEY_NAME_BYTES_MAX)?;
    let key = match signing {
        Signing::RsaSha256 => PublicKey::Rsa { n: bytes("n")?, e: bytes("e")? },
        Signing::P256 if text("crv") == Some("P-256") => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            PublicKey::P256([&[4], &*x, &*y].concat())
        }
        Signing::P256 | Signing::RsaSha1 => return None,
    };
    Some((id.to_owned(), key))
}

/// The key in the first certificate of a file in PEM, if it is valid now.
pub(super) fn certificate(file: &[u8], now: Timestamp) -> Result<(PublicKey, Validity), BadKeys> {
    let pem = blocks(file)?.into_iter().next().ok_or(BadKeys::NotACertificate)?;
    key_in(&pem, now)
}

/// The same where an authority must vouch for it and for its name, which ends in `suffix`.
pub(super) fn trusted_certificate(
    file: &[u8],
    suffix: &str,
    anchors: &[TrustAnchor<'_>],
    now: Timestamp,
) -> Result<(PublicKey, Validity), BadKeys> {
    let chain: Vec<_> = blocks(file)?;
    let (leaf, between) = chain.split_first().ok_or(BadKeys::NotACertificate)?;
    let key = key_in(leaf, now)?;
    let certificate = EndEntityCert::try_from(leaf).map_err(|_| BadKeys::NotACertificate)?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs()));
    let vouched = |usage| {
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                anchors,
                between,
                at,
                usage,
                None,
                None,
            )
            .is_ok()
    };
    // Which of the two an authority writes into it says nothing here: it signs webhooks.
    if !vouched(KeyUsage::server_auth()) && !vouched(KeyUsage::client_auth()) {
        return Err(BadKeys::NotTrusted);
    }
    let ours = |name: &str| name.to_ascii_lowercase().ends_with(suffix) && !name.contains('*');
    if !certificate.valid_dns_names().any(ours) {
        return Err(BadKeys::NotTrusted);
    }
    Ok(key)
}

fn blocks(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadKeys> {
    let blocks: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).take(8).collect();
    blocks.map_err(|_| BadKeys::NotACertificate)
}

fn key_in(der: &[u8], now: Timestamp) -> Result<(PublicKey, Validity), BadKeys> {
    let certificate = Certificate::from_der(der).map_err(|_| BadKeys::NotACertificate)?;
    let certificate = certificate.tbs_certificate();
    let time = |at: Time| Timestamp::from_secs(at.to_unix_duration().as_secs());
    let (from, to) = (certificate.validity().not_before, certificate.validity().not_after);
    let validity = Validity { not_before: Some(time(from)), not_after: Some(time(to)) };
    if !validity.contains(now) {
        return Err(BadKeys::NotValidNow);
    }
    let key = certificate.subject_public_key_info().subject_public_key.as_bytes();
    let key = key.ok_or(BadKeys::NotACertificate)?;
    if !der::is_rsa(key) {
        return Err(BadKeys::NoKey);
    }
    Ok((PublicKey::RsaDer(key.to_vec()), validity))
}
