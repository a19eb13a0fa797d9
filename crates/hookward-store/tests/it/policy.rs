//! The printed policies, held against the calls that the store really makes: what a policy lets is done, and what is done a
//! policy lets.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::{
        batch_get_item::BatchGetItemInput, delete_item::DeleteItemInput, get_item::GetItemInput,
        put_item::PutItemInput, query::QueryInput, update_item::UpdateItemInput,
    },
    types::{AttributeValue, KeysAndAttributes},
};
use aws_sdk_s3::operation::{get_object::GetObjectInput, put_object::PutObjectInput};
use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp,
    event::testing, limits::DICTIONARY_BYTES_MIN,
};
use hookward_store::{
    Attempt, Claim, Outcome, Query, Receipt, State, Store, conformance,
    dynamodb::{
        self, Completion, DynamoDb, Options, PK, Patience, Reader,
        bodies::{Bucket, LargeBodies},
        policy::{Action, Call, Effect, Features, Policy, Role, Statement, Target},
        train::Trainer,
    },
};

use crate::{
    bodies::{self, LARGE, noise},
    bucket,
    dictionaries::orders,
    local::{self, HandClock},
    proxy::{Fault, Proxy},
    subjects::{ClaimsSubject, DynamoDbSubject},
};

const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_hours(24);

// ---- What is called.

/// Writes down what a client is about to ask of DynamoDB, as policies see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<BTreeSet<Call>>>);

impl Recorder {
    fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap().insert(call(context)?);
        Ok(())
    }
}

/// Stands where Amazon's access management does, and refuses what a policy does not let.
#[derive(Clone, Debug)]
pub(crate) struct Guardian(Policy);

impl Guardian {
    /// Before a gateway with all that it may have.
    pub(crate) fn of_a_gateway() -> Self {
        let features = Features { admin: true, each: true, ..Features::default() };
        Self(Policy::of(Role::Gateway, features))
    }
}

impl Intercept for Guardian {
    fn name(&self) -> &'static str {
        "Guardian"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let calls = [call(context)?];
        match self.0.refused(&calls).first() {
            None => Ok(()),
            Some(refused) => Err(format!("the policy does not let {refused:?}").into()),
        }
    }
}

/// A call with the partition keys of all items that it touches.
fn call(context: &BeforeSerializationInterceptorContextRef<'_>) -> Result<Call, String> {
    let input = context.input();
    let named = |name: &str, leading_keys: Option<Vec<String>>| {
        let action = Action::named(name).ok_or_else(|| format!("no policy knows {name}"))?;
        let leading_keys = leading_keys.ok_or_else(|| format!("{name} without a key"))?;
        Ok(Call { action, leading_keys })
    };
    let text = |value: Option<&AttributeValue>| value?.as_s().ok().cloned();
    let one = |value: Option<&AttributeValue>| Some(vec![text(value)?]);
    if let Some(it) = input.downcast_ref::<PutItemInput>() {
        named("PutItem", one(it.item().and_then(|item| item.get(PK))))
    } else if let Some(it) = input.downcast_ref::<UpdateItemInput>() {
        named("UpdateItem", one(it.key().and_then(|key| key.get(PK))))
    } else if let Some(it) = input.downcast_ref::<DeleteItemInput>() {
        named("DeleteItem", one(it.key().and_then(|key| key.get(PK))))
    } else if let Some(it) = input.downcast_ref::<GetItemInput>() {
        named("GetItem", one(it.key().and_then(|key| key.get(PK))))
    } else if let Some(it) = input.downcast_ref::<QueryInput>() {
        let is_partition = it.key_condition_expression().is_some_and(|it| it.contains("#p = :p"));
        let value = it.expression_attribute_values().and_then(|values| values.get(":p"));
        named("Query", is_partition.then(|| one(value)).flatten())
    } else if let Some(it) = input.downcast_ref::<BatchGetItemInput>() {
        let tables = it.request_items().into_iter().flat_map(|tables| tables.values());
        let keys = tables.flat_map(KeysAndAttributes::keys).map(|key| text(key.get(PK)));
        named("BatchGetItem", keys.collect())
    } else if input.downcast_ref::<PutObjectInput>().is_some() {
        Ok(Call { action: Action::S3PutObject, leading_keys: Vec::new() })
    } else if input.downcast_ref::<GetObjectInput>().is_some() {
        Ok(Call { action: Action::S3GetObject, leading_keys: Vec::new() })
    } else {
        Err(format!("no policy is about {input:?}"))
    }
}

