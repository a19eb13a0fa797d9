//! The operator's side: who is let in, what is shown, replay and drop.

use std::time::Duration;

use hookward_store::fault::{Fault, Op};

use crate::{
    application::Reply,
    wire::Letter,
    world::{ADMIN_TOKEN, Setup, World, log},
};

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let world = World::new().await;
    world.takes_orders([1]).await;
    world.delivers(1).await;
    let key = world.stored_one().await.event.key.to_string();
    for (method, target) in [
        ("GET", "/metrics".to_owned()),
        ("GET", "/v1/status".to_owned()),
        ("GET", "/v1/events".to_owned()),
        ("GET", format!("/v1/events/{key}")),
        ("GET", format!("/v1/events/{key}?body=true")),
        ("POST", format!("/v1/events/{key}/replay")),
        ("POST", format!("/v1/events/{key}/drop")),
    ] {
        let bare = Letter::to(&target, "").by(method);
        for letter in [
            bare.clone(),
            bare.clone().and("authorization", ""),
            bare.clone().and("authorization", "Bearer"),
            bare.clone().and("authorization", "Bearer "),
            bare.clone().and("authorization", "Bearer 0123456789abcdef"),
            bare.clone().and("authorization", format!("Basic {ADMIN_TOKEN}")),
            bare.clone().and("authorization", format!("Bearer {ADMIN_TOKEN}x")),
            bare.clone().and("authorization", format!("Bearer {}", ADMIN_TOKEN.to_uppercase())),
            bare.clone().at(&format!("{target}?access_token={ADMIN_TOKEN}")),
        ] {
            let answer = world.operator_sends(&letter).await;
            assert_eq!((answer.status, &*answer.code()), (401, "unauthorized"), "{letter:?}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    assert_eq!(world.store.calls(Op::Requeue) + world.store.calls(Op::Discard), 0);
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn the_age_of_what_waits_is_told() {
    const AGE: &str = "hookward_oldest_pending_age_seconds";
    let (setup, clock) = Setup::default().at_standstill();
    let world = setup.begins().await;
    assert_eq!(world.metric(AGE).await, Some(0.0));
    world.app.answers([Reply::With(503, "retry-after", "3600".to_owned())]);
    world.takes_orders([1]).await;
    world.settles(1).await;
    clock.advance(Duration::from_secs(90));
    // A younger one that is delivered at once changes nothing.
    world.takes_orders([2]).await;
    world.delivers(2).await;
    assert_eq!(world.metric(AGE).await, Some(90.0));
    assert_eq!(world.metric(r#"hookward_events{state="pending"}"#).await, Some(1.0));
    clock.advance(Duration::from_hours(1));
    world.delivers(3).await;
    assert_eq!(world.metric(AGE).await, Some(0.0));
}

#[tokio::test]
async fn health_is_told_to_whoever_asks() {
    let world = World::new().await;
    for target in ["/healthz", "/readyz"] {
        let answer = world.operator_sends(&Letter::to(target, "").by("GET")).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    world.store.always(Op::Health, Fault::Unavailable);
    let ready = world.operator_sends(&Letter::to("/readyz", "").by("GET")).await;
    assert_eq!((ready.status, ready.text()), (503, "the store does not work\n"));
    let alive = world.operator_sends(&Letter::to("/healthz", "").by("GET")).await;
    assert_eq!(alive.status, 200);
    world.store.heal(Op::Health);
    let ready = world.operator_sends(&Letter::to("/readyz", "").by("GET")).await;
    assert_eq!(ready.status, 200);
    let elsewhere = world.operator("GET", "/hooks/orders").await;
    assert_eq!((elsewhere.status, &*elsewhere.code()), (404, "not_found"));
}

#[tokio::test]
async fn the_admin_api_is_not_where_webhooks_are_taken() {
    let world = World::new().await;
    for target in ["/metrics", "/healthz", "/readyz", "/v1/events", "/v1/status"] {
        let letter = Letter::to(target, "").by("GET");
        let letter = letter.and("authorization", format!("Bearer {ADMIN_TOKEN}"));
        assert_eq!(world.sends(&letter).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn metrics_count_by_source_and_outcome() {
    let world = World::new().await;
    world.takes_orders([1, 2, 2]).await;
    world.sends(&world.order(3).saying("{}")).await;
    world.sends(&world.order(4).without("webhook-signature")).await;
    world.sends(&world.letter("plain", "", "hello")).await;
    world.sends(&world.order(5).at("/nowhere")).await;
    world.delivers(2).await;
    for (source, outcome, count) in [
        ("orders", "accepted", 2.0),
        ("orders", "duplicate", 1.0),
        ("orders", "wrong_signature", 1.0),
        ("orders", "missing_signature", 1.0),
        ("plain", "not_json", 1.0),
        ("plain", "accepted", 0.0),
        ("", "unknown_source", 1.0),
    ] {
        let counted = world.counted(source, outcome).await;
        assert!((counted - count).abs() < f64::EPSILON, "{source} {outcome}: {counted}");
    }
    for (name, value) in [
        (r#"hookward_events{state="dead"}"#, 1.0),
        (r#"hookward_events{state="finished"}"#, 2.0),
        (r#"hookward_events{state="pending"}"#, 0.0),
        (r#"hookward_request_duration_seconds_count{source="orders"}"#, 5.0),
        (r#"hookward_deliveries_total{destination="app",outcome="delivered"}"#, 2.0),
    ] {
        assert_eq!(world.metric(name).await, Some(value), "{name}");
    }
    let metrics = world.operator("GET", "/metrics").await;
    assert!(metrics.text().ends_with("# EOF\n"));
    assert!(!metrics.text().contains("nowhere"), "a label from a request");

    // A store that does not answer takes only its own metrics with it.
    world.store.always(Op::Counts, Fault::Unavailable);
    assert!((world.counted("orders", "accepted").await - 2.0).abs() < f64::EPSILON);
    assert_eq!(world.operator("GET", "/v1/status").await.status, 503);
}

#[tokio::test]
async fn events_are_listed_and_shown_with_their_bodies_only_when_asked_for() {
    let world = World::new().await;
    for number in 1..=5 {
        world.takes_orders([number]).await;
        world.delivers(number).await;
    }
    world.sends(&world.letter("plain", "", "hello")).await;

    let page = world.operator("GET", "/v1/events?limit=4").await.json();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap();
        events.iter().map(|it| it["sender_id"].as_str().unwrap_or("-").to_owned()).collect()
    };
    assert_eq!(ids(&page), ["-", "msg_5", "msg_4", "msg_3"]);
    let next = world.operator("GET", &format!("/v1/events?limit=4&cursor={}", page["next"])).await;
    assert_eq!(ids(&next.json()), ["msg_2", "msg_1"]);
    assert!(next.json()["next"].is_null());
    assert!(!next.text().contains("order.paid\\\""));
    let dead = world.operator("GET", "/v1/events?state=dead&source=plain").await.json();
    assert_eq!(dead["events"][0]["dead_reason"], "not_json");
    let future = world.operator("GET", "/v1/events?since=2200-01-01T00:00:00Z").await.json();
    assert_eq!(ids(&future), Vec::<String>::new());

    let key = world.stored().await[0].event.key;
    let shown = world.operator("GET", &format!("/v1/events/{key}")).await;
    assert_eq!(shown.json()["state"], "done");
    assert_eq!(shown.json()["history"][0]["status"], 200);
    assert_eq!(shown.json()["body"], serde_json::Value::Null);
    assert!(!shown.text().contains(r#"\"order\":1"#));
    let shown = world.operator("GET", &format!("/v1/events/{key}?body=true")).await;
    assert_eq!(shown.json()["body"], r#"{"type":"order.paid","order":1}"#);

    for (target, status) in [
        ("/v1/events?state=lost", 400),
        ("/v1/events?source=NO", 400),
        ("/v1/events?since=yesterday", 400),
        ("/v1/events?limit=many", 400),
        ("/v1/events?lmit=1", 400),
        ("/v1/events/abc", 400),
        ("/v1/events/00000000000000000000000000000000", 404),
    ] {
        let answer = world.operator("GET", target).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn a_replay_is_a_delivery_of_its_own() {
    let world = Setup::default().but_app(|app| app.retry.attempts_max = 1).begins().await;
    world.app.answers([Reply::Status(500)]);
    world.takes_orders([1]).await;
    world.delivers(1).await;
    assert_eq!(world.states().await, ["dead Undeliverable"]);
    let key = world.stored_one().await.event.key;

    for replay in 1..=2 {
        let answer = world.operator("POST", &format!("/v1/events/{key}/replay")).await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("queued")));
        let deliveries = world.delivers(replay + 1).await;
        let again = &deliveries[replay];
        assert_eq!(again.header("webhook-id"), format!("hw_{key}_{replay}"));
        assert_eq!(again.header("hookward-event-key"), key.to_string());
        assert_eq!(again.header("hookward-attempt"), "1");
        assert_eq!(again.body, deliveries[0].body);
        assert_eq!(again.verified, Ok(()));
    }
    let kept = world.stored_one().await;
    assert_eq!((kept.replays, world.states().await), (2, vec!["done".to_owned()]));
    assert_eq!(world.metric("hookward_replays_total").await, Some(2.0));
    assert!(log().contains("operator replayed an event"));
    // The sender's own repeat stays a duplicate.
    world.takes_orders([1]).await;
    world.delivers(3).await;

    let unknown = world.operator("POST", &format!("/v1/events/{}/replay", "0".repeat(32))).await;
    assert_eq!(unknown.status, 404);
    let by_get = world.operator("GET", &format!("/v1/events/{key}/replay")).await;
    assert_eq!(by_get.status, 405);
}

#[tokio::test]
async fn a_quarantined_event_can_be_delivered_by_decision() {
    let world = World::new().await;
    world.sends(&world.letter("plain", "", "hello")).await;
    let key = world.stored_one().await.event.key;
    assert_eq!(world.operator("POST", &format!("/v1/events/{key}/replay")).await.status, 200);
    assert_eq!(world.delivers(1).await[0].text(), "hello");
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn a_dropped_dead_letter_stays_known() {
    let world = World::new().await;
    world.app.answers([Reply::Status(410)]);
    world.takes_orders([1]).await;
    world.delivers(1).await;
    let key = world.stored_one().await.event.key;
    let drop = format!("/v1/events/{key}/drop");
    assert_eq!(world.operator("POST", &drop).await.json()["status"], "dropped");
    assert_eq!(world.states().await, ["dropped"]);
    assert!(log().contains("operator dropped a dead letter"));
    // It is no dead letter any more, and its sender's repeat is still a duplicate.
    assert_eq!(world.operator("POST", &drop).await.status, 404);
    world.takes_orders([1]).await;
    assert_eq!(world.states().await, ["dropped"]);
    assert_eq!(world.app.deliveries().len(), 1);
}
