//! A gateway's life: reload and shutdown, in the middle of whatever is going on.

use std::{sync::Arc, time::Duration};

use hookward_core::{secret::Secret, secret::SecretRef};
use hookward_server::Pace;
use tokio::sync::Notify;

use crate::{
    application::Reply,
    wire::{Letter, Wire},
    world::{Setup, World, log, soon},
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_reload_brings_sources_and_takes_them_away() {
    let mut world = World::new().await;
    let plain = world.letter("plain", "", r#"{"id":1}"#);
    assert_eq!(world.sends(&plain.clone().at("/hooks/new")).await.status, 404);
    world
        .reloads(|config| {
            let plain = &mut config.sources[1];
            plain.rules.name = hookward_core::SourceName::parse("new").unwrap();
            plain.rules.path = "/hooks/new".into();
        })
        .await;
    assert_eq!(world.sends(&plain).await.status, 404);
    assert_eq!(world.sends(&world.letter("new", "", r#"{"id":1}"#)).await.status, 200);
    world.takes_orders([1]).await;
    world.delivers(2).await;
}

#[tokio::test]
async fn a_request_in_progress_keeps_to_the_configuration_that_it_began_with() {
    let mut world = World::new().await;
    let letter = world.order(1).and("expect", "100-continue");
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    assert_eq!(wire.answer().await.status, 100);
    world.reloads(|config| config.sources.truncate(0)).await;
    assert_eq!(world.sends(&world.order(2)).await.status, 404);
    wire.write(&letter.body).await;
    assert_eq!(wire.answer().await.status, 200);
    // The next one on the same connection begins with the new configuration.
    assert_eq!(wire.sends(&world.order(3)).await.status, 404);
    assert_eq!(world.states().await, ["pending"]);
}

#[tokio::test]
async fn a_secret_that_a_reload_revokes_fails_at_once() {
    let mut world = World::new().await;
    let before = [world.order(1), world.order(2)];
    let mut wire = Wire::to(world.address()).await;
    assert_eq!(wire.sends(&before[0]).await.status, 200);
    world
        .reloads(|config| {
            let new = "whsec_Uk4p1mXc7QyG9sVb2LzJw8eTf3HdNa6KoRiBt5PvWqE=".to_owned();
            config.sources[0].secrets[0].reference = SecretRef::Literal(Secret::new(new));
        })
        .await;
    assert_eq!(wire.sends(&before[1]).await.status, 403);
    assert_eq!(wire.sends(&world.order(2)).await.status, 200);
    world.delivers(2).await;
}

#[tokio::test]
async fn a_reload_in_mid_delivery_loses_and_doubles_nothing() {
    let mut world = World::new().await;
    let told = Arc::new(Notify::new());
    world.app.answers([Reply::After(Arc::clone(&told), 200)]);
    world.takes_orders([1]).await;
    world.app.got(1).await;
    world.reloads(|config| config.destinations[0].concurrency = 3).await;
    world.takes_orders([2]).await;
    world.app.got(2).await;
    told.notify_one();
    world.delivers(2).await;
    assert_eq!(world.states().await, ["done", "done"]);
}

#[tokio::test]
async fn a_reload_keeps_what_budgets_and_circuits_know() {
    let (setup, clock) = Setup::default().at_standstill();
    let setup = setup.but_source("orders", |rules| {
        let burst = 2.try_into().unwrap();
        rules.budget = Some(hookward_core::rate::Budget { rate: "1/m".parse().unwrap(), burst });
    });
    let circuit = hookward_core::config::Circuit { failures: 1, open_for: Duration::from_mins(1) };
    let mut world = setup.but_app(move |app| app.circuit = circuit).begins().await;
    world.app.answers([Reply::Status(500)]);
    world.takes_orders([1]).await;
    world.delivers(1).await;
    world.reloads(|_| {}).await;
    // One more, and the budget is used up.
    world.takes_orders([2]).await;
    assert_eq!(world.sends(&world.order(3)).await.status, 503);
    // The circuit is still open: what is due is not tried, until one attempt finds that it is too early.
    assert_eq!(world.metric(r#"hookward_circuit_open{destination="app"}"#).await, Some(1.0));
    world.app.answers([Reply::Status(500)]);
    clock.advance(Duration::from_secs(61));
    world.delivers(2).await;
    clock.advance(Duration::from_secs(61));
    // One that fails, one that fails, and each of both once more: an attempt in between would be one too many.
    world.delivers(4).await;
    assert_eq!(world.states().await, ["done", "done"]);
    let attempts: u32 = world.stored().await.iter().map(|kept| kept.attempts).sum();
    assert_eq!(attempts, 4);
}

#[tokio::test]
async fn a_reload_in_mid_delivery_sends_no_more_at_once_than_configured() {
    let mut world = Setup::default().but_app(|app| app.concurrency = 2).begins().await;
    let told = Arc::new(Notify::new());
    world.app.always(Reply::After(Arc::clone(&told), 200));
    world.takes_orders(1..=2).await;
    world.app.got(2).await;
    world.reloads(|_| {}).await;
    world.takes_orders(3..=6).await;
    for arrived in 3..=6 {
        told.notify_one();
        world.app.got(arrived).await;
        assert_eq!(world.app.deliveries().len(), arrived);
    }
    // A lower limit counts what is on its way already.
    world.reloads(|config| config.destinations[0].concurrency = 1).await;
    world.takes_orders(7..=8).await;
    told.notify_one();
    world.settles(5).await;
    assert_eq!(world.app.deliveries().len(), 6);
    for arrived in 7..=8 {
        told.notify_one();
        world.app.got(arrived).await;
        assert_eq!(world.app.deliveries().len(), arrived);
    }
    told.notify_one();
    world.delivers(8).await;
}

#[tokio::test]
async fn a_stopping_gateway_waits_for_what_was_on_its_way_before_a_reload() {
    let mut world = World::new().await;
    let told = Arc::new(Notify::new());
    world.app.answers([Reply::After(Arc::clone(&told), 200)]);
    world.takes_orders([1]).await;
    world.app.got(1).await;
    world.reloads(|_| {}).await;
    world.reloads(|_| {}).await;
    // All that the new lanes had to do is done.
    world.takes_orders([2]).await;
    world.settles(1).await;
    let stopping = world.stops(LONG);
    world.refuses_connections().await;
    assert!(!world.store_is_closed() && !stopping.is_finished());
    told.notify_one();
    assert!(soon("the gateway stops", stopping).await.unwrap());
    assert_eq!(world.states().await, ["done", "done"]);
}

#[tokio::test]
async fn a_store_that_does_not_close_does_not_hold_a_stopping_gateway_up() {
    let pace = Pace { close: Duration::from_millis(100), ..Pace::default() };
    let mut world = Setup::default().at_pace(pace).begins().await;
    world.takes_orders([1]).await;
    world.delivers(1).await;
    world.store_hangs_at_the_end();
    let stopped = soon("the gateway stops", world.tries_to_stop(LONG)).await.unwrap();
    let error = stopped.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "it did not close within 100ms");
    assert!(world.store_is_closed());
}

#[tokio::test]
async fn bodies_are_forgotten_when_their_time_is_over() {
    let (setup, clock) = Setup::default().at_standstill();
    let pace = Pace { housekeeping: Duration::from_millis(10), ..Pace::default() };
    let setup = setup.but_source("orders", |rules| {
        rules.body_retention = Duration::from_hours(48);
        rules.key_retention = Some(Duration::from_hours(72));
    });
    let world = setup.at_pace(pace).begins().await;
    world.takes_orders([1]).await;
    world.delivers(1).await;
    let key = world.stored_one().await.event.key;
    clock.advance(Duration::from_hours(47));
    world.keeps_house().await;
    assert!(!world.kept(key).await.unwrap().event.body.is_empty());

    clock.advance(Duration::from_hours(2));
    world.keeps_house().await;
    let kept = world.kept(key).await.unwrap();
    assert!(kept.body_expired && kept.event.body.is_empty());
    assert!(log().contains("forgot what had expired"));
    let replay = world.operator("POST", &format!("/v1/events/{key}/replay")).await;
    assert_eq!((replay.status, &*replay.code()), (410, "body_expired"));
    // Its key is still known, and then it is not.
    assert_eq!(world.states().await.len(), 0);
    clock.advance(Duration::from_hours(24));
    world.keeps_house().await;
    assert!(world.kept(key).await.is_none());
}

#[tokio::test]
async fn a_destination_can_move() {
    let other = World::new().await;
    let mut world = World::new().await;
    world.app.always(Reply::Status(500));
    world.takes_orders([1]).await;
    world.app.got(1).await;
    let there = format!("http://{}/moved", other.app.address()).parse().unwrap();
    world.reloads(|config| config.destinations[0].url = there).await;
    let deliveries = other.app.got(1).await;
    assert_eq!((&*deliveries[0].path, &deliveries[0].verified), ("/moved", &Ok(())));
}

#[tokio::test]
async fn a_webhook_whose_body_is_on_its_way_is_still_taken_while_the_gateway_stops() {
    let mut world = World::new().await;
    let letter = world.order(1).and("expect", "100-continue");
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.write(&letter.body[..10]).await;

    let stopping = world.stops(LONG);
    world.refuses_connections().await;
    assert!(!world.store_is_closed());
    wire.write(&letter.body[10..]).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(wire.rest().await, b"");
    assert!(soon("the gateway stops", stopping).await.unwrap());
    assert!(world.store_is_closed());
    let kept = world.stored_one().await;
    assert_eq!(&kept.event.body[..], &letter.body[..]);
}

/// How many threads a gateway serves connections on.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[tokio::test]
async fn a_stopping_gateway_says_so_and_takes_nothing_new() {
    let mut world = World::new().await;
    // Two connections that it cannot close at once: each has half a head on it.
    let letter = world.order(1);
    let (head, half) = (letter.bytes(), 30);
    let mut wire = Wire::to(world.address()).await;
    wire.write(&head[..half]).await;
    let held = Arc::new(Notify::new());
    world.app.answers([Reply::After(Arc::clone(&held), 200)]);
    // Connections go to the gateway's threads in turn: when later ones were answered on each of them, the half was read.
    world.takes_orders(2..2 + 2 * threads()).await;
    world.app.got(2 * threads()).await;
    world.settles(2 * threads() - 1).await;

    let stopping = world.stops(LONG);
    world.refuses_connections().await;
    let ready = world.operator_sends(&Letter::to("/readyz", "").by("GET")).await;
    assert_eq!((ready.status, ready.text()), (503, "stopping\n"));
    let alive = world.operator_sends(&Letter::to("/healthz", "").by("GET")).await;
    assert_eq!(alive.status, 200);
    wire.write(&head[half..]).await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, &*answer.code()), (503, "unavailable"));
    assert!(answer.retry_after().is_some());
    assert_eq!(wire.rest().await, b"");

    // The delivery that was on its way is finished and settled.
    held.notify_one();
    assert!(soon("the gateway stops", stopping).await.unwrap());
    assert!(world.states().await.iter().all(|state| state == "done"));
    assert!(Wire::try_to(world.admin_address()).await.is_err());
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_stopping_gateway_up() {
    let mut world = World::new().await;
    let mut used = Wire::to(world.address()).await;
    assert_eq!(used.sends(&world.order(1)).await.status, 200);
    let unused = Wire::to(world.address()).await;
    // It is taken: another one after it was answered.
    world.takes_orders([2]).await;
    world.delivers(2).await;
    let stopping = world.stops(LONG);
    assert_eq!(used.rest().await, b"");
    assert_eq!(unused.rest().await, b"");
    assert!(soon("the gateway stops", stopping).await.unwrap());
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut_off_and_not_lost() {
    let mut world = World::new().await;
    world.app.always(Reply::Hang);
    world.takes_orders([1]).await;
    world.app.got(1).await;
    let letter = world.order(2).and("expect", "100-continue");
    let mut wire = Wire::to(world.address()).await;
    wire.write(letter.head()).await;
    assert_eq!(wire.answer().await.status, 100);

    let stopping = world.stops(Duration::from_millis(100));
    assert!(!soon("the gateway stops", stopping).await.unwrap());
    assert!(world.store_is_closed());
    // Cut off without an answer: its sender tries again.
    assert_eq!(wire.rest().await, b"");
    assert_eq!(world.states().await, ["pending"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_under_load_is_stored_when_the_gateway_stops() {
    let mut world = World::new().await;
    let address = world.address();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let letters: Vec<_> = (0..500).map(|it| world.order(sender * 500 + it)).collect();
        senders.spawn(async move {
            let mut acknowledged = Vec::new();
            let Ok(mut wire) = Wire::try_to(address).await else { return acknowledged };
            for letter in letters {
                wire.write_what_is_taken(letter.bytes()).await;
                match wire.try_answer().await {
                    Some(answer) if answer.status == 200 => {
                        acknowledged.push(letter.header("webhook-id").to_owned());
                    }
                    Some(answer) => assert_eq!(answer.status, 503),
                    None => break,
                }
            }
            acknowledged
        });
    }
    world.app.got(50).await;
    let stopping = world.stops(LONG);
    let acknowledged: Vec<String> = senders.join_all().await.concat();
    assert!(soon("the gateway stops", stopping).await.unwrap());
    let stored: std::collections::BTreeSet<_> =
        world.stored().await.iter().filter_map(|it| it.event.sender_id.clone()).collect();
    assert!(acknowledged.len() >= 50);
    for id in &acknowledged {
        assert!(stored.contains(&**id), "{id} was acknowledged and is lost");
    }
    // Whatever arrived was settled: nothing was cut off in the middle.
    let done = world.states().await.iter().filter(|state| *state == "done").count();
    assert_eq!(done, world.app.deliveries().len());
}