// ---- Whether a policy fits.

/// `Err` says what a policy lets less or more than these calls need.
fn fits(policy: &Policy, calls: &[Call]) -> Result<(), String> {
    let (refused, unused) = (policy.refused(calls), policy.unused(calls));
    if refused.is_empty() && unused.is_empty() {
        Ok(())
    } else {
        Err(format!("{}: refused {refused:?}, unused {unused:?}", policy.role))
    }
}

/// Asserts that a policy fits, and that it would not with anything less or anything more in it.
#[track_caller]
fn fits_tightly(policy: &Policy, calls: &[Call]) {
    assert_eq!(fits(policy, calls), Ok(()));
    for (action, pattern) in policy.grants() {
        let less = without(policy, action, pattern);
        assert!(fits(&less, calls).is_err(), "{}: not missed: {action} {pattern:?}", policy.role);
    }
    let mut more = 0;
    for (action, pattern) in extras() {
        if policy.grants().any(|grant| grant == (action, Some(pattern))) {
            continue;
        }
        more += 1;
        let wider = with(policy, action, pattern);
        assert!(fits(&wider, calls).is_err(), "{}: not found: {action} {pattern}", policy.role);
    }
    assert!(more > 0, "nothing was planted");
}

/// What a policy could let besides: each action on items, on each kind of key and on some that there are not.
fn extras() -> impl Iterator<Item = (Action, &'static str)> {
    const ACTIONS: [Action; 7] = [
        Action::BatchGetItem,
        Action::DeleteItem,
        Action::GetItem,
        Action::PutItem,
        Action::Query,
        Action::Scan,
        Action::UpdateItem,
    ];
    const PATTERNS: [&str; 11] =
        ["e#*", "w#*", "r#*", "j#*", "x#*", "d#*", "n", "n#table", "n#ended", "zz#*", "e#another*"];
    ACTIONS.into_iter().flat_map(|action| PATTERNS.into_iter().map(move |it| (action, it)))
}

fn with(policy: &Policy, action: Action, pattern: &'static str) -> Policy {
    let mut wider = policy.clone();
    wider.statements.push(Statement {
        sid: "Planted",
        effect: Effect::Allow,
        actions: vec![action].leak(),
        target: Target::Items(vec![pattern].leak()),
    });
    wider
}

/// A policy that does not let one action on one kind of key, and otherwise lets the same.
fn without(policy: &Policy, action: Action, pattern: Option<&'static str>) -> Policy {
    let mut statements = Vec::new();
    for statement in &policy.statements {
        let Target::Items(patterns) = statement.target else {
            statements.push(statement.clone());
            continue;
        };
        let (same, others): (Vec<_>, Vec<_>) =
            statement.actions.iter().partition(|it| **it == action);
        let fewer: Vec<_> = patterns.iter().copied().filter(|it| Some(*it) != pattern).collect();
        let is_allowed = statement.effect == Effect::Allow;
        let fewer = if is_allowed { fewer.leak() } else { patterns };
        let parts = [(same, Target::Items(fewer)), (others, statement.target)];
        for (actions, target) in parts.into_iter().filter(|(actions, _)| !actions.is_empty()) {
            statements.push(Statement { actions: actions.leak(), target, ..statement.clone() });
        }
    }
    Policy { statements, ..policy.clone() }
}

// ---- Stories that need everything that a role may do.

/// A table, a clock for its nodes, and what some of them call.
struct World {
    table: String,
    clock: Arc<HandClock>,
    completion: Completion,
    recorder: Recorder,
}

