//! Dictionaries: what they save on the payloads that GitHub recorded, and what happens when one is not what it was.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;
use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp,
    event::testing,
    limits::{DICTIONARY_BYTES_DEFAULT, DICTIONARY_EVENTS_MIN},
};
use hookward_store::{
    Claim, DeadReason, Query, Receipt, State, Store, StoreError,
    dynamodb::{
        self, DynamoDb, Options,
        train::{Trained, Trainer, Untrained},
    },
};

use crate::local::{self, HandClock};

const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
const REFRESH: Duration = Duration::from_secs(1);

fn github() -> SourceName {
    SourceName::parse("github").unwrap()
}

fn key(number: u64) -> EventKey {
    EventKey::from_bytes(u128::from(number).to_be_bytes())
}

fn event(number: u64, body: impl Into<Bytes>) -> Event {
    testing::event(EventParts {
        key: key(number),
        source: github(),
        event_type: Some("push".into()),
        sender_id: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958".into()),
        content: ContentDigest::from_bytes(*key(number).as_bytes()),
        received_at: NOON.saturating_add(Duration::from_micros(100 * number)),
        intake: Intake::Deliver,
        headers: vec![("content-type".into(), (*b"application/json").into())],
        body: body.into(),
        body_expires_at: NOON.saturating_add(Duration::from_hours(720)),
        key_expires_at: Some(NOON.saturating_add(Duration::from_hours(721))),
    })
}

/// What GitHub recorded, in an order that does not depend on the kind of event.
fn payloads() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/node/payloads");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the recorded payloads are not installed: run scripts/install-tools")
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    fastrand::Rng::with_seed(7).shuffle(&mut paths);
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Bodies that have much in common, and are small.
pub(crate) fn orders(numbers: std::ops::Range<u64>) -> impl Iterator<Item = (u64, Vec<u8>)> {
    numbers.map(|number| {
        let mut dice = fastrand::Rng::with_seed(number);
        let body = format!(
            r#"{{"object":"order","id":"ord_{:016x}","livemode":true,"currency":"eur","amount":{},"customer":{{"email":"someone-{:x}@example.org","shipping":{{"country":"DE","city":"Berlin","postal_code":"{}"}}}},"payment_method_types":["card","sepa_debit"],"status":"requires_confirmation","type":"order.created"}}"#,
            dice.u64(..),
            dice.u32(1..100_000),
            dice.u32(..),
            dice.u32(10_000..99_999),
        );
        (number, body.into_bytes())
    })
}

struct World {
    table: String,
    clock: Arc<HandClock>,
}

impl World {
    async fn new() -> Self {
        Self { table: local::table().await, clock: Arc::default() }
    }

    fn options(&self) -> Options {
        Options { dictionary_refresh: REFRESH, ..local::options(&self.table, &self.clock) }
    }

    async fn node(&self) -> DynamoDb {
        local::node(local::address(), self.options(), NOON).await
    }

    async fn trainer(&self) -> Trainer {
        let client = dynamodb::client(local::connection(local::address()), &self.options());
        Trainer::open(client, self.options(), NOON).await.unwrap()
    }

    async fn trained(&self) -> Trained {
        let trainer = self.trainer().await;
        let events = trainer.events(&github(), 10_000).await.unwrap();
        trainer.train(&github(), &events, DICTIONARY_BYTES_DEFAULT).await.unwrap().unwrap()
    }

    /// Trains a dictionary and keeps it.
    async fn trains(&self) -> (Trained, String) {
        let trained = self.trained().await;
        let place = self.trainer().await.keep(&github(), &trained, NOON).await.unwrap();
        (trained, place)
    }

    async fn item(&self, pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let item = local::client().get_item().table_name(&self.table).set_key(Some(place(pk, sk)));
        item.send().await.unwrap().item.unwrap()
    }

    async fn event_item(&self, number: u64) -> HashMap<String, AttributeValue> {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let text = URL_SAFE_NO_PAD.encode(key(number).as_bytes());
        self.item(&format!("e#{text}"), "e").await
    }

    async fn put(&self, item: HashMap<String, AttributeValue>) {
        let put = local::client().put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.unwrap();
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let gone = local::client().delete_item().table_name(&self.table);
        gone.set_key(Some(place(pk, sk))).send().await.unwrap();
    }
}

