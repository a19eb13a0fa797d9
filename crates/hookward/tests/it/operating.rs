//! Commands against a gateway that runs, and against the store of one that does not.

use std::fs;

use crate::program::{
    ADMIN_TOKEN, DELIVERY_SECRET, Gateway, ORDERS_SECRET, OTHER_SECRET, PLAIN_SECRET, Place, bare,
    ran,
};

const RUNNING: [&str; 2] = ["-c", "running.toml"];

fn with(arguments: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    arguments.iter().chain(more).copied().collect()
}

#[test]
fn a_sample_is_signed_and_taken() {
    let place = Place::new();
    let gateway = place.serves();
    place.knows(&gateway);
    for source in ["orders", "plain"] {
        let mut send = place.command(&["send", "--source", source]);
        send.args(RUNNING);
        let said = ran(send).well();
        assert!(said.contains(r#"200 OK {"status":"accepted"}"#), "{said}");
    }
    let said = place.run(&with(&["send", "--source", "orders", "--id", "7", "--json"], &RUNNING));
    assert_eq!(said.json()["status"], 200);
    let deliveries = place.app.got(3);
    assert!(deliveries.iter().any(|it| it.header("hookward-event-id") == "msg_7"));

    // By provider, URL and secret; and with the wrong one.
    place.secret("other.secret", OTHER_SECRET);
    let url = format!("http://{}/hooks/orders", gateway.address);
    for (secret, code, says) in
        [("file:orders.secret", 0, "200"), ("file:other.secret", 1, "403 Forbidden")]
    {
        let arguments = ["send", "standard-webhooks", "--url", &url, "--secret", secret];
        let sent = place.run(&arguments);
        assert_eq!(sent.code, code, "{sent:?}");
        assert!(sent.out.contains(says), "{sent:?}");
    }
    let arguments = ["send", "standard-webhooks", "--url", &url, "--secret", ORDERS_SECRET];
    let said = place.run(&arguments).badly(1, &["env:NAME, file:PATH or another reference"]);
    assert!(!said.contains(bare(ORDERS_SECRET)));
    place.run(&with(&["send", "--source", "ordrs"], &RUNNING)).badly(1, &["orders, plain"]);
    gateway.stops();
    place.run(&with(&["send", "--source", "orders"], &RUNNING)).badly(1, &["cannot connect"]);
}

/// The configuration that `check --example` prints and the README shows, with the ports of a test.
#[test]
fn a_sample_of_each_source_goes_the_way_that_the_readme_shows() {
    let place = Place::new();
    let example = place.run(&["check", "--example"]).well();
    let port = "listen = \"127.0.0.1:0\"\n";
    assert!(example.contains("\n[admin]") && example.contains("http://127.0.0.1:8000/webhooks/"));
    let text = example
        .replacen("\ntoken", &format!("\n{port}token"), 1)
        .replace("127.0.0.1:8000", &place.app.address().to_string());
    place.write("hookward.toml", &format!("[server]\n{port}{text}"));
    let command = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("HOOKWARD_ADMIN_TOKEN", ADMIN_TOKEN);
        command.env("STRIPE_WEBHOOK_SECRET", ORDERS_SECRET);
        command.env("GITHUB_WEBHOOK_SECRET", PLAIN_SECRET);
        command.env("HOOKWARD_DELIVERY_SECRET", DELIVERY_SECRET);
        command
    };
    let checked: serde_json::Value =
        serde_json::from_str(&ran(command(&["check", "--json"])).well()).unwrap();
    let gateway = Gateway::start(command(&["serve"]));
    place.knows(&gateway);
    let sources = checked["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 2);
    for (index, source) in sources.iter().enumerate() {
        let source = source.as_str().unwrap();
        let sent = ran(command(&["send", "--source", source, "-c", "running.toml"])).well();
        assert!(sent.contains(r#"200 OK {"status":"accepted"}"#), "{sent}");
        assert_eq!(place.app.got(index + 1)[index].header("hookward-source"), source);
    }
    let listed = ran(command(&["dead", "list", "-c", "running.toml"])).well();
    assert_eq!(listed.trim(), "no events");
    gateway.stops();
}

#[test]
fn a_sample_can_be_looked_at_before_it_is_sent() {
    let place = Place::new();
    place.write("body.json", r#"{"type":"mine"}"#);
    let url = "http://127.0.0.1:9/hooks/x";
    let arguments = ["send", "standard-webhooks", "--url", url, "--secret", "file:orders.secret"];
    let said = place.run(&with_body(&arguments)).well();
    assert!(said.starts_with("POST http://127.0.0.1:9/hooks/x\n"), "{said}");
    assert!(said.contains("webhook-signature: v1,") && said.ends_with("{\"type\":\"mine\"}\n"));
    assert!(!said.contains(bare(ORDERS_SECRET)));
}

fn with_body<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().chain(&["--body", "body.json", "--dry-run"]).copied().collect()
}

#[test]
fn events_are_listed_and_shown_whether_a_gateway_runs_or_not() {
    let place = Place::new();
    let gateway = place.serves();
    place.knows(&gateway);
    for number in 1..=3 {
        assert_eq!(gateway.takes_order(number), 200);
        place.app.got(number);
    }
    let list = |config: &[&'static str]| {
        let listed = place.run(&with(&["events", "list", "--json"], config)).json();
        listed.as_array().unwrap().clone()
    };
    let running = list(&RUNNING);
    assert_eq!(running.len(), 3);
    assert_eq!(running[0]["sender_id"], "msg_3");
    let key = running[2]["key"].as_str().unwrap().to_owned();
    let show = |more: &[&str]| {
        let mut show = place.command(&["events", "show", &key]);
        show.args(more);
        ran(show).well()
    };
    let shown = show(&RUNNING);
    assert!(shown.contains("id        msg_1") && shown.contains("(the body is shown by --body)"));
    assert!(!shown.contains("canary"));
    assert!(show(&["-c", "running.toml", "--body"]).contains("canary"));
    let table = place.run(&with(&["events", "list", "--limit", "1"], &RUNNING)).well();
    assert!(table.contains("msg_3") && !table.contains("msg_2"), "{table}");
    let none = place.run(&with(&["events", "list", "--state", "dead"], &RUNNING)).well();
    assert_eq!(none.trim(), "no events");
    place.run(&with(&["events", "list", "--state", "lost"], &RUNNING)).badly(2, &["pending"]);

    gateway.stops();
    let stopped = list(&RUNNING);
    assert_eq!(stopped.len(), 3);
    assert_eq!(stopped[2]["key"], *key);
    assert!(stopped.iter().all(|event| event["state"] == "done"), "{stopped:?}");
    assert!(show(&["-c", "hookward.toml", "--body"]).contains("canary"));
    let unknown = "0".repeat(32);
    place.run(&["events", "show", &unknown]).badly(1, &["no event has the key"]);
    place.run(&["events", "show", "msg_1"]).badly(2, &["32 hex digits"]);
    place.run(&["events", "tail"]).badly(1, &["no gateway runs"]);
}

#[test]
fn a_wrong_token_lets_nobody_in() {
    let place = Place::new();
    let gateway = place.serves();
    place.knows(&gateway);
    let mut list = place.command(&["events", "list", "-c", "running.toml"]);
    list.env("ADMIN_TOKEN", "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let said = ran(list).badly(1, &["401"]);
    assert!(!said.contains("0f1e2d3c4b5a"), "{said}");
}

#[test]
fn dead_letters_are_listed_replayed_and_dropped_through_the_running_gateway() {
    let place = Place::new();
    let gateway = place.serves();
    place.knows(&gateway);
    place.app.answers(410);
    for number in 1..=3 {
        assert_eq!(gateway.takes_order(number), 200);
    }
    place.app.got(3);
    // An outcome is settled after its answer; then it is said.
    let settled = || gateway.log().iter().filter(|it| it.contains("delivery given up")).count();
    while settled() < 3 {
        std::thread::yield_now();
    }
    let dead = place.run(&with(&["dead", "list", "--json"], &RUNNING)).json();
    assert_eq!(dead.as_array().unwrap().len(), 3);
    assert_eq!(dead[0]["dead_reason"], "undeliverable");
    let key = |index: usize| dead[index]["key"].as_str().unwrap().to_owned();

    place.app.answers(200);
    let said = place.run(&["dead", "-c", "running.toml", "replay", &key(0)]).well();
    assert_eq!(said.trim(), "1 queued for delivery");
    let deliveries = place.app.got(4);
    assert_eq!(deliveries[3].header("webhook-id"), format!("hw_{}_1", key(0)));
    let said = place.run(&["dead", "-c", "running.toml", "drop", &key(1)]).well();
    assert_eq!(said.trim(), "1 dropped");
    place.run(&["dead", "-c", "running.toml", "drop", &key(1)]).badly(1, &["no event"]);
    let shown = place.run(&["dead", "-c", "running.toml", "show", &key(2)]).well();
    assert!(shown.contains("dead (undeliverable)") && shown.contains("answered 410"), "{shown}");
    place.run(&["dead", "-c", "running.toml", "replay"]).badly(2, &["--all"]);

    let said = place.run(&with(&["dead", "replay", "--all"], &RUNNING)).well();
    assert_eq!(said.trim(), "1 queued for delivery");
    place.app.got(5);
    let log = gateway.stops();
    assert_eq!(log.iter().filter(|line| line.contains("operator replayed an event")).count(), 2);
    assert_eq!(log.iter().filter(|line| line.contains("operator dropped")).count(), 1);
}

#[test]
fn dead_letters_are_replayed_and_dropped_in_the_store_of_a_stopped_gateway() {
    let place = Place::new();
    let gateway = place.serves();
    place.app.answers(410);
    for number in 1..=2 {
        assert_eq!(gateway.takes_order(number), 200);
        place.app.got(number);
    }
    gateway.stops();
    let dead = place.run(&["dead", "list", "--json"]).json();
    assert_eq!(dead.as_array().unwrap().len(), 2);
    let key = |index: usize| dead[index]["key"].as_str().unwrap().to_owned();
    // Each decision leaves the line in the log that a running gateway would leave, and looking leaves none.
    let audited = |arguments: &[&str], says: &str, line: &str| {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.out.trim(), says);
        let lines: Vec<serde_json::Value> =
            ran.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let audited: Vec<_> = lines.iter().filter(|line| line["audit"] == true).collect();
        assert_eq!(audited.len(), 1, "{}", ran.err);
        assert_eq!(audited[0]["message"], line);
        audited[0]["key"].as_str().unwrap().to_owned()
    };
    let dropped = "operator dropped a dead letter";
    assert_eq!(audited(&["dead", "drop", &key(0)], "1 dropped", dropped), key(0));
    let replay = ["dead", "replay", "--all-of", "orders"];
    let replayed = "operator replayed an event";
    assert_eq!(audited(&replay, "1 queued for delivery", replayed), key(1));
    assert_eq!(place.run(&["dead", "list"]).well().trim(), "no events");

    place.app.answers(200);
    let gateway = place.serves();
    let deliveries = place.app.got(3);
    assert_eq!(deliveries[2].header("webhook-id"), format!("hw_{}_1", key(1)));
    // What was dropped is still known.
    assert_eq!(gateway.takes_order(2), 200);
    gateway.stops();
    let states = place.run(&["events", "list", "--json"]).json();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&"dropped".into(), &"done".into()));
}

#[test]
fn a_store_has_one_owner() {
    let place = Place::new();
    let gateway = place.serves();
    // Another gateway, and a command that cannot find the first one.
    place.run(&["serve"]).badly(1, &["cannot open the store"]);
    place.run(&["events", "list"]).badly(1, &["cannot open the store"]);
    assert_eq!(gateway.takes_order(1), 200);
    place.app.got(1);
    gateway.stops();
    place.run(&["events", "list"]).well();
}

#[test]
fn a_damaged_store_is_not_served_from() {
    let place = Place::new();
    let gateway = place.serves();
    for number in 1..=20 {
        assert_eq!(gateway.takes_order(number), 200);
    }
    place.app.got(20);
    gateway.stops();
    // One bit of an early body flips.
    let folder = place.path().join("events");
    let mut flipped = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let mut bytes = fs::read(entry.path()).unwrap();
        let found = bytes.windows(11).position(|window| window == b"\"order\":10,");
        if let Some(at) = found {
            bytes[at + 8] ^= 1;
            fs::write(entry.path(), bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1, "bodies of this size are in the log as they are");
    for command in [&["serve"][..], &["events", "list"], &["dead", "list"]] {
        place.run(command).badly(1, &["cannot open the store", "damaged"]);
    }
}
