//! Keys and algorithms: each key's schedule is made once, when the configuration is read.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::{Version, same, template::Part};
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
    /// SHA-256 of a content that contains the secret. No HMAC: where the secret comes first, whoever has one signature can
    /// sign longer contents.
    Sha256,
    /// SHA-1 of a content that contains the secret.
    Sha1,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on the curve P-256 with SHA-256, the signature in DER.
    EcdsaP256Sha256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RsaSha256,
    /// RSA (PKCS #1 v1.5) with SHA-1.
    RsaSha1,
    /// RSA (PSS) with SHA-256 throughout and a salt of 32 bytes.
    RsaPssSha256,
    /// RSA (PSS) with SHA-512 throughout and a salt of 64 bytes.
    RsaPssSha512,
    /// The secret itself, which proves who sends and covers nothing of what is sent.
    Token,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha256 => "HMAC-SHA-256",
            Self::HmacSha512 => "HMAC-SHA-512",
            Self::HmacSha1 => "HMAC-SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha1 => "SHA-1",
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256Sha256 => "ECDSA (P-256, SHA-256)",
            Self::RsaSha256 => "RSA (SHA-256)",
            Self::RsaSha1 => "RSA (SHA-1)",
            Self::RsaPssSha256 => "RSA-PSS (SHA-256)",
            Self::RsaPssSha512 => "RSA-PSS (SHA-512)",
            Self::Token => "token",
        })
    }
}

/// The longest signature of any algorithm, in bytes: RSA with 8192 bits; tokens are shorter.
pub(super) const SIGNATURE_BYTES_MAX: usize = 1024;

impl Algorithm {
    /// The length of a signature, in bytes; `None` where it varies.
    pub const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::HmacSha256 | Self::Sha256 => Some(32),
            Self::HmacSha512 | Self::Ed25519 => Some(64),
            Self::HmacSha1 | Self::Sha1 => Some(20),
            Self::EcdsaP256Sha256
            | Self::RsaSha256
            | Self::RsaSha1
            | Self::RsaPssSha256
            | Self::RsaPssSha512
            | Self::Token => None,
        }
    }

    /// Whether verifying takes a public key and signing another one.
    pub const fn is_asymmetric(self) -> bool {
        match self {
            Self::Ed25519
            | Self::EcdsaP256Sha256
            | Self::RsaSha256
            | Self::RsaSha1
            | Self::RsaPssSha256
            | Self::RsaPssSha512 => true,
            Self::HmacSha256
            | Self::HmacSha512
            | Self::HmacSha1
            | Self::Sha256
            | Self::Sha1
            | Self::Token => false,
        }
    }

    /// Whether it rests on SHA-1.
    pub const fn is_sha1(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::Sha1 | Self::RsaSha1)
    }
}

/// How a secret's text becomes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEncoding {
    /// The text's own bytes, also where it looks like base64 (Stripe's `whsec_…`).
    Utf8,
    /// Base64. For a public key: of its DER form (SPKI), or of its bare bytes.
    Base64,
    /// Hex digits.
    Hex,
    /// Standard Webhooks: `whsec_` and base64 of an HMAC key, or `whpk_` and base64 of an Ed25519 public key. The prefix
    /// of an HMAC key may be left out. (`whsk_`, a sender's private key, signs samples and verifies with its public half.)
    StandardWebhooks,
    /// Base64 behind `whsec_`, the text's own bytes without it (OpenAI).
    WhsecOrUtf8,
    /// A public key in PEM (`BEGIN PUBLIC KEY`), line breaks written as such or as `\n`. For an algorithm with public keys,
    /// PEM is taken whatever the encoding, also of a private key in PKCS #8, which signs samples.
    Pem,
}

/// A key that is ready to verify. Never shown.
pub struct Key(Kind);

