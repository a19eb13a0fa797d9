//! What the interpreter of schemes takes and refuses, family by family.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(crate) const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015";
const BODY: &[u8] = br#"{"id":"evt_1","type":"a.b"}"#;

/// The rules of a provider.
pub(crate) fn rules(provider: &str) -> SchemeRules {
    crate::provider::Provider::named(provider).unwrap().scheme.clone()
}

fn sign(scheme: &Scheme, id: &str, at: Timestamp) -> Vec<(HeaderName, String)> {
    let signed = scheme.sign(Sample { id, at, body: BODY }).unwrap();
    assert_eq!(signed.body, BODY);
    signed.headers
}

fn scheme(rules: SchemeRules, secrets: &[&str]) -> Scheme {
    let secrets =
        secrets.iter().map(|text| (Secret::new((*text).to_owned()), Validity::default())).collect();
    Scheme::new(rules, secrets).unwrap()
}

fn headers(pairs: &[(HeaderName, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn judge(scheme: &Scheme, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Refusal> {
    let head = Head { method: &Method::POST, target: "/", headers };
    let presented = scheme.screen(&head, now)?;
    scheme.verify(&presented, Unproven { head: &head, body }, now)
}

/// Judges `BODY` with these header lines; the outcome by its stable name, `ok` when it is right.
fn check(scheme: &Scheme, lines: &[(&str, &str)], expected: &str) {
    let pairs: Vec<_> =
        lines.iter().map(|(name, value)| (name.parse().unwrap(), (*value).to_owned())).collect();
    let outcome = judge(scheme, &headers(&pairs), BODY, NOW);
    assert_eq!(outcome.as_ref().map_or_else(Refusal::as_str, |()| "ok"), expected, "{lines:?}");
}

/// The signature of `content` under `secret`, in hex, by another implementation than the one under test.
fn hex_hmac(secret: &str, content: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(ring::hmac::sign(&key, content))
}

#[test]
fn what_it_signs_it_takes_and_a_changed_byte_it_refuses() {
    let public = "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA7aie8zrakLWKjqNAqbw1zZTIVdx3iQ6Y6wEihi1naKQ==";
    let all = [
        (rules("hmac"), SECRET),
        (rules("github"), SECRET),
        (rules("shopify"), SECRET),
        (rules("stripe"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (rules("slack"), SECRET),
        (rules("standard-webhooks"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (rules("svix"), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (rules("standard-webhooks"), public),
    ];
    for (rules, secret) in all {
        let scheme = scheme(rules, &[secret]);
        let signed = sign(&scheme, "msg_1", NOW);
        assert_eq!(judge(&scheme, &headers(&signed), BODY, NOW), Ok(()), "{signed:?}");
        for at in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[at] ^= 1;
            assert_eq!(judge(&scheme, &headers(&signed), &body, NOW), Err(Refusal::WrongSignature));
        }
        for index in 0..signed.len() {
            let mut without = signed.clone();
            let (name, _) = without.remove(index);
            assert!(judge(&scheme, &headers(&without), BODY, NOW).is_err(), "without {name}");
            let mut twice = signed.clone();
            twice.push(signed[index].clone());
            assert_eq!(
                judge(&scheme, &headers(&twice), BODY, NOW),
                Err(Refusal::AmbiguousSignature { header: name.as_str().to_owned().into() })
            );
        }
    }
}

#[test]
fn github_takes_sha256_hex_and_nothing_else() {
    let scheme = scheme(rules("github"), &[SECRET]);
    let mac = hex_hmac(SECRET, BODY);
    let cut = |digits: usize| mac.get(..digits).unwrap();
    let name = "X-Hub-Signature-256";
    check(&scheme, &[(name, &format!("sha256={mac}"))], "ok");
    check(&scheme, &[(name, &format!("sha256={}", mac.to_uppercase()))], "ok");
    check(&scheme, &[], "missing_signature");
    check(&scheme, &[(name, "")], "missing_signature");
    check(&scheme, &[(name, "sha256=")], "malformed_signature");
    check(&scheme, &[(name, &mac)], "malformed_signature");
    check(&scheme, &[(name, &format!("sha1={mac}"))], "malformed_signature");
    check(&scheme, &[(name, &format!("SHA256={mac}"))], "malformed_signature");
    check(&scheme, &[(name, &format!("sha256={}", cut(62)))], "malformed_signature");
    check(&scheme, &[(name, &format!("sha256={mac}00"))], "malformed_signature");
    check(&scheme, &[(name, &format!("sha256={}", cut(63)))], "malformed_signature");
    check(&scheme, &[(name, &format!("sha256={}zz", cut(62)))], "malformed_signature");
    check(&scheme, &[(name, "sha256=\u{e9}")], "malformed_signature");
    check(&scheme, &[(name, &format!("sha256={}", hex_hmac("", BODY)))], "wrong_signature");
    check(&scheme, &[("X-Hub-Signature", &format!("sha1={mac}"))], "missing_signature");
}

#[test]
fn stripe_takes_any_v1_and_never_v0() {
    let scheme = scheme(rules("stripe"), &[SECRET]);
    let t = NOW.as_secs();
    let mac = hex_hmac(SECRET, &[format!("{t}.").as_bytes(), BODY].concat());
    let wrong = "0".repeat(64);
    let name = "Stripe-Signature";
    let sent = |value: &str, expected| check(&scheme, &[(name, value)], expected);
    sent(&format!("t={t},v1={mac}"), "ok");
    sent(&format!("v1={mac}, t={t}"), "ok");
    sent(&format!("t={t},v1={wrong},v1={mac},v0=abc,later=1"), "ok");
    sent(&format!("t={t},v1=notyet,v1={mac}"), "ok");
    sent(&format!("t={t},v0={mac}"), "malformed_signature");
    sent(&format!("t={t},v1={wrong},v0={mac}"), "wrong_signature");
    sent(&format!("v1={mac}"), "malformed_signature");
    sent(&format!("t=,v1={mac}"), "malformed_signature");
    sent(&format!("t={t},t={t},v1={mac}"), "ambiguous_signature");
    sent(&format!("t={t},v1={mac}{}", format!(",v1={wrong}").repeat(8)), "malformed_signature");
    sent("t", "malformed_signature");
}

#[test]
fn standard_webhooks_takes_any_right_signature_of_a_known_version() {
    let scheme = scheme(rules("standard-webhooks"), &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let signed = sign(&scheme, "msg_1", NOW);
    let mac = &signed.iter().find(|(name, _)| name == "webhook-signature").unwrap().1;
    let t = NOW.as_secs().to_string();
    let sent = |id: &str, signature: &str, expected| {
        check(
            &scheme,
            &[("webhook-id", id), ("webhook-timestamp", &t), ("webhook-signature", signature)],
            expected,
        );
    };
    let zeros = "A".repeat(43);
    sent("msg_1", mac, "ok");
    sent("msg_1", &format!("v1,{zeros}= {mac}"), "ok");
    sent("msg_1", &format!("v2,whatever v1a,{zeros}= {mac}"), "ok");
    sent("msg_2", mac, "wrong_signature");
    sent("msg.1", mac, "malformed_signature");
    sent("msg 1", mac, "malformed_signature");
    sent("", mac, "missing_signature");
    sent("msg_1", "v1,", "malformed_signature");
    sent("msg_1", &mac.replace("v1,", "v2,"), "malformed_signature");
    sent("msg_1", &mac.replace("v1,", ""), "malformed_signature");
    sent("msg_1", &mac.replace('=', ""), "malformed_signature");
    sent("msg_1", &format!("v1a,{zeros}="), "malformed_signature");
    sent("msg_1", &format!("v1,{zeros}="), "wrong_signature");
}

#[test]
fn a_v1a_signature_counts_for_its_own_key_only() {
    let pair = "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA7aie8zrakLWKjqNAqbw1zZTIVdx3iQ6Y6wEihi1naKQ==";
    let public = "whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=";
    let signed = headers(&sign(&scheme(rules("standard-webhooks"), &[pair]), "msg_1", NOW));
    assert_eq!(judge(&scheme(rules("standard-webhooks"), &[public]), &signed, BODY, NOW), Ok(()));
    let hmac = scheme(rules("standard-webhooks"), &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    assert_eq!(judge(&hmac, &signed, BODY, NOW), Err(Refusal::WrongSignature));
}

#[test]
fn the_window_is_closed_on_both_sides_edges_included() {
    let scheme = scheme(rules("stripe"), &[SECRET]);
    let at = |offset: i64| {
        let signed = Timestamp::from_secs(NOW.as_secs().checked_add_signed(offset).unwrap());
        let lines = headers(&sign(&scheme, "", signed));
        judge(&scheme, &lines, BODY, NOW).map_err(|refusal| refusal.as_str())
    };
    assert_eq!([at(-300), at(300), at(0)], [Ok(()); 3]);
    assert_eq!(at(-301), Err("stale"));
    assert_eq!(at(301), Err("from_the_future"));
    assert_eq!(at(-1_699_999_999), Err("stale"));
}

#[test]
fn times_are_plain_digits() {
    let scheme = scheme(rules("slack"), &[SECRET]);
    let now = NOW.as_secs();
    for text in [
        "hello",
        "NaN",
        "Infinity",
        "-1700000000",
        "+1700000000",
        "1_700_000_000",
        "0x6553f100",
        "1.7e9",
        "1700000000.0",
        "2023-11-14T22:13:20Z",
        "\u{661}\u{667}\u{660}\u{660}",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        let mac = hex_hmac(SECRET, &[format!("v0:{text}:").as_bytes(), BODY].concat());
        let lines =
            [("X-Slack-Request-Timestamp", text), ("X-Slack-Signature", &format!("v0={mac}"))];
        check(&scheme, &lines, "malformed_signature");
    }
    for (text, expected) in [
        (format!("{now}000"), "from_the_future"),
        ("0".to_owned(), "stale"),
        (now.to_string(), "ok"),
    ] {
        let mac = hex_hmac(SECRET, &[format!("v0:{text}:").as_bytes(), BODY].concat());
        let lines =
            [("X-Slack-Request-Timestamp", &*text), ("X-Slack-Signature", &format!("v0={mac}"))];
        check(&scheme, &lines, expected);
    }
}

#[test]
fn secrets_rotate_by_overlap_and_end_on_time() {
    let (old, new) = ("0e5751c026e543b2e8ab2eb06099daa1", SECRET);
    let end = NOW.saturating_add(Duration::from_mins(1));
    let secrets = vec![
        (Secret::new(new.to_owned()), Validity { not_before: Some(NOW), not_after: None }),
        (Secret::new(old.to_owned()), Validity { not_before: None, not_after: Some(end) }),
    ];
    let both = Scheme::new(rules("github"), secrets).unwrap();
    let signed = |secret| headers(&sign(&scheme(rules("github"), &[secret]), "", NOW));
    let before = NOW.saturating_sub(Duration::from_secs(1));
    assert_eq!(judge(&both, &signed(old), BODY, NOW), Ok(()));
    assert_eq!(judge(&both, &signed(new), BODY, NOW), Ok(()));
    assert_eq!(judge(&both, &signed(old), BODY, end), Err(Refusal::WrongSignature));
    assert_eq!(judge(&both, &signed(new), BODY, end), Ok(()));
    assert_eq!(judge(&both, &signed(new), BODY, before), Err(Refusal::WrongSignature));
}

#[test]
fn a_scheme_that_proves_nothing_is_none() {
    let with = |change: fn(&mut SchemeRules)| {
        let mut rules = rules("stripe");
        change(&mut rules);
        rules.check()
    };
    assert_eq!(
        with(|rules| rules.content = "{timestamp}".parse().unwrap()),
        Err(BadScheme::BodyNotSigned)
    );
    assert_eq!(
        with(|rules| rules.content = "{body}".parse().unwrap()),
        Err(BadScheme::TimeNotSigned)
    );
    assert_eq!(with(|rules| rules.time = None), Err(BadScheme::TimeNotSigned));
    assert_eq!(with(|rules| rules.versions.clear()), Err(BadScheme::NoVersion));
    assert_eq!(
        with(|rules| rules.time.as_mut().unwrap().past = Duration::ZERO),
        Err(BadScheme::Tolerance)
    );
    assert_eq!(
        with(|rules| rules.id = Some(Names::one(HeaderName::from_static("x-id")))),
        Err(BadScheme::IdNotSigned)
    );
    assert_eq!(Scheme::new(rules("github"), Vec::new()).unwrap_err(), SchemeError::NoSecret);
}

#[test]
fn keys_of_the_wrong_kind_are_refused_with_what_they_should_be() {
    let refused = |rules: SchemeRules, secret: &str| {
        let secrets = vec![(Secret::new(secret.to_owned()), Validity::default())];
        match Scheme::new(rules, secrets).unwrap_err() {
            SchemeError::WeakSecret { reason, .. } => reason,
            other @ (SchemeError::Rules(_)
            | SchemeError::NoSecret
            | SchemeError::NeedlessSecret
            | SchemeError::CannotSign) => {
                panic!("{other:?}")
            }
        }
    };
    let reason = refused(rules("standard-webhooks"), "whsec_this*is*not*base64*at*all!");
    assert!(matches!(reason, WeakSecret::Encoding { .. }), "{reason:?}");
    let reason = refused(rules("standard-webhooks"), "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert!(matches!(reason, WeakSecret::Encoding { .. }), "{reason:?}");
    assert_eq!(
        refused(rules("standard-webhooks"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZI"),
        WeakSecret::Short { bytes: 18 }
    );
}

#[test]
fn a_public_key_cannot_sign() {
    let check = |secret: &str, can_sign: bool| {
        let secrets = vec![(Secret::new(secret.to_owned()), Validity::default())];
        let scheme = Scheme::new(rules("standard-webhooks"), secrets).unwrap();
        assert_eq!(scheme.can_sign(), can_sign);
        let sample = Sample { id: "msg_1", at: NOW, body: b"{}" };
        assert_eq!(scheme.sign(sample).is_some(), can_sign);
    };
    check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true);
    check("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", false);
    check(
        "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
        true,
    );
}
