//! What is admitted: acknowledged once durable, stored once, delivered byte for byte.

use hookward_core::{Intake, provider::PROVIDERS};
use hookward_store::{DeadReason, State};

use crate::{
    wire::Wire,
    world::{Setup, World},
};

const ACCEPTED: &str = r#"{"status":"accepted"}"#;

#[tokio::test]
async fn a_valid_webhook_is_acknowledged_stored_and_delivered_byte_for_byte() {
    let world = World::new().await;
    let body = "{ \"type\" : \"order.paid\",\r\n\t\"amount\": 1.50, \"note\": \"\u{e9}\\u00e9 \u{1f9fe}\" }\n";
    let letter = world
        .letter("orders", "msg_1", body)
        .with("content-type", "application/json; charset=UTF-8")
        .and("x-request-id", "req 7")
        .and("x-other", "left out")
        .and("authorization", "Basic bGVmdCBvdXQ=")
        .and("hookward-source", "somebody else");

    let answer = world.sends(&letter).await;
    assert_eq!((answer.status, answer.text()), (200, ACCEPTED));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let deliveries = world.delivers(1).await;
    let delivery = &deliveries[0];
    assert_eq!(delivery.text(), body);
    assert_eq!(delivery.verified, Ok(()));
    assert_eq!(delivery.path, "/webhooks?tenant=7");

    let kept = world.stored_one().await;
    let key = kept.event.key.to_string();
    for (name, value) in [
        ("content-type", "application/json; charset=UTF-8"),
        ("x-request-id", "req 7"),
        ("webhook-id", &format!("hw_{key}")),
        ("hookward-source", "orders"),
        ("hookward-event-type", "order.paid"),
        ("hookward-event-id", "msg_1"),
        ("hookward-event-key", &key),
        ("hookward-received-at", &kept.event.received_at.to_string()),
        ("hookward-attempt", "1"),
        ("x-other", ""),
        ("authorization", ""),
    ] {
        assert_eq!(delivery.header(name), value, "{name}");
    }
    assert_eq!((kept.state, kept.attempts), (State::Done, 1));
    assert_eq!(&kept.event.body[..], body.as_bytes());
    assert_eq!(kept.event.intake, Intake::Deliver);
    assert!((world.counted("orders", "accepted").await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_body_in_chunks_arrives_whole() {
    let world = World::new().await;
    assert_eq!(world.sends(&world.order(1).in_chunks(3)).await.status, 200);
    let deliveries = world.delivers(1).await;
    assert_eq!(deliveries[0].text(), r#"{"type":"order.paid","order":1}"#);
    assert_eq!(deliveries[0].verified, Ok(()));
}

#[tokio::test]
async fn each_known_provider_is_taken_as_it_signs() {
    let mut setup = Setup::default();
    // Those that are code have to be told something, or sign with keys that are not here.
    let described = || PROVIDERS.iter().filter(|provider| provider.scheme.code.is_none());
    for (number, provider) in described().enumerate() {
        let name = provider.name;
        let secret = match name {
            "standard-webhooks" | "svix" => {
                format!("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH{number}8=")
            }
            _ => format!("{number}c27e0d84a6f93b2c7d1806e4fa25f1b9c27e0d84a6f"),
        };
        setup = setup.with(&format!(
            "[sources.from-{name}]\nprovider = \"{name}\"\nsecret = \"{secret}\"\ndestination = \"app\"\n"
        ));
    }
    let world = setup.begins().await;
    let body =
        r#"{"id":"evt_1","type":"invoice.paid","event_id":"Ev1","event":{"type":"message"}}"#;
    for (before, provider) in described().enumerate() {
        let letter = world.letter(&format!("from-{}", provider.name), "msg_1", body);
        for _ in 0..2 {
            let answer = world.sends(&letter).await;
            assert_eq!((answer.status, answer.text()), (200, ACCEPTED), "{}", provider.name);
        }
        let forged = world.sends(&letter.saying(body.replace("paid", "free"))).await;
        assert_eq!(forged.status, 403, "{}", provider.name);
        assert_eq!(world.delivers(before + 1).await[before].verified, Ok(()));
    }
    assert_eq!(world.stored().await.len(), described().count());
}

#[tokio::test]
async fn a_source_may_ask_for_another_2xx() {
    let more = |name, status| {
        format!(
            "[sources.{name}]\nprovider = \"hmac\"\nsecret = \"{name}8a6f93b2c7d1806e4fa25f1b9c2\"\nanswer = {status}\n"
        )
    };
    let setup = Setup::default().with(&more("later", 202)).with(&more("nothing", 204));
    let world = setup.begins().await;
    let later = world.sends(&world.letter("later", "", r#"{"id":1}"#)).await;
    assert_eq!((later.status, later.text()), (202, ACCEPTED));
    let nothing = world.sends(&world.letter("nothing", "", r#"{"id":1}"#)).await;
    assert_eq!((nothing.status, nothing.text()), (204, ""));
    assert_eq!(world.states().await, ["archived", "archived"]);
}

#[tokio::test]
async fn a_repeated_webhook_gets_the_same_bytes_and_is_delivered_once() {
    let world = World::new().await;
    let letter = world.order(1);
    let first = world.sends(&letter).await;
    world.delivers(1).await;
    let second = world.sends(&letter).await;
    assert_eq!(first.but_date(), second.but_date());

    // Its sender signs a retry anew: another time, the same id.
    let past = world.clock.now().saturating_sub(std::time::Duration::from_mins(1));
    let retry = world.letter_of(past, "orders", "msg_1", letter.body.clone());
    assert_ne!(retry.header("webhook-signature"), letter.header("webhook-signature"));
    assert_eq!(world.sends(&retry).await.status, 200);

    world.takes_orders([2]).await;
    let deliveries = world.delivers(2).await;
    assert_eq!(deliveries[1].header("hookward-event-id"), "msg_2");
    assert_eq!(world.states().await, ["done", "done"]);
    assert!((world.counted("orders", "duplicate").await - 2.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_duplicate_is_told_apart_only_where_its_source_wants_it() {
    let setup = Setup::default().but_source("plain", |rules| rules.tell_duplicates = true);
    let world = setup.begins().await;
    for (letter, told) in
        [(world.order(1), None), (world.letter("plain", "", r#"{"id":1}"#), Some("1"))]
    {
        let first = world.sends(&letter).await;
        assert_eq!(first.header("hookward-duplicate"), None);
        let second = world.sends(&letter).await;
        assert_eq!(second.header("hookward-duplicate"), told);
        assert_eq!((first.status, first.body), (second.status, second.body));
    }
    world.delivers(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_copies_at_once_one_is_kept_and_all_are_answered_alike() {
    let world = World::new().await;
    let letter = world.order(1);
    let mut wires = Vec::new();
    for _ in 0..64 {
        let mut wire = Wire::to(world.address()).await;
        wire.write(letter.head()).await;
        wires.push(wire);
    }
    let mut answers = tokio::task::JoinSet::new();
    for mut wire in wires {
        let body = letter.body.clone();
        answers.spawn(async move {
            wire.write(body).await;
            wire.answer().await.but_date()
        });
    }
    let answers = answers.join_all().await;
    assert_eq!((answers[0].status, answers[0].text()), (200, ACCEPTED));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    world.delivers(1).await;
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn an_unsigned_id_decides_nothing() {
    let github = "[sources.github]\nprovider = \"github\"\nsecret = \"c27e0d84a6f93b2c7d1806e4fa25f1b9\"\ndestination = \"app\"\n";
    let world = Setup::default().with(github).begins().await;

    // Replayed under other ids, and without one.
    let letter = world.letter("github", "", r#"{"zen":"Half measures are as bad as nothing."}"#);
    for id in ["1b2f", "7cc4"] {
        let answer = world.sends(&letter.clone().and("x-github-delivery", id)).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.sends(&letter).await.status, 200);
    let plain = world.letter("plain", "", r#"{"id":"evt_1"}"#);
    for id in ["evt_1", "evt_2"] {
        assert_eq!(world.sends(&plain.clone().and("x-event-id", id)).await.status, 200);
    }

    // Whoever claims a genuine id first claims nothing.
    let claiming = world.letter("plain", "", r#"{"id":"evt_mine"}"#).and("x-event-id", "evt_yours");
    assert_eq!(world.sends(&claiming).await.status, 200);
    let genuine = world.letter("plain", "", r#"{"id":"evt_yours"}"#);
    assert_eq!(world.sends(&genuine).await.status, 200);

    let deliveries = world.delivers(4).await;
    assert_eq!(deliveries[0].header("hookward-event-id"), "1b2f");
    assert_eq!(world.states().await, ["done"; 4]);
}

#[tokio::test]
async fn one_id_at_two_sources_is_two_events_and_neither_takes_the_other_ones() {
    let other = "[sources.other]\nprovider = \"hmac\"\nsecret = \"0d84a6f93b2c7d1806e4fa25f1b9c27e\"\ndestination = \"app\"\n";
    let world = Setup::default().with(other).begins().await;
    let plain = world.letter("plain", "", r#"{"id":"evt_1"}"#);
    assert_eq!(world.sends(&plain).await.status, 200);
    assert_eq!(world.sends(&plain.at("/hooks/other")).await.status, 403);
    let other = world.letter("other", "", r#"{"id":"evt_1"}"#);
    assert_eq!(world.sends(&other).await.status, 200);
    world.delivers(2).await;
}

#[tokio::test]
async fn the_same_id_with_other_content_is_kept_for_a_person() {
    let world = World::new().await;
    let first = world.letter("orders", "msg_1", r#"{"type":"order.paid","amount":1}"#);
    let other = world.letter("orders", "msg_1", r#"{"type":"order.paid","amount":2}"#);
    let answers = [
        world.sends(&first).await.but_date(),
        world.sends(&other).await.but_date(),
        world.sends(&other).await.but_date(),
    ];
    assert_eq!((answers[0].status, answers[0].text()), (200, ACCEPTED));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    world.delivers(1).await;
    assert_eq!(world.states().await, ["done", "dead Quarantined(IdConflict)"]);
    assert_eq!(&world.stored().await[1].event.body[..], br#"{"type":"order.paid","amount":2}"#);
    assert!(world.counted("orders", "conflict").await >= 1.0);
}

#[tokio::test]
async fn what_is_verified_and_malformed_becomes_a_dead_letter() {
    let world = World::new().await;
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"id":{}}}"#, "9".repeat(5_000));
    let utf16: Vec<u8> = "{\"id\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies: [(&[u8], &str); 25] = [
        (b"hello", "NotJson"),
        (b"", "NotJson"),
        (b"[1]", "NotJson"),
        (b"\"x\"", "NotJson"),
        (b"null", "NotJson"),
        (br#"{"id":"d1","id":"d2"}"#, "NotJson"),
        (br#"{"id":1,"\u0069d":2}"#, "NotJson"),
        (br#"{"id":"n","amount":NaN}"#, "NotJson"),
        (br#"{"id":"i","amount":-Infinity}"#, "NotJson"),
        (deep.as_bytes(), "NotJson"),
        (b"{\"id\":\"\xff\"}", "NotJson"),
        (b"\xef\xbb\xbf{\"id\":\"bom\"}", "NotJson"),
        (&utf16, "NotJson"),
        (br#"{"id":"t"} {}"#, "NotJson"),
        (br#"{"id":"c"/**/}"#, "NotJson"),
        (b"{'id':'q'}", "NotJson"),
        (br#"{"id":"\ud800"}"#, "NotJson"),
        (br#"{"type":"x"}"#, "MissingId"),
        (br#"{"id":null}"#, "MissingId"),
        (br#"{"id":true}"#, "MissingId"),
        (br#"{"id":["a"]}"#, "MissingId"),
        (br#"{"id":""}"#, "MissingId"),
        (br#"{"id":1.5}"#, "MissingId"),
        (br#"{"id":1e400}"#, "NotJson"),
        (long.as_bytes(), "NotJson"),
    ];
    for (sent, (body, reason)) in bodies.iter().enumerate() {
        let letter = world.letter("plain", "", *body).and("x-event-id", "not an id");
        for _ in 0..2 {
            let answer = world.sends(&letter).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
            assert_eq!((answer.status, answer.text()), (200, ACCEPTED), "{shown}");
            let stored = world.stored().await;
            assert_eq!(stored.len(), sent + 1, "{shown}");
            let Some(DeadReason::Quarantined(why)) = stored[sent].dead else {
                panic!("{shown} is not dead: {:?}", stored[sent])
            };
            assert_eq!(format!("{why:?}"), *reason, "{shown}");
            assert_eq!(&stored[sent].event.body[..], *body);
        }
    }
    world.takes_orders([1]).await;
    world.delivers(1).await;
}

#[tokio::test]
async fn ids_are_typed_and_of_any_length() {
    let world = World::new().await;
    let long = "i".repeat(5_000);
    let bodies = [
        r#"{"id":1}"#.to_owned(),
        r#"{"id":"1"}"#.to_owned(),
        r#"{"id":0}"#.to_owned(),
        format!(r#"{{"id":"{long}a"}}"#),
        format!(r#"{{"id":"{long}b"}}"#),
        r#"{"id":"a\u0000b"}"#.to_owned(),
        "{\"id\":\"\u{e9}\"}".to_owned(),
        "{\"id\":\"e\u{301}\"}".to_owned(),
        r#"{"id":"E1"}"#.to_owned(),
        r#"{"id":" E1"}"#.to_owned(),
        r#"{"id":"webhook#1"}"#.to_owned(),
        r#"{"id":"__proto__"}"#.to_owned(),
    ];
    for body in &bodies {
        assert_eq!(world.sends(&world.letter("plain", "", body.as_str())).await.status, 200);
    }
    let delivered: Vec<_> =
        world.delivers(bodies.len()).await.iter().map(|it| it.text().to_owned()).collect();
    assert!(bodies.iter().all(|body| delivered.contains(body)));
}

#[tokio::test]
async fn a_source_that_rejects_says_so_and_stores_nothing() {
    let setup = Setup::default().delivering_nowhere();
    let rejecting = |rules: &mut hookward_core::source::SourceRules| {
        rules.malformed = hookward_core::source::Malformed::Reject;
    };
    let world = setup.but_source("plain", rejecting).begins().await;
    let broken = world.sends(&world.letter("plain", "", "hello")).await;
    assert_eq!((broken.status, &*broken.code()), (400, "malformed"));
    let without_id = world.sends(&world.letter("plain", "", "{}")).await;
    assert_eq!((without_id.status, &*without_id.code()), (422, "missing_id"));
    assert_eq!(world.calls(), 0);
    assert!((world.counted("plain", "rejected").await - 2.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_is_not_as_configured_becomes_a_dead_letter_with_its_reason() {
    let choosy = r#"
[sources.choosy]
provider = "hmac"
secret = "84a6f93b2c7d1806e4fa25f1b9c27e0d"
destination = "app"
types = ["order.paid"]
expect = { "/livemode" = true }
[sources.refusing]
provider = "hmac"
secret = "a6f93b2c7d1806e4fa25f1b9c27e0d84"
types = ["order.paid"]
unknown_types = "refuse"
"#;
    let world = Setup::default().with(choosy).begins().await;
    for body in [
        r#"{"id":1,"type":"order.paid","livemode":false}"#,
        r#"{"id":2,"type":"order.paid","livemode":"true"}"#,
        r#"{"id":3,"type":"order.sold","livemode":true}"#,
        r#"{"id":4,"livemode":true}"#,
        r#"{"id":5,"type":"order.paid","livemode":true}"#,
    ] {
        assert_eq!(world.sends(&world.letter("choosy", "", body)).await.status, 200, "{body}");
    }
    let refused = world.sends(&world.letter("refusing", "", r#"{"id":1,"type":"x"}"#)).await;
    assert_eq!((refused.status, &*refused.code()), (422, "unknown_type"));
    let delivered = world.delivers(1).await;
    assert!(delivered[0].text().contains("\"id\":5"));
    let reasons = ["UnexpectedValue", "UnexpectedValue", "UnknownType", "UnknownType"];
    let mut expected = reasons.map(|why| format!("dead Quarantined({why})")).to_vec();
    expected.push("done".to_owned());
    assert_eq!(world.states().await, expected);
}

#[tokio::test]
async fn a_schema_is_held_to() {
    use hookward_core::schema::{Additional, Schema};
    let schema = serde_json::json!({
        "type": "object", "required": ["amount"], "properties": { "amount": { "type": "integer", "minimum": 1 } },
    });
    let schema = std::sync::Arc::new(Schema::compile(&schema, Additional::Tolerate).unwrap());
    let other = std::sync::Arc::clone(&schema);
    let setup = Setup::default().but_source("plain", |rules| rules.schemas.fallback = Some(schema));
    let rejecting = move |rules: &mut hookward_core::source::SourceRules| {
        rules.schemas.fallback = Some(other);
        rules.malformed = hookward_core::source::Malformed::Reject;
    };
    let world = setup.but_source("orders", rejecting).begins().await;
    for body in [r#"{"id":1,"amount":1}"#, r#"{"id":2,"amount":0}"#, r#"{"id":3}"#] {
        assert_eq!(world.sends(&world.letter("plain", "", body)).await.status, 200);
    }
    let refused = world.sends(&world.letter("orders", "msg_1", r#"{"amount":0}"#)).await;
    assert_eq!((refused.status, &*refused.code()), (422, "schema_violation"));
    world.delivers(1).await;
    let violated = "dead Quarantined(SchemaViolation)";
    assert_eq!(world.states().await, ["done", violated, violated]);
}

#[tokio::test]
async fn a_challenge_is_answered_to_who_can_sign_and_never_stored() {
    let slack = "[sources.slack]\nprovider = \"slack\"\nsecret = \"f93b2c7d1806e4fa25f1b9c27e0d84a6\"\ndestination = \"app\"\n";
    let world = Setup::default().with(slack).delivering_nowhere().begins().await;
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let letter = world.letter("slack", "", body);
    let answer = world.sends(&letter).await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    );
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let forged =
        world.sends(&letter.with("x-slack-signature", format!("v0={}", "0".repeat(64)))).await;
    assert_eq!(forged.status, 403);
    assert_eq!(world.calls(), 0);
    // What is no token is not echoed.
    let script = r#"{"type":"url_verification","challenge":"<script>alert(1)</script> "}"#;
    let refused = world.sends(&world.letter("slack", "", script)).await;
    assert_eq!((refused.status, &*refused.code()), (400, "malformed"));
    assert!(!refused.text().contains("script"));
}

#[tokio::test]
async fn a_form_is_taken_where_its_sender_sends_forms() {
    let slack = "[sources.slack]\nprovider = \"slack\"\nsecret = \"f93b2c7d1806e4fa25f1b9c27e0d84a6\"\ndestination = \"app\"\n";
    let world = Setup::default().with(slack).begins().await;
    let form = "application/x-www-form-urlencoded";
    let body = "command=%2Fweather&text=94070&trigger_id=13345224609.738474920";
    let command = world.letter("slack", "", body).with("content-type", form);
    assert_eq!(world.sends(&command).await.status, 200);
    let plain = world.letter("plain", "", "id=1").with("content-type", form);
    assert_eq!(world.sends(&plain).await.status, 415);
    let deliveries = world.delivers(1).await;
    assert_eq!((deliveries[0].header("content-type"), deliveries[0].text()), (form, body));
    assert_eq!(deliveries[0].verified, Err(hookward_core::Refusal::UnsupportedType));
}

#[tokio::test]
async fn without_a_destination_an_event_is_kept_and_goes_nowhere() {
    let world = Setup::default().delivering_nowhere().begins().await;
    world.takes_orders([1]).await;
    assert_eq!(world.states().await, ["archived"]);
    assert_eq!(world.store.calls(hookward_store::fault::Op::Lease), 0);
}
