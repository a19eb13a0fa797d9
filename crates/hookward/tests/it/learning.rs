//! Secrets that senders bring in their handshakes.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::program::{Gateway, Place, ask, status_of};

const SECRET: &str = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";

fn sent(gateway: &Gateway, header: &str, body: &str) -> String {
    let request = format!(
        "POST /hooks/asana HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{header}\r\n\r\n{body}",
        body.len()
    );
    ask(gateway.address, &request).unwrap()
}

fn asking(gateway: &Gateway, secret: &str) -> String {
    sent(gateway, &format!("x-hook-secret: {secret}"), "{}")
}

fn event(gateway: &Gateway) -> String {
    let body = r#"{"events":[{"action":"changed"}]}"#;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mac = ring::hmac::sign(&key, body.as_bytes());
    sent(gateway, &format!("x-hook-signature: {}", hex::encode(mac)), body)
}

#[test]
fn a_secret_that_a_sender_brings_is_kept_and_counts_from_then_on() {
    let place = Place::new();
    place.configure(|text| {
        format!(
            "{text}\n[sources.asana]\nprovider = \"asana\"\nsecret = \"learned:asana.secret\"\ndestination = \"app\"\n"
        )
    });
    place.run(&["check"]).well();
    let gateway = Gateway::start(place.command(&["serve"]));
    assert!(event(&gateway).starts_with("HTTP/1.1 403 "));
    // What anyone could guess is no secret.
    assert!(asking(&gateway, "short").starts_with("HTTP/1.1 403 "));

    let answer = asking(&gateway, SECRET);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(&format!("x-hook-secret: {SECRET}\r\n")), "{answer}");
    let file = place.path().join("asana.secret");
    assert_eq!(fs::read_to_string(&file).unwrap(), SECRET);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    gateway.comes_to(200, || status_of(&event(&gateway)));

    // Whoever comes second takes nothing over.
    let other = asking(&gateway, &SECRET.chars().rev().collect::<String>());
    assert!(other.starts_with("HTTP/1.1 403 ") && !other.contains("x-hook-secret"), "{other}");
    assert_eq!(fs::read_to_string(&file).unwrap(), SECRET);
    assert!(!gateway.log().iter().any(|line| line.contains(SECRET)), "the log shows it");
    gateway.stops();

    let again = Gateway::start(place.command(&["serve"]));
    assert!(event(&again).starts_with("HTTP/1.1 200 "));
    again.stops();
}

#[test]
fn without_a_place_for_it_no_secret_is_learnt() {
    let place = Place::new();
    place.configure(|text| {
        let asana = "[sources.asana]\nprovider = \"asana\"\nsecret = \"file:asana.secret\"\n";
        format!("{text}\n{asana}destination = \"app\"\n")
    });
    place.secret("asana.secret", SECRET);
    let gateway = Gateway::start(place.command(&["serve"]));
    let other = SECRET.chars().rev().collect::<String>();
    assert!(asking(&gateway, &other).starts_with("HTTP/1.1 403 "));
    gateway.logs("no secret of this source is `learned:/path`");
    assert!(event(&gateway).starts_with("HTTP/1.1 200 "));
    gateway.stops();
}