fn place(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

async fn append(node: &DynamoDb, number: u64, body: &[u8]) {
    let kept = node.append(event(number, body.to_vec()), Claim::Queue).await.unwrap();
    assert_eq!(kept, Receipt::Kept { lease: None });
}

/// Everything that can be delivered, by its key.
async fn delivers(node: &DynamoDb) -> BTreeMap<EventKey, Bytes> {
    let later = NOON.saturating_add(Duration::from_hours(1));
    let until = later.saturating_add(Duration::from_mins(1));
    let work = node.lease(&[github()], later, until, 10_000).await.unwrap();
    work.leased.iter().map(|leased| (leased.lease.key, leased.event.body.clone())).collect()
}

fn accepted(node: &DynamoDb) -> f64 {
    let units = node.usage().units;
    units.iter().filter(|it| it.outcome == "accepted").map(|it| it.writes).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_payloads_cost_less_after_a_training_and_arrive_as_they_were() {
    let world = World::new().await;
    let payloads = payloads();
    let half = payloads.len() / 2;
    let numbered = |from: usize| payloads.iter().zip(0_u64..).skip(from);
    let first = world.node().await;
    for (body, number) in numbered(0).take(half) {
        append(&first, number, body).await;
    }
    let mean = |units: f64, events: usize| units / f64::from(u32::try_from(events).unwrap());
    let before = mean(accepted(&first), half);
    let (trained, place) = world.trains().await;
    assert_eq!(place, "d#github/000000000001");
    assert!(trained.pays() && trained.present.is_none(), "{trained:?}");

    let second = world.node().await;
    for (body, number) in numbered(half) {
        append(&second, number, body).await;
    }
    let after = mean(accepted(&second), payloads.len() - half);
    println!("write units a put: {before:.2} before, {after:.2} after; {trained:?}");
    assert!(after < 0.8 * before, "{before} before, {after} after");
    // What was promised is what came.
    assert!((after - trained.with.write_units).abs() < 0.25, "{after}: {trained:?}");
    assert!((before - trained.without.write_units).abs() < 0.25, "{before}: {trained:?}");
    assert!(world.event_item(half as u64).await.contains_key("d"));

    // Both are gone: a third one delivers what they took, and whoever looks sees it.
    drop((first, second));
    let third = world.node().await;
    third.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    third.tend().await.unwrap();
    let delivered = delivers(&third).await;
    assert_eq!(delivered.len(), payloads.len());
    for (body, number) in numbered(0) {
        assert_eq!(delivered[&key(number)], body[..], "{number}");
    }
    for (body, number) in numbered(half).take(20) {
        let kept = third.get(key(number)).await.unwrap().unwrap();
        assert_eq!((&kept.event.body[..], kept.body_bytes), (&body[..], body.len()), "{number}");
    }
    // The next training is measured beside this one, and replaces it for what comes.
    let (again, place) = world.trains().await;
    assert_eq!(place, "d#github/000000000002");
    let (number, present) = again.present.unwrap();
    assert_eq!(number, 1);
    assert!(present.write_units < again.without.write_units, "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_runs_finds_a_new_dictionary_by_itself() {
    let world = World::new().await;
    let node = world.node().await;
    for (number, body) in orders(0..200) {
        append(&node, number, &body).await;
    }
    world.trains().await;
    append(&node, 200, &orders(200..201).next().unwrap().1).await;
    assert!(!world.event_item(200).await.contains_key("d"), "it was looked for a moment ago");
    world.clock.advance(REFRESH);
    // Looked for beside the events, so that the first of them may still be without.
    let mut without = 0;
    for (number, body) in orders(201..5_000) {
        append(&node, number, &body).await;
        if world.event_item(number).await.contains_key("d") {
            break;
        }
        without += 1;
    }
    assert!(without < 4_000, "{without} events, and no dictionary");
    let delivered = delivers(&node).await;
    for (number, body) in orders(0..202) {
        assert_eq!(delivered[&key(number)], body[..], "{number}");
    }
}

/// A table with events of before and after a training, whose node is gone; and the first that was written with it.
async fn left(world: &World) -> u64 {
    let first = world.node().await;
    for (number, body) in orders(0..120) {
        append(&first, number, &body).await;
    }
    world.trains().await;
    let second = world.node().await;
    for (number, body) in orders(120..130) {
        append(&second, number, &body).await;
        assert!(world.event_item(number).await.contains_key("d"), "{number}");
    }
    120
}

/// The dictionary is not what it was: its events become dead letters that say so, and the others are delivered.
async fn check_damage(world: &World, written_with_it: u64, place: &str) {
    let node = world.node().await;
    node.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    node.tend().await.unwrap();
    match node.get(key(written_with_it)).await {
        Err(StoreError::Damaged { place: told }) => assert!(told.starts_with(place), "{told}"),
        other => panic!("{other:?}"),
    }
    let delivered = delivers(&node).await;
    assert_eq!(delivered.len(), 120);
    for (number, body) in orders(0..120) {
        assert_eq!(delivered[&key(number)], body[..], "{number}");
    }
    let dead = Query { state: Some(State::Dead), limit: 100, ..Query::default() };
    let dead = node.list(&dead).await.unwrap().events;
    assert_eq!(dead.len(), 10);
    for kept in dead {
        assert_eq!(kept.dead, Some(DeadReason::Undeliverable));
        let note = &kept.history.last().unwrap().note;
        assert!(note.starts_with(&format!("the store is damaged: {place}")), "{note}");
    }
    // Nobody holds them up, and new events are taken.
    append(&node, 1_000, b"{}").await;
    assert!(delivers(&node).await.contains_key(&key(1_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dictionary_with_another_content_is_noticed() {
    let world = World::new().await;
    let written_with_it = left(&world).await;
    let mut item = world.item("d#github", "000000000001").await;
    let mut content = item["b"].as_b().unwrap().clone().into_inner();
    *content.last_mut().unwrap() ^= 1;
    item.insert("b".to_owned(), AttributeValue::B(Blob::new(content)));
    world.put(item).await;
    check_damage(&world, written_with_it, "d#github/000000000001: attribute b").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dictionary_that_is_not_there_any_more_is_noticed() {
    let world = World::new().await;
    let written_with_it = left(&world).await;
    world.delete("d#github", "000000000001").await;
    let place = "d#github/000000000001: events were compressed with it";
    check_damage(&world, written_with_it, place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_dictionary_in_its_place_is_noticed() {
    let world = World::new().await;
    let written_with_it = left(&world).await;
    let other = World::new().await;
    let node = other.node().await;
    for (number, body) in orders(5_000..5_150) {
        append(&node, number, &body.repeat(2)).await;
    }
    other.trains().await;
    world.put(other.item("d#github", "000000000001").await).await;
    check_damage(&world, written_with_it, "e#").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dictionary_that_cannot_be_had_refuses_no_event() {
    let world = World::new().await;
    left(&world).await;
    let mut item = world.item("d#github", "000000000001").await;
    item.insert("b".to_owned(), AttributeValue::B(Blob::new(b"no dictionary")));
    world.put(item).await;
    let node = world.node().await;
    for (number, body) in orders(500..503) {
        append(&node, number, &body).await;
        assert!(!world.event_item(number).await.contains_key("d"));
    }
    // And the next training helps.
    let (_, place) = world.trains().await;
    assert_eq!(place, "d#github/000000000002");
    let node = world.node().await;
    append(&node, 503, &orders(503..504).next().unwrap().1).await;
    assert_eq!(world.event_item(503).await["d"].as_n().unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_pay_is_told() {
    let world = World::new().await;
    let node = world.node().await;
    let mut dice = fastrand::Rng::with_seed(7);
    let mut body = || std::iter::repeat_with(|| dice.u8(..)).take(2_000).collect::<Vec<_>>();
    let enough = DICTIONARY_EVENTS_MIN as u64;
    for number in 0..enough - 1 {
        append(&node, number, &body()).await;
    }
    let trainer = world.trainer().await;
    let events = trainer.events(&github(), 10_000).await.unwrap();
    let refused = trainer.train(&github(), &events, DICTIONARY_BYTES_DEFAULT).await.unwrap();
    assert!(matches!(refused, Err(Untrained::TooFew { found: 99 })), "{refused:?}");
    append(&node, enough, &body()).await;
    // Random bytes have nothing in common: either zstd says so, or the measure does.
    let events = trainer.events(&github(), 10_000).await.unwrap();
    match trainer.train(&github(), &events, DICTIONARY_BYTES_DEFAULT).await.unwrap() {
        Ok(trained) => assert!(!trained.pays(), "{trained:?}"),
        Err(why) => assert!(matches!(why, Untrained::NoDictionary(_)), "{why}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trainer_is_no_node_and_leaves_nothing_else_behind() {
    let world = World::new().await;
    let node = world.node().await;
    for (number, body) in orders(0..120) {
        append(&node, number, &body).await;
    }
    let before = items(&world).await;
    world.trains().await;
    let nodes = node.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1);
    let after = items(&world).await;
    let new: Vec<_> = after.iter().filter(|pk| !before.contains(pk)).collect();
    assert_eq!(new, ["d#github"]);
    let dictionary = world.item("d#github", "000000000001").await;
    assert!(!dictionary.contains_key("x"), "it does not expire");
}

/// The partition keys of all items.
async fn items(world: &World) -> Vec<String> {
    let found = local::client().scan().table_name(&world.table).send().await.unwrap();
    found.items().iter().map(|item| item["pk"].as_s().unwrap().clone()).collect()
}
