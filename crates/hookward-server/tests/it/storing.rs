//! The store in trouble: nothing is acknowledged that it does not hold, and nothing that it holds is lost.

use std::time::Duration;

use hookward_store::fault::{Fault, Op};

use crate::world::{Setup, World, soon};

#[tokio::test]
async fn while_the_store_is_down_nothing_is_acknowledged() {
    let world = World::new().await;
    world.store.always(Op::Append, Fault::Unavailable);
    for number in 1..=3 {
        let answer = world.sends(&world.order(number)).await;
        assert_eq!((answer.status, &*answer.code()), (503, "unavailable"));
        assert!((5..=8).contains(&answer.retry_after().unwrap()));
    }
    assert!(world.stored().await.is_empty());
    assert!((world.counted("orders", "store_unavailable").await - 3.0).abs() < f64::EPSILON);
    // A forgery is refused all the same, and never learns of it.
    assert_eq!(world.sends(&world.order(1).saying("{}")).await.status, 403);

    world.store.heal(Op::Append);
    world.takes_orders(1..=3).await;
    world.delivers(3).await;
    assert_eq!(world.states().await, ["done"; 3]);
}

#[tokio::test]
async fn an_append_whose_reply_was_lost_is_found_again_by_its_senders_retry() {
    let world = World::new().await;
    world.store.next(Op::Append, Fault::ReplyLost);
    let answer = world.sends(&world.order(1)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.retry_after().is_some());
    world.takes_orders([1]).await;
    world.delivers(1).await;
    assert_eq!(world.states().await, ["done"]);
    assert!((world.counted("orders", "duplicate").await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_full_queue_puts_senders_off() {
    let world = Setup::default().queue_of(2).but_app(|app| app.concurrency = 1).begins().await;
    let told = std::sync::Arc::new(tokio::sync::Notify::new());
    world.app.answers([crate::application::Reply::After(std::sync::Arc::clone(&told), 200)]);
    world.takes_orders([1, 2]).await;
    let answer = world.sends(&world.order(3)).await;
    assert_eq!((answer.status, &*answer.code()), (503, "queue_full"));
    assert!(answer.retry_after().is_some());
    // What is there already is still a duplicate.
    world.takes_orders([1, 2]).await;

    world.app.got(1).await;
    told.notify_one();
    world.delivers(2).await;
    world.takes_orders([3]).await;
    world.delivers(3).await;
    assert!((world.counted("orders", "queue_full").await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_store_that_takes_too_long_is_answered_for_before_the_sender_gives_up() {
    let world = World::new().await;
    let gate = world.store.hold(Op::Append);
    let letter = world.order(1);
    let (answer, ()) = tokio::join!(world.sends(&letter), gate.arrived(1));
    assert_eq!((answer.status, &*answer.code()), (503, "unavailable"));
    gate.open();
    world.takes_orders([1]).await;
    world.delivers(1).await;
}

#[tokio::test]
async fn what_the_store_cannot_keep_at_all_is_not_put_off() {
    let world = Setup::default().delivering_nowhere().begins().await;
    world.store.next(Op::Append, Fault::TooLarge);
    let answer = world.sends(&world.order(1)).await;
    assert_eq!((answer.status, &*answer.code()), (413, "too_large"));
    assert!(
        answer.text().contains("larger than the 0 bytes that can be kept"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.retry_after(), None);
}

#[tokio::test]
async fn a_conflict_is_acknowledged_only_when_it_is_kept() {
    let world = Setup::default().delivering_nowhere().begins().await;
    let first = world.letter("orders", "msg_1", r#"{"amount":1}"#);
    let other = world.letter("orders", "msg_1", r#"{"amount":2}"#);
    assert_eq!(world.sends(&first).await.status, 200);
    world.store.next(Op::Append, Fault::Pass);
    world.store.next(Op::Append, Fault::Unavailable);
    assert_eq!(world.sends(&other).await.status, 503);
    assert_eq!(world.states().await, ["archived"]);
    assert_eq!(world.sends(&other).await.status, 200);
    assert_eq!(world.states().await, ["archived", "dead Quarantined(IdConflict)"]);
}

#[tokio::test]
async fn a_sender_that_hangs_up_early_changes_nothing() {
    let world = World::new().await;
    let gate = world.store.hold(Op::Append);
    let mut wire = crate::wire::Wire::to(world.address()).await;
    wire.write(world.order(1).bytes()).await;
    gate.arrived(1).await;
    drop(wire);
    gate.open();
    // Whether the first one was kept before it was dropped or not: its retry is taken, and delivered once.
    world.takes_orders([1]).await;
    world.delivers(1).await;
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_settled_means_another_delivery_and_no_loss() {
    let (setup, clock) = Setup::default().at_standstill();
    let world = setup.begins().await;
    world.store.next(Op::Settle, Fault::Unavailable);
    world.takes_orders([1]).await;
    world.settles(1).await;
    assert_eq!(world.states().await, ["pending"]);
    // The lease lapses.
    clock.advance(Duration::from_mins(1));
    let deliveries = world.delivers(2).await;
    assert_eq!(deliveries[0].header("webhook-id"), deliveries[1].header("webhook-id"));
    assert_eq!(world.states().await, ["done"]);
}

#[tokio::test]
async fn a_store_that_leases_nothing_for_a_while_delays_and_loses_nothing() {
    let world = World::new().await;
    world.store.always(Op::Lease, Fault::Unavailable);
    world.takes_orders([1]).await;
    let failing = async {
        while !crate::world::log().contains("cannot lease events for delivery") {
            tokio::task::yield_now().await;
        }
    };
    soon("the failure is logged", failing).await;
    world.store.heal(Op::Lease);
    world.delivers(1).await;
    let log = crate::world::log();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    // With its cause, and not each time.
    assert_eq!(told("will try again: the store is unavailable: "), 1, "{log}");
    assert_eq!(told("cannot lease events for delivery"), 1, "{log}");
    assert_eq!(told("events can be leased for delivery again"), 1, "{log}");
}
