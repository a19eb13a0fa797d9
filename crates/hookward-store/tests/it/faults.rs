//! What a network, a busy DynamoDB and dying nodes do: an acknowledged event is never lost, and no other is acknowledged.
//!
//! Each story that a flaw could get wrong is told to the sound store and to one with the flaw, which must be found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
};
use hookward_store::{
    Attempt, Claim, Outcome, Receipt, State, Store, StoreError,
    dynamodb::{DynamoDb, Flaw, Options, Patience},
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use crate::{
    local::{self, HandClock},
    proxy::{Call, Fault, Gate, Proxy, says},
};

pub(crate) const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// How long a story waits to see that nothing happens.
const A_MOMENT: Duration = Duration::from_millis(400);

pub(crate) fn after(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(seconds))
}

pub(crate) fn shop() -> SourceName {
    SourceName::parse("shop").unwrap()
}

pub(crate) fn key(number: u64) -> EventKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    EventKey::from_bytes(key)
}

pub(crate) fn event(number: u64) -> Event {
    testing::event(EventParts {
        key: key(number),
        source: shop(),
        event_type: Some("order.paid".into()),
        sender_id: None,
        content: ContentDigest::from_bytes(*key(number).as_bytes()),
        received_at: NOON.saturating_add(Duration::from_millis(number)),
        intake: Intake::Deliver,
        headers: Vec::new(),
        body: format!("{{\"number\":{number}}}").into(),
        body_expires_at: NOON.saturating_add(DAY),
        key_expires_at: Some(NOON.saturating_add(2 * DAY)),
    })
}

/// A table, and a clock for its nodes.
pub(crate) struct World {
    pub(crate) table: String,
    pub(crate) clock: Arc<HandClock>,
}

/// A node behind a proxy of its own.
pub(crate) struct Node {
    pub(crate) store: Arc<DynamoDb>,
    pub(crate) proxy: Proxy,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { table: local::table().await, clock: Arc::default() }
    }

    pub(crate) fn options(&self) -> Options {
        local::options(&self.table, &self.clock)
    }

    pub(crate) async fn node(&self, options: Options) -> Node {
        let proxy = Proxy::before(local::address()).await;
        let store = Arc::new(local::node(proxy.address, options, NOON).await);
        Node { store, proxy }
    }

    pub(crate) async fn sound_node(&self) -> Node {
        self.node(self.options()).await
    }

    async fn flawed_node(&self, flaw: Option<Flaw>) -> Node {
        self.node(Options { flaw, ..self.options() }).await
    }

    /// All leases end, and the nodes that are there notice.
    pub(crate) async fn lapse(&self, survivors: &[&Node]) {
        for node in survivors {
            node.store.tend().await.unwrap();
        }
        self.clock.advance(local::LAPSE);
        for node in survivors {
            node.store.tend().await.unwrap();
        }
    }
}

impl Node {
    pub(crate) fn append(&self, number: u64) -> JoinHandle<Result<Receipt, StoreError>> {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move { store.append(event(number), Claim::Queue).await })
    }

    pub(crate) async fn says(&self, number: u64) -> Result<Receipt, StoreError> {
        self.append(number).await.unwrap()
    }

    /// What a sender hears that tries again until it is told something.
    pub(crate) async fn tells(&self, number: u64) -> Receipt {
        loop {
            match self.says(number).await {
                Ok(receipt) => return receipt,
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Leases everything, and says what it was.
    pub(crate) async fn delivers(&self) -> Vec<EventKey> {
        let work = self.store.lease(&[shop()], after(3_600), after(7_200), 10_000).await.unwrap();
        work.leased.iter().map(|leased| leased.lease.key).collect()
    }

    pub(crate) fn dies(self) {
        drop(self.store);
    }
}

/// Calls that give up within a story.
pub(crate) fn hasty() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        attempt: Duration::from_secs(2),
        operation: Duration::from_secs(5),
        attempts: 3,
        first_backoff: Duration::from_millis(5),
    }
}

