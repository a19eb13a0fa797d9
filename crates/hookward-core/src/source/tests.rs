//! What the door lets in, and as what.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::{
    provider::Provider,
    scheme::{
        Sample,
        tests::{NOW, SECRET, rules as scheme_rules},
    },
};

fn secrets() -> Vec<(Secret, Validity)> {
    vec![(Secret::new(SECRET.to_owned()), Validity::default())]
}

fn rules(provider: &str) -> SourceRules {
    let name = SourceName::parse(provider).unwrap();
    let provider = Provider::named(provider).unwrap();
    let mut rules = SourceRules::of_provider(name, "/hooks", provider);
    rules.destination = Some(DestinationName::parse("app").unwrap());
    rules
}

fn source(rules: SourceRules) -> Source {
    Source::new(rules, secrets()).unwrap()
}

/// Sends a rightly signed body with further header lines.
fn send(
    source: &Source,
    body: impl Into<Bytes>,
    lines: &[(&'static str, &'static str)],
) -> Result<Event, Refusal> {
    let body = body.into();
    let mut headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]);
    for (name, value) in
        source.scheme().sign(Sample { id: "msg_1", at: NOW, body: &body }).unwrap().headers
    {
        headers.insert(name, value.parse().unwrap());
    }
    for (name, value) in lines {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let head = Head { method: &Method::POST, target: "/hooks", headers: &headers };
    source.admit(Request { head, body }, NOW)
}

#[track_caller]
fn check(source: &Source, body: impl Into<Bytes>, expected: Result<Intake, &str>) {
    let body = body.into();
    let outcome = send(source, body.clone(), &[]).map(|event| event.intake);
    assert_eq!(
        outcome.as_ref().map_err(Refusal::as_str),
        expected.as_ref().map_err(|it| *it),
        "{body:?}"
    );
}

const DELIVER: Result<Intake, &str> = Ok(Intake::Deliver);

const fn quarantined(why: Quarantine) -> Intake {
    Intake::Quarantine(why)
}

#[test]
fn a_good_webhook_is_an_event_with_all_that_is_known_of_it() {
    let body = r#"{"id":"evt_1","type":"invoice.paid"}"#;
    let event = send(&source(rules("hmac")), body, &[]).unwrap();
    assert_eq!(event.intake, Intake::Deliver);
    assert_eq!(event.event_type.as_deref(), Some("invoice.paid"));
    assert_eq!(event.sender_id.as_deref(), Some("evt_1"));
    assert_eq!(event.received_at, NOW);
    assert_eq!(event.body, body);
    assert_eq!(event.key_expires_at, None, "no time is signed, so the key is kept for ever");
    assert_eq!(event.headers, [("content-type".into(), b"application/json".as_slice().into())]);
}

