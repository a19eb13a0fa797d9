//! Nothing that is logged, answered or shown gives a secret, a body or a right signature away.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_store::fault::{Fault, Op};

use crate::{
    application::Reply,
    wire::{Letter, Wire},
    world::{ADMIN_TOKEN, DELIVERY_SECRET, ORDERS_SECRET, PLAIN_SECRET, Setup, log},
};

/// What is in every body, and in nothing else.
const CANARY: &str = "4929-1234-canary";

/// All the ways in which the secrets are written.
fn secrets() -> Vec<String> {
    let mut written = Vec::new();
    for secret in [ORDERS_SECRET, PLAIN_SECRET, DELIVERY_SECRET, ADMIN_TOKEN] {
        let bare = secret.trim_start_matches("whsec_");
        written.push(bare.to_owned());
        written.push(BASE64.encode(secret));
        if let Ok(key) = BASE64.decode(bare) {
            written.push(hex(&key));
            written.push(format!("{key:?}"));
        }
    }
    written
}

fn hex(bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

#[tokio::test]
async fn no_log_line_and_no_answer_gives_anything_away() {
    let setup = Setup::default().but_app(|app| app.retry.attempts_max = 2);
    let setup = setup.but_source("orders", |rules| {
        rules.body_timeout = Duration::from_millis(50);
        rules.body_bytes_max = 2_000;
    });
    let mut world = setup.begins().await;
    let body = |number: usize| format!(r#"{{"type":"order.paid","n":{number},"card":"{CANARY}"}}"#);
    let order = |number: usize| world.letter("orders", &format!("msg_{number}"), body(number));
    let mut right = vec![order(1).header("webhook-signature").to_owned()];
    let mut answers = Vec::new();

    // Taken, repeated, in conflict, malformed.
    for letter in [order(1), order(1), world.letter("orders", "msg_1", body(99))] {
        answers.push(world.sends(&letter).await);
    }
    let malformed = format!(r#"{{"id":"{CANARY}","id":2}}"#);
    answers.push(world.sends(&world.letter("plain", "", malformed)).await);
    world.delivers(1).await;

    // Refused in each way: the answer that would have been right is nowhere to be read.
    let forged = order(2);
    right.push(forged.header("webhook-signature").to_owned());
    for letter in [
        forged.clone().with("webhook-signature", format!("v1,{}=", "A".repeat(43))),
        forged.clone().with("webhook-signature", CANARY),
        forged.clone().without("webhook-signature"),
        forged.clone().and("webhook-signature", CANARY),
        forged.clone().with("webhook-timestamp", "1"),
        forged.clone().with("content-type", format!("text/{CANARY}")),
        forged.clone().with("content-length", "99999"),
        forged.clone().at(&format!("/hooks/{CANARY}")),
        forged.clone().by(&CANARY.replace('-', "")),
        forged.clone().and("host", CANARY),
    ] {
        answers.push(world.sends(&letter).await);
    }
    let mut slow = Wire::to(world.address()).await;
    slow.write(forged.head()).await;
    slow.write(&forged.body[..50]).await;
    answers.push(slow.answer().await);
    let mut broken = Wire::to(world.address()).await;
    broken.write(format!("POST / HTTP/1.1\r\n{CANARY} : {CANARY}\r\n\r\n")).await;
    answers.push(broken.answer().await);

    // The store fails, the application fails, an operator looks and acts.
    world.store.next(Op::Append, Fault::Unavailable);
    world.store.next(Op::Append, Fault::Damaged);
    answers.push(world.sends(&order(3)).await);
    answers.push(world.sends(&order(3)).await);
    world.app.answers([Reply::Status(500), Reply::HangUp]);
    answers.push(world.sends(&order(3)).await);
    let deliveries = world.delivers(3).await;
    right.extend(deliveries.iter().map(|it| it.header("webhook-signature").to_owned()));
    let dead = world.stored().await.last().unwrap().event.key;
    for (method, target) in [
        ("GET", "/metrics".to_owned()),
        ("GET", "/v1/status".to_owned()),
        ("GET", "/v1/events".to_owned()),
        ("GET", format!("/v1/events/{dead}")),
        ("POST", format!("/v1/events/{dead}/drop")),
        ("GET", "/v1/events/nonsense".to_owned()),
    ] {
        answers.push(world.operator(method, &target).await);
    }
    let wrong = Letter::to("/v1/events", "").by("GET").and("authorization", "Bearer nonsense");
    answers.push(world.operator_sends(&wrong).await);
    world.reloads(|_| {}).await;
    assert!(world.stops(Duration::from_secs(20)).await.unwrap());

    let log = log();
    for line in ["webhook refused", "webhook not kept", "delivery failed", "dead letter", "audit"] {
        assert!(log.contains(line), "the log is not what it should be: {line:?} is missing");
    }
    // Hyper's own lines, at the level of most detail, are in it too.
    assert!(log.contains("\"TRACE\"") || log.contains("\"DEBUG\""));
    let said: Vec<_> =
        answers.iter().map(|answer| format!("{answer:?}\n{}", answer.text())).collect();
    let said = said.join("\n");
    let hidden = secrets().into_iter().chain(right.iter().flat_map(|it| {
        let bare = it.trim_start_matches("v1,").to_owned();
        let bytes = BASE64.decode(&bare).unwrap();
        [bare, hex(&bytes)]
    }));
    for hidden in hidden.chain([CANARY.to_owned(), CANARY.replace('-', "")]) {
        for (place, text) in [("log", &log), ("answers", &said)] {
            let found = text.lines().find(|line| line.contains(&hidden));
            assert_eq!(found, None, "{hidden} is in the {place}");
        }
    }
    // Every line stands alone.
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn what_is_printed_for_people_who_debug_says_nothing_either() {
    let world = crate::world::World::new().await;
    let sender = world.sender("orders");
    let printed = format!("{sender:?} {:?}", world.order(1).header("webhook-id"));
    for hidden in secrets() {
        assert!(!printed.contains(&hidden), "{printed}");
    }
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_log() {
    let (setup, _clock) = Setup::default().delivering_nowhere().at_standstill();
    let world = setup.begins().await;
    let forged = world.order(1).saying("{}");
    for _ in 0..100 {
        assert_eq!(world.sends(&forged).await.status, 403);
    }
    let log = log();
    let lines = log.lines().filter(|line| line.contains("\"INFO\"") && line.contains("refused"));
    assert_eq!(lines.count(), 20);
}