impl World {
    async fn new(features: Features, recorder: &Recorder) -> Self {
        Self {
            table: local::table().await,
            clock: Arc::default(),
            completion: completion(features),
            recorder: recorder.clone(),
        }
    }

    fn options(&self) -> Options {
        Options { completion: self.completion, ..local::options(&self.table, &self.clock) }
    }

    async fn gateway(&self) -> DynamoDb {
        self.gateway_behind(local::address(), self.options()).await
    }

    async fn gateway_behind(&self, endpoint: std::net::SocketAddr, options: Options) -> DynamoDb {
        let connection = local::connection(endpoint).interceptor(self.recorder.clone());
        local::node_over(connection, options, NOON).await
    }

    /// A node whose calls are not written down.
    async fn somebody_else(&self) -> DynamoDb {
        local::node(local::address(), self.options(), NOON).await
    }

    /// A node that comes for a person.
    async fn replayer(&self) -> DynamoDb {
        let options = Options { takes_over: false, ..self.options() };
        self.gateway_behind(local::address(), options).await
    }

    /// Somebody who looks, with the calls written down and only those let through that a reader may make.
    async fn reader(&self, features: Features) -> Reader {
        let guardian = Guardian(Policy::of(Role::Reader, features));
        let connection = local::connection(local::address()).interceptor(self.recorder.clone());
        let client = dynamodb::client(connection.interceptor(guardian), &self.options());
        Reader::open(client, self.options(), NOON).await.unwrap()
    }

    /// Everything that is in the table.
    async fn items(&self) -> BTreeMap<(String, String), HashMap<String, AttributeValue>> {
        let scan = local::client().scan().table_name(&self.table).consistent_read(true);
        let items = scan.send().await.unwrap().items.unwrap();
        let text = |item: &HashMap<String, AttributeValue>, name: &str| {
            item[name].as_s().unwrap().to_owned()
        };
        items.into_iter().map(|item| ((text(&item, "pk"), text(&item, "sk")), item)).collect()
    }

    /// All leases end, and the node that is there notices.
    async fn lapse(&self, survivor: &DynamoDb) {
        survivor.tend().await.unwrap();
        self.clock.advance(local::LAPSE);
        survivor.tend().await.unwrap();
    }
}

const fn completion(features: Features) -> Completion {
    if features.each { Completion::Each } else { Completion::Checkpoint }
}

fn after(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(seconds))
}

fn shop() -> SourceName {
    SourceName::parse("shop").unwrap()
}

fn key(number: u8) -> EventKey {
    EventKey::from_bytes([number; 16])
}

fn event(number: u8, intake: Intake) -> Event {
    testing::event(EventParts {
        key: key(number),
        source: shop(),
        event_type: Some("order.paid".into()),
        sender_id: None,
        content: ContentDigest::from_bytes([number; 16]),
        received_at: NOON.saturating_add(Duration::from_millis(number.into())),
        intake,
        headers: Vec::new(),
        body: format!("{{\"number\":{number}}}").into(),
        body_expires_at: NOON.saturating_add(DAY),
        key_expires_at: Some(NOON.saturating_add(2 * DAY)),
    })
}

async fn takes(node: &DynamoDb, number: u8) -> Receipt {
    node.append(event(number, Intake::Deliver), Claim::Queue).await.unwrap()
}

fn attempt(status: u16) -> Attempt {
    Attempt { at: after(1), status: Some(status), note: "an answer".into() }
}

fn again() -> Outcome {
    Outcome::Again { at: after(2), attempt: attempt(503) }
}

fn done() -> Outcome {
    Outcome::Done(attempt(200))
}

fn dead() -> Outcome {
    Outcome::Dead(attempt(503))
}

/// Leases as much of what is due, and says what came of it, in the order in which it was taken.
async fn settles<const N: usize>(node: &DynamoDb, outcomes: [Outcome; N]) {
    let work = node.lease(&[shop()], after(10), after(60), N).await.unwrap();
    assert_eq!(work.leased.len(), N);
    for (leased, outcome) in work.leased.into_iter().zip(outcomes) {
        node.settle(leased.lease, outcome, after(10)).await.unwrap();
    }
}

