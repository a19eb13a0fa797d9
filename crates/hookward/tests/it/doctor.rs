//! `hookward doctor`: what it finds, and what it says to do.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use hookward_core::{Timestamp, limits};
use hookward_server::{Clock as _, SystemClock};
use serde_json::Value;

use crate::program::{DELIVERY_SECRET, Place, Ran, bare};

/// The findings of one kind, as severity and text.
fn findings(json: &Value, check: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = json["findings"].as_array().unwrap();
    let these = all.iter().filter(|finding| finding["check"] == check);
    these.map(|finding| (text(&finding["severity"]), text(&finding["found"]))).collect()
}

/// What a command that found errors printed.
fn unhealthy(ran: Ran) -> Value {
    let json = serde_json::from_str(&ran.out).unwrap();
    ran.badly(1, &["errors and"]);
    json
}

#[test]
fn a_healthy_place_is_called_so_and_left_as_it_was() {
    let place = Place::new();
    let said = place.run(&["doctor"]).well();
    for line in [
        "good    secrets: source orders: found and strong",
        "good    secrets: destination app: found and strong",
        "good    secrets: admin: found and strong",
        "good    store-folder: ",
        "is made at the first start",
        "answers (200 to HEAD)",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    assert!(!place.path().join("events").exists());
    let json = place.run(&["doctor", "--json"]).json();
    assert_eq!(json["ok"], true);

    let gateway = place.serves();
    let said = place.run(&["doctor"]).well();
    assert!(said.contains("store-folder: ") && said.contains("events: is there"), "{said}");
    gateway.stops();
}

#[test]
fn everything_that_is_wrong_is_found_in_one_run() {
    let place = Place::new();
    place.configure(|text| {
        text.replace("path = \"events\"", "path = \"hookward.toml\"")
            .replace("env:PLAIN_SECRET", "env:MISSING_SECRET")
    });
    place.app.answers(503);
    let json = unhealthy(place.run(&["doctor", "--json"]));
    assert_eq!(json["ok"], false);
    let secrets = findings(&json, "secrets");
    assert!(
        secrets.iter().any(|(severity, found)| severity == "error"
            && found.contains("env:MISSING_SECRET: the environment variable is not set")),
        "{json}"
    );
    let [(severity, found)] = &findings(&json, "store-folder")[..] else { panic!("{json}") };
    assert!(severity == "error" && found.contains("is no folder"), "{json}");
    let [(severity, found)] = &findings(&json, "destination")[..] else { panic!("{json}") };
    assert!(severity == "warning" && found.contains("503 to HEAD"), "{json}");

    let said = place.run(&["doctor"]);
    assert!(said.out.contains("ERROR   store-folder") && said.out.contains("WARNING destination"));
    for secret in [DELIVERY_SECRET, bare(DELIVERY_SECRET)] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret));
    }
}

#[test]
fn a_destination_that_does_not_answer_is_an_error() {
    let place = Place::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(|text| {
        let url = format!("http://{}/webhooks", place.app.address());
        text.replace(&url, &format!("http://{nobody}/webhooks?token=canary"))
    });
    let ran = place.run(&["doctor", "--json"]);
    assert!(!ran.out.contains("canary"), "{ran:?}");
    let json = unhealthy(ran);
    let [(severity, found)] = &findings(&json, "destination")[..] else { panic!("{json}") };
    assert!(severity == "error" && found.contains("cannot connect"), "{json}");
}

#[test]
fn a_warning_is_an_error_where_that_is_asked_for() {
    let place = Place::new();
    place.app.answers(302);
    place.run(&["doctor"]).well();
    let ran = place.run(&["doctor", "--strict", "--json"]);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["ok"], false);
    ran.badly(1, &["0 errors and 1 warnings"]);
}

#[test]
fn a_wrong_configuration_is_told_as_check_tells_it() {
    let place = Place::new();
    place.write("hookward.toml", "[store]\nkind = \"paper\"\n");
    place.run(&["doctor"]).badly(78, &["hookward.toml:2:8", "kind"]);
}

/// Answers everything with this head, until the test's process ends.
fn answering(head: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            assert!(asked > 0);
            let answer = format!("HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn a_wrong_clock_shows_in_the_times_of_others() {
    let check = |date: Timestamp, expected: &[&str]| {
        let place = Place::new();
        let date = httpdate::fmt_http_date(
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(date.as_secs()),
        );
        let there = answering(format!("date: {date}\r\n"));
        place.configure(|text| text.replace(&place.app.address().to_string(), &there.to_string()));
        let ran = place.run(&["doctor"]);
        for said in expected {
            assert!(ran.out.contains(said), "{said:?} is not in: {ran:?}");
        }
    };
    let now = SystemClock::start().now();
    check(now, &["good    clock: ", "both clocks agree"]);
    let behind = now.saturating_add(2 * limits::CLOCK_SKEW_MAX);
    check(behind, &["ERROR   clock: ", "s behind", "keep time by NTP"]);
    check(now.saturating_sub(2 * limits::CLOCK_SKEW_MAX), &["ERROR   clock: ", "s ahead"]);
}
