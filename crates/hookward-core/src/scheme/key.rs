//! Keys and algorithms: each key's schedule is made once, when the configuration is read.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Version, same};
use crate::secret::{SECRET_BYTES_MIN, Secret, WeakSecret};

/// A signature algorithm. SHA-1 is there for the senders that have nothing else; as an HMAC it is unbroken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-512.
    HmacSha512,
    /// HMAC-SHA-1.
    HmacSha1,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// The longest signature of any algorithm, in bytes.
pub(super) const SIGNATURE_BYTES_MAX: usize = 64;

impl Algorithm {
    /// The length of a signature, in bytes.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha512 | Self::Ed25519 => 64,
            Self::HmacSha1 => 20,
        }
    }
}

/// How a secret's text becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEncoding {
    /// The text's own bytes, also where it looks like base64 (Stripe's `whsec_…`).
    Utf8,
    /// Base64.
    Base64,
    /// Hex digits.
    Hex,
    /// Standard Webhooks: `whsec_` and base64 of an HMAC key, or `whpk_` and base64 of an Ed25519 public key. The prefix
    /// of an HMAC key may be left out. (`whsk_`, a sender's private key, signs samples and verifies with its public half.)
    StandardWebhooks,
}

/// A key that is ready to verify. Never shown.
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Sha1(Hmac<Sha1>),
    Ed25519(Vec<u8>),
    Ed25519Pair(std::sync::Arc<Ed25519KeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// Decodes a secret for the versions of a scheme.
    pub fn new(
        secret: &Secret,
        encoding: KeyEncoding,
        versions: &[Version],
    ) -> Result<Self, WeakSecret> {
        let text = secret.expose();
        let bytes = match encoding {
            KeyEncoding::Utf8 => text.as_bytes().to_vec(),
            KeyEncoding::Base64 => decoded(BASE64.decode(text).ok(), "base64")?,
            KeyEncoding::Hex => decoded(hex::decode(text).ok(), "hex digits")?,
            KeyEncoding::StandardWebhooks => {
                if let Some(key) = text.strip_prefix("whpk_") {
                    let key = BASE64.decode(key).ok().filter(|key| key.len() == 32);
                    return Ok(Self(Kind::Ed25519(decoded(key, "whpk_ and base64 of 32 bytes")?)));
                }
                if let Some(pair) = text.strip_prefix("whsk_") {
                    let pair = BASE64.decode(pair).ok().as_deref().and_then(ed25519_pair);
                    return decoded(
                        pair,
                        "whsk_ and base64 of a 32-byte seed and its 32-byte public key",
                    )
                    .map(|pair| Self(Kind::Ed25519Pair(pair.into())));
                }
                let key = BASE64.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok();
                decoded(key, "base64, with or without whsec_ before it (or whpk_ for Ed25519)")?
            }
        };
        if bytes.len() < SECRET_BYTES_MIN && encoding != KeyEncoding::Utf8 {
            return Err(WeakSecret::Short { bytes: bytes.len() });
        }
        let algorithm =
            versions.iter().map(|version| version.algorithm).find(|it| *it != Algorithm::Ed25519);
        Ok(Self(match algorithm {
            Some(Algorithm::HmacSha256) => Kind::Sha256(mac(&bytes)),
            Some(Algorithm::HmacSha512) => Kind::Sha512(mac(&bytes)),
            Some(Algorithm::HmacSha1) => Kind::Sha1(mac(&bytes)),
            Some(Algorithm::Ed25519) | None => {
                let key = (bytes.len() == 32).then_some(bytes);
                Kind::Ed25519(decoded(key, "a 32-byte Ed25519 public key")?)
            }
        }))
    }

    /// Whether this is a signature of the content by this key. A key of another kind than the algorithm's verifies nothing.
    pub(super) fn verify<'c>(
        &self,
        algorithm: Algorithm,
        content: impl Iterator<Item = &'c [u8]>,
        signature: &[u8],
    ) -> bool {
        match (&self.0, algorithm) {
            (Kind::Sha256(mac), Algorithm::HmacSha256) => same(&signed(mac, content), signature),
            (Kind::Sha512(mac), Algorithm::HmacSha512) => same(&signed(mac, content), signature),
            (Kind::Sha1(mac), Algorithm::HmacSha1) => same(&signed(mac, content), signature),
            (Kind::Ed25519(key), Algorithm::Ed25519) => {
                UnparsedPublicKey::new(&ED25519, key).verify(&joined(content), signature).is_ok()
            }
            (Kind::Ed25519Pair(pair), Algorithm::Ed25519) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key())
                    .verify(&joined(content), signature)
                    .is_ok()
            }
            (
                Kind::Sha256(_)
                | Kind::Sha512(_)
                | Kind::Sha1(_)
                | Kind::Ed25519(_)
                | Kind::Ed25519Pair(_),
                Algorithm::HmacSha256
                | Algorithm::HmacSha512
                | Algorithm::HmacSha1
                | Algorithm::Ed25519,
            ) => false,
        }
    }

    /// Whether it can sign, and not only verify.
    pub(super) fn can_sign(&self) -> bool {
        match self.0 {
            Kind::Sha256(_) | Kind::Sha512(_) | Kind::Sha1(_) | Kind::Ed25519Pair(_) => true,
            Kind::Ed25519(_) => false,
        }
    }

    /// Signs; `None` when this key is of another kind or can only verify.
    pub(super) fn sign<'c>(
        &self,
        algorithm: Algorithm,
        content: impl Iterator<Item = &'c [u8]>,
    ) -> Option<Vec<u8>> {
        match (&self.0, algorithm) {
            (Kind::Sha256(mac), Algorithm::HmacSha256) => Some(signed(mac, content).to_vec()),
            (Kind::Sha512(mac), Algorithm::HmacSha512) => Some(signed(mac, content).to_vec()),
            (Kind::Sha1(mac), Algorithm::HmacSha1) => Some(signed(mac, content).to_vec()),
            (Kind::Ed25519Pair(pair), Algorithm::Ed25519) => {
                Some(pair.sign(&joined(content)).as_ref().to_vec())
            }
            (
                Kind::Sha256(_)
                | Kind::Sha512(_)
                | Kind::Sha1(_)
                | Kind::Ed25519(_)
                | Kind::Ed25519Pair(_),
                Algorithm::HmacSha256
                | Algorithm::HmacSha512
                | Algorithm::HmacSha1
                | Algorithm::Ed25519,
            ) => None,
        }
    }
}

fn decoded<T>(value: Option<T>, expected: &'static str) -> Result<T, WeakSecret> {
    value.ok_or(WeakSecret::Encoding { expected })
}

fn mac<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn signed<'c, M: Mac + Clone>(
    mac: &M,
    content: impl Iterator<Item = &'c [u8]>,
) -> hmac::digest::Output<M> {
    let mut mac = mac.clone();
    content.for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes()
}

/// Ed25519 hashes its message twice, so it needs it whole.
fn joined<'c>(content: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    content.collect::<Vec<_>>().concat()
}

fn ed25519_pair(seed_and_public: &[u8]) -> Option<Ed25519KeyPair> {
    let (seed, public) = seed_and_public.split_at_checked(32)?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}