/// Everything that can become of events at a node that is alone, and that leaves with a last word.
async fn a_life(world: &World) {
    let node = world.gateway().await;
    for number in 0..5 {
        assert_eq!(takes(&node, number).await, Receipt::Kept { lease: None });
    }
    for (number, intake) in [(5, Intake::Archive), (6, Intake::Quarantine(Quarantine::NotJson))] {
        node.append(event(number, intake), Claim::Queue).await.unwrap();
    }
    assert!(matches!(takes(&node, 0).await, Receipt::Duplicate { .. }));
    let release = Outcome::Release { at: after(1) };
    settles(&node, [done(), again(), dead(), release]).await;
    settles(&node, [again(), done()]).await;
    // Some are forgotten, and others would be before they are delivered.
    node.expire(NOON.saturating_add(DAY + Duration::from_hours(1))).await.unwrap();
    node.tend().await.unwrap();
    settles(&node, [done(), done()]).await;
    node.close().await.unwrap();
}

/// Events whose bodies there is no memory for are read when they are delivered.
async fn forgetful(world: &World) {
    let options = Options { cache_bytes_max: 0, recent_max: 0, ..world.options() };
    let node = world.gateway_behind(local::address(), options).await;
    takes(&node, 0).await;
    settles(&node, [done()]).await;
    assert_eq!(takes(&node, 0).await, Receipt::Duplicate { state: State::Done });
    takes(&node, 1).await;
    // It leaves with something to do.
    node.close().await.unwrap();
}

/// A sender that repeats itself at another node: while the first one works, when it is gone, when it died.
async fn elsewhere(world: &World) {
    let first = world.somebody_else().await;
    let node = world.gateway().await;
    for number in 0..4 {
        takes(&first, number).await;
    }
    assert_eq!(takes(&node, 0).await, Receipt::Duplicate { state: State::Pending });
    settles(&first, [done(), again(), dead()]).await;
    first.tend().await.unwrap();
    for (number, state) in [(0, State::Done), (1, State::Pending), (2, State::Dead)] {
        assert_eq!(takes(&node, number).await, Receipt::Duplicate { state });
    }
    settles(&first, [done(), done()]).await;
    first.close().await.unwrap();
    assert_eq!(takes(&node, 3).await, Receipt::Duplicate { state: State::Done });
}

/// A node dies in the middle of its work, and this one finishes it; then it is taken for dead itself.
async fn after_a_death(world: &World) {
    let dying = world.somebody_else().await;
    let proxy = Proxy::before(local::address()).await;
    let node = world.gateway_behind(proxy.address, world.options()).await;
    for number in 0..3 {
        takes(&dying, number).await;
    }
    let quarantined = event(3, Intake::Quarantine(Quarantine::NotJson));
    dying.append(quarantined, Claim::Queue).await.unwrap();
    settles(&dying, [again()]).await;
    drop(dying);
    world.lapse(&node).await;
    assert_eq!(node.nodes().await.unwrap(), [node.node()]);
    settles(&node, [done(), done()]).await;

    let other = world.somebody_else().await;
    let former = node.node();
    proxy.does(|_| Fault::Lost);
    world.lapse(&other).await;
    proxy.recovers();
    node.tend().await.unwrap();
    assert_ne!(node.node(), former, "it begins again");
}

/// An answer that is lost once, and one that never comes.
async fn on_a_bad_network(world: &World) {
    let proxy = Proxy::before(local::address()).await;
    let patience = Patience { attempts: 2, ..local::patient() };
    let options = Options { patience, ..world.options() };
    let node = world.gateway_behind(proxy.address, options).await;
    let mut faults = 0;
    proxy.does(move |call| {
        faults += u32::from(call.puts("e#"));
        if call.puts("e#") && faults <= 3 { Fault::LosesReply } else { Fault::None }
    });
    // Both tries of the first, and one of the second.
    let unknown = node.append(event(0, Intake::Deliver), Claim::Queue).await;
    assert!(unknown.is_err(), "{unknown:?}");
    assert_eq!(takes(&node, 1).await, Receipt::Kept { lease: None });
    loop {
        world.clock.advance(Duration::from_secs(1));
        node.tend().await.unwrap();
        if node.counts().await.unwrap().pending == 2 {
            break;
        }
    }
    settles(&node, [done(), done()]).await;
}

