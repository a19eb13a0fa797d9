//! What events cost, as DynamoDB Local counts it.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
    rate::Budget,
};
use hookward_store::{
    Attempt, Claim, Outcome, Receipt, State, Store, StoreError,
    dynamodb::{DynamoDb, Options},
};
use tokio::task::JoinSet;

use crate::{
    local::{self, HandClock},
    proxy::{Fault, Gate, Proxy},
};

const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

fn shop() -> SourceName {
    SourceName::parse("shop").unwrap()
}

/// An event whose body does not compress.
fn event(number: u64, body_bytes: usize) -> Event {
    let mut dice = fastrand::Rng::with_seed(number);
    let mut key = [0; 16];
    dice.fill(&mut key);
    let body: Vec<u8> = std::iter::repeat_with(|| dice.u8(..)).take(body_bytes).collect();
    testing::event(EventParts {
        key: EventKey::from_bytes(key),
        source: shop(),
        event_type: Some("invoice.paid".into()),
        sender_id: Some("evt_1NG8Du2eZvKYlo2CUI79vXWy".into()),
        content: ContentDigest::from_bytes(key),
        received_at: NOON.saturating_add(Duration::from_micros(100 * number)),
        intake: Intake::Deliver,
        headers: vec![("content-type".into(), (*b"application/json").into())],
        body: body.into(),
        body_expires_at: NOON.saturating_add(Duration::from_hours(720)),
        key_expires_at: Some(NOON.saturating_add(Duration::from_hours(721))),
    })
}

async fn node(options: impl FnOnce(Options) -> Options) -> Arc<DynamoDb> {
    let clock = Arc::new(HandClock::default());
    let table = local::table().await;
    let options = options(local::options(&table, &clock));
    Arc::new(local::node(local::address(), options, NOON).await)
}

/// Write units and read units by outcome.
fn used(node: &DynamoDb) -> BTreeMap<&'static str, (f64, f64)> {
    let mut used: BTreeMap<_, (f64, f64)> = BTreeMap::new();
    for units in node.usage().units {
        let sum = used.entry(units.outcome).or_default();
        sum.0 += units.writes;
        sum.1 += units.reads;
    }
    used
}

/// Appends of so many events, so many at once.
async fn append(
    node: &Arc<DynamoDb>,
    numbers: std::ops::Range<u64>,
    body_bytes: usize,
    at_once: usize,
) {
    let mut tasks = JoinSet::new();
    for number in numbers {
        while tasks.len() >= at_once {
            let kept: Result<Receipt, StoreError> = tasks.join_next().await.unwrap().unwrap();
            assert_eq!(kept.unwrap(), Receipt::Kept { lease: None });
        }
        let node = Arc::clone(node);
        tasks.spawn(async move { node.append(event(number, body_bytes), Claim::Queue).await });
    }
    while let Some(kept) = tasks.join_next().await {
        assert_eq!(kept.unwrap().unwrap(), Receipt::Kept { lease: None });
    }
}

