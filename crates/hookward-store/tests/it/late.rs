//! Writes that take effect without an answer, or when nobody expects them any more: of nodes that stood still, and of ones
//! that were taken over meanwhile.

use std::{sync::Arc, time::Duration};

use hookward_core::Timestamp;
use hookward_store::{
    Attempt, Lease, Outcome, Receipt, State, Store, StoreError, dynamodb::Options,
};

use crate::{
    faults::{DAY, Node, World, after, each, hasty, is_unavailable, key, shop},
    local,
    proxy::{Call, Fault, Gate, says},
};

impl World {
    /// A node whose calls give up within a story.
    async fn hasty_node(&self) -> Node {
        self.node(Options { patience: hasty(), ..self.options() }).await
    }

    /// No node has left anything open: each that closed is gone.
    async fn is_settled(&self) {
        let other = self.node(Options { takes_over: false, ..self.options() }).await;
        assert_eq!(other.store.nodes().await.unwrap(), [other.store.node()]);
    }
}

impl Node {
    /// The lease of the only event that is due.
    async fn leases(&self, now: Timestamp, until: Timestamp) -> Lease {
        let work = self.store.lease(&[shop()], now, until, 10).await.unwrap();
        let [leased] = &work.leased[..] else { panic!("{work:?}") };
        leased.lease.clone()
    }

    /// An event was taken and delivered at its first attempt.
    async fn has_delivered(&self, number: u64) {
        assert_eq!(self.says(number).await.unwrap(), Receipt::Kept { lease: None });
        let lease = self.leases(after(1), after(60)).await;
        self.settles(lease, done()).await.unwrap();
    }

    async fn settles(&self, lease: Lease, outcome: Outcome) -> Result<(), StoreError> {
        self.store.settle(lease, outcome, after(2)).await
    }

    async fn state(&self, number: u64) -> State {
        self.store.get(key(number)).await.unwrap().unwrap().state
    }
}

fn attempt(status: u16) -> Attempt {
    Attempt { at: after(2), status: Some(status), note: "an answer".into() }
}

fn done() -> Outcome {
    Outcome::Done(attempt(200))
}

fn again(at: u64) -> Outcome {
    Outcome::Again { at: after(at), attempt: attempt(503) }
}