/// What people do at a gateway's admin API, or with commands of their own: lists of all kinds, and decisions.
async fn decisions(node: &DynamoDb) {
    let mut wanted = vec![Query::default(), Query { source: Some(shop()), ..Query::default() }];
    wanted.push(Query { since: Some(NOON), before: Some(after(3_600)), ..Query::default() });
    let states = [State::Pending, State::Done, State::Dead, State::Dropped];
    wanted.extend(states.map(|state| Query { state: Some(state), ..Query::default() }));
    for query in wanted {
        let mut query = Query { limit: 2, ..query };
        loop {
            let page = node.list(&query).await.unwrap();
            for kept in page.events {
                node.get(kept.event.key).await.unwrap().expect("it was listed");
            }
            if page.next.is_none() {
                break;
            }
            query.cursor = page.next;
        }
    }
    // A dead letter and what was delivered, again; another dead letter never.
    node.requeue(key(0), after(20)).await.unwrap();
    node.requeue(key(1), after(20)).await.unwrap();
    node.discard(key(2), after(20)).await.unwrap();
}

/// Events of gateways that have left in order: the first with nothing to do, the second with one event to do, one that was
/// delivered and two dead letters.
async fn left_behind(world: &World) {
    let first = world.somebody_else().await;
    takes(&first, 4).await;
    settles(&first, [done()]).await;
    first.close().await.unwrap();
    let second = world.somebody_else().await;
    for number in 0..4 {
        takes(&second, number).await;
    }
    settles(&second, [done(), dead(), dead()]).await;
    second.close().await.unwrap();
}

/// The event that [`compressed`] leaves.
const COMPRESSED: u8 = 99;

/// Trains a dictionary on what a gateway kept, and leaves an event that was compressed with it to whoever comes next.
async fn compressed(world: &World, trainer: &Recorder) {
    let first = world.somebody_else().await;
    let order = |number: u8, body: Vec<u8>, intake| {
        let mut parts = event(number, intake).into_parts();
        parts.body = body.into();
        testing::event(parts)
    };
    for (number, body) in (100..=u8::MAX).zip(orders(0..150).map(|(_, body)| body)) {
        first.append(order(number, body, Intake::Archive), Claim::Queue).await.unwrap();
    }
    takes(&first, 0).await;
    settles(&first, [done()]).await;
    first.close().await.unwrap();
    trains(world, trainer).await;
    let second = world.somebody_else().await;
    let (_, body) = orders(999..1_000).next().unwrap();
    second.append(order(COMPRESSED, body, Intake::Deliver), Claim::Queue).await.unwrap();
    second.close().await.unwrap();
}

/// Trains a dictionary on all that is there.
async fn trains(world: &World, recorder: &Recorder) {
    let connection = local::connection(local::address()).interceptor(recorder.clone());
    let client = dynamodb::client(connection, &world.options());
    let trainer = Trainer::open(client, world.options(), NOON).await.unwrap();
    let events = trainer.events(&shop(), 200).await.unwrap();
    let trained = trainer.train(&shop(), &events, DICTIONARY_BYTES_MIN).await.unwrap().unwrap();
    trainer.keep(&shop(), &trained, NOON).await.unwrap();
}

/// What a gateway with these features calls.
async fn gateways_calls(features: Features) -> Vec<Call> {
    let recorder = Recorder::default();
    a_life(&World::new(features, &recorder).await).await;
    forgetful(&World::new(features, &recorder).await).await;
    elsewhere(&World::new(features, &recorder).await).await;
    after_a_death(&World::new(features, &recorder).await).await;
    on_a_bad_network(&World::new(features, &recorder).await).await;
    let world = World::new(features, &recorder).await;
    compressed(&world, &Recorder::default()).await;
    let node = world.gateway().await;
    node.tend().await.unwrap();
    settles(&node, [done()]).await;
    if features.admin {
        let world = World::new(features, &recorder).await;
        left_behind(&world).await;
        let node = world.gateway().await;
        node.tend().await.unwrap();
        decisions(&node).await;
    }
    recorder.calls()
}

