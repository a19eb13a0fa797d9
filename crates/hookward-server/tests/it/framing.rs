//! Bytes that are no clean HTTP, or too many, or too slow: refused before anything is believed, the connection closed.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::{
    wire::{Answer, Letter, Wire},
    world::{Setup, World, soon},
};

async fn archive() -> World {
    Setup::default().delivering_nowhere().begins().await
}

const BODY: &str = r#"{"id":"evt_1","type":"order.paid"}"#;

/// Sends raw bytes and waits for the end; the statuses of all answers.
async fn statuses(world: &World, bytes: &[u8]) -> Vec<u16> {
    let mut wire = Wire::to(world.address()).await;
    wire.write(bytes).await;
    let said = String::from_utf8(wire.rest().await).unwrap();
    let statuses = said.split("HTTP/1.1 ").skip(1).map(|it| it.split_at(3).0.parse().unwrap());
    statuses.collect()
}

#[tokio::test]
async fn a_head_that_two_readers_could_understand_differently_is_refused() {
    let world = archive().await;
    let good = world.letter("orders", "msg_1", BODY);
    let chunked = |letter: &Letter| {
        let mut letter = letter.clone();
        let body = letter.body.len();
        letter.body = format!("{body:x}\r\n{BODY}\r\n0\r\n\r\n").into_bytes();
        letter
    };
    let length = BODY.len().to_string();
    let encoded = |value: &str| chunked(&good).and("transfer-encoding", value);
    let sized = |value: &str| good.clone().and("content-length", value);
    let mut old = chunked(&good).and("transfer-encoding", "chunked");
    old.version = "HTTP/1.0";
    let mut newest = good.clone();
    newest.version = "HTTP/3.0";
    let raw = |line: &str| {
        let text = String::from_utf8(good.bytes()).unwrap();
        text.replacen("\r\nhost: gateway.test", &format!("\r\nhost: gateway.test\r\n{line}"), 1)
            .into_bytes()
    };
    let mut otherwise = Vec::new();
    for (what, bytes) in [
        ("a length and chunks", encoded("chunked").and("content-length", &length).bytes()),
        ("chunks and a length", {
            let letter = chunked(&good).and("content-length", &length);
            letter.and("transfer-encoding", "chunked").bytes()
        }),
        ("an unknown transfer encoding", encoded("xchunked").bytes()),
        ("chunks, and then something else", encoded("chunked, identity").bytes()),
        ("a transfer encoding that is none", encoded("identity").bytes()),
        ("chunks in HTTP/1.0", old.bytes()),
        ("two lengths", sized("5").and("content-length", "10").bytes()),
        ("the same length twice", sized(&length).and("content-length", &length).bytes()),
        ("two lengths in one line", sized(&format!("{length}, {length}")).bytes()),
        ("a length with a sign", sized(&format!("+{length}")).bytes()),
        ("a negative length", sized("-1").bytes()),
        ("a length with an underscore", sized("3_4").bytes()),
        ("a length in hex", sized("0x22").bytes()),
        ("a length that is no number", sized("ten").bytes()),
        ("an empty length", sized("").bytes()),
        ("a length of 30 digits", sized(&"9".repeat(30)).bytes()),
        ("two hosts", good.clone().and("host", "elsewhere.test").bytes()),
        ("the same host twice", good.clone().and("host", "gateway.test").bytes()),
        ("no host", good.clone().without("host").bytes()),
        ("a bare CR in a value", raw("x-a: 1\r2")),
        ("a NUL in a value", raw("x-a: 1\x002")),
        ("a folded line", raw("x-a: 1\r\n 2")),
        ("a space before the colon", raw("x-a : 1")),
        ("a space in a name", raw("x a: 1")),
        ("a line without a colon", raw("x-a")),
        ("an empty name", raw(": 1")),
        ("another version", newest.bytes()),
        ("two spaces in the request line", good.clone().at(" /hooks/orders").bytes()),
        ("a space in the path", good.clone().at("/hooks/or ders").bytes()),
        ("no HTTP at all", b"\0\x01\x02\x03 hello\r\n\r\n".to_vec()),
        ("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
    ] {
        let statuses = statuses(&world, &bytes).await;
        if statuses != [400] {
            otherwise.push((what, statuses));
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let world = archive().await;
    let head = world.letter("orders", "msg_1", BODY).in_chunks(9).head();
    for (what, body) in [
        ("a size that overflows", "FFFFFFFFFFFFFFFF1\r\nab\r\n0\r\n\r\n"),
        ("a size that is no number", "zz\r\nab\r\n0\r\n\r\n"),
        ("a size with a sign", "+2\r\nab\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "2;a\nb\r\nab\r\n0\r\n\r\n"),
        ("a chunk longer than its size", "1\r\nab\r\n0\r\n\r\n"),
    ] {
        let bytes = [&head, body.as_bytes()].concat();
        assert_eq!(statuses(&world, &bytes).await, [400], "{what}");
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn more_than_was_declared_is_not_taken_for_another_webhook() {
    let world = archive().await;
    let first = world.letter("orders", "msg_1", BODY);
    let mut bytes = first.bytes();
    bytes.extend_from_slice(b"{\"id\":\"evt_2\"}\r\n\r\n");
    assert_eq!(statuses(&world, &bytes).await, [200, 400]);
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_no_request() {
    let world = archive().await;
    let smuggled = world.order(2).bytes();
    for refused in [
        world.order(1).without("webhook-signature").saying(smuggled.clone()),
        world.order(1).by("GET").saying(smuggled.clone()),
        world.order(1).at("/elsewhere").saying(smuggled.clone()),
        world.order(1).with("content-type", "text/plain").saying(smuggled.clone()),
    ] {
        let mut bytes = refused.bytes();
        bytes.extend_from_slice(&world.order(3).and("connection", "close").bytes());
        let statuses = statuses(&world, &bytes).await;
        assert!(matches!(statuses[..], [403 | 404 | 405 | 415, 200]), "{statuses:?}");
    }
    let stored = world.stored_one().await;
    assert_eq!(stored.event.sender_id.as_deref(), Some("msg_3"));
}

#[tokio::test]
async fn an_upgrade_is_not_taken_up() {
    let world = archive().await;
    let letter = world.order(1).and("connection", "upgrade, http2-settings");
    let letter = letter.and("upgrade", "h2c").and("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA");
    assert_eq!(world.sends(&letter).await.status, 200);
    // The preface of HTTP/2, without TLS and unasked.
    let mut wire = Wire::to(world.address()).await;
    wire.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert_eq!(String::from_utf8_lossy(&wire.rest().await), "");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_as_such() {
    let world = archive().await;
    let good = world.order(1);
    let many = |count: usize| {
        (0..count).fold(good.clone(), |letter, number| letter.and(&format!("x-{number}"), "1"))
    };
    // Seven lines are there already, the length among them.
    for (what, letter, expected) in [
        ("as many lines as there may be", many(64 - 6), 200),
        ("a line more", many(65 - 6), 431),
        ("ten thousand lines", many(10_000), 431),
        ("a line of 100 KiB", good.clone().and("x-long", "x".repeat(100 * 1024)), 431),
        ("a path of 15 KiB", good.clone().at(&format!("/hooks/{}", "o".repeat(15 * 1024))), 404),
        ("a path of 100 KiB", good.clone().at(&format!("/{}", "o".repeat(100 * 1024))), 431),
    ] {
        let mut wire = Wire::to(world.address()).await;
        wire.write_what_is_taken(letter.bytes()).await;
        let answer = soon("an answer", wire.try_answer()).await;
        assert_eq!(answer.map(|it| it.status), Some(expected), "{what}");
    }
}

#[tokio::test]
async fn a_declared_body_that_is_too_large_is_refused_before_it_comes() {
    let setup = Setup::default().delivering_nowhere();
    let world = setup.but_source("orders", |rules| rules.body_bytes_max = 1_000).begins().await;
    for length in ["1001", "1099511627776", "9223372036854775807"] {
        let letter = world.order(1).and("content-length", length);
        let mut wire = Wire::to(world.address()).await;
        wire.write(letter.and("expect", "100-continue").head()).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, &*answer.code()), (413, "too_large"), "{length}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(wire.rest().await, b"");
    }
    assert_eq!(world.calls(), 0);
    let largest = format!(r#"{{"a":"{}"}}"#, "a".repeat(1_000 - 8));
    assert_eq!(world.sends(&world.letter("orders", "msg_2", largest)).await.status, 200);
}

#[tokio::test]
async fn who_sends_a_body_that_is_too_large_regardless_still_gets_to_read_why() {
    let world = archive().await;
    for _ in 0..5 {
        let letter = world.order(1).saying(vec![b'x'; 8 * 1024 * 1024]);
        let mut wire = Wire::to(world.address()).await;
        wire.write_what_is_taken(letter.bytes()).await;
        assert_eq!(wire.answer().await.status, 413);
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn an_undeclared_body_is_cut_at_a_byte_too_many() {
    let setup = Setup::default().delivering_nowhere();
    let world = setup.but_source("orders", |rules| rules.body_bytes_max = 1_000).begins().await;
    let mut wire = Wire::to(world.address()).await;
    wire.write(world.order(1).in_chunks(1).head()).await;
    wire.write(format!("3e8\r\n{}\r\n1\r\n", "x".repeat(1_000))).await;
    // The chunk is announced; its byte is what is too many.
    wire.write("x").await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, &*answer.code()), (413, "too_large"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(wire.rest().await, b"");
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_slow_body_ends_at_its_deadline_however_it_drips() {
    let setup = Setup::default().delivering_nowhere();
    let short = Duration::from_millis(100);
    let world = setup.but_source("orders", move |rules| rules.body_timeout = short).begins().await;
    let letter = world.order(1);
    let (mut wire, mut other) = (Wire::to(world.address()).await, Wire::to(world.address()).await);
    wire.write(letter.head()).await;
    wire.write(&letter.body[..5]).await;
    other.write(letter.in_chunks(1).head()).await;
    for mut wire in [wire, other] {
        let answer = wire.answer().await;
        assert_eq!((answer.status, &*answer.code()), (408, "too_slow"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(wire.rest().await, b"");
    }
    assert_eq!(world.calls(), 0);
    assert!((world.counted("orders", "body_too_slow").await - 2.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_slow_head_ends_at_its_deadline() {
    let setup = Setup::default().delivering_nowhere();
    let setup = setup.but(|config| config.limits.header_timeout = Duration::from_millis(100));
    let world = setup.begins().await;
    for start in ["", "P", "POST /hooks/orders HTTP/1.1\r\nhost: gateway.test\r\nx-a:"] {
        let mut wire = Wire::to(world.address()).await;
        wire.write(start).await;
        assert_eq!(String::from_utf8(wire.rest().await).unwrap(), "", "{start:?}");
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn between_two_requests_a_connection_may_rest_for_longer_than_a_head_may_take() {
    let setup = Setup::default().delivering_nowhere().but(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.keep_alive = Duration::from_mins(1);
    });
    let world = setup.begins().await;
    let mut resting = Wire::to(world.address()).await;
    assert_eq!(resting.sends(&world.order(1)).await.status, 200);
    // Two others use up the time that a head may take.
    for start in ["", "POST /hooks"] {
        let mut slow = Wire::to(world.address()).await;
        slow.write(start).await;
        assert_eq!(slow.rest().await, b"");
    }
    assert_eq!(resting.sends(&world.order(2)).await.status, 200);
    // Once it has begun again, its time runs.
    resting.write("POST /hooks").await;
    assert_eq!(resting.rest().await, b"");
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let setup = Setup::default().delivering_nowhere().but(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.keep_alive = Duration::from_millis(300);
    });
    let world = setup.begins().await;
    let mut resting = Wire::to(world.address()).await;
    assert_eq!(resting.sends(&world.order(1)).await.status, 200);
    assert_eq!(resting.rest().await, b"");
}

#[tokio::test]
async fn chunked_requests_follow_each_other_too() {
    let world = archive().await;
    let mut bytes = Vec::new();
    for number in 0..50 {
        let letter = world.order(number);
        let letter = if number % 3 == 0 { letter } else { letter.in_chunks(number) };
        bytes.extend_from_slice(&letter.bytes());
    }
    let mut wire = Wire::to(world.address()).await;
    wire.write(bytes).await;
    for number in 0..50 {
        assert_eq!(wire.answer().await.status, 200, "{number}");
    }
    // In pieces that end anywhere.
    for number in 50..60 {
        for piece in world.order(number).in_chunks(5).bytes().chunks(number) {
            wire.write(piece).await;
        }
        assert_eq!(wire.answer().await.status, 200, "{number}");
    }
    assert_eq!(world.stored().await.len(), 60);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nothing() {
    let world = archive().await;
    let letter = world.order(1);
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    wire.write(&letter.body[..5]).await;
    wire.ends().await;
    let said = String::from_utf8(wire.rest().await).unwrap();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(world.calls(), 0);
    assert_eq!(world.sends(&letter).await.status, 200);
}

#[tokio::test]
async fn who_waits_to_be_asked_for_the_body_is_asked_only_when_it_is_worth_reading() {
    let world = archive().await;
    let letter = world.order(1).and("expect", "100-continue");
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.clone().without("webhook-signature").head()).await;
    assert_eq!(wire.answer().await.status, 403);

    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.write(&letter.body).await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn a_missing_signature_is_refused_without_waiting_for_the_body() {
    let world = archive().await;
    let letter = world.order(1).without("webhook-signature").and("content-length", "1000000");
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    assert_eq!(wire.answer().await.status, 403);
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn a_connection_serves_one_webhook_after_another() {
    let world = archive().await;
    let mut wire = Wire::to(world.address()).await;
    for number in 0..3 {
        assert_eq!(wire.sends(&world.order(number)).await.status, 200);
        let forged = world.order(number).saying("{}");
        assert_eq!(wire.sends(&forged).await.status, 403);
    }
    assert_eq!(world.stored().await.len(), 3);
}

#[tokio::test]
async fn pipelined_webhooks_are_answered_in_their_order() {
    let world = archive().await;
    let mut bytes = Vec::new();
    for number in 0..200 {
        let letter = world.order(number);
        let letter = if number % 2 == 1 { letter.saying("{}") } else { letter };
        bytes.extend_from_slice(&letter.bytes());
    }
    let mut wire = Wire::to(world.address()).await;
    wire.write(bytes).await;
    for number in 0..200 {
        let expected = if number % 2 == 1 { 403 } else { 200 };
        assert_eq!(wire.answer().await.status, expected, "{number}");
    }
    let ids: Vec<_> = world.stored().await.iter().map(|it| it.event.sender_id.clone()).collect();
    let expected = (0..200).step_by(2).map(|number| Some(format!("msg_{number}").into()));
    assert_eq!(ids, expected.collect::<Vec<Option<Box<str>>>>());
}

#[tokio::test]
async fn who_stays_away_with_half_a_body_leaves_no_place_taken() {
    let setup = Setup::default().delivering_nowhere();
    let setup = setup.but(|config| config.limits.unverified_in_flight = 1);
    let world = setup.begins().await;
    let (slow, asked) = begins(&world, "127.0.0.2", &world.order(1)).await;
    // It is asked for its body, so it has the one place.
    assert_eq!(asked.status, 100);
    let (_, answer) = begins(&world, "127.0.0.3", &world.order(2)).await;
    assert_eq!((answer.status, &*answer.code()), (429, "too_many_requests"));
    assert!(answer.retry_after().is_some());
    // A body that comes with its head needs no place.
    let mut whole = Wire::to(world.address()).await;
    whole.write(world.order(3).bytes()).await;
    assert_eq!(whole.answer().await.status, 200);
    drop(slow);
    let free = async {
        let letter = world.order(4);
        loop {
            let (mut wire, _) = begins(&world, "127.0.0.3", &letter).await;
            wire.write_what_is_taken(&letter.body).await;
            if wire.try_answer().await.is_some_and(|answer| answer.status == 200) {
                return;
            }
        }
    };
    soon("the place is free", Box::pin(free)).await;
    assert_eq!(world.stored().await.len(), 2);
}

#[tokio::test]
async fn slow_strangers_at_one_address_do_not_shut_the_others_out() {
    let setup = Setup::default().delivering_nowhere();
    let world = setup.but(|config| config.limits.unverified_in_flight = 16).begins().await;
    let mut slow = Vec::new();
    for number in 0..2 {
        let (wire, asked) = begins(&world, "127.0.0.2", &world.order(number)).await;
        assert_eq!(asked.status, 100);
        slow.push(wire);
    }
    // Their address has its share, however many more it sends.
    for number in 2..20 {
        let (_, refused) = begins(&world, "127.0.0.2", &world.order(number)).await;
        assert_eq!(refused.status, 429);
    }
    let letter = world.order(100);
    let (mut genuine, asked) = begins(&world, "127.0.0.4", &letter).await;
    assert_eq!(asked.status, 100);
    genuine.write(&letter.body).await;
    assert_eq!(genuine.answer().await.status, 200);
    assert_eq!(world.stored().await.len(), 1);
}

/// Sends a head, and no body yet; what the gateway says to that.
async fn begins(world: &World, local: &str, letter: &Letter) -> (Wire<TcpStream>, Answer) {
    let mut wire = Wire::from(local, world.address()).await;
    wire.write(letter.clone().and("expect", "100-continue").head()).await;
    let answer = wire.answer().await;
    (wire, answer)
}

#[tokio::test]
async fn an_ambiguous_request_is_one_wherever_it_goes() {
    let world = archive().await;
    let letter = world.order(1).at("/nowhere");
    let length = letter.body.len().to_string();
    let letter = letter.in_chunks(10).and("content-length", length);
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.bytes()).await;
    assert_eq!(wire.answer().await.status, 400);
    assert_eq!(wire.rest().await, b"");
}
