//! What is not admitted: refused with one answer for all, without one call of the store, and never with a 5xx.

use std::time::Duration;

use crate::{
    wire::{Answer, Letter},
    world::{Setup, World},
};

async fn archive() -> World {
    Setup::default().delivering_nowhere().begins().await
}

const BODY: &str = r#"{"id":"evt_1","type":"order.paid","amount":4200}"#;

#[tokio::test]
async fn whatever_cannot_be_verified_gets_the_same_answer_and_costs_no_store_call() {
    let world = archive().await;
    let now = world.clock.now();
    let good = world.letter("orders", "msg_1", BODY);
    let signature = good.header("webhook-signature").to_owned();
    let time = now.as_secs();
    let stale = now.saturating_sub(Duration::from_secs(302));
    let future = now.saturating_add(Duration::from_secs(330));
    let signed = |value: &[u8]| good.clone().with("webhook-signature", value);
    let timed = |value: &[u8]| good.clone().with("webhook-timestamp", value);
    let letters: Vec<(&str, Letter)> = vec![
        ("another body", good.clone().saying(BODY.replace("4200", "1"))),
        ("a byte more", good.clone().saying(format!("{BODY} "))),
        ("no body", good.clone().saying("")),
        ("stale", world.letter_of(stale, "orders", "msg_1", BODY)),
        ("from the future", world.letter_of(future, "orders", "msg_1", BODY)),
        ("no signature", good.clone().without("webhook-signature")),
        ("no id", good.clone().without("webhook-id")),
        ("no time", good.clone().without("webhook-timestamp")),
        ("no header of the scheme", {
            let bare = good.clone().without("webhook-signature").without("webhook-id");
            bare.without("webhook-timestamp")
        }),
        ("an empty signature", signed(b"")),
        ("another id", good.clone().with("webhook-id", "msg_2")),
        ("another time", timed((time - 1).to_string().as_bytes())),
        ("a time in milliseconds", timed(format!("{time}000").as_bytes())),
        ("a time with a sign", timed(format!("+{time}").as_bytes())),
        ("a time with a fraction", timed(format!("{time}.0").as_bytes())),
        ("no number for a time", timed(b"NaN")),
        ("two signature lines", good.clone().and("webhook-signature", "v1,AAAA")),
        ("the same signature line twice", good.clone().and("webhook-signature", &signature)),
        ("two ids", good.clone().and("webhook-id", "msg_2")),
        ("two times", good.clone().and("webhook-timestamp", time.to_string())),
        ("a short signature", signed(b"v1,AAAA")),
        ("a long signature", signed(format!("{signature}AAAA").as_bytes())),
        ("no base64", signed(b"v1,!!!!")),
        ("without its label", signed(signature.trim_start_matches("v1,").as_bytes())),
        ("another label", signed(signature.replace("v1,", "v2,").as_bytes())),
        ("a byte above ASCII", signed(b"v1,\xe9\xff")),
        ("a byte above ASCII for an id", good.clone().with("webhook-id", b"msg_\xe9")),
        ("a long id", good.clone().with("webhook-id", "m".repeat(300))),
        ("many signatures", signed("v1,AAAA ".repeat(40).as_bytes())),
        ("under an underscore", {
            good.clone().without("webhook-signature").and("webhook_signature", &signature)
        }),
        ("signed by another source", {
            let plain = world.letter("plain", "", BODY);
            good.clone().with("webhook-signature", plain.header("x-signature"))
        }),
        ("signed with an empty secret", signed(b"v1,CjLVzUt8gCMhHkpz0pHmjn/1Zn3ZJ5gV7NVl5+GbP4Q=")),
    ];
    let mut answers: Vec<(&str, Answer)> = Vec::new();
    for (what, letter) in &letters {
        answers.push((what, world.sends(letter).await.but_date()));
    }
    let plain = world.letter("plain", "", BODY);
    for value in ["", "00", "zz", &"0".repeat(64), &"é".repeat(32)] {
        let letter = plain.clone().with("x-signature", value);
        answers.push((value.to_owned().leak(), world.sends(&letter).await.but_date()));
    }
    for (what, answer) in &answers {
        assert_eq!((answer.status, &*answer.code()), (403, "forbidden"), "{what}");
        assert_eq!(*answer, answers[0].1, "{what}");
    }
    assert_eq!(world.calls(), 0);

    // And after all that, the genuine one is new.
    assert_eq!(world.sends(&good).await.status, 200);
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn the_edges_of_the_time_window_are_inside() {
    let (setup, clock) = Setup::default().delivering_nowhere().at_standstill();
    let world = setup.begins().await;
    let early = world.letter("orders", "msg_1", BODY);
    clock.advance(Duration::from_mins(5));
    assert_eq!(world.sends(&early).await.status, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(world.sends(&early).await.status, 403);
    let ahead = world.clock.now().saturating_add(Duration::from_mins(5));
    assert_eq!(world.sends(&world.letter_of(ahead, "orders", "msg_2", BODY)).await.status, 200);
    let further = ahead.saturating_add(Duration::from_secs(1));
    assert_eq!(world.sends(&world.letter_of(further, "orders", "msg_3", BODY)).await.status, 403);
}

#[tokio::test]
async fn one_right_signature_among_others_of_one_line_is_enough() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    let signature = good.header("webhook-signature").to_owned();
    let rotated = format!("v1,{} v1a,AAAA {signature}", "A".repeat(43) + "=");
    assert_eq!(world.sends(&good.with("webhook-signature", rotated)).await.status, 200);
}

#[tokio::test]
async fn a_trailer_is_no_header() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    let signature = good.header("webhook-signature").to_owned();
    let letter = good.without("webhook-signature").and("trailer", "webhook-signature");
    let mut bytes = letter.in_chunks(100).bytes();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(format!("webhook-signature: {signature}\r\n\r\n").as_bytes());
    let mut wire = crate::wire::Wire::to(world.address()).await;
    wire.write(bytes).await;
    assert_eq!(wire.answer().await.status, 403);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn there_is_one_path_and_no_other_form_of_it() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    for target in [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/orders/",
        "//hooks/orders",
        "/hooks//orders",
        "/hooks/./orders",
        "/hooks/x/../orders",
        "/hooks/orders/..;/",
        "/hooks/orders;x",
        "/%68ooks/orders",
        "/hooks/orders%2f",
        "/hooks/orders%00",
        "/HOOKS/ORDERS",
        "/hooks/unknown",
    ] {
        let answer = world.sends(&good.clone().at(target)).await;
        assert_eq!((answer.status, &*answer.code()), (404, "not_found"), "{target}");
        assert_eq!(answer.header("location"), None);
        assert!(!answer.text().contains("orders"));
    }
    assert_eq!(world.calls(), 0);
    assert!((world.counted("", "unknown_source").await - 15.0).abs() < f64::EPSILON);
    for target in ["/hooks/orders?a=b", "http://gateway.test/hooks/orders"] {
        assert_eq!(world.sends(&good.clone().at(target)).await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn every_method_but_post_is_told_which_one_it_is() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTS"] {
        let letter = good.clone().by(method).and("x-http-method-override", "POST");
        let mut wire = crate::wire::Wire::to(world.address()).await;
        wire.write(letter.and("connection", "close").bytes()).await;
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(answer.contains("\r\nallow: POST\r\n"), "{method}: {answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), method == "HEAD", "{method}: {answer}");
    }
    let connect = world.sends(&good.by("CONNECT").at("gateway.test:443")).await;
    assert_eq!(connect.status, 404);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn json_in_utf_8_without_encoding_is_the_only_kind_of_body() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    let json = "application/json";
    for value in [
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=latin1",
        "application/json, text/html",
        "application/x+json",
        "application/jsonx",
        "json",
    ] {
        let answer = world.sends(&good.clone().with("content-type", value)).await;
        assert_eq!((answer.status, &*answer.code()), (415, "unsupported_type"), "{value}");
    }
    let without = world.sends(&good.clone().without("content-type")).await;
    assert_eq!((without.status, &*without.code()), (415, "unsupported_type"));
    let twice = world.sends(&good.clone().and("content-type", json)).await;
    assert_eq!((twice.status, &*twice.code()), (415, "unsupported_type"));
    for value in ["gzip", "gzip, gzip, br", "deflate", "x-unknown", "identity, gzip"] {
        let answer = world.sends(&good.clone().and("content-encoding", value)).await;
        assert_eq!((answer.status, &*answer.code()), (415, "unsupported_encoding"), "{value}");
    }
    assert_eq!(world.calls(), 0);
    for value in
        ["application/json;charset=\"UTF-8\"", "Application/JSON", "application/json ; x=y"]
    {
        let answer = world.sends(&good.clone().with("content-type", value)).await;
        assert_eq!(answer.status, 200, "{value}");
    }
}

#[tokio::test]
async fn an_underscored_header_is_nothing_beside_the_real_one() {
    let setup = Setup::default().but_source("orders", |rules| {
        rules.keep_headers.push(http::HeaderName::from_static("x_request_id"));
    });
    let world = setup.begins().await;
    let letter = world.order(1).and("webhook_signature", "v1,AAAA").and("x_request_id", "spoofed");
    assert_eq!(world.sends(&letter).await.status, 200);
    let deliveries = world.delivers(1).await;
    let names: Vec<_> =
        deliveries[0].headers.keys().filter(|it| it.as_str().contains('_')).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn a_secret_counts_within_its_time() {
    let toml = r#"
[sources.rotating]
provider = "hmac"
secrets = [
    { ref = "b2c7d1806e4fa25f1b9c27e0d84a6f93", not_after = 2026-09-21T14:13:30Z },
    { ref = "93b2c7d1806e4fa25f1b9c27e0d84a6f", not_before = 2026-09-21T14:13:30Z },
]
"#;
    let (setup, clock) = Setup::default().delivering_nowhere().with(toml).at_standstill();
    let mut world = setup.begins().await;
    // A sender signs with the first secret that it has.
    let old = world.letter("rotating", "", r#"{"id":1}"#);
    world.reloads(|config| config.sources[2].secrets.reverse()).await;
    let new = world.letter("rotating", "", r#"{"id":2}"#);

    // The clock stands at 14:13:20.
    assert_eq!(world.sends(&old).await.status, 200);
    assert_eq!(world.sends(&new).await.status, 403);
    clock.advance(Duration::from_secs(10));
    assert_eq!(world.sends(&old).await.status, 403);
    assert_eq!(world.sends(&new).await.status, 200);
}