/// What the whole conformance suite calls.
async fn suites_calls(features: Features) -> Vec<Call> {
    let recorder = Recorder::default();
    let subject = DynamoDbSubject::new(completion(features), 1024 * 1024).recorded(&recorder);
    let broken = conformance::run(&subject).await;
    assert!(broken.is_empty(), "{broken:?}");
    recorder.calls()
}

/// What the commands for people call where no gateway runs.
async fn replayers_calls(features: Features) -> Vec<Call> {
    let recorder = Recorder::default();
    let world = World::new(features, &recorder).await;
    left_behind(&world).await;
    let person = world.replayer().await;
    person.tend().await.unwrap();
    decisions(&person).await;
    person.close().await.unwrap();
    // Others only look.
    let world = World::new(features, &recorder).await;
    compressed(&world, &Recorder::default()).await;
    let person = world.replayer().await;
    assert!(person.get(key(COMPRESSED)).await.unwrap().is_some());
    person.close().await.unwrap();
    let person = world.replayer().await;
    person.list(&Query { limit: 10, ..Query::default() }).await.unwrap();
    person.close().await.unwrap();
    recorder.calls()
}

/// Every list, and what is on it.
async fn looks(reader: &Reader) -> BTreeSet<EventKey> {
    let mut seen = BTreeSet::new();
    let states = State::ALL.map(Some).into_iter().chain([None]);
    for state in states {
        let mut query = Query { state, limit: 2, ..Query::default() };
        loop {
            let page = reader.list(&query).await.unwrap();
            for kept in page.events {
                let kept = reader.get(kept.event.key).await.unwrap().expect("it was listed");
                assert!(state.is_none_or(|state| state == kept.state), "{kept:?}");
                seen.insert(kept.event.key);
            }
            if page.next.is_none() {
                break;
            }
            query.cursor = page.next;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_calls_what_a_reader_may_and_changes_nothing() {
    for each in [false, true] {
        let features = Features { each, ..Features::default() };
        let recorder = Recorder::default();
        // A node that works, and has taken over what another one left; and one that left with nothing to do.
        let world = World::new(features, &recorder).await;
        left_behind(&world).await;
        let working = world.somebody_else().await;
        takes(&working, 5).await;
        // Nothing happens by itself any more.
        working.tend().await.unwrap();
        let before = world.items().await;
        let reader = world.reader(features).await;
        assert_eq!(looks(&reader).await, (0..6).map(key).collect());
        assert_eq!(world.items().await, before);
        // Bodies that are compressed with a dictionary are shown too.
        let world = World::new(features, &recorder).await;
        compressed(&world, &Recorder::default()).await;
        let before = world.items().await;
        let kept = world.reader(features).await.get(key(COMPRESSED)).await.unwrap().unwrap();
        assert!(!kept.event.body.is_empty());
        assert_eq!(world.items().await, before);
        let reads = [Action::BatchGetItem, Action::GetItem, Action::Query];
        let calls = recorder.calls();
        assert!(calls.iter().all(|call| reads.contains(&call.action)), "{calls:?}");
    }
}

fn all_features() -> impl Iterator<Item = Features> {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    flags.into_iter().map(|(admin, each)| Features { admin, each, ..Features::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_may_do_what_it_does_and_nothing_else() {
    for features in all_features() {
        let mut calls = gateways_calls(features).await;
        if features.admin {
            // It looks at what it does, so it is a gateway with an admin listener.
            calls.extend(suites_calls(features).await);
        }
        fits_tightly(&Policy::of(Role::Gateway, features), &calls);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayer_may_do_what_it_does_and_nothing_else() {
    for features in all_features() {
        let calls = replayers_calls(features).await;
        fits_tightly(&Policy::of(Role::Replayer, features), &calls);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_read_what_a_gateway_reads_and_nothing_else() {
    let features = Features { admin: true, ..Features::default() };
    let mut calls = gateways_calls(features).await;
    let reads = [Action::BatchGetItem, Action::GetItem, Action::Query];
    calls.retain(|call| reads.contains(&call.action));
    fits_tightly(&Policy::of(Role::Reader, features), &calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_may_do_what_it_does_and_nothing_else() {
    let recorder = Recorder::default();
    let broken = conformance::run(&ClaimsSubject::new().recorded(&recorder)).await;
    assert!(broken.is_empty(), "{broken:?}");
    for features in all_features() {
        fits_tightly(&Policy::of(Role::Library, features), &recorder.calls());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trainer_may_do_what_it_does_and_nothing_else() {
    let (trainer, others) = (Recorder::default(), Recorder::default());
    for each in [false, true] {
        let features = Features { each, ..Features::default() };
        let world = World::new(features, &others).await;
        compressed(&world, &trainer).await;
        // Once more, with events that are compressed.
        trains(&world, &trainer).await;
    }
    fits_tightly(&Policy::of(Role::Trainer, Features::default()), &trainer.calls());
}

/// A body that does not fit into an item is kept, delivered by another gateway, and looked at by a person.
async fn with_a_large_body(world: &World, person: &Recorder) {
    bodies::make(&world.table).await;
    let options = |recorder: &Recorder| {
        let connection = bodies::connection(bucket::address()).interceptor(recorder.clone());
        let bucket = Bucket::new(connection, &world.table, &local::patient());
        let large = LargeBodies { bodies: Arc::new(bucket), prefix: "bodies/".to_owned() };
        Options { large_bodies: Some(large), ..world.options() }
    };
    let first = world.gateway_behind(local::address(), options(&world.recorder)).await;
    let mut large = event(0, Intake::Deliver).into_parts();
    large.body = noise(0, LARGE).into();
    first.append(testing::event(large), Claim::Queue).await.unwrap();
    first.close().await.unwrap();
    let second = world.gateway_behind(local::address(), options(&world.recorder)).await;
    second.tend().await.unwrap();
    settles(&second, [done()]).await;
    second.close().await.unwrap();
    let client = local::connection(local::address()).interceptor(person.clone());
    let options = Options { takes_over: false, ..options(person) };
    let person = local::node_over(client, options, NOON).await;
    assert!(person.get(key(0)).await.unwrap().is_some());
    person.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_keeps_and_reads_large_bodies_and_people_only_read_them() {
    let features = Features { large_bodies: true, ..Features::default() };
    let (recorder, person) = (Recorder::default(), Recorder::default());
    with_a_large_body(&World::new(features, &recorder).await, &person).await;
    for (role, recorder) in [(Role::Gateway, recorder), (Role::Replayer, person)] {
        let policy = Policy::of(role, features);
        let calls = recorder.calls();
        assert!(policy.refused(&calls).is_empty(), "{role}: {:?}", policy.refused(&calls));
        let called: BTreeSet<_> = calls.iter().map(|call| call.action.to_string()).collect();
        let allowed = policy.grants().map(|(action, _)| action.to_string());
        let unused: Vec<_> = allowed
            .filter(|action| action.starts_with("s3:") && !called.contains(action))
            .collect();
        // Nobody lists; without this, S3 tells nobody what is not there.
        assert_eq!(unused, ["s3:ListBucket"], "{role}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_policy_does_not_let_is_noticed_wherever_a_test_makes_it() {
    let world = World::new(Features::default(), &Recorder::default()).await;
    let plain = Guardian(Policy::of(Role::Gateway, Features::default()));
    let connection = local::connection(local::address()).interceptor(plain);
    let node = local::node_over(connection, world.options(), NOON).await;
    assert_eq!(takes(&node, 0).await, Receipt::Kept { lease: None });
    let list = node.list(&Query { limit: 1, ..Query::default() }).await;
    assert!(list.is_err(), "a gateway without an admin listener lists nothing: {list:?}");
}