enum Kind {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Sha1(Hmac<Sha1>),
    /// For keyed hashes and tokens.
    Text(Zeroizing<Vec<u8>>),
    Ed25519(Vec<u8>),
    Ed25519Pair(Arc<Ed25519KeyPair>),
    /// A point.
    P256(Vec<u8>),
    P256Pair(Arc<EcdsaKeyPair>),
    /// A modulus and exponent as PKCS #1 writes them.
    Rsa(Vec<u8>),
    RsaPair(Arc<RsaKeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// Decodes a secret for the versions of a scheme; `suffix` is what the sender puts behind it. Refuses weak ones.
    pub fn new(
        secret: &Secret,
        encoding: KeyEncoding,
        suffix: &str,
        versions: &[Version],
    ) -> Result<Self, WeakSecret> {
        let text = secret.expose();
        let algorithms = || versions.iter().map(|version| version.algorithm);
        let public = algorithms().find(|it| it.is_asymmetric());
        let symmetric = algorithms().find(|it| !it.is_asymmetric());
        if let (Some(algorithm), None) = (public, symmetric) {
            return Self::public(algorithm, text, encoding);
        }
        let secret = secret.clone().strong()?;
        let text = secret.expose();
        let bytes = match encoding {
            KeyEncoding::Utf8 | KeyEncoding::Pem => text.as_bytes().to_vec(),
            KeyEncoding::Base64 => decoded(BASE64.decode(text).ok(), "base64")?,
            KeyEncoding::Hex => decoded(hex::decode(text).ok(), "hex digits")?,
            KeyEncoding::WhsecOrUtf8 => match text.strip_prefix("whsec_") {
                Some(written) => decoded(BASE64.decode(written).ok(), "base64 behind whsec_")?,
                None => text.as_bytes().to_vec(),
            },
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
        let bytes = Zeroizing::new([&bytes, suffix.as_bytes()].concat());
        Ok(Self(match symmetric {
            Some(Algorithm::HmacSha256) => Kind::Sha256(mac(&bytes)),
            Some(Algorithm::HmacSha512) => Kind::Sha512(mac(&bytes)),
            Some(Algorithm::HmacSha1) => Kind::Sha1(mac(&bytes)),
            Some(
                Algorithm::Sha256
                | Algorithm::Sha1
                | Algorithm::Token
                | Algorithm::Ed25519
                | Algorithm::EcdsaP256Sha256
                | Algorithm::RsaSha256
                | Algorithm::RsaSha1
                | Algorithm::RsaPssSha256
                | Algorithm::RsaPssSha512,
            )
            | None => Kind::Text(bytes),
        }))
    }

    /// An HMAC-SHA-1 key of bytes that were made of a strong secret.
    pub(super) fn hmac_sha1(bytes: &[u8]) -> Self {
        Self(Kind::Sha1(mac(bytes)))
    }

    /// A public key, or the pair that it is half of.
    fn public(algorithm: Algorithm, text: &str, encoding: KeyEncoding) -> Result<Self, WeakSecret> {
        if text.is_empty() {
            return Err(WeakSecret::Empty);
        }
        let bytes = match pem(text) {
            Some((label, der)) if label == "PRIVATE KEY" => return Self::pair(algorithm, &der),
            Some((_, der)) => der,
            None => {
                let bytes = match encoding {
                    KeyEncoding::Hex => hex::decode(text).ok(),
                    KeyEncoding::Base64 | KeyEncoding::StandardWebhooks => BASE64.decode(text).ok(),
                    KeyEncoding::Utf8 | KeyEncoding::WhsecOrUtf8 | KeyEncoding::Pem => None,
                };
                decoded(bytes, "a public key: PEM, or as the sender shows it")?
            }
        };
        let key = der::key_of_spki(&bytes).unwrap_or(&bytes);
        let kind = match algorithm {
            Algorithm::Ed25519 if key.len() == 32 => Kind::Ed25519(key.to_vec()),
            Algorithm::EcdsaP256Sha256 if key.len() == 65 && key.first() == Some(&4) => {
                Kind::P256(key.to_vec())
            }
            Algorithm::RsaSha256
            | Algorithm::RsaSha1
            | Algorithm::RsaPssSha256
            | Algorithm::RsaPssSha512
                if der::is_rsa(key) =>
            {
                Kind::Rsa(key.to_vec())
            }
            Algorithm::Ed25519 => {
                return Err(WeakSecret::Encoding { expected: "a 32-byte Ed25519 public key" });
            }
            Algorithm::EcdsaP256Sha256 => {
                return Err(WeakSecret::Encoding { expected: "a public key on the curve P-256" });
            }
            Algorithm::RsaSha256
            | Algorithm::RsaSha1
            | Algorithm::RsaPssSha256
            | Algorithm::RsaPssSha512
            | Algorithm::HmacSha256
            | Algorithm::HmacSha512
            | Algorithm::HmacSha1
            | Algorithm::Sha256
            | Algorithm::Sha1
            | Algorithm::Token => {
                return Err(WeakSecret::Encoding { expected: "an RSA public key" });
            }
        };
        Ok(Self(kind))
    }

    fn pair(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, WeakSecret> {
        let kind = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .ok()
                .map(|pair| Kind::Ed25519Pair(pair.into())),
            Algorithm::EcdsaP256Sha256 => EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                pkcs8,
                &SystemRandom::new(),
            )
            .ok()
            .map(|pair| Kind::P256Pair(pair.into())),
            Algorithm::RsaSha256 | Algorithm::RsaPssSha256 | Algorithm::RsaPssSha512 => {
                RsaKeyPair::from_pkcs8(pkcs8).ok().map(|pair| Kind::RsaPair(pair.into()))
            }
            Algorithm::RsaSha1 => {
                let expected = "a public key: nothing signs with RSA and SHA-1 here";
                return Err(WeakSecret::Encoding { expected });
            }
            Algorithm::HmacSha256
            | Algorithm::HmacSha512
            | Algorithm::HmacSha1
            | Algorithm::Sha256
            | Algorithm::Sha1
            | Algorithm::Token => None,
        };
        decoded(kind, "a private key of this algorithm").map(Self)
    }

    /// Whether this is a signature of the content by this key. A key of another kind than the algorithm's verifies nothing.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        content: &[Part<'_>],
        signature: &[u8],
    ) -> bool {
        let public = |rule: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(rule, key).verify(&joined(content), signature).is_ok()
        };
        match (&self.0, algorithm) {
            (Kind::Sha256(mac), Algorithm::HmacSha256) => same(&signed(mac, content), signature),
            (Kind::Sha512(mac), Algorithm::HmacSha512) => same(&signed(mac, content), signature),
            (Kind::Sha1(mac), Algorithm::HmacSha1) => same(&signed(mac, content), signature),
            (Kind::Text(text), Algorithm::Sha256) => {
                same(&hashed::<Sha256>(text, content), signature)
            }
            (Kind::Text(text), Algorithm::Sha1) => same(&hashed::<Sha1>(text, content), signature),
            // Digests have one length, so that the time tells nothing of the secret's.
            (Kind::Text(text), Algorithm::Token) => {
                same(&Sha256::digest(text), &Sha256::digest(signature))
            }
            (Kind::Ed25519(key), Algorithm::Ed25519) => public(&ED25519, key),
            (Kind::Ed25519Pair(pair), Algorithm::Ed25519) => {
                public(&ED25519, pair.public_key().as_ref())
            }
            (Kind::P256(key), Algorithm::EcdsaP256Sha256) => public(&ECDSA_P256_SHA256_ASN1, key),
            (Kind::P256Pair(pair), Algorithm::EcdsaP256Sha256) => {
                public(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref())
            }
            (Kind::Rsa(key), Algorithm::RsaSha256) => public(&RSA_PKCS1_2048_8192_SHA256, key),
            (Kind::Rsa(key), Algorithm::RsaPssSha256) => public(&RSA_PSS_2048_8192_SHA256, key),
            (Kind::Rsa(key), Algorithm::RsaPssSha512) => public(&RSA_PSS_2048_8192_SHA512, key),
            (Kind::Rsa(key), Algorithm::RsaSha1) => {
                public(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            }
            (Kind::RsaPair(pair), Algorithm::RsaSha256) => {
                public(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
            }
            (Kind::RsaPair(pair), Algorithm::RsaPssSha256) => {
                public(&RSA_PSS_2048_8192_SHA256, pair.public().as_ref())
            }
            (Kind::RsaPair(pair), Algorithm::RsaPssSha512) => {
                public(&RSA_PSS_2048_8192_SHA512, pair.public().as_ref())
            }
            (
                Kind::Sha256(_)
                | Kind::Sha512(_)
                | Kind::Sha1(_)
                | Kind::Text(_)
                | Kind::Ed25519(_)
                | Kind::Ed25519Pair(_)
                | Kind::P256(_)
                | Kind::P256Pair(_)
                | Kind::Rsa(_)
                | Kind::RsaPair(_),
                _,
            ) => false,
        }
    }

    /// Whether it can sign, and not only verify.
    pub(super) fn can_sign(&self) -> bool {
        match self.0 {
            Kind::Sha256(_)
            | Kind::Sha512(_)
            | Kind::Sha1(_)
            | Kind::Text(_)
            | Kind::Ed25519Pair(_)
            | Kind::P256Pair(_)
            | Kind::RsaPair(_) => true,
            Kind::Ed25519(_) | Kind::P256(_) | Kind::Rsa(_) => false,
        }
    }

    /// Signs; `None` when this key is of another kind or can only verify.
    pub(super) fn sign(&self, algorithm: Algorithm, content: &[Part<'_>]) -> Option<Vec<u8>> {
        match (&self.0, algorithm) {
            (Kind::Sha256(mac), Algorithm::HmacSha256) => Some(signed(mac, content).to_vec()),
            (Kind::Sha512(mac), Algorithm::HmacSha512) => Some(signed(mac, content).to_vec()),
            (Kind::Sha1(mac), Algorithm::HmacSha1) => Some(signed(mac, content).to_vec()),
            (Kind::Text(text), Algorithm::Sha256) => Some(hashed::<Sha256>(text, content).to_vec()),
            (Kind::Text(text), Algorithm::Sha1) => Some(hashed::<Sha1>(text, content).to_vec()),
            (Kind::Text(text), Algorithm::Token) => Some(text.to_vec()),
            (Kind::Ed25519Pair(pair), Algorithm::Ed25519) => {
                Some(pair.sign(&joined(content)).as_ref().to_vec())
            }
            (Kind::P256Pair(pair), Algorithm::EcdsaP256Sha256) => {
                let signature = pair.sign(&SystemRandom::new(), &joined(content)).ok()?;
                Some(signature.as_ref().to_vec())
            }
            (Kind::RsaPair(pair), Algorithm::RsaSha256) => {
                rsa_signed(pair, &RSA_PKCS1_SHA256, content)
            }
            (Kind::RsaPair(pair), Algorithm::RsaPssSha256) => {
                rsa_signed(pair, &RSA_PSS_SHA256, content)
            }
            (Kind::RsaPair(pair), Algorithm::RsaPssSha512) => {
                rsa_signed(pair, &RSA_PSS_SHA512, content)
            }
            (
                Kind::Sha256(_)
                | Kind::Sha512(_)
                | Kind::Sha1(_)
                | Kind::Text(_)
                | Kind::Ed25519(_)
                | Kind::Ed25519Pair(_)
                | Kind::P256(_)
                | Kind::P256Pair(_)
                | Kind::Rsa(_)
                | Kind::RsaPair(_),
                _,
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

/// The bytes of each part; `secret` stands for itself.
fn bytes<'c>(content: &'c [Part<'c>], secret: &'c [u8]) -> impl Iterator<Item = &'c [u8]> {
    content.iter().map(move |part| match part {
        Part::Bytes(bytes) => bytes,
        Part::Secret => secret,
    })
}

fn signed<M: Mac + Clone>(mac: &M, content: &[Part<'_>]) -> hmac::digest::Output<M> {
    let mut mac = mac.clone();
    bytes(content, b"").for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes()
}

fn rsa_signed(
    pair: &RsaKeyPair,
    padding: &'static dyn RsaEncoding,
    content: &[Part<'_>],
) -> Option<Vec<u8>> {
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding, &SystemRandom::new(), &joined(content), &mut signature).ok()?;
    Some(signature)
}

fn hashed<D: Digest>(secret: &[u8], content: &[Part<'_>]) -> hmac::digest::Output<D> {
    let mut digest = D::new();
    bytes(content, secret).for_each(|piece| digest.update(piece));
    digest.finalize()
}

/// What is signed by a public key's other half is needed whole.
fn joined(content: &[Part<'_>]) -> Vec<u8> {
    bytes(content, b"").collect::<Vec<_>>().concat()
}

fn ed25519_pair(seed_and_public: &[u8]) -> Option<Ed25519KeyPair> {
    let (seed, public) = seed_and_public.split_at_checked(32)?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}

/// The label and content of the first block in PEM. Environment variables often have `\n` for a line break.
pub(super) fn pem(text: &str) -> Option<(String, Vec<u8>)> {
    let text = text.replace("\\n", "\n");
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    Some((label.to_owned(), BASE64.decode(body).ok()?))
}

/// The DER forms of public keys, as far as they are needed: `ring` takes their insides.
pub(super) mod der {
    use ::spki::{SubjectPublicKeyInfoRef, der::Decode as _};
    use pkcs1::RsaPublicKeyRef;

    /// The key within a `SubjectPublicKeyInfo`.
    pub(crate) fn key_of_spki(der: &[u8]) -> Option<&[u8]> {
        let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
        info.subject_public_key.as_bytes()
    }

    /// Whether this is an RSA key as PKCS #1 writes it: a sequence of two integers.
    pub(crate) fn is_rsa(der: &[u8]) -> bool {
        RsaPublicKeyRef::from_der(der).is_ok()
    }
}