/// The first call of a kind has a fault, the others have none.
pub(crate) fn first(
    is_it: impl Fn(&Call) -> bool + Send + 'static,
    fault: Fault,
) -> impl FnMut(&Call) -> Fault + Send + 'static {
    let happened = AtomicBool::new(false);
    move |call| {
        if is_it(call) && !happened.swap(true, Ordering::Relaxed) {
            fault.clone()
        } else {
            Fault::None
        }
    }
}

/// Each call of a kind has a fault.
pub(crate) fn each(
    is_it: impl Fn(&Call) -> bool + Send + 'static,
    fault: Fault,
) -> impl FnMut(&Call) -> Fault + Send + 'static {
    move |call| if is_it(call) { fault.clone() } else { Fault::None }
}

pub(crate) fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

// ---- Stories that a flaw gets wrong.

/// The sound store tells the story right, and the store with the flaw does not.
macro_rules! finds {
    ($flaw:ident, $story:ident) => {{
        assert_eq!($story(None).await, Ok(()));
        let found = $story(Some(Flaw::$flaw)).await;
        assert!(found.is_err(), "{:?} was not found", Flaw::$flaw);
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_meets_its_own_first_try_is_no_duplicate() {
    finds!(IgnoresReceipts, own_retry);
}

async fn own_retry(flaw: Option<Flaw>) -> Result<(), String> {
    let world = World::new().await;
    let node = world.flawed_node(flaw).await;
    node.proxy.does(first(|call| call.puts("e#"), Fault::LosesReply));
    let receipt = node.says(1).await.map_err(|error| error.to_string())?;
    let delivered = node.delivers().await;
    if receipt == (Receipt::Kept { lease: None }) && delivered == [key(1)] {
        Ok(())
    } else {
        Err(format!("{receipt:?}, delivered {delivered:?}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_the_journal_holds_it() {
    finds!(AcknowledgesBeforeTheJournal, death_before_the_journal);
}

async fn death_before_the_journal(flaw: Option<Flaw>) -> Result<(), String> {
    let world = World::new().await;
    let (dying, successor) = (world.flawed_node(flaw).await, world.sound_node().await);
    let gate = Gate::closed();
    dying.proxy.does(each(|call| call.puts("j#"), Fault::Waits(Arc::clone(&gate))));
    let append = dying.append(1);
    gate.somebody_waits().await;
    let answer = tokio::time::timeout(A_MOMENT, append).await;
    let acknowledged = matches!(answer, Ok(Ok(Ok(_))));
    dying.dies();
    world.lapse(&[&successor]).await;
    let delivered = successor.delivers().await;
    if acknowledged && delivered.is_empty() {
        return Err("an acknowledged event is lost".to_owned());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_that_nobody_would_deliver_is_adopted() {
    finds!(AcknowledgesAnyDuplicate, orphan);
}

async fn orphan(flaw: Option<Flaw>) -> Result<(), String> {
    let world = World::new().await;
    let (dying, successor) = (world.sound_node().await, world.flawed_node(flaw).await);
    let gate = Gate::closed();
    dying.proxy.does(each(|call| call.puts("j#"), Fault::Waits(Arc::clone(&gate))));
    let _unanswered = dying.append(1);
    gate.somebody_waits().await;
    while successor.store.get(key(1)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    // Its node may still die before the journal knows of it.
    let while_it_lives = successor.says(1).await;
    dying.dies();
    world.lapse(&[&successor]).await;
    let answer = successor.says(1).await;
    let acknowledged = while_it_lives.is_ok() || answer.is_ok();
    let delivered = successor.delivers().await;
    match (acknowledged, delivered.as_slice()) {
        (true, []) => Err("an acknowledged event is lost".to_owned()),
        (true, [one]) if *one == key(1) => Ok(()),
        other => Err(format!("{other:?}, {answer:?}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_without_a_lease() {
    finds!(ForgetsItsLease, pause);
}

async fn pause(flaw: Option<Flaw>) -> Result<(), String> {
    let world = World::new().await;
    let (paused, successor) = (world.flawed_node(flaw).await, world.sound_node().await);
    // Everything that the node writes is stuck, its heartbeats too. What it looks for before its first event is not.
    let gate = Gate::closed();
    paused.proxy.does(each(|call| call.operation != "Query", Fault::Waits(Arc::clone(&gate))));
    let append = paused.append(1);
    gate.somebody_waits().await;
    gate.somebody_waits().await;
    world.lapse(&[&successor]).await;
    let nodes = successor.store.nodes().await.unwrap();
    assert_eq!(nodes, [successor.store.node()], "the paused node was taken over");
    let former = paused.store.node();
    gate.open();
    let answer = append.await.unwrap();
    // It finds out that it was taken for dead, and begins again.
    paused.store.tend().await.unwrap();
    assert_ne!(paused.store.node(), former);
    successor.store.tend().await.unwrap();
    let delivered = [paused.delivers().await, successor.delivers().await].concat();
    if answer.is_ok() && delivered.is_empty() {
        return Err("an acknowledged event is lost".to_owned());
    }
    if !is_unavailable(&answer) {
        return Err(format!("{answer:?}"));
    }
    // The sender tries again, and then it is kept.
    let again = paused.says(1).await.map_err(|error| error.to_string())?;
    let delivered = paused.delivers().await;
    if again == (Receipt::Duplicate { state: State::Pending }) && delivered == [key(1)] {
        Ok(())
    } else {
        Err(format!("{again:?}, delivered {delivered:?}"))
    }
}

// ---- Faults.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_is_found_out() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    node.proxy.does(each(|call| call.puts("e#"), Fault::LosesReply));
    let answer = node.says(1).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    assert_eq!(node.delivers().await, []);
    node.proxy.recovers();
    // Nobody asks again; the event was kept all the same, so it is delivered.
    let delivered = loop {
        world.clock.advance(Duration::from_secs(1));
        node.store.tend().await.unwrap();
        let delivered = node.delivers().await;
        if !delivered.is_empty() {
            break delivered;
        }
    };
    assert_eq!(delivered, [key(1)]);
    let again = node.says(1).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Pending });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_tries_again_is_told_the_truth_about_its_first_try() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    for (number, fault) in [(1, Fault::LosesReply), (2, Fault::Lost), (3, Fault::Silence)] {
        node.proxy.does(each(|call| call.puts("e#"), fault));
        let answer = node.says(number).await;
        assert!(is_unavailable(&answer), "{answer:?}");
        node.proxy.recovers();
        // Whether the first try was kept or not: this one is, and once.
        let again = node.tells(number).await;
        assert_eq!(again, Receipt::Kept { lease: None });
        assert_eq!(node.delivers().await, [key(number)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_whose_answer_is_lost_is_written_again_before_anything_is_acknowledged() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    let successor = world.sound_node().await;
    node.proxy.does(each(|call| call.puts("j#"), Fault::Lost));
    let answer = node.says(1).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    node.proxy.recovers();
    assert_eq!(node.tells(1).await, Receipt::Kept { lease: None });
    node.dies();
    world.lapse(&[&successor]).await;
    assert_eq!(successor.delivers().await, [key(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttles_are_told_with_their_reasons_and_keep_nothing() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    let reasons = ",\"throttlingReasons\":[{\"reason\":\"TableWriteMaxOnDemandThroughputExceeded\",\"resource\":\"arn:aws:dynamodb:eu-central-1:1:table/t\"}]";
    let throttle = says(400, "ThrottlingException", reasons);
    node.proxy.does(each(|call| call.puts("e#"), throttle));
    let answer = node.says(1).await;
    let Err(StoreError::Unavailable(cause)) = &answer else { panic!("{answer:?}") };
    let told = cause.to_string();
    assert!(told.contains("throttles: TableWriteMaxOnDemandThroughputExceeded"), "{told}");
    let throttled = node.store.usage().throttled;
    assert_eq!(throttled, [("TableWriteMaxOnDemandThroughputExceeded".to_owned(), 1)]);
    assert!(node.store.get(key(1)).await.unwrap().is_none());
    assert!(node.store.health().await.is_ok(), "the node still has its lease");
    node.proxy.recovers();
    assert_eq!(node.tells(1).await, Receipt::Kept { lease: None });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_dynamodb_that_passes_is_not_noticed() {
    let world = World::new().await;
    let node = world.sound_node().await;
    let faults = [
        says(500, "InternalServerError", ""),
        says(503, "ServiceUnavailable", ""),
        says(400, "ProvisionedThroughputExceededException", ""),
        Fault::Lost,
        Fault::Late(Duration::from_millis(200)),
    ];
    for (number, fault) in (1..).zip(faults) {
        node.proxy.does(first(|call| call.puts("e#") || call.puts("j#"), fault));
        assert_eq!(node.says(number).await.unwrap(), Receipt::Kept { lease: None }, "{number}");
    }
    assert_eq!(node.delivers().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_credentials_are_told_and_end_the_lease() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    node.proxy.does(each(|_| true, says(400, "ExpiredTokenException", "")));
    let answer = node.says(1).await;
    let Err(StoreError::Unavailable(cause)) = &answer else { panic!("{answer:?}") };
    assert!(cause.to_string().contains("refuses: ExpiredTokenException"), "{cause}");
    assert!(node.store.health().await.is_ok());
    world.clock.advance(local::LAPSE);
    assert!(node.store.health().await.is_err(), "readiness follows the lease");
    assert!(node.store.lease(&[shop()], after(1), after(2), 1).await.is_err());
    node.proxy.recovers();
    node.store.tend().await.unwrap();
    assert!(node.store.health().await.is_ok(), "nobody had taken it over");
    assert_eq!(node.tells(1).await, Receipt::Kept { lease: None });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_calls_all_fail_is_not_well_until_one_does_not() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    node.proxy.does(each(|_| true, says(500, "InternalServerError", "")));
    assert!(is_unavailable(&node.says(1).await));
    assert!(node.store.health().await.is_ok(), "one event may fail");
    for number in 2..4 {
        assert!(is_unavailable(&node.says(number).await));
    }
    assert!(node.store.health().await.is_err());
    node.proxy.recovers();
    node.store.tend().await.unwrap();
    assert!(node.store.health().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_that_fail_one_after_the_other_leave_nothing_open() {
    let world = World::new().await;
    let node = world.node(Options { patience: hasty(), ..world.options() }).await;
    let failure = || says(500, "InternalServerError", "");
    // Neither the journal nor the event; then the journal alone, twice; then both.
    node.proxy.does(each(|_| true, failure()));
    assert!(is_unavailable(&node.says(1).await));
    node.proxy.does(each(|call| call.puts("e#"), failure()));
    for _ in 0..2 {
        assert!(is_unavailable(&node.says(1).await));
    }
    node.proxy.recovers();
    assert_eq!(node.tells(1).await, Receipt::Kept { lease: None });
    let work = node.store.lease(&[shop()], after(1), after(60), 9).await.unwrap();
    assert_eq!(work.leased.len(), 1);
    for leased in work.leased {
        let attempt = Attempt { at: after(1), status: Some(200), note: "ok".into() };
        node.store.settle(leased.lease, Outcome::Done(attempt), after(1)).await.unwrap();
    }
    node.store.close().await.unwrap();
    // A node that has left something open stays until somebody takes it over.
    let other = world.node(Options { takes_over: false, ..world.options() }).await;
    assert_eq!(other.store.nodes().await.unwrap(), [other.store.node()]);
}

/// Senders are answered on runtimes of their own, which end before the store is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_ends_takes_no_connection_along() {
    const AT_ONCE: u64 = 8;
    let world = World::new().await;
    let node = world.sound_node().await;
    let store = Arc::clone(&node.store);
    let (told, hears) = oneshot::channel::<()>();
    let (kept, is_kept) = oneshot::channel();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let append = |number| store.append(event(number), Claim::Queue);
            let appended = futures_util::future::try_join_all((0..AT_ONCE).map(append)).await;
            kept.send(appended.map(|receipts| receipts.len())).unwrap();
            hears.await.unwrap();
        });
    });
    assert_eq!(is_kept.await.unwrap().unwrap(), 8);
    // Calls are on their way over all connections that there are when that runtime ends.
    let gate = Gate::closed();
    node.proxy.does(each(|_| true, Fault::Waits(Arc::clone(&gate))));
    let mut gets = JoinSet::new();
    for number in 0..AT_ONCE {
        let store = Arc::clone(&node.store);
        gets.spawn(async move { store.get(key(number)).await });
    }
    for _ in 0..AT_ONCE {
        gate.somebody_waits().await;
    }
    told.send(()).unwrap();
    tokio::task::spawn_blocking(|| other.join().unwrap()).await.unwrap();
    gate.open();
    while let Some(got) = gets.join_next().await {
        assert!(got.unwrap().unwrap().is_some());
    }
    node.store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_there_is_told_at_once() {
    let clock = Arc::new(HandClock::default());
    let options = local::options("not-there", &clock);
    let client = hookward_store::dynamodb::client(local::connection(local::address()), &options);
    let error = DynamoDb::open(client, options, NOON).await.unwrap_err();
    let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("ResourceNotFoundException"), "{cause}");
}

// ---- Nodes.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_at_another_node_is_one_wherever_its_first_is() {
    let world = World::new().await;
    let (first, second) = (world.sound_node().await, world.sound_node().await);
    first.says(1).await.unwrap();
    let waiting = second.says(1).await.unwrap();
    assert_eq!(waiting, Receipt::Duplicate { state: State::Pending });
    assert_eq!(second.delivers().await, [], "it is the first node's to deliver");
    let query = hookward_store::Query { limit: 10, ..hookward_store::Query::default() };
    for node in [&first, &second] {
        let page = node.store.list(&query).await.unwrap();
        let listed: Vec<EventKey> = page.events.iter().map(|kept| kept.event.key).collect();
        assert_eq!(listed, [key(1)], "once, though both nodes' journals name it");
    }
    let work = first.store.lease(&[shop()], after(1), after(60), 1).await.unwrap();
    let attempt = Attempt { at: after(1), status: Some(200), note: "ok".into() };
    let lease = work.leased[0].lease.clone();
    first.store.settle(lease, Outcome::Done(attempt), after(1)).await.unwrap();
    first.store.tend().await.unwrap();
    let done = second.says(1).await.unwrap();
    assert_eq!(done, Receipt::Duplicate { state: State::Done });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_in_order_has_its_work_done_at_once() {
    let world = World::new().await;
    let (leaving, staying) = (world.sound_node().await, world.sound_node().await);
    for number in 0..3 {
        leaving.says(number).await.unwrap();
    }
    leaving.store.close().await.unwrap();
    // No lease has to end for that.
    staying.store.tend().await.unwrap();
    assert_eq!(staying.delivers().await.len(), 3);
    assert_eq!(staying.store.nodes().await.unwrap(), [staying.store.node()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_that_dies_is_finished_by_the_next() {
    let world = World::new().await;
    let (dying, second, third) =
        (world.sound_node().await, world.sound_node().await, world.sound_node().await);
    for number in 0..10 {
        dying.says(number).await.unwrap();
    }
    second.says(100).await.unwrap();
    dying.dies();
    // The second node takes the first one over, and dies in the middle of its tickets.
    let tickets = AtomicU32::new(0);
    let gate = Gate::closed();
    let held = Arc::clone(&gate);
    second.proxy.does(move |call| {
        if call.puts("r#") && tickets.fetch_add(1, Ordering::Relaxed) >= 4 {
            Fault::Waits(Arc::clone(&held))
        } else {
            Fault::None
        }
    });
    second.store.tend().await.unwrap();
    third.store.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    third.store.tend().await.unwrap();
    let store = Arc::clone(&second.store);
    let taking = tokio::spawn(async move { store.tend().await });
    // Whoever of the two was faster: the work of both is finished by the third in the end.
    tokio::select! {
        () = gate.somebody_waits() => {}
        () = tokio::time::sleep(A_MOMENT) => {}
    }
    taking.abort();
    drop(taking.await);
    second.dies();
    world.lapse(&[&third]).await;
    world.lapse(&[&third]).await;
    let delivered: BTreeSet<EventKey> = third.delivers().await.into_iter().collect();
    let all: BTreeSet<EventKey> = (0..10).chain([100]).map(key).collect();
    assert_eq!(delivered, all);
    assert_eq!(third.store.nodes().await.unwrap(), [third.store.node()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tried_and_given_up_outlives_its_node() {
    let world = World::new().await;
    let (dying, successor) = (world.sound_node().await, world.sound_node().await);
    for number in 0..3 {
        dying.says(number).await.unwrap();
    }
    let work = dying.store.lease(&[shop()], after(1), after(60), 2).await.unwrap();
    let attempt = Attempt { at: after(2), status: Some(503), note: "busy".into() };
    let outcomes =
        [Outcome::Again { at: after(500), attempt: attempt.clone() }, Outcome::Dead(attempt)];
    for (leased, outcome) in work.leased.into_iter().zip(outcomes) {
        dying.store.settle(leased.lease, outcome, after(2)).await.unwrap();
    }
    dying.dies();
    world.lapse(&[&successor]).await;
    let retried = successor.store.get(key(0)).await.unwrap().unwrap();
    assert_eq!(
        (retried.state, retried.attempts, retried.due_at),
        (State::Pending, 1, Some(after(500)))
    );
    let query = hookward_store::Query {
        state: Some(State::Dead),
        limit: 10,
        ..hookward_store::Query::default()
    };
    let dead = successor.store.list(&query).await.unwrap().events;
    assert_eq!(dead.iter().map(|kept| kept.event.key).collect::<Vec<_>>(), [key(1)]);
    let work = successor.store.lease(&[shop()], after(499), after(600), 10).await.unwrap();
    let due: Vec<_> = work.leased.iter().map(|leased| leased.lease.key).collect();
    assert_eq!((due, work.next_due), (vec![key(2)], Some(after(500))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_event_is_not_left_to_dynamodb_to_delete() {
    let world = World::new().await;
    let (node, other) = (world.sound_node().await, world.sound_node().await);
    for number in 0..2 {
        node.says(number).await.unwrap();
    }
    let work = node.store.lease(&[shop()], after(1), after(60), 1).await.unwrap();
    let attempt = Attempt { at: after(1), status: Some(503), note: "busy".into() };
    let again = Outcome::Again { at: after(2), attempt };
    node.store.settle(work.leased[0].lease.clone(), again, after(1)).await.unwrap();
    // Both keys are kept until the end of the second day.
    let late = NOON.saturating_add(DAY + Duration::from_hours(23));
    node.store.expire(late).await.unwrap();
    let later = NOON.saturating_add(4 * DAY).as_secs();
    let all = local::client().scan().table_name(&world.table).send().await.unwrap().items.unwrap();
    let of = |prefix: &str| -> Vec<u64> {
        let items = all.iter().filter(|item| item["pk"].as_s().unwrap().starts_with(prefix));
        items.map(|item| item["x"].as_n().unwrap().parse().unwrap()).collect()
    };
    for (prefix, count) in [("e#", 2), ("r#", 2)] {
        let expire = of(prefix);
        assert_eq!(expire.len(), count, "{prefix}");
        assert!(expire.iter().all(|at| *at > later), "{prefix}: {expire:?}");
    }
    assert!(of("j#").into_iter().max() > Some(later));
    // So nobody else takes it for new, and a successor finds it.
    let mut again = event(1).into_parts();
    again.received_at = NOON.saturating_add(3 * DAY);
    let again = other.store.append(testing::event(again), Claim::Queue).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Pending });
    node.dies();
    world.lapse(&[&other]).await;
    assert_eq!(other.delivers().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_at_another_node_fences_the_first_ones_retries() {
    let world = World::new().await;
    let (first, second) = (world.sound_node().await, world.sound_node().await);
    first.says(1).await.unwrap();
    let work = first.store.lease(&[shop()], after(1), after(60), 1).await.unwrap();
    let lease = work.leased[0].lease.clone();
    second.store.requeue(key(1), after(5)).await.unwrap();
    assert_eq!(second.delivers().await, [key(1)]);
    let attempt = Attempt { at: after(6), status: Some(503), note: "busy".into() };
    let late = first.store.settle(lease, Outcome::Again { at: after(9), attempt }, after(6)).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(first.delivers().await, []);
}

// ---- All at once.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_event_is_lost_in_a_storm() {
    for seed in 0..2 {
        storm(seed).await;
    }
}

/// Three nodes of which one after the other dies, on a network that loses a tenth of everything.
async fn storm(seed: u64) {
    const ROUNDS: u64 = 4;
    const EVENTS: u64 = 30;
    let world = World::new().await;
    let patience = Patience { attempts: 2, ..local::patient() };
    let options = || Options { patience, ..world.options() };
    let weather = |node: &Node, seed: u64| {
        let mut dice = fastrand::Rng::with_seed(seed);
        node.proxy.does(move |_| match dice.u8(..100) {
            0..5 => Fault::LosesReply,
            5..10 => Fault::Lost,
            10..13 => says(400, "ThrottlingException", ""),
            13..15 => says(500, "InternalServerError", ""),
            _ => Fault::None,
        });
    };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(world.node(options()).await);
    }
    let mut acknowledged = BTreeSet::new();
    let mut delivered: BTreeMap<EventKey, u32> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (at, node) in (0..).zip(&nodes) {
            weather(node, seed * 1_000 + round * 10 + at);
        }
        // Senders send to any node, and once more to any other.
        let mut sent = Vec::new();
        for number in round * EVENTS..(round + 1) * EVENTS {
            for again in 0..2 {
                let to = usize::try_from((number + again + seed) % 3).unwrap();
                sent.push((number, nodes[to].append(number)));
            }
        }
        // Some are delivered meanwhile; each outcome may or may not be noted before its node dies.
        for node in &nodes {
            if let Ok(work) = node.store.lease(&[shop()], after(3_600), after(7_200), 5).await {
                for leased in work.leased {
                    *delivered.entry(leased.lease.key).or_default() += 1;
                    let attempt = Attempt { at: after(1), status: Some(200), note: "ok".into() };
                    // Whether it is kept is the store's matter: it was delivered.
                    drop(node.store.settle(leased.lease, Outcome::Done(attempt), after(1)).await);
                }
            }
        }
        let victim = usize::try_from((round + seed) % 3).unwrap();
        let fresh = world.node(options()).await;
        for (number, sent) in sent {
            if sent.await.unwrap().is_ok() {
                acknowledged.insert(key(number));
            }
        }
        std::mem::replace(&mut nodes[victim], fresh).dies();
        // The living are heard of, the dead are not.
        for _ in 0..2 {
            for node in &nodes {
                node.proxy.recovers();
                node.store.tend().await.unwrap();
            }
            world.clock.advance(local::LAPSE);
            for node in &nodes {
                node.store.tend().await.unwrap();
            }
        }
    }
    for _ in 0..3 {
        for node in &nodes {
            node.store.tend().await.unwrap();
            for key in node.delivers().await {
                *delivered.entry(key).or_default() += 1;
            }
        }
    }
    let lost: Vec<_> = acknowledged.iter().filter(|key| !delivered.contains_key(key)).collect();
    assert!(
        lost.is_empty(),
        "seed {seed}: {} of {} are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() > 60, "only {} were acknowledged", acknowledged.len());
}
