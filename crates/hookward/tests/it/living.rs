//! Signals, and what survives a gateway that is not asked: `kill -9`.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::Signal;

use crate::program::{
    ADMIN_TOKEN, CANARY, DELIVERY_SECRET, ORDERS_SECRET, OTHER_SECRET, PLAIN_SECRET, Place, bare,
    order, post, status,
};

/// An order whose body the gateway has asked for and does not have yet, and that body.
fn half_sent(gateway: SocketAddr) -> (TcpStream, String) {
    let request = order(ORDERS_SECRET, 1).replace("connection: close", "expect: 100-continue");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body.to_owned())
}

#[test]
fn a_gateway_that_is_asked_to_stop_finishes_what_it_is_at() {
    let place = Place::new();
    let gateway = place.serves();
    let (mut stream, body) = half_sent(gateway.address);

    gateway.signal(Signal::TERM);
    gateway.logs("stopping: no more webhooks are taken");
    while TcpStream::connect(gateway.address).is_ok() {
        thread::yield_now();
    }
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(status(stream), Some(200));
    let (ended, log) = gateway.ends();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(
        log.last().unwrap().contains("stopped: everything in progress was finished"),
        "{log:#?}"
    );

    // It is delivered by the next one, if it was not by this one.
    let next = place.serves();
    place.app.got(1);
    next.stops();
    let events = place.run(&["events", "list", "--json"]).json();
    assert_eq!((events.as_array().unwrap().len(), &events[0]["state"]), (1, &"done".into()));
}

#[test]
fn a_hang_up_does_not_cut_off_what_a_stopping_gateway_finishes() {
    let place = Place::new();
    let gateway = place.serves();
    let (mut stream, body) = half_sent(gateway.address);

    // systemd sends both, where it is told to with SendSIGHUP=yes.
    gateway.signal(Signal::TERM);
    gateway.logs("stopping: no more webhooks are taken");
    gateway.signal(Signal::HUP);
    gateway.logs("configuration not reloaded: the gateway is stopping");
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(status(stream), Some(200));
    let (ended, log) = gateway.ends();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(log.last().unwrap().contains("everything in progress was finished"), "{log:#?}");
}

const OTHER_TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[test]
fn a_hang_up_takes_up_a_configuration_whole_or_not_at_all() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.write("cert.pem", &made.cert.pem());
    place.secret("key.pem", &made.signing_key.serialize_pem());
    place.secret("admin.token", ADMIN_TOKEN);
    let with_tls = |text: String| {
        let tls = "[server]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
        text.replacen("[server]\n", tls, 1).replace("env:ADMIN_TOKEN", "file:admin.token")
    };
    place.configure(with_tls);
    let gateway = place.serves();

    // With a certificate of no use nothing else is taken up either.
    place.write("cert.pem", "no certificate");
    place.configure(|text| with_tls(text).replace("[sources.plain]", "[sources.late]"));
    gateway.signal(Signal::HUP);
    let line = gateway.logs("configuration not reloaded, the former stays");
    assert!(line.contains("cert.pem holds no usable certificate"), "{line}");
    let events = |source: &str, token: &str| {
        let mut ask = TcpStream::connect(gateway.admin).unwrap();
        let head = "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        write!(ask, "{head}authorization: Bearer {token}\r\n\r\n").unwrap();
        let mut answer = String::new();
        ask.read_to_string(&mut answer).unwrap();
        answer.contains(&format!("\"{source}\""))
    };
    assert!(events("plain", ADMIN_TOKEN) && !events("late", ADMIN_TOKEN));

    // With a good one it is, and what needs a restart is named.
    place.write("cert.pem", &made.cert.pem());
    place.secret("admin.token", OTHER_TOKEN);
    place.configure(|text| {
        let text = with_tls(text).replace("[sources.plain]", "[sources.late]");
        let changed = "[limits]\nkeep_alive = \"9s\"\n[store]\nqueue_max = 7\n";
        text.replacen("[store]\n", changed, 1)
    });
    gateway.signal(Signal::HUP);
    gateway.logs("configuration reloaded");
    let line = gateway.logs("not taken up before a restart");
    assert!(line.contains("store.queue_max, limits.keep_alive"), "{line}");
    // The admin token is taken up: the former one lets nobody in.
    assert!(!events("plain", ADMIN_TOKEN) && !events("late", ADMIN_TOKEN));
    assert!(events("late", OTHER_TOKEN) && !events("plain", OTHER_TOKEN));
    gateway.stops();
}

#[test]
fn ctrl_c_stops_it_too_and_a_second_one_at_once() {
    let place = Place::new();
    let gateway = place.serves();
    gateway.signal(Signal::INT);
    let (ended, _) = gateway.ends();
    assert_eq!(ended.code(), Some(0));

    let gateway = place.serves();
    let request = order(ORDERS_SECRET, 1);
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(&request.as_bytes()[..30]).unwrap();
    // The half head is read before the signal is: another request after it was answered.
    assert_eq!(gateway.takes_order(2), 200);
    gateway.signal(Signal::INT);
    gateway.logs("stopping: no more webhooks are taken");
    gateway.signal(Signal::INT);
    let (ended, log) = gateway.ends();
    assert_eq!(ended.code(), Some(1), "{log:#?}");
    place.serves().stops();
}