// ---- Tickets whose answer is lost.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_whose_ticket_had_no_answer_is_not_lost() {
    let world = World::new().await;
    let node = world.hasty_node().await;
    node.says(1).await.unwrap();
    let lease = node.leases(after(1), after(60)).await;
    node.proxy.does(each(|call| call.puts("r#"), Fault::LosesReply));
    assert!(is_unavailable(&node.settles(lease, again(100)).await));
    node.proxy.recovers();
    // It is delivered again when that lease lapses, and fails again.
    let lease = node.leases(after(61), after(120)).await;
    node.settles(lease, again(200)).await.unwrap();
    let kept = node.store.get(key(1)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, kept.due_at), (State::Pending, 2, Some(after(200))));
    let lease = node.leases(after(200), after(260)).await;
    node.settles(lease, done()).await.unwrap();
    assert_eq!(node.state(1).await, State::Done);
    node.store.close().await.unwrap();
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_had_no_answer_does_not_outlive_the_delivery() {
    let world = World::new().await;
    let (node, other) = (world.hasty_node().await, world.sound_node().await);
    node.says(1).await.unwrap();
    let lease = node.leases(after(1), after(60)).await;
    node.proxy.does(each(|call| call.puts("r#"), Fault::LosesReply));
    assert!(is_unavailable(&node.settles(lease, again(100)).await));
    node.proxy.recovers();
    let lease = node.leases(after(61), after(120)).await;
    node.settles(lease, done()).await.unwrap();
    node.store.tend().await.unwrap();
    for node in [&node, &other] {
        assert_eq!(node.state(1).await, State::Done);
        assert_eq!(node.says(1).await.unwrap(), Receipt::Duplicate { state: State::Done });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_whose_tickets_had_no_answer_leaves_nobody_without_an_owner() {
    let world = World::new().await;
    let (dying, successor) = (world.sound_node().await, world.hasty_node().await);
    for number in 1..4 {
        dying.says(number).await.unwrap();
    }
    dying.dies();
    successor.store.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    successor.proxy.does(each(|call| call.puts("r#"), Fault::LosesReply));
    assert!(successor.store.tend().await.is_err());
    successor.proxy.recovers();
    successor.store.tend().await.unwrap();
    let work = successor.store.lease(&[shop()], after(61), after(90), 9).await.unwrap();
    assert_eq!(work.leased.len(), 3);
    for leased in work.leased {
        successor.settles(leased.lease, done()).await.unwrap();
    }
    successor.store.close().await.unwrap();
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_whose_ticket_had_no_answer_is_delivered() {
    let world = World::new().await;
    let node = world.hasty_node().await;
    node.has_delivered(1).await;
    node.proxy.does(each(|call| call.puts("r#"), Fault::LosesReply));
    assert!(is_unavailable(&node.store.requeue(key(1), after(9)).await));
    node.proxy.recovers();
    node.store.tend().await.unwrap();
    let lease = node.leases(after(10), after(60)).await;
    node.settles(lease, done()).await.unwrap();
    node.store.close().await.unwrap();
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_what_is_being_retried_loses_nothing_when_it_fails() {
    let world = World::new().await;
    let node = world.hasty_node().await;
    node.says(1).await.unwrap();
    let lease = node.leases(after(1), after(60)).await;
    node.settles(lease, again(5)).await.unwrap();
    node.proxy.does(each(|call| call.puts("r#"), Fault::LosesReply));
    assert!(is_unavailable(&node.store.requeue(key(1), after(9)).await));
    // The ticket of the first replay is in the way of the second one, whose own is then refused.
    let mut tickets = 0;
    node.proxy.does(move |call| {
        tickets += u32::from(call.puts("r#"));
        if call.puts("j#") && tickets > 0 {
            says(500, "InternalServerError", "")
        } else {
            Fault::None
        }
    });
    drop(node.store.requeue(key(1), after(19)).await);
    node.proxy.recovers();
    node.store.tend().await.unwrap();
    let lease = node.leases(after(3_600), after(3_700)).await;
    node.settles(lease, done()).await.unwrap();
    node.store.close().await.unwrap();
    world.is_settled().await;
}

// ---- Numbers that mean nothing.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_fails_leaves_no_number_open() {
    let world = World::new().await;
    let node = world.hasty_node().await;
    node.has_delivered(1).await;
    let failure = || each(|call| call.puts("j#"), says(500, "InternalServerError", ""));
    node.proxy.does(failure());
    assert!(is_unavailable(&node.store.requeue(key(1), after(9)).await));
    node.proxy.recovers();
    for number in 2..5 {
        node.says(number).await.unwrap();
    }
    // Events that are about to expire are journaled anew.
    let late = after(0).saturating_add(DAY + Duration::from_hours(23));
    node.proxy.does(failure());
    assert!(is_unavailable(&node.store.expire(late).await));
    node.proxy.recovers();
    let work = node.store.lease(&[shop()], after(61), after(90), 9).await.unwrap();
    assert_eq!(work.leased.len(), 3);
    for leased in work.leased {
        node.settles(leased.lease, done()).await.unwrap();
    }
    node.store.close().await.unwrap();
    world.is_settled().await;
}

/// Nobody hears of this node any more, and what it writes of one kind arrives when the gate opens.
fn stands_still(
    prefix: &'static str,
    gate: &Arc<Gate>,
) -> impl FnMut(&Call) -> Fault + Send + use<> {
    let gate = Arc::clone(gate);
    move |call| match &*call.operation {
        "UpdateItem" => Fault::Lost,
        _ if call.puts(prefix) => Fault::Waits(Arc::clone(&gate)),
        _ => Fault::None,
    }
}

// ---- Nodes that go on after somebody took them over.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_comes_in_the_middle_of_a_takeover_is_taken_over_too() {
    let world = World::new().await;
    let (dying, successor) = (world.sound_node().await, world.sound_node().await);
    dying.says(1).await.unwrap();
    let lease = dying.leases(after(1), after(60)).await;
    let (late, held) = (Gate::closed(), Gate::closed());
    dying.proxy.does(stands_still("r#", &late));
    let store = Arc::clone(&dying.store);
    let settling = tokio::spawn(async move { store.settle(lease, again(9), after(2)).await });
    late.somebody_waits().await;
    // The successor has read the event, and is about to write its own ticket.
    successor.store.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    successor.proxy.does(each(|call| call.puts("r#"), Fault::Waits(Arc::clone(&held))));
    let store = Arc::clone(&successor.store);
    let taking = tokio::spawn(async move { store.tend().await });
    held.somebody_waits().await;
    late.open();
    settling.await.unwrap().unwrap();
    dying.dies();
    held.open();
    taking.await.unwrap().unwrap();
    assert_eq!(successor.delivers().await, [key(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_not_left_to_a_successor_that_has_looked_already() {
    let world = World::new().await;
    let (paused, successor) = (world.sound_node().await, world.sound_node().await);
    let witness = world.node(Options { takes_over: false, ..world.options() }).await;
    let (late, held) = (Gate::closed(), Gate::closed());
    paused.proxy.does(stands_still("j#", &late));
    let first = paused.append(1);
    late.somebody_waits().await;
    while successor.store.get(key(1)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    // The witness has seen that the first node is there, and is about to read its journal.
    witness.proxy.does(each(
        |call| call.operation == "Query" && call.body.contains("\"j#"),
        Fault::Waits(Arc::clone(&held)),
    ));
    let second = witness.append(1);
    held.somebody_waits().await;
    successor.store.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    witness.store.tend().await.unwrap();
    successor.store.tend().await.unwrap();
    assert!(!successor.store.nodes().await.unwrap().contains(&paused.store.node()));
    late.open();
    assert!(is_unavailable(&first.await.unwrap()));
    held.open();
    let answer = second.await.unwrap();
    successor.store.tend().await.unwrap();
    let delivered = [successor.delivers().await, witness.delivers().await].concat();
    assert!(answer.is_err() || delivered == [key(1)], "{answer:?}, delivered {delivered:?}");
    // Whoever is told so in the end is told the truth.
    assert_eq!(witness.tells(1).await, Receipt::Duplicate { state: State::Pending });
    assert_eq!(witness.delivers().await, [key(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_at_a_node_that_was_taken_over_is_not_promised() {
    let world = World::new().await;
    let (paused, successor) = (world.sound_node().await, world.sound_node().await);
    paused.says(1).await.unwrap();
    let lease = paused.leases(after(1), after(60)).await;
    paused.settles(lease, Outcome::Dead(attempt(503))).await.unwrap();
    let late = Gate::closed();
    paused.proxy.does(stands_still("r#", &late));
    let store = Arc::clone(&paused.store);
    let replay = tokio::spawn(async move { store.requeue(key(1), after(9)).await });
    late.somebody_waits().await;
    world.lapse(&[&successor]).await;
    late.open();
    let replay = replay.await.unwrap();
    successor.store.tend().await.unwrap();
    let delivered = successor.delivers().await;
    assert!(replay.is_err() || delivered == [key(1)], "{replay:?}, delivered {delivered:?}");
}

// ---- Answers that say too little.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_does_not_say_what_is_there_acknowledges_nothing() {
    let world = World::new().await;
    let (first, second) = (world.sound_node().await, world.sound_node().await);
    first.says(1).await.unwrap();
    let refusal = says(400, "ConditionalCheckFailedException", "");
    second.proxy.does(each(|call| call.puts("e#"), refusal));
    let answer = second.says(1).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    second.proxy.recovers();
    assert_eq!(second.tells(1).await, Receipt::Duplicate { state: State::Pending });
    assert_eq!(second.delivers().await, []);
}
