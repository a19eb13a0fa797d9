//! Who sends, how often, and who is believed about it.

use std::time::Duration;

use hookward_core::{
    address::{Cidrs, ForwardedHeader, TrustedProxies},
    rate::Budget,
};

use crate::{
    wire::Wire,
    world::{Setup, World, soon},
};

const FORWARDED: &str = "x-forwarded-for";

/// `orders` is taken from 203.0.113.0/24 and 127.0.0.9 alone.
fn with_origin() -> Setup {
    Setup::default().delivering_nowhere().but_source("orders", |rules| {
        rules.origin = Some(Cidrs::parse(["203.0.113.0/24", "127.0.0.9"]).unwrap());
    })
}

/// The proxies at 127.0.0.3 and in 10.0.0.0/8 are believed.
fn with_proxies(setup: Setup, header: ForwardedHeader) -> Setup {
    setup.but(|config| {
        let proxies = Cidrs::parse(["127.0.0.3", "10.0.0.0/8"]).unwrap();
        config.server.trusted_proxies = TrustedProxies::new(proxies, header).unwrap();
    })
}

fn budget(rate: &str, burst: u32) -> Budget {
    Budget { rate: rate.parse().unwrap(), burst: burst.try_into().unwrap() }
}

#[tokio::test]
async fn a_source_is_taken_from_its_networks_alone() {
    let world = with_origin().begins().await;
    let letter = world.order(1);
    assert_eq!(world.sends_from("127.0.0.9", &letter).await.status, 200);
    let refused = world.sends_from("127.0.0.8", &letter).await.but_date();
    assert_eq!(refused.status, 403);
    // Which check failed is nobody's business.
    let forged = world.sends_from("127.0.0.9", &letter.saying("{}")).await.but_date();
    assert_eq!(refused, forged);
    let elsewhere = world.sends_from("127.0.0.8", &world.letter("plain", "", r#"{"id":1}"#)).await;
    assert_eq!(elsewhere.status, 200);
}

#[tokio::test]
async fn a_stranger_is_not_believed_about_its_address() {
    for setup in [with_origin(), with_proxies(with_origin(), ForwardedHeader::XForwardedFor)] {
        let world = setup.begins().await;
        for name in [
            FORWARDED,
            "forwarded",
            "x-real-ip",
            "cf-connecting-ip",
            "true-client-ip",
            "x-client-ip",
        ] {
            let value = if name == "forwarded" { "for=203.0.113.7" } else { "203.0.113.7" };
            let letter = world.order(1).and(name, value);
            assert_eq!(world.sends_from("127.0.0.8", &letter).await.status, 403, "{name}");
        }
        assert_eq!(world.calls(), 0);
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_the_rightmost_address_that_is_not_its_own() {
    let world = with_proxies(with_origin(), ForwardedHeader::XForwardedFor).begins().await;
    for (value, expected) in [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7", 200),
        ("198.51.100.1,203.0.113.7, 10.1.2.3", 200),
        ("203.0.113.7:4711", 200),
        ("::ffff:203.0.113.7", 200),
        ("203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.7, 198.51.100.1, 10.1.2.3", 403),
        ("203.0.113.7, unknown", 403),
        ("203.0.113.7, _hidden", 403),
        ("203.0.113.7, fe80::1%eth0", 403),
        ("unknown", 403),
        ("", 403),
        (&format!("203.0.113.7{}", ", 10.0.0.1".repeat(1_000)), 403),
    ] {
        let letter = world.order(1).and(FORWARDED, value);
        let answer = world.sends_from("127.0.0.3", &letter).await;
        assert_eq!(answer.status, expected, "{value:.60}");
    }
    // The last line is what the nearest proxy wrote.
    let lines = world.order(1).and(FORWARDED, "198.51.100.1").and(FORWARDED, "203.0.113.7");
    assert_eq!(world.sends_from("127.0.0.3", &lines).await.status, 200);
    let lines = world.order(1).and(FORWARDED, "203.0.113.7").and(FORWARDED, "198.51.100.1");
    assert_eq!(world.sends_from("127.0.0.3", &lines).await.status, 403);
}

#[tokio::test]
async fn only_the_configured_header_is_read() {
    let header = "cf-connecting-ip".parse().unwrap();
    let world = with_proxies(with_origin(), header).begins().await;
    let letter = world.order(1).and(FORWARDED, "203.0.113.7");
    assert_eq!(world.sends_from("127.0.0.3", &letter).await.status, 403);
    let letter = world.order(1).and("cf-connecting-ip", "203.0.113.7");
    assert_eq!(world.sends_from("127.0.0.3", &letter).await.status, 200);
    let twice = letter.and("cf-connecting-ip", "203.0.113.7");
    assert_eq!(world.sends_from("127.0.0.3", &twice).await.status, 403);
}

#[tokio::test]
async fn a_forged_flood_uses_up_its_own_budget_and_nobody_elses() {
    let (setup, clock) = Setup::default().delivering_nowhere().at_standstill();
    let setup = setup.but(|config| config.limits.unverified = budget("1/s", 5));
    let world = setup.begins().await;
    let forged = world.order(0).saying("{}");
    for _ in 0..5 {
        assert_eq!(world.sends_from("127.0.0.2", &forged).await.status, 403);
    }
    // Rotating a header that nobody asked for changes nothing.
    for number in 0..5 {
        let rotating = forged.clone().and(FORWARDED, format!("203.0.113.{number}"));
        let answer = world.sends_from("127.0.0.2", &rotating).await;
        assert_eq!((answer.status, &*answer.code()), (429, "too_many_requests"));
        assert!((1..=2).contains(&answer.retry_after().unwrap()));
    }
    assert_eq!(world.calls(), 0);

    // The same source, from elsewhere, as often as it likes: what is verified is given back.
    for number in 0..20 {
        assert_eq!(world.sends_from("127.0.0.4", &world.order(number)).await.status, 200);
    }
    // And a genuine one behind the flooder's address waits for the budget, not for ever.
    assert_eq!(world.sends_from("127.0.0.2", &world.order(20)).await.status, 429);
    clock.advance(Duration::from_secs(1));
    for number in 21..30 {
        assert_eq!(world.sends_from("127.0.0.2", &world.order(number)).await.status, 200);
    }
    assert_eq!(world.sends_from("127.0.0.2", &forged).await.status, 403);
    assert_eq!(world.sends_from("127.0.0.2", &forged).await.status, 429);
    assert!((world.counted("orders", "unverified_budget").await - 7.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_a_budget_of_its_own() {
    let (setup, _clock) = Setup::default().delivering_nowhere().at_standstill();
    let setup = setup.but(|config| config.limits.unverified = budget("1/s", 2));
    let world = with_proxies(setup, ForwardedHeader::XForwardedFor).begins().await;
    let forged = world.order(0).saying("{}").and(FORWARDED, "198.51.100.1");
    for expected in [403, 403, 429] {
        assert_eq!(world.sends_from("127.0.0.3", &forged).await.status, expected);
    }
    for number in 1..5 {
        let letter = world.order(number).and(FORWARDED, "203.0.113.7");
        assert_eq!(world.sends_from("127.0.0.3", &letter).await.status, 200);
    }
}

#[tokio::test]
async fn what_does_not_look_like_a_webhook_uses_up_no_budget_of_a_sender() {
    let (setup, _clock) = Setup::default().delivering_nowhere().at_standstill();
    let setup = setup.but(|config| config.limits.unverified = budget("1/s", 2));
    let world = setup.begins().await;
    for _ in 0..5 {
        assert_eq!(world.sends(&world.order(1).by("GET")).await.status, 405);
        assert_eq!(world.sends(&world.order(1).at("/elsewhere")).await.status, 404);
    }
    assert_eq!(world.sends(&world.order(1)).await.status, 200);
}

#[tokio::test]
async fn over_its_budget_a_source_is_told_when_to_come_back() {
    let more = "[sources.bulk]\nprovider = \"hmac\"\nsecret = \"25f1b9c27e0d84a6f93b2c7d1806e4fa\"\nover_budget = 429\nbudget = \"1/m\"\n";
    let (setup, clock) = Setup::default().with(more).delivering_nowhere().at_standstill();
    let setup = setup.but_source("orders", |rules| rules.budget = Some(budget("6/m", 2)));
    let world = setup.begins().await;
    world.takes_orders([1, 2]).await;
    let answer = world.sends(&world.order(3)).await;
    assert_eq!((answer.status, &*answer.code()), (503, "over_budget"));
    assert!((10..=15).contains(&answer.retry_after().unwrap()));
    assert_eq!(world.stored().await.len(), 2);

    // Forgeries do not use it up.
    clock.advance(Duration::from_secs(10));
    for _ in 0..5 {
        assert_eq!(world.sends(&world.order(4).saying("{}")).await.status, 403);
    }
    world.takes_orders([3]).await;

    assert_eq!(world.sends(&world.letter("bulk", "", r#"{"id":1}"#)).await.status, 200);
    let answer = world.sends(&world.letter("bulk", "", r#"{"id":2}"#)).await;
    assert_eq!((answer.status, &*answer.code()), (429, "over_budget"));
    assert!((60..=90).contains(&answer.retry_after().unwrap()));
}

#[tokio::test]
async fn connections_are_counted_by_address_and_in_all() {
    let setup = Setup::default().delivering_nowhere().but(|config| {
        config.limits.connections_per_address = 2;
        config.limits.connections = 3;
    });
    let world = setup.begins().await;
    let letter = world.order(1);
    let mut open = Vec::new();
    for local in ["127.0.0.2", "127.0.0.2"] {
        let mut wire = Wire::from(local, world.address()).await;
        assert_eq!(wire.sends(&letter).await.status, 200);
        open.push(wire);
    }
    assert_eq!(turned_away(&world, "127.0.0.2").await, b"");
    let mut other = Wire::from("127.0.0.4", world.address()).await;
    assert_eq!(other.sends(&letter).await.status, 200);
    assert_eq!(turned_away(&world, "127.0.0.5").await, b"");

    drop(open);
    let freed = async {
        loop {
            let mut wire = Wire::from("127.0.0.2", world.address()).await;
            wire.write_what_is_taken(letter.bytes()).await;
            if wire.try_answer().await.is_some_and(|answer| answer.status == 200) {
                break;
            }
        }
    };
    soon("places are free again", freed).await;
    assert!(world.metric("hookward_connections_refused_total").await.unwrap() >= 2.0);
}

/// What a connection that is not taken is told.
async fn turned_away(world: &World, local: &str) -> Vec<u8> {
    let mut wire = Wire::from(local, world.address()).await;
    wire.write_what_is_taken(world.order(1).bytes()).await;
    wire.rest().await
}