#[test]
fn a_hang_up_makes_it_read_its_configuration_again() {
    let place = Place::new();
    let gateway = place.serves();
    assert_eq!(gateway.takes_order(1), 200);

    // Another secret, and another source.
    place.secret("orders.secret", OTHER_SECRET);
    place.configure(|text| text.replace("[sources.plain]", "[sources.late]"));
    gateway.signal(Signal::HUP);
    gateway.logs("configuration reloaded");
    assert_eq!(gateway.takes_order(2), 403);
    assert_eq!(post(gateway.address, &order(OTHER_SECRET, 2)), Some(200));
    let bare = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    };
    assert_eq!(post(gateway.address, &bare("/hooks/plain")), Some(404));
    assert_eq!(post(gateway.address, &bare("/hooks/late")), Some(415));

    // One with mistakes changes nothing.
    place
        .configure(|text| text.replace("[sources.plain]", "[sources.bad]").replace("hmac", "hmca"));
    gateway.signal(Signal::HUP);
    let line = gateway.logs("configuration not reloaded");
    assert!(line.contains("hmca"), "{line}");
    assert_eq!(post(gateway.address, &bare("/hooks/late")), Some(415));
    assert_eq!(post(gateway.address, &order(OTHER_SECRET, 3)), Some(200));
    place.app.got(3);
    gateway.stops();
}

#[test]
fn after_kill_9_nothing_acknowledged_is_lost_and_what_was_unfinished_is_delivered() {
    const ROUNDS: usize = 5;
    const SENDERS: usize = 4;
    let place = Place::new();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut number = 0;
    for round in 0..ROUNDS {
        // In some rounds the application is down, so that everything is unfinished when the gateway dies.
        place.app.answers(if round % 2 == 0 { 500 } else { 200 });
        let gateway = place.serves();
        let address = gateway.address;
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let requests: Vec<_> =
                    (0..1_000).map(|it| (number + it, order(ORDERS_SECRET, number + it))).collect();
                number += requests.len();
                let acknowledged = Arc::clone(&acknowledged);
                thread::spawn(move || {
                    for (number, request) in requests {
                        match post(address, &request) {
                            Some(200) => {
                                acknowledged.lock().unwrap().insert(format!("msg_{number}"))
                            }
                            Some(other) => panic!("answered {other}"),
                            None => return,
                        };
                    }
                })
            })
            .collect();
        // Killed somewhere in the middle, elsewhere each time.
        let before = acknowledged.lock().unwrap().len();
        while acknowledged.lock().unwrap().len() < before + 20 + round * 37 {
            thread::yield_now();
        }
        gateway.dies();
        for sender in senders {
            sender.join().unwrap();
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > ROUNDS * 20);

    place.app.answers(200);
    let gateway = place.serves();
    place.app.waits_for("everything acknowledged is delivered", |deliveries| {
        let delivered: BTreeSet<_> = deliveries
            .iter()
            .filter(|delivery| delivery.status == 200)
            .map(|delivery| delivery.header("hookward-event-id"))
            .collect();
        acknowledged.iter().all(|id| delivered.contains(&**id))
    });
    // Its sender's repeat is still a duplicate.
    let known = acknowledged.first().unwrap().trim_start_matches("msg_").parse().unwrap();
    assert_eq!(gateway.takes_order(known), 200);
    gateway.stops();

    let events = place.run(&["events", "list", "--json", "--limit", "100000"]).json();
    let ids: Vec<_> =
        events.as_array().unwrap().iter().map(|it| it["sender_id"].as_str().unwrap()).collect();
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "an event is kept twice");
    assert!(acknowledged.iter().all(|id| distinct.contains(&**id)));
    // Every delivery of one event went under one id.
    let mut delivery_ids = BTreeSet::new();
    for delivery in place.app.got(0) {
        assert!(delivery.body.contains(CANARY));
        delivery_ids.insert((
            delivery.header("hookward-event-id").to_owned(),
            delivery.header("webhook-id").to_owned(),
        ));
    }
    let events: BTreeSet<_> = delivery_ids.iter().map(|(event, _)| event).collect();
    assert_eq!(events.len(), delivery_ids.len());
}

#[test]
fn the_log_is_json_lines_without_a_secret_or_a_body() {
    let place = Place::new();
    place.configure(|text| text.replace("level = \"debug\"", "level = \"trace\""));
    let gateway = place.serves();
    place.knows(&gateway);
    assert_eq!(gateway.takes_order(1), 200);
    place.app.answers(500);
    assert_eq!(gateway.takes_order(2), 200);
    place.app.got(3);
    place.app.answers(200);
    let right = order(ORDERS_SECRET, 3);
    let signature = right.split("webhook-signature: v1,").nth(1).unwrap();
    let signature = signature.split('\r').next().unwrap().to_owned();
    assert_eq!(post(gateway.address, &right.replace(CANARY, "another-1234-body")), Some(403));
    assert_eq!(post(gateway.address, &right.replace(&signature, "AAAA")), Some(403));
    place.run(&["events", "list", "-c", "running.toml"]).well();
    place.secret("orders.secret", "too short");
    gateway.signal(Signal::HUP);
    gateway.logs("configuration not reloaded");
    let log = gateway.stops();

    assert!(log.iter().any(|line| line.contains("webhook refused")));
    assert!(log.iter().any(|line| line.contains("delivery failed")));
    let secrets = [ORDERS_SECRET, PLAIN_SECRET, DELIVERY_SECRET, ADMIN_TOKEN];
    let secrets = secrets.map(bare);
    for line in &log {
        let read: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(read["timestamp"].is_string() && read["level"].is_string(), "{line}");
        for hidden in secrets.iter().chain(&[CANARY, &signature, "another-1234-body", "too short"])
        {
            assert!(!line.contains(hidden), "{hidden} is in {line}");
        }
    }
}
