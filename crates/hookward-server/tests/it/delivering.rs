//! From the store to the application: signed, retried, given up, replayed; one destination at a time.

use std::{sync::Arc, time::Duration};

use hookward_core::{
    config::{Circuit, DestinationConfig},
    scheme::SchemeError,
    secret::Secret,
};
use hookward_server::destination::Destination;
use hookward_store::{DeadReason, State};
use tokio::sync::Notify;

use crate::{
    application::{Application, Reply, verifier},
    world::{Setup, World, log, read, soon},
};

const PREVIOUS_SECRET: &str = "whsec_Uk4p1mXc7QyG9sVb2LzJw8eTf3HdNa6KoRiBt5PvWqE=";

#[tokio::test]
async fn a_flapping_destination_gets_the_same_delivery_until_it_takes_it() {
    let world = World::new().await;
    world.app.answers([Reply::Status(500), Reply::HangUp, Reply::Status(302), Reply::Status(200)]);
    world.takes_orders([1]).await;
    let deliveries = world.delivers(4).await;
    for (number, delivery) in deliveries.iter().enumerate() {
        assert_eq!(delivery.header("webhook-id"), deliveries[0].header("webhook-id"));
        assert_eq!(delivery.header("hookward-attempt"), (number + 1).to_string());
        assert_eq!(delivery.body, deliveries[0].body);
        assert_eq!(delivery.verified, Ok(()));
        assert_eq!(delivery.path, "/webhooks?tenant=7");
    }
    let kept = world.stored_one().await;
    assert_eq!((kept.state, kept.attempts), (State::Done, 4));
    let statuses: Vec<_> = kept.history.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), None, Some(302), Some(200)]);
    assert_eq!(&*kept.history[0].note, "answered 500");
    let delivered =
        world.metric(r#"hookward_deliveries_total{destination="app",outcome="delivered"}"#);
    assert_eq!(delivered.await, Some(1.0));
    let retried = world.metric(r#"hookward_deliveries_total{destination="app",outcome="retried"}"#);
    assert_eq!(retried.await, Some(3.0));
}

#[tokio::test]
async fn a_retry_is_signed_anew_so_that_it_is_never_stale() {
    let (setup, clock) = Setup::default().at_standstill();
    let world = setup.begins().await;
    let wait = "7200".to_owned();
    world.app.answers([Reply::With(503, "retry-after", wait)]);
    world.takes_orders([1]).await;
    world.settles(1).await;
    clock.advance(Duration::from_secs(7_199));
    world.takes_orders([2]).await;
    let early = world.delivers(2).await;
    assert_eq!(early[1].header("hookward-event-id"), "msg_2");

    clock.advance(Duration::from_secs(2));
    let deliveries = world.delivers(3).await;
    assert_eq!(deliveries[2].header("hookward-event-id"), "msg_1");
    assert_eq!(deliveries[2].header("webhook-id"), deliveries[0].header("webhook-id"));
    assert_ne!(
        deliveries[2].header("webhook-timestamp"),
        deliveries[0].header("webhook-timestamp")
    );
    assert_eq!(deliveries[2].verified, Ok(()));
}

#[tokio::test]
async fn a_destination_cannot_ask_for_more_than_a_day() {
    let (setup, clock) = Setup::default().at_standstill();
    let world = setup.begins().await;
    world.app.answers([Reply::With(429, "retry-after", "9".repeat(40))]);
    world.takes_orders([1]).await;
    world.settles(1).await;
    let due = world.stored_one().await.due_at.unwrap();
    assert_eq!(due.since(world.clock.now()), Duration::from_hours(24));
    clock.advance(Duration::from_hours(24));
    world.delivers(2).await;
}

#[tokio::test]
async fn after_its_last_attempt_an_event_is_a_dead_letter() {
    let world = Setup::default().but_app(|app| app.retry.attempts_max = 3).begins().await;
    world.app.always(Reply::Status(500));
    world.takes_orders([1]).await;
    world.delivers(3).await;
    let kept = world.stored_one().await;
    assert_eq!((kept.state, kept.dead), (State::Dead, Some(DeadReason::Undeliverable)));
    assert_eq!((kept.attempts, kept.history.len(), kept.due_at), (3, 3, None));
    // Others are not held up by it.
    world.app.always(Reply::Status(200));
    world.takes_orders([2]).await;
    world.delivers(4).await;
}

#[tokio::test]
async fn a_destination_that_is_gone_for_good_is_not_asked_again() {
    let world = World::new().await;
    world.app.answers([Reply::Status(410)]);
    world.takes_orders([1]).await;
    world.delivers(1).await;
    assert_eq!(world.states().await, ["dead Undeliverable"]);
    // It says nothing about the others.
    world.takes_orders([2]).await;
    world.delivers(2).await;
    assert_eq!(world.states().await, ["dead Undeliverable", "done"]);
}

#[tokio::test]
async fn a_destination_that_never_answers_is_given_its_time_and_no_more() {
    let setup = Setup::default().but_app(|app| app.timeout = Duration::from_secs(1));
    let world = setup.begins().await;
    world.app.answers([Reply::Hang]);
    world.takes_orders([1]).await;
    world.delivers(2).await;
    let kept = world.stored_one().await;
    assert_eq!((kept.history[0].status, kept.history[1].status), (None, Some(200)));
    assert_eq!(&*kept.history[0].note, "no answer within 1s");
}

#[tokio::test]
async fn a_destination_that_is_away_gets_everything_when_it_is_back() {
    let mut world = World::new().await;
    world.app.goes_away().await;
    world.takes_orders(1..=3).await;
    world.settles(3).await;
    world.app.comes_back().await;
    let mut ids = std::collections::BTreeSet::new();
    for delivery in world.app.got(3).await {
        assert_eq!(delivery.verified, Ok(()));
        ids.insert(delivery.header("hookward-event-id").to_owned());
    }
    assert_eq!(ids.len(), 3);
    let history = &world.stored().await[0].history;
    assert!(history[0].note.contains("refused"), "{history:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere =
        Application::start(crate::world::DELIVERY_SECRET, World::new().await.clock).await;
    let world = World::new().await;
    let there = format!("http://{}/stolen", elsewhere.address());
    for status in [301, 302, 303, 307, 308] {
        world.app.answers([Reply::With(status, "location", there.clone())]);
    }
    world.takes_orders([1]).await;
    world.delivers(6).await;
    assert!(elsewhere.deliveries().is_empty());
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let world = World::new().await;
    world.app.answers([Reply::Endless]);
    world.takes_orders([1]).await;
    world.delivers(1).await;
    let kept = world.stored_one().await;
    assert_eq!(kept.state, State::Done);
    assert_eq!(&*kept.history[0].note, "answered 200 (its body was not read to the end)");
}

#[tokio::test]
async fn while_a_secret_is_replaced_deliveries_are_signed_with_both() {
    let setup = Setup::default().but_app(|app| {
        app.previous_secret = Some(PREVIOUS_SECRET.parse().unwrap());
    });
    let world = setup.begins().await;
    world.takes_orders([1]).await;
    let deliveries = world.delivers(1).await;
    assert_eq!(deliveries[0].verified, Ok(()));
    let (method, delivery) = (http::Method::POST, &deliveries[0]);
    let head = hookward_core::Head { method: &method, target: "/", headers: &delivery.headers };
    let request = hookward_core::Request { head, body: delivery.body.clone() };
    assert!(verifier(PREVIOUS_SECRET).verify(request, world.clock.now()).is_ok());
    assert_eq!(delivery.header("webhook-signature").split(' ').count(), 2);
}

#[test]
fn a_destination_needs_a_secret_that_signs() {
    let refused = |secret: &str| {
        let config = read(&format!(
            r#"
[sources.a]
provider = "hmac"
secret = "806e4fa25f1b9c27e0d84a6f93b2c7d1"
[destinations.app]
url = "http://127.0.0.1/"
secret = "{secret}"
"#
        ));
        let signing = Secret::new(PREVIOUS_SECRET.to_owned());
        let secrets = vec![signing, Secret::new(secret.to_owned())];
        Destination::new(config.destinations[0].clone(), secrets).err()
    };
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_eq!(refused(public), Some(SchemeError::CannotSign));
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
    assert_eq!(refused(private), None);
}

#[tokio::test]
async fn no_more_is_on_its_way_at_once_than_configured() {
    let world = Setup::default().but_app(|app| app.concurrency = 2).begins().await;
    let told = Arc::new(Notify::new());
    world.app.always(Reply::After(Arc::clone(&told), 200));
    world.takes_orders(1..=6).await;
    for arrived in 2..=6 {
        world.app.got(arrived).await;
        assert_eq!(world.app.deliveries().len(), arrived);
        told.notify_one();
    }
    told.notify_one();
    world.delivers(6).await;
}

fn circuit(failures: u32, open_for: Duration) -> impl FnOnce(&mut DestinationConfig) {
    move |app| app.circuit = Circuit { failures, open_for }
}

#[tokio::test]
async fn a_broken_destination_is_left_alone_for_a_while_and_then_asked_once() {
    let (setup, clock) = Setup::default().at_standstill();
    let setup = setup.but_app(circuit(3, Duration::from_secs(30)));
    let world = setup.but_app(|app| app.concurrency = 1).begins().await;
    let open = r#"hookward_circuit_open{destination="app"}"#;
    world.app.always(Reply::Status(500));
    world.takes_orders(1..=5).await;
    world.delivers(3).await;
    assert_eq!(world.metric(open).await, Some(1.0));
    assert!(log().contains("circuit opened"));

    // One attempt tells that it is not back.
    clock.advance(Duration::from_secs(31));
    world.delivers(4).await;
    assert_eq!(world.metric(open).await, Some(1.0));

    // The next one tells that it is.
    world.app.always(Reply::Status(200));
    clock.advance(Duration::from_secs(31));
    world.app.got(9).await;
    world.settles(9).await;
    assert_eq!(world.metric(open).await, Some(0.0));
    assert!(log().contains("circuit closed"));
    assert_eq!(world.states().await, ["done"; 5]);
}

#[tokio::test]
async fn a_slow_destination_delays_nobody_else() {
    let slow = Application::start(crate::world::DELIVERY_SECRET, World::new().await.clock).await;
    slow.always(Reply::Hang);
    let toml = format!(
        r#"
[sources.slow]
provider = "hmac"
secret = "806e4fa25f1b9c27e0d84a6f93b2c7d1"
destination = "slow"
[destinations.slow]
url = "http://{}/"
secret = "{PREVIOUS_SECRET}"
concurrency = 2
"#,
        slow.address()
    );
    let world = Setup::default().with(&toml).begins().await;
    for number in 0..10 {
        let body = format!(r#"{{"id":{number}}}"#);
        assert_eq!(world.sends(&world.letter("slow", "", body)).await.status, 200);
    }
    slow.got(2).await;
    world.takes_orders(0..20).await;
    world.delivers(20).await;
    assert_eq!(slow.deliveries().len(), 2);
}

#[tokio::test]
async fn what_was_pending_at_the_start_is_delivered() {
    let world = World::new().await;
    world.store.always(hookward_store::fault::Op::Lease, hookward_store::fault::Fault::Unavailable);
    world.takes_orders(1..=50).await;
    world.store.heal(hookward_store::fault::Op::Lease);
    let all = soon("all are delivered", world.delivers(50)).await;
    let ids: std::collections::BTreeSet<_> =
        all.iter().map(|it| it.header("hookward-event-id").to_owned()).collect();
    assert_eq!(ids.len(), 50);
}