#[test]
fn an_unsigned_id_decides_nothing() {
    let github = source(rules("github"));
    let sent = |delivery, event| {
        let lines = [("x-github-delivery", delivery), ("x-github-event", event)];
        send(&github, r#"{"action":"opened"}"#, &lines).unwrap()
    };
    let (first, replayed) = (sent("1", "issues"), sent("2", "push"));
    assert_eq!(first.key, replayed.key);
    assert_eq!(first.sender_id.as_deref(), Some("1"));
    assert_eq!(first.event_type.as_deref(), Some("issues"));

    let generic = source(rules("hmac"));
    let without_id = send(&generic, r#"{"type":"a"}"#, &[("x-event-id", "evt_victim")]).unwrap();
    let genuine = send(&generic, r#"{"id":"evt_victim"}"#, &[]).unwrap();
    assert_eq!(without_id.intake, Intake::Quarantine(Quarantine::MissingId));
    assert_ne!(without_id.key, genuine.key);
}

#[test]
fn a_signed_header_id_is_the_identity() {
    let mut rules = rules("standard-webhooks");
    rules.key_retention = None;
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let source = Source::new(rules, vec![(secret, Validity::default())]).unwrap();
    let event = send(&source, r#"{"type":"a"}"#, &[]).unwrap();
    assert_eq!(event.key, Identity::Text("msg_1").key(source.name()));
    assert_eq!(event.sender_id.as_deref(), Some("msg_1"));
}

#[test]
fn ids_are_typed_and_what_is_no_id_is_quarantined() {
    let source = source(rules("hmac"));
    let key = |body: &'static str| send(&source, body, &[]).unwrap().key;
    assert_ne!(key(r#"{"id":1}"#), key(r#"{"id":"1"}"#));
    assert_eq!(key(r#"{"id":1}"#), key(r#"{ "id" : 1 }"#));
    for body in [
        r#"{"id":0}"#,
        r#"{"id":"a\u0000b"}"#,
        r#"{"id":"__proto__"}"#,
        r#"{"id":18446744073709551615}"#,
    ] {
        check(&source, body, DELIVER);
    }
    for id in [
        "1.5",
        "1e3",
        "true",
        "false",
        "null",
        r#""""#,
        r#"["a"]"#,
        "{}",
        "123456789012345678901234567890",
    ] {
        check(&source, format!(r#"{{"id":{id}}}"#), Ok(quarantined(Quarantine::MissingId)));
    }
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(5000));
    let event = send(&source, long, &[]).unwrap();
    assert_eq!(event.sender_id.as_deref().map(str::len), Some(limits::LABEL_BYTES_MAX));
}

#[test]
fn what_is_not_strict_json_is_quarantined_or_rejected() {
    let lenient = source(rules("hmac"));
    let strict = source(SourceRules { malformed: Malformed::Reject, ..rules("hmac") });
    let bodies: [&[u8]; 16] = [
        b"",
        b"hello",
        b"[1]",
        b"\"x\"",
        b"null",
        b"1",
        b"{\"id\":1,\"id\":2}",
        b"{\"id\":1,\"\\u0069d\":2}",
        b"{\"id\":1,\"a\":NaN}",
        b"{\"id\":1,\"a\":1e400}",
        b"\xef\xbb\xbf{\"id\":1}",
        b"{\"id\":\"\xff\"}",
        b"{\"id\":\"\\ud800\"}",
        b"{} {}",
        b"{\"id\":1}/*",
        b"{\0\"\0i\0d\0\"\0:\x001\0}\0",
    ];
    for body in bodies {
        check(&lenient, body, Ok(quarantined(Quarantine::NotJson)));
        check(&strict, body, Err("rejected"));
    }
    check(
        &lenient,
        format!("{{\"id\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        Ok(quarantined(Quarantine::NotJson)),
    );
}

#[test]
fn the_head_is_enough_to_refuse_most() {
    let source = source(rules("hmac"));
    let refused = |lines: &[(&'static str, &'static str)]| {
        send(&source, "{\"id\":1}", lines).map(drop).unwrap_err().as_str()
    };
    assert_eq!(refused(&[("content-encoding", "gzip")]), "unsupported_encoding");
    assert_eq!(refused(&[("content-type", "text/plain")]), "unsupported_type");
    assert_eq!(refused(&[("content-type", "application/json, text/html")]), "unsupported_type");
    assert_eq!(refused(&[("content-type", "application/x+json")]), "unsupported_type");
    assert_eq!(refused(&[("content-type", "application/json; charset=utf-7")]), "unsupported_type");
    assert_eq!(
        refused(&[("content-type", "application/x-www-form-urlencoded")]),
        "unsupported_type"
    );
    assert_eq!(refused(&[("content-length", "1048577")]), "body_too_large");
    assert_eq!(refused(&[("content-length", "99999999999999999999999")]), "bad_framing");
    assert_eq!(refused(&[("content-length", "+5")]), "bad_framing");
    assert!(
        send(&source, "{\"id\":1}", &[("content-type", "Application/JSON; Charset=\"UTF-8\"")])
            .is_ok()
    );
    assert_eq!(source.takes(&Method::GET), Err(Refusal::MethodNotAllowed));
    let large = vec![b' '; limits::BODY_BYTES_DEFAULT + 1];
    assert_eq!(send(&source, large, &[]).map(drop).unwrap_err().as_str(), "body_too_large");
}

#[test]
fn types_values_and_schemas_decide_what_is_delivered() {
    let mut strict = rules("stripe");
    strict.types = Some(BTreeSet::from(["invoice.paid".into()]));
    strict.unknown_types = UnknownTypes::Quarantine;
    strict.expect = vec![(Pointer::parse("/livemode").unwrap(), Expected::Bool(true))];
    let schema = serde_json::json!({ "properties": { "amount": { "type": "integer" } } });
    let schema = Schema::compile(&schema, crate::schema::Additional::Tolerate).unwrap();
    strict.schemas.by_type.insert("invoice.paid".into(), schema.into());
    let body = |event_type: &str, live: bool, amount: &str| {
        format!(r#"{{"id":"evt_1","type":"{event_type}","livemode":{live},"amount":{amount}}}"#)
    };

    let source_of = |rules: &SourceRules| source(rules.clone());
    let quarantining = source_of(&strict);
    check(&quarantining, body("invoice.paid", true, "1"), DELIVER);
    check(
        &quarantining,
        body("invoice.paid", true, "\"1\""),
        Ok(quarantined(Quarantine::SchemaViolation)),
    );
    check(
        &quarantining,
        body("invoice.paid", false, "1"),
        Ok(quarantined(Quarantine::UnexpectedValue)),
    );
    check(&quarantining, body("other", true, "1"), Ok(quarantined(Quarantine::UnknownType)));

    strict.unknown_types = UnknownTypes::Refuse;
    strict.malformed = Malformed::Reject;
    let refusing = source_of(&strict);
    check(&refusing, body("other", true, "1"), Err("type_refused"));
    check(&refusing, body("invoice.paid", true, "\"1\""), Err("rejected"));
    strict.unknown_types = UnknownTypes::Deliver;
    check(&source_of(&strict), body("other", true, "1"), DELIVER);
}

#[test]
fn without_a_destination_events_are_archived() {
    check(
        &source(SourceRules { destination: None, ..rules("hmac") }),
        r#"{"id":1}"#,
        Ok(Intake::Archive),
    );
}

#[test]
fn slacks_challenge_is_answered_and_its_forms_are_told_apart_by_content() {
    let slack = source(rules("slack"));
    let challenge =
        send(&slack, r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#, &[]).unwrap_err();
    let Refusal::Handshake(challenge) = challenge else { panic!("{challenge}") };
    assert_eq!((challenge.status, &*challenge.body), (200, "3eZbrw1a"));
    assert_eq!(challenge.media_type, Some("text/plain; charset=utf-8"));
    let control =
        send(&slack, r#"{"type":"url_verification","challenge":"a\nb"}"#, &[]).unwrap_err();
    assert_eq!(control.as_str(), "handshake_refused");

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let sent = |body: &'static str| send(&slack, body, &form).unwrap();
    assert_eq!(sent("command=%2Fx&trigger_id=1").key, sent("command=%2Fx&trigger_id=1").key);
    assert_ne!(sent("command=%2Fx&trigger_id=1").key, sent("command=%2Fx&trigger_id=2").key);
    assert_eq!(sent("command=%2Fx").intake, Intake::Deliver);
}

#[test]
fn a_form_is_held_to_what_json_is_held_to() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let check = |rules: &SourceRules, body: &'static str, expected: Result<Intake, &str>| {
        let outcome = send(&source(rules.clone()), body, &form).map(|event| event.intake);
        assert_eq!(outcome.as_ref().map_err(Refusal::as_str), expected.as_ref().map_err(|it| *it));
    };
    let pointer = |text| Pointer::parse(text).unwrap();
    let command = "command=%2Fdeploy&team_id=T1&retry=0&is_enterprise_install=false";
    let slack = rules("slack");
    check(&slack, command, DELIVER);

    let mut expecting = slack.clone();
    expecting.expect = vec![
        (pointer("/team_id"), Expected::Text("T1".into())),
        (pointer("/retry"), Expected::Integer(0)),
        (pointer("/is_enterprise_install"), Expected::Bool(false)),
    ];
    check(&expecting, command, DELIVER);
    let unexpected = Ok(quarantined(Quarantine::UnexpectedValue));
    check(&expecting, "team_id=T1&retry=0&is_enterprise_install=true", unexpected);
    check(&expecting, "team_id=T1&team_id=T2&retry=0&is_enterprise_install=false", unexpected);
    check(&expecting, "command=x", unexpected);
    expecting.expect = vec![(pointer("/team/id"), Expected::Text("T1".into()))];
    check(&expecting, command, unexpected);

    let mut typed = slack.clone();
    typed.types = Some(BTreeSet::from(["/deploy".into()]));
    typed.unknown_types = UnknownTypes::Quarantine;
    check(&typed, command, Ok(quarantined(Quarantine::UnknownType)));
    typed.event_type = EventTypeRule::Body(pointer("/command"));
    check(&typed, command, DELIVER);
    check(&typed, "command=%2Fdrop", Ok(quarantined(Quarantine::UnknownType)));
    typed.unknown_types = UnknownTypes::Refuse;
    check(&typed, "command=%2Fdrop", Err("type_refused"));
    let event = send(&source(typed.clone()), command, &form).unwrap();
    assert_eq!(event.event_type.as_deref(), Some("/deploy"));

    let schema = Schema::compile(&serde_json::json!({}), crate::schema::Additional::Tolerate);
    let schema = Arc::new(schema.unwrap());
    typed.schemas.by_type.insert("/deploy".into(), Arc::clone(&schema));
    check(&typed, command, Ok(quarantined(Quarantine::SchemaViolation)));
    let mut checked = slack;
    checked.schemas.fallback = Some(schema);
    check(&checked, command, Ok(quarantined(Quarantine::SchemaViolation)));
    checked.malformed = Malformed::Reject;
    check(&checked, command, Err("rejected"));
}

#[test]
fn a_conflict_is_kept_under_a_key_of_its_own() {
    let source = source(rules("hmac"));
    let sent = |body: &'static str| send(&source, body, &[]).unwrap();
    let (first, second) = (sent(r#"{"id":1,"a":1}"#), sent(r#"{"id":1,"a":2}"#));
    assert_eq!(first.key, second.key);
    assert_ne!(first.content, second.content);
    let conflict = second.clone().into_conflict();
    assert_ne!(conflict.key, first.key);
    assert_eq!(
        conflict.key,
        sent(r#"{"id":1,"a":2}"#).into_conflict().key,
        "repeating it is a duplicate"
    );
    assert_eq!(conflict.intake, Intake::Quarantine(Quarantine::IdConflict));
}

#[test]
fn one_sources_signature_is_nothing_at_another() {
    let other = Secret::new("0e5751c026e543b2e8ab2eb06099daa1".to_owned());
    let theirs = Source::new(rules("hmac"), vec![(other, Validity::default())]).unwrap();
    let ours = source(rules("hmac"));
    let body = Bytes::from_static(b"{\"id\":1}");
    let mut headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]);
    for (name, value) in
        theirs.scheme().sign(Sample { id: "", at: NOW, body: &body }).unwrap().headers
    {
        headers.insert(name, value.parse().unwrap());
    }
    let head = Head { method: &Method::POST, target: "/hooks", headers: &headers };
    assert_eq!(ours.admit(Request { head, body }, NOW).unwrap_err(), Refusal::WrongSignature);
}

#[test]
fn names_are_plain() {
    for good in ["a", "stripe", "0-a_b", &"x".repeat(64)] {
        assert_eq!(SourceName::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "-a", "A", "a b", "a/b", "\u{e9}", &"x".repeat(65)] {
        assert_eq!(SourceName::parse(bad), Err(BadName), "{bad:?}");
    }
}

#[test]
fn forgetting_keys_too_early_is_said() {
    let week = Some(Duration::from_hours(7 * 24));
    let window = |provider, key_retention| {
        SourceRules { key_retention, ..rules(provider) }.replay_window().is_some()
    };
    assert!(!window("github", None) && window("github", week));
    assert!(!window("stripe", week) && window("stripe", Some(Duration::from_mins(9))));
    assert!(
        SourceRules::with_defaults(SourceName::parse("a").unwrap(), "/a", scheme_rules("hmac"))
            .key_retention
            .is_none()
    );
}

#[test]
fn keys_outlast_a_token_that_says_itself_until_when_it_counts() {
    let rules = rules("livekit");
    let kept = rules.key_retention.unwrap();
    assert!(kept > limits::BODY_RETENTION_DEFAULT + limits::JWT_LIFETIME_MAX, "{kept:?}");
    let short = SourceRules { key_retention: Some(limits::JWT_LIFETIME_MAX), ..rules };
    assert!(short.replay_window().is_some());
}

/// 32 bytes, also an Ed25519 public key.
const HEX: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf2rnMvUlkaPf7zgI9d8IdTUMVwQsPGZEW6rzeRHwJd4zq4CnMc2MhuXgGZ4Nl8mkJmKKz7dUKxHbdAWwqKSQVA==";

proptest! {
    #[test]
    fn no_bytes_bring_the_door_down(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        lines in proptest::collection::vec((0..8_usize, proptest::collection::vec(1..=255_u8, 0..80)), 0..6),
        provider in 0..crate::provider::PROVIDERS.len(),
    ) {
        let names = [
            "x-signature", "webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature",
            "x-hub-signature-256", "authorization", "paypal-cert-url",
        ];
        let mut rules = rules(crate::provider::PROVIDERS[provider].name);
        rules.scheme.settings.url = Some("https://hooks.test/a".into());
        for wanted in rules.scheme.code.as_ref().map_or(&[][..], |code| code.wants()).iter().filter(|it| it.required) {
            let value = match wanted.name {
                "topics" => "arn:aws:sns:eu-central-1:123456789012:orders",
                "domain" => "sample.kinde.com",
                _ => "a",
            };
            rules.scheme.settings.options.insert(wanted.name.into(), vec![value.into()]);
        }
        let secrets = ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", HEX, P256].map(|secret| {
            vec![(Secret::new(secret.to_owned()), Validity::default())]
        });
        let source = secrets.into_iter().chain([Vec::new()]).find_map(|secrets| Source::new(rules.clone(), secrets).ok());
        prop_assume!(source.is_some());
        let source = source.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(names[name], value);
            }
        }
        let head = Head { method: &Method::POST, target: "/hooks", headers: &headers };
        let refused = source.admit(Request { head, body: body.into() }, NOW);
        prop_assert!(refused.is_err(), "nobody signs by chance");
    }

    #[test]
    fn no_signed_body_brings_the_door_down(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let event = send(&source(rules("hmac")), body.clone(), &[]).unwrap();
        prop_assert_eq!(&event.body, &body);
    }
}
