//! Bodies that are too large for an item, in a bucket of a server that speaks S3.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region},
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
};
use hookward_store::{
    Attempt, Claim, DeadReason, Outcome, Query, Receipt, State, Store, StoreError,
    dynamodb::{
        self, DynamoDb, Options,
        bodies::{Bodies, Bucket, LargeBodies, Unreachable},
    },
};
use sha2::{Digest as _, Sha256};

use crate::{
    bucket,
    local::{self, HandClock},
    proxy::{Fault, Proxy},
};

const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

/// No item takes so much of what does not compress.
const LARGE: usize = 600_000;

fn shop() -> SourceName {
    SourceName::parse("shop").unwrap()
}

fn key(number: u64) -> EventKey {
    EventKey::from_bytes(u128::from(number).to_be_bytes())
}

/// Bytes that do not compress.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| dice.u8(..)).take(bytes).collect()
}

fn event(number: u64, body: Vec<u8>) -> Event {
    testing::event(EventParts {
        key: key(number),
        source: shop(),
        event_type: Some("export.ready".into()),
        sender_id: None,
        content: ContentDigest::from_bytes(*key(number).as_bytes()),
        received_at: NOON.saturating_add(Duration::from_micros(100 * number)),
        intake: Intake::Deliver,
        headers: vec![("content-type".into(), (*b"application/json").into())],
        body: body.into(),
        body_expires_at: NOON.saturating_add(Duration::from_hours(720)),
        key_expires_at: Some(NOON.saturating_add(Duration::from_hours(721))),
    })
}

/// A bucket that counts, and that can be out of reach.
#[derive(Debug)]
struct Watched {
    bucket: Bucket,
    puts: AtomicUsize,
    gets: AtomicUsize,
    is_down: AtomicBool,
}