async fn deliver_all(node: &DynamoDb) -> usize {
    let later = NOON.saturating_add(Duration::from_mins(1));
    let until = later.saturating_add(Duration::from_mins(1));
    let leased = node.lease(&[shop()], later, until, 10_000).await.unwrap().leased;
    let count = leased.len();
    for leased in leased {
        let attempt = Attempt { at: later, status: Some(200), note: "ok".into() };
        node.settle(leased.lease, Outcome::Done(attempt), later).await.unwrap();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_event_under_load_costs_little_more_than_one_unit() {
    let node =
        node(|options| Options { journal_delay: Duration::from_millis(100), ..options }).await;
    append(&node, 0..400, 650, 40).await;
    assert_eq!(deliver_all(&node).await, 400);
    let used = used(&node);
    let written: f64 = used.values().map(|(writes, _)| writes).sum();
    assert_eq!(used["accepted"], (400.0, 0.0), "one unit each");
    // Besides the journal: entering, and the heartbeats.
    assert!(written <= 440.0, "{used:?}");
    assert!(
        used.keys().all(|outcome| ["accepted", "dictionary", "journal", "node"].contains(outcome)),
        "{used:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_waits_for_others_where_they_come_close_together_and_alone_for_nobody() {
    const DELAY: Duration = Duration::from_mins(1);
    let clock = Arc::new(HandClock::default());
    let table = local::table().await;
    let options = Options { journal_delay: DELAY, ..local::options(&table, &clock) };
    let node = Arc::new(local::node(local::address(), options, NOON).await);
    append(&node, 0..1, 100, 1).await;
    clock.advance(DELAY);
    // A busy node says that it is there.
    node.tend().await.unwrap();
    append(&node, 1..2, 100, 1).await;
    assert_eq!(used(&node)["journal"], (2.0, 0.0), "one item for each");
    let third = node.append(event(2, 100), Claim::Queue);
    let waited = tokio::time::timeout(Duration::from_millis(300), third).await;
    assert!(waited.is_err(), "{waited:?}");
    // With these the item is full.
    append(&node, 3..42, 100, 39).await;
    assert_eq!(used(&node)["journal"], (3.0, 0.0), "one item for forty");
    assert_eq!(deliver_all(&node).await, 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_came_while_an_item_was_written_wait_for_company_too() {
    let clock = Arc::new(HandClock::default());
    let options = local::options(&local::table().await, &clock);
    let proxy = Proxy::before(local::address()).await;
    // Longer than this takes: the second item is written since it is full.
    let options = Options { journal_delay: Duration::from_mins(1), ..options };
    let node = Arc::new(local::node(proxy.address, options, NOON).await);
    let append = |number| {
        let node = Arc::clone(&node);
        tokio::spawn(async move { node.append(event(number, 100), Claim::Queue).await })
    };
    let gate = Gate::closed();
    let held = Arc::clone(&gate);
    proxy.does(
        move |call| {
            if call.puts("j#") { Fault::Waits(Arc::clone(&held)) } else { Fault::None }
        },
    );
    let first = append(0);
    gate.somebody_waits().await;
    let early = [append(1), append(2)];
    while used(&node).get("accepted").is_none_or(|it| *it < (3.0, 0.0)) {
        tokio::task::yield_now().await;
    }
    gate.open();
    first.await.unwrap().unwrap();
    let late: Vec<_> = (3..41).map(append).collect();
    for kept in early.into_iter().chain(late) {
        assert_eq!(kept.await.unwrap().unwrap(), Receipt::Kept { lease: None });
    }
    assert_eq!(used(&node)["journal"], (2.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_that_is_remembered_costs_nothing() {
    let node = node(|options| options).await;
    append(&node, 0..1, 3_000, 1).await;
    let before = used(&node);
    for _ in 0..5 {
        let again = node.append(event(0, 3_000), Claim::Queue).await.unwrap();
        assert_eq!(again, Receipt::Duplicate { state: State::Pending });
    }
    deliver_all(&node).await;
    for _ in 0..5 {
        let again = node.append(event(0, 3_000), Claim::Queue).await.unwrap();
        assert_eq!(again, Receipt::Duplicate { state: State::Done });
    }
    let after = used(&node);
    assert_eq!(after["duplicate"], (0.0, 0.0));
    assert_eq!(after["accepted"], before["accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_that_is_forgotten_costs_the_size_of_its_first() {
    let node = node(|options| Options { recent_max: 0, ..options }).await;
    append(&node, 0..1, 2_500, 1).await;
    deliver_all(&node).await;
    let again = node.append(event(0, 2_500), Claim::Queue).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Done });
    assert_eq!(
        used(&node)["duplicate"],
        (3.0, 1.0),
        "its item has 3 KB, and it might have had a ticket"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_costs_two_units_whatever_the_size() {
    let node = node(|options| options).await;
    append(&node, 0..1, 9_000, 1).await;
    let now = NOON.saturating_add(Duration::from_secs(1));
    let attempt = |status| Attempt { at: now, status: Some(status), note: "an answer".into() };
    for outcome in [Outcome::Again { at: now, attempt: attempt(503) }, Outcome::Done(attempt(200))]
    {
        let later = now.saturating_add(Duration::from_mins(1));
        let work = node.lease(&[shop()], now, later, 1).await.unwrap();
        node.settle(work.leased[0].lease.clone(), outcome, now).await.unwrap();
    }
    assert_eq!(used(&node)["retried"], (2.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_is_refused_and_costs_nothing() {
    let node = node(|options| options).await;
    let answer = node.append(event(0, 400_000), Claim::Queue).await;
    assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{answer:?}");
    let used_by_then = used(&node);
    assert!(used_by_then.keys().all(|it| ["dictionary", "node"].contains(it)), "{used_by_then:?}");
    // What compresses is not too large.
    let mut parts = event(1, 0).into_parts();
    parts.body = vec![b'a'; 1_000_000].into();
    let kept = node.append(testing::event(parts), Claim::Queue).await.unwrap();
    assert_eq!(kept, Receipt::Kept { lease: None });
    assert_eq!((used(&node)["accepted"], used(&node)["journal"]), ((1.0, 0.0), (1.0, 0.0)));
    assert_eq!(deliver_all(&node).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_over_its_write_budget_is_told_to_come_later_and_costs_nothing() {
    let clock = Arc::new(HandClock::default());
    let table = local::table().await;
    let options = local::options(&table, &clock);
    let budget = Budget { rate: "4/s".parse().unwrap(), burst: NonZeroU32::new(4).unwrap() };
    options.write_budgets.set([(shop(), budget)]);
    let node = Arc::new(local::node(local::address(), options, NOON).await);
    // 6 units: 2 more than there were, which one that had begun may use.
    append(&node, 0..1, 5_500, 1).await;
    let before = used(&node);
    for _ in 0..10 {
        let refused = node.append(event(1, 100), Claim::Queue).await;
        let Err(StoreError::OverBudget { retry_after }) = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after, Duration::from_millis(750));
    }
    assert_eq!(used(&node), before, "a refusal costs nothing");
    let again = node.append(event(0, 5_500), Claim::Queue).await.unwrap();
    assert_eq!(
        again,
        Receipt::Duplicate { state: State::Pending },
        "what costs nothing is answered"
    );
    clock.advance(Duration::from_millis(750));
    append(&node, 1..2, 100, 1).await;
    assert_eq!(deliver_all(&node).await, 2);
}