impl Watched {
    fn is_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), Unreachable> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Unreachable::new("asking", "S3 is out of reach"));
        }
        Ok(())
    }

    fn counts(&self) -> (usize, usize) {
        (self.puts.load(Ordering::SeqCst), self.gets.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Bodies for Watched {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Unreachable> {
        self.check()?;
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.bucket.put(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Unreachable> {
        self.check()?;
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.bucket.get(key).await
    }
}

fn connection(endpoint: SocketAddr) -> Builder {
    Builder::new()
        .endpoint_url(format!("http://{endpoint}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("hookwardtest", "secret", None, None, "tests"))
        .http_client(dynamodb::http_client(8))
        .force_path_style(true)
}

struct World {
    table: String,
    clock: Arc<HandClock>,
    /// Named as the table is.
    client: Client,
    watched: Arc<Watched>,
}

impl World {
    async fn new() -> Self {
        let table = local::table().await;
        let config = connection(bucket::address()).behavior_version(BehaviorVersion::v2026_01_12());
        let client = Client::from_conf(config.build());
        let place = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::EuCentral1)
            .build();
        let create = client.create_bucket().bucket(&table).create_bucket_configuration(place);
        create.send().await.unwrap();
        let bucket = Bucket::new(connection(bucket::address()), &table, &local::patient());
        let watched = Arc::new(Watched {
            bucket,
            puts: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        });
        Self { table, clock: Arc::default(), client, watched }
    }

    fn options(&self) -> Options {
        let bodies = Arc::clone(&self.watched) as Arc<dyn Bodies>;
        let large = LargeBodies { bodies, prefix: "bodies/".to_owned() };
        Options { large_bodies: Some(large), ..local::options(&self.table, &self.clock) }
    }

    async fn node(&self) -> DynamoDb {
        local::node(local::address(), self.options(), NOON).await
    }

    /// A node that finishes what all others left behind, without their memory.
    async fn successor(&self) -> DynamoDb {
        let node = self.node().await;
        node.tend().await.unwrap();
        self.clock.advance(local::LAPSE);
        node.tend().await.unwrap();
        node
    }

    async fn item(&self, number: u64) -> HashMap<String, AttributeValue> {
        let text = |text: String| AttributeValue::S(text);
        let pk = format!("e#{}", URL_SAFE_NO_PAD.encode(key(number).as_bytes()));
        let place = [("pk".to_owned(), text(pk)), ("sk".to_owned(), text("e".to_owned()))];
        let get = local::client().get_item().table_name(&self.table).set_key(Some(place.into()));
        get.send().await.unwrap().item.unwrap()
    }

    async fn object(&self, number: u64) -> String {
        self.item(number).await["ob"].as_s().unwrap().clone()
    }
}

async fn append(node: &DynamoDb, number: u64, body: Vec<u8>) {
    let kept = node.append(event(number, body), Claim::Queue).await.unwrap();
    assert_eq!(kept, Receipt::Kept { lease: None }, "{number}");
}

fn later(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(3_600 + seconds))
}

/// Delivers everything that can be at a time; the bodies by their keys.
async fn delivers(node: &DynamoDb, at: Timestamp) -> HashMap<EventKey, Bytes> {
    let until = at.saturating_add(Duration::from_mins(1));
    let leased = node.lease(&[shop()], at, until, 10_000).await.unwrap().leased;
    let mut bodies = HashMap::new();
    for leased in leased {
        bodies.insert(leased.lease.key, leased.event.body.clone());
        let attempt = Attempt { at, status: Some(200), note: "ok".into() };
        node.settle(leased.lease, Outcome::Done(attempt), at).await.unwrap();
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_for_an_item_is_delivered_from_the_bucket() {
    let world = World::new().await;
    let node = world.node().await;
    append(&node, 1, noise(1, LARGE)).await;
    append(&node, 2, b"{}".to_vec()).await;
    assert_eq!(world.watched.counts(), (1, 0), "one of them is large");
    let item = world.item(1).await;
    assert!(!item.contains_key("b"), "{:?}", item.keys());
    let object = item["ob"].as_s().unwrap();
    let found = world.client.get_object().bucket(&world.table).key(object).send().await.unwrap();
    let stored = found.body.collect().await.unwrap().into_bytes();
    let digest = Sha256::digest(&stored).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    assert_eq!(*object, format!("bodies/{digest}"));
    let accepted = node.usage().units.into_iter().filter(|it| it.outcome == "accepted");
    let units: f64 = accepted.map(|it| it.writes).sum();
    assert!((units - 2.0).abs() < f64::EPSILON, "a unit each: {units}");

    // The other one has nothing of it in memory.
    drop(node);
    let node = world.successor().await;
    assert_eq!(world.watched.counts(), (1, 0), "taking over reads no bodies");
    let listed = node.list(&Query { limit: 10, ..Query::default() }).await.unwrap().events;
    assert_eq!(listed.iter().map(|kept| kept.body_bytes).collect::<Vec<_>>(), [2, LARGE]);
    let again = node.append(event(2, b"{}".to_vec()), Claim::Queue).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Pending });
    assert_eq!(
        world.watched.counts(),
        (1, 0),
        "a list shows no bodies, and a duplicate needs none"
    );
    let bodies = delivers(&node, later(0)).await;
    assert_eq!((bodies.len(), &bodies[&key(1)][..]), (2, &noise(1, LARGE)[..]));
    assert_eq!(world.watched.counts(), (1, 1));

    // People look at it, and replay it.
    let kept = node.get(key(1)).await.unwrap().unwrap();
    assert_eq!((kept.state, &kept.event.body[..]), (State::Done, &noise(1, LARGE)[..]));
    node.requeue(key(1), later(1)).await.unwrap();
    let bodies = delivers(&node, later(2)).await;
    assert_eq!(bodies.into_iter().collect::<Vec<_>>(), [(key(1), noise(1, LARGE).into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_gone_or_changed_is_its_events_trouble_alone() {
    let world = World::new().await;
    let node = world.node().await;
    for number in 1..=3 {
        append(&node, number, noise(number, LARGE)).await;
    }
    append(&node, 4, b"{}".to_vec()).await;
    let (gone, changed) = (world.object(1).await, world.object(2).await);
    let objects = || world.client.delete_object().bucket(&world.table);
    objects().key(&gone).send().await.unwrap();
    let put = world.client.put_object().bucket(&world.table).key(&changed);
    put.body(noise(9, 99).into()).send().await.unwrap();

    drop(node);
    let node = world.successor().await;
    for (number, place) in [(1, &gone), (2, &changed)] {
        match node.get(key(number)).await {
            Err(StoreError::Damaged { place: told }) => {
                assert!(told.starts_with(&format!("object {place}: ")), "{told}");
            }
            other => panic!("{other:?}"),
        }
    }
    let bodies = delivers(&node, later(0)).await;
    assert_eq!(bodies.len(), 2);
    assert!(bodies[&key(3)] == noise(3, LARGE) && bodies[&key(4)] == b"{}"[..]);
    let dead = Query { state: Some(State::Dead), limit: 10, ..Query::default() };
    let dead = node.list(&dead).await.unwrap().events;
    let reason = |number: u64| {
        let kept = dead.iter().find(|kept| kept.event.key == key(number)).unwrap();
        assert_eq!(kept.dead, Some(DeadReason::Undeliverable));
        kept.history.last().unwrap().note.clone()
    };
    assert_eq!(dead.len(), 2);
    assert!(reason(1).ends_with("a body was kept there, and it is not there"), "{}", reason(1));
    assert!(reason(2).ends_with("it is not what its key says"), "{}", reason(2));

    // It is put back, and the dead letter is replayed.
    let restored = world.client.put_object().bucket(&world.table).key(&gone);
    let compressed = zstd::bulk::compress(&noise(1, LARGE), 3).unwrap();
    restored.body(compressed.into()).send().await.unwrap();
    node.requeue(key(1), later(1)).await.unwrap();
    assert_eq!(delivers(&node, later(2)).await[&key(1)], noise(1, LARGE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_out_of_reach_puts_off_what_needs_it_and_nothing_else() {
    let world = World::new().await;
    let node = world.node().await;
    append(&node, 1, noise(1, LARGE)).await;
    world.watched.is_down(true);
    for _ in 0..2 {
        let answer = node.append(event(2, noise(2, LARGE)), Claim::Queue).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    append(&node, 3, b"{}".to_vec()).await;
    assert_eq!(node.get(key(2)).await.unwrap().map(|kept| kept.state), None);

    drop(node);
    let node = world.successor().await;
    let get = node.get(key(1)).await;
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
    let until = later(60);
    let work = node.lease(&[shop()], later(0), until, 10).await.unwrap();
    assert_eq!(work.leased.len(), 1, "the small one");
    assert_eq!(work.leased[0].lease.key, key(3));
    assert_eq!(work.next_due, Some(later(5)), "the large one is tried again");
    assert_eq!(delivers(&node, later(1)).await.len(), 0);

    world.watched.is_down(false);
    assert_eq!(delivers(&node, later(5)).await[&key(1)], noise(1, LARGE));
    append(&node, 2, noise(2, LARGE)).await;
    assert_eq!(delivers(&node, later(6)).await[&key(2)], noise(2, LARGE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_of_what_may_have_been_written_stays_open_while_the_bucket_is_out_of_reach() {
    let world = World::new().await;
    let proxy = Proxy::before(local::address()).await;
    let quick = Options {
        patience: dynamodb::Patience { attempts: 1, ..local::patient() },
        ..world.options()
    };
    let node = local::node(proxy.address, quick, NOON).await;
    proxy.does(|call| if call.puts("e#") { Fault::LosesReply } else { Fault::None });
    let answer = node.append(event(1, noise(1, LARGE)), Claim::Queue).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    proxy.recovers();
    world.watched.is_down(true);
    let answer = node.append(event(1, noise(1, LARGE)), Claim::Queue).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    world.watched.is_down(false);
    append(&node, 1, noise(1, LARGE)).await;
    assert_eq!(delivers(&node, later(0)).await[&key(1)], noise(1, LARGE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bucket_refuses_is_not_taken_for_what_is_not_there() {
    let patience =
        dynamodb::Patience { operation: Duration::from_secs(10), attempts: 1, ..local::patient() };
    let nowhere = Bucket::new(connection(bucket::address()), "no-such-bucket", &patience);
    let refused = nowhere.get("a").await.unwrap_err().to_string();
    assert!(refused.contains("GetObject: S3 failed: NoSuchBucket"), "{refused}");
    let refused = nowhere.put("a", Bytes::from_static(b"b")).await.unwrap_err().to_string();
    assert!(refused.contains("PutObject: S3 failed: NoSuchBucket"), "{refused}");
    let nobody = Bucket::new(connection(SocketAddr::from(([127, 0, 0, 1], 1))), "any", &patience);
    let refused = nobody.get("a").await.unwrap_err().to_string();
    assert!(refused.contains("S3 cannot be reached"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bucket_such_an_event_is_refused_and_a_stored_one_waits_for_it() {
    let world = World::new().await;
    let node = world.node().await;
    append(&node, 1, noise(1, LARGE)).await;
    drop(node);
    let without = Options { large_bodies: None, ..world.options() };
    let node = local::node(local::address(), without, NOON).await;
    node.tend().await.unwrap();
    world.clock.advance(local::LAPSE);
    node.tend().await.unwrap();
    let answer = node.append(event(2, noise(2, LARGE)), Claim::Queue).await;
    assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{answer:?}");
    assert_eq!(delivers(&node, later(0)).await.len(), 0);
    let dead = Query { state: Some(State::Dead), limit: 10, ..Query::default() };
    assert_eq!(node.list(&dead).await.unwrap().events.len(), 0, "it is no dead letter");
    drop(node);
    let node = world.successor().await;
    assert_eq!(delivers(&node, later(60)).await[&key(1)], noise(1, LARGE));
}
