//! Claims on a table: one lease of any number of claims, nothing lost whoever dies in the middle, and what each outcome costs.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use hookward_core::{ContentDigest, Event, Intake, Quarantine, Timestamp, event::testing};
use hookward_store::{
    Attempt, Claim, DeadReason, Lease, Leased, Outcome, Query, Receipt, State, Store, StoreError,
    conformance,
    dynamodb::{
        self, Completion, Patience,
        bodies::{Bucket, LargeBodies},
        claims::{Claimed, Claims, Flaw, Held, Options, Recovery},
    },
};
use tokio::task::JoinSet;

use crate::{
    bodies::{self, LARGE, noise},
    bucket,
    faults::{DAY, NOON, after, each, event, first, hasty, is_unavailable, key, shop},
    local::{self, HandClock},
    proxy::{Call, Fault, Gate, Proxy, says},
    subjects::ClaimsSubject,
};

/// Until nothing is on its way any more that was on its way now.
const LONG: Duration = Duration::from_mins(25);

/// A process that uses the library, with a way of its own to the table.
struct Process {
    claims: Arc<Claims>,
    proxy: Proxy,
}

fn options(table: &str) -> Options {
    Options { look_back: Duration::from_hours(48), ..Options::new(table) }
}

async fn process_with(options: Options, patience: Patience) -> Process {
    let proxy = Proxy::before(local::address()).await;
    let client = dynamodb::patient_client(local::connection(proxy.address), &patience);
    Process { claims: Arc::new(Claims::new(client, options)), proxy }
}

async fn process(table: &str) -> Process {
    process_with(options(table), local::patient()).await
}

async fn flawed(table: &str, flaw: Option<Flaw>) -> Process {
    process_with(Options { flaw, ..options(table) }, local::patient()).await
}

/// A claim at a time, for a minute.
async fn claim(process: &Process, number: u64, now: Timestamp) -> Result<Claimed, StoreError> {
    let until = now.saturating_add(Duration::from_mins(1));
    process.claims.claim(event(number), now, until).await
}

fn lease_of(claimed: &Claimed) -> Lease {
    match &claimed.standing {
        Held::Claimed(lease) => lease.clone(),
        other => panic!("no lease: {other:?}"),
    }
}

async fn leases(process: &Process, now: Timestamp) -> Vec<Leased> {
    let until = now.saturating_add(Duration::from_mins(1));
    process.claims.lease(&[shop()], now, until, 100).await.unwrap().leased
}

fn attempt(note: &str) -> Attempt {
    Attempt { at: after(1), status: None, note: note.into() }
}

fn done() -> Outcome {
    Outcome::Done(attempt("ok"))
}

fn again(at: Timestamp) -> Outcome {
    Outcome::Again { at, attempt: attempt("busy") }
}

fn dead() -> Outcome {
    Outcome::Dead(attempt("no"))
}

fn is_fenced<T: fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Fenced))
}

/// An event with other parts.
fn with(number: u64, change: impl FnOnce(&mut hookward_core::EventParts)) -> Event {
    let mut parts = event(number).into_parts();
    change(&mut parts);
    testing::event(parts)
}

/// Everything that is in the table, by partition and sort key.
async fn items(table: &str) -> BTreeMap<(String, String), HashMap<String, AttributeValue>> {
    let scan = local::client().scan().table_name(table).consistent_read(true);
    let items = scan.send().await.unwrap().items.unwrap();
    let text =
        |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().to_owned();
    items.into_iter().map(|item| ((text(&item, "pk"), text(&item, "sk")), item)).collect()
}

async fn marks(table: &str) -> usize {
    items(table).await.keys().filter(|(pk, _)| pk.starts_with("w#")).count()
}

fn is_write(call: &Call) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem"].contains(&&*call.operation)
}

// ---- One lease.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_claims_at_once_one_has_the_lease() {
    let table = local::table().await;
    for recovery in [Recovery::Swept, Recovery::BySender] {
        let mut processes = Vec::new();
        for _ in 0..4 {
            let options = Options { recovery, ..options(&table) };
            processes.push(process_with(options, local::patient()).await);
        }
        let number = 1 + recovery as u64;
        let mut tasks = JoinSet::new();
        for copy in 0..64 {
            let claims = Arc::clone(&processes[copy % 4].claims);
            tasks.spawn(async move { claims.claim(event(number), after(1), after(61)).await });
        }
        let (mut leases, mut running) = (Vec::new(), 0);
        while let Some(answer) = tasks.join_next().await {
            let claimed = answer.unwrap().unwrap();
            match claimed.standing {
                Held::Claimed(lease) => {
                    assert!(claimed.new);
                    leases.push(lease);
                }
                Held::Running { until } => {
                    assert_eq!(until, Some(after(61)));
                    running += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((leases.len(), running), (1, 63));
        processes[0].claims.settle(&leases[0], done(), after(2)).await.unwrap();
        assert_eq!(marks(&table).await, 0, "the duplicates' marks are gone too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_lease_is_taken_once_with_a_higher_token_and_its_former_holder_is_fenced() {
    let table = local::table().await;
    let (first, second) = (process(&table).await, process(&table).await);
    let former = lease_of(&claim(&first, 1, after(1)).await.unwrap());
    let running = claim(&second, 1, after(60)).await.unwrap();
    assert_eq!(running.standing, Held::Running { until: Some(after(61)) });
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let claims = Arc::clone(&second.claims);
        tasks.spawn(async move { claims.claim(event(1), after(61), after(121)).await });
    }
    let mut taken = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        let claimed = answer.unwrap().unwrap();
        if let Held::Claimed(lease) = claimed.standing {
            assert!(!claimed.new && claimed.attempts == 0);
            taken.push(lease);
        } else {
            assert_eq!(claimed.standing, Held::Running { until: Some(after(121)) });
        }
    }
    let [lease] = &taken[..] else { panic!("{taken:?}") };
    assert!(lease.token > former.token);
    for outcome in [done(), again(after(70)), dead(), Outcome::Release { at: after(70) }] {
        assert!(is_fenced(&first.claims.settle(&former, outcome, after(62)).await));
    }
    assert!(is_fenced(&first.claims.extend(&former, after(500)).await));
    second.claims.settle(lease, done(), after(63)).await.unwrap();
    assert!(is_fenced(&second.claims.settle(lease, done(), after(63)).await));
    assert_eq!(claim(&first, 1, after(64)).await.unwrap().standing, Held::Done(State::Done));
    assert_eq!(marks(&table).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_given_back_is_taken_before_it_is_due() {
    let table = local::table().await;
    let process = process(&table).await;
    let lease = lease_of(&claim(&process, 1, after(1)).await.unwrap());
    process.claims.settle(&lease, again(after(9_999)), after(2)).await.unwrap();
    assert!(leases(&process, after(100)).await.is_empty(), "not due");
    let claimed = claim(&process, 1, after(100)).await.unwrap();
    assert_eq!((claimed.attempts, claimed.new), (1, false));
    let kept = process.claims.get(key(1), after(100)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.due_at), (State::Pending, Some(after(160))));
    process.claims.settle(&lease_of(&claimed), done(), after(101)).await.unwrap();
    assert_eq!(marks(&table).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_process_settles_that_knows_the_token() {
    let table = local::table().await;
    let (first, second) = (process(&table).await, process(&table).await);
    let lease = lease_of(&claim(&first, 1, after(1)).await.unwrap());
    let lease = first.claims.extend(&lease, after(500)).await.unwrap();
    assert!(leases(&second, after(400)).await.is_empty(), "it was extended");
    second.claims.settle(&lease, again(after(450)), after(400)).await.unwrap();
    let [leased] = &leases(&first, after(450)).await[..] else { panic!() };
    assert_eq!((leased.attempts, &leased.event.body), (1, &event(1).body));
    second.claims.settle(&leased.lease, done(), after(451)).await.unwrap();
    let kept = first.claims.get(key(1), after(452)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, kept.history.len()), (State::Done, 2, 2));
    assert_eq!(marks(&table).await, 0);
}

// ---- What is said of what was there.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_again_hears_what_has_become_of_the_first() {
    let table = local::table().await;
    let process = process(&table).await;
    let now = after(5);
    let standing = |claimed: Claimed| (claimed.standing, claimed.new);
    // Done and dead.
    for (number, outcome, state) in
        [(1, done(), Held::Done(State::Done)), (2, dead(), Held::Dead(DeadReason::Undeliverable))]
    {
        let lease = lease_of(&claim(&process, number, now).await.unwrap());
        process.claims.settle(&lease, outcome, now).await.unwrap();
        assert_eq!(standing(claim(&process, number, now).await.unwrap()), (state.clone(), false));
        let accepted = process.claims.accept(event(number), now).await.unwrap();
        assert_eq!(standing(accepted), (state, false));
    }
    // Accepted, then leased by a worker.
    let accepted = process.claims.accept(event(3), now).await.unwrap();
    assert_eq!(standing(accepted), (Held::Kept, true));
    let waits = process.claims.accept(event(3), now).await.unwrap();
    assert_eq!(standing(waits), (Held::Running { until: None }, false));
    let [leased] = &leases(&process, now).await[..] else { panic!() };
    let works = process.claims.accept(event(3), now).await.unwrap();
    assert_eq!(standing(works), (Held::Running { until: Some(leased.lease.until) }, false));
    // Verified, and nothing to run.
    for (number, intake) in
        [(4, Intake::Quarantine(Quarantine::SchemaViolation)), (5, Intake::Archive)]
    {
        let one = || with(number, |parts| parts.intake = intake);
        let is = match intake {
            Intake::Quarantine(why) => Held::Dead(DeadReason::Quarantined(why)),
            _ => Held::Done(State::Archived),
        };
        let first = process.claims.claim(one(), now, after(65)).await.unwrap();
        assert!(first.new && !matches!(first.standing, Held::Claimed(_)), "{first:?}");
        let second = process.claims.claim(one(), now, after(65)).await.unwrap();
        assert_eq!(standing(second), (is, false));
    }
    let tally = process.claims.tally(now).await.unwrap();
    assert_eq!((tally.pending, tally.dead), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_a_held_key_is_a_dead_letter_of_its_own() {
    let table = local::table().await;
    let process = process(&table).await;
    let lease = lease_of(&claim(&process, 1, after(1)).await.unwrap());
    let other = || {
        with(1, |parts| {
            parts.content = ContentDigest::from_bytes([9; 16]);
            parts.body = "other".into();
        })
    };
    for (round, new) in [(0, true), (1, false)] {
        let conflict = if round == 0 {
            process.claims.claim(other(), after(2), after(62)).await
        } else {
            process.claims.accept(other(), after(2)).await
        };
        let conflict = conflict.unwrap();
        assert_eq!((conflict.standing, conflict.new), (Held::Conflict, new));
    }
    let page = Query { state: Some(State::Dead), limit: 9, ..Query::default() };
    let page = process.claims.list(&page, after(3)).await.unwrap();
    let [kept] = &page.events[..] else { panic!("{page:?}") };
    assert_eq!(kept.dead, Some(DeadReason::Quarantined(Quarantine::IdConflict)));
    let kept = process.claims.get(kept.event.key, after(3)).await.unwrap().unwrap();
    assert_eq!(kept.event.body, "other");
    // The first one is as it was.
    process.claims.settle(&lease, done(), after(3)).await.unwrap();
    let first = process.claims.get(key(1), after(3)).await.unwrap().unwrap();
    assert_eq!((first.state, &first.event.body), (State::Done, &event(1).body));
    assert_eq!(marks(&table).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_time_is_over_is_new_again_and_what_waits_has_no_end() {
    let table = local::table().await;
    let process = process(&table).await;
    let old = lease_of(&claim(&process, 1, after(1)).await.unwrap());
    process.claims.accept(event(2), after(1)).await.unwrap();
    process.claims.settle(&old, done(), after(2)).await.unwrap();
    let later = NOON.saturating_add(3 * DAY);
    let expiring = |items: &BTreeMap<(String, String), HashMap<String, AttributeValue>>| {
        items.values().filter(|item| item.contains_key("x")).count()
    };
    assert_eq!(expiring(&items(&table).await), 1, "only what is finished may be deleted");
    // The body is not shown any more, and then nothing is.
    let day = NOON.saturating_add(DAY + Duration::from_secs(9));
    let kept = process.claims.get(key(1), day).await.unwrap().unwrap();
    assert!(kept.body_expired && kept.event.body.is_empty(), "{kept:?}");
    let replay = process.claims.requeue(key(1), day).await;
    assert!(matches!(replay, Err(StoreError::BodyExpired)), "{replay:?}");
    assert!(process.claims.get(key(1), later).await.unwrap().is_none());
    let claimed = process
        .claims
        .claim(
            with(1, |parts| {
                parts.received_at = later;
                parts.body_expires_at = later.saturating_add(DAY);
                parts.key_expires_at = Some(later.saturating_add(DAY));
            }),
            later,
            later.saturating_add(Duration::from_mins(1)),
        )
        .await
        .unwrap();
    assert!(claimed.new);
    assert!(lease_of(&claimed).token > old.token, "a former holder has no token that fits");
    assert!(is_fenced(&process.claims.settle(&old, done(), later).await));
    assert_eq!(leases(&process, later).await.len(), 1, "what waits is still there");
}

// ---- Somebody dies in the middle.

/// What a process does before it dies.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Accept,
    ClaimAndFinish,
    ClaimAndFail,
    ClaimAndGiveUp,
    ClaimAndRelease,
    TakeALapsedLease,
    TakeWhatWasGivenBack,
    LeaseAndFinish,
    LeaseAndFail,
    Replay,
}

impl Doing {
    const ALL: [Self; 10] = [
        Self::Accept,
        Self::ClaimAndFinish,
        Self::ClaimAndFail,
        Self::ClaimAndGiveUp,
        Self::ClaimAndRelease,
        Self::TakeALapsedLease,
        Self::TakeWhatWasGivenBack,
        Self::LeaseAndFinish,
        Self::LeaseAndFail,
        Self::Replay,
    ];

    /// What was there before, by a process without a fault. Whether somebody was told that the event is there.
    async fn prepare(self, other: &Process) -> bool {
        match self {
            Self::Accept
            | Self::ClaimAndFinish
            | Self::ClaimAndFail
            | Self::ClaimAndGiveUp
            | Self::ClaimAndRelease => return false,
            Self::LeaseAndFinish | Self::LeaseAndFail => {
                other.claims.accept(event(1), after(0)).await.unwrap();
            }
            Self::TakeALapsedLease => {
                claim(other, 1, after(0)).await.unwrap();
            }
            Self::TakeWhatWasGivenBack => {
                let lease = lease_of(&claim(other, 1, after(0)).await.unwrap());
                other.claims.settle(&lease, again(after(900)), after(1)).await.unwrap();
            }
            Self::Replay => {
                let lease = lease_of(&claim(other, 1, after(0)).await.unwrap());
                other.claims.settle(&lease, dead(), after(1)).await.unwrap();
                return false;
            }
        }
        true
    }

    /// Whether somebody was told that the event is there, or has begun to work on it.
    async fn by(self, process: &Process) -> Result<(), (bool, StoreError)> {
        let now = after(100);
        let claims = &process.claims;
        match self {
            Self::Accept => {
                claims.accept(event(1), now).await.map_err(|e| (false, e))?;
            }
            Self::Replay => claims.requeue(key(1), now).await.map_err(|e| (false, e))?,
            Self::ClaimAndFinish
            | Self::ClaimAndFail
            | Self::ClaimAndGiveUp
            | Self::ClaimAndRelease
            | Self::TakeALapsedLease
            | Self::TakeWhatWasGivenBack
            | Self::LeaseAndFinish
            | Self::LeaseAndFail => {
                let lease = if matches!(self, Self::LeaseAndFinish | Self::LeaseAndFail) {
                    let work = claims.lease(&[shop()], now, after(160), 9).await;
                    work.map_err(|e| (false, e))?.leased[0].lease.clone()
                } else {
                    lease_of(&claim(process, 1, now).await.map_err(|e| (false, e))?)
                };
                let outcome = match self {
                    Self::ClaimAndFail | Self::LeaseAndFail => again(after(300)),
                    Self::ClaimAndGiveUp => dead(),
                    Self::ClaimAndRelease => Outcome::Release { at: after(101) },
                    _ => done(),
                };
                claims.settle(&lease, outcome, after(101)).await.map_err(|e| (true, e))?;
            }
        }
        Ok(())
    }
}

/// A process dies when it has written so much, with its last write's effect or without. Whether it came to its end.
async fn dies(
    doing: Doing,
    writes: usize,
    last_is_lost: bool,
    flaw: Option<Flaw>,
) -> Result<bool, String> {
    let table = local::table().await;
    let sound = process(&table).await;
    let mut told = doing.prepare(&sound).await;
    let once = Patience { attempts: 1, ..hasty() };
    let dying = process_with(Options { flaw, ..options(&table) }, once).await;
    let written = AtomicUsize::new(0);
    dying.proxy.does(move |call| {
        let before = written.load(Ordering::Relaxed);
        if is_write(call) {
            written.fetch_add(1, Ordering::Relaxed);
        }
        match before {
            _ if before < writes => Fault::None,
            _ if before == writes && is_write(call) && !last_is_lost => Fault::LosesReply,
            _ => Fault::Lost,
        }
    });
    let came_to_an_end = match doing.by(&dying).await {
        Ok(()) => {
            told = true;
            true
        }
        Err((begun, _)) => {
            told |= begun;
            false
        }
    };
    drop(dying);
    let state = async || {
        let kept = sound.claims.get(key(1), after(200)).await.unwrap();
        kept.map(|kept| (kept.state, kept.attempts))
    };
    let mut now = after(1_000);
    if !told {
        // Whoever was not answered comes again.
        if let Doing::Replay = doing {
            sound.claims.requeue(key(1), now).await.unwrap();
        } else {
            let claimed = claim(&sound, 1, now).await.unwrap();
            match claimed.standing {
                Held::Claimed(lease) => sound.claims.settle(&lease, done(), now).await.unwrap(),
                Held::Done(_) => {}
                other => return Err(format!("its sender is told {other:?}")),
            }
        }
    }
    let mut ran = 0;
    for _ in 0..4 {
        for leased in leases(&sound, now).await {
            if leased.event.body != event(1).body {
                return Err("another body".to_owned());
            }
            ran += 1;
            sound.claims.settle(&leased.lease, done(), now).await.unwrap();
        }
        now = now.saturating_add(LONG);
    }
    let state = state().await;
    let expected = match doing {
        Doing::ClaimAndGiveUp if ran == 0 => [State::Dead, State::Done],
        _ => [State::Done, State::Done],
    };
    if !state.is_some_and(|(state, _)| expected.contains(&state)) {
        return Err(format!("it is lost: {state:?}"));
    }
    if ran > 1 {
        return Err(format!("it ran {ran} times after that"));
    }
    let left = marks(&table).await;
    if left > 0 {
        return Err(format!("{left} marks are left for ever"));
    }
    Ok(came_to_an_end)
}

/// Every death of every process. What went wrong, at the first.
async fn deaths(flaw: Option<Flaw>) -> Result<(), String> {
    for doing in Doing::ALL {
        for writes in 0.. {
            let mut ended = true;
            for last_is_lost in [true, false] {
                let death = dies(doing, writes, last_is_lost, flaw).await;
                ended &= death.map_err(|what| {
                    format!("{doing:?} after {writes} writes (lost: {last_is_lost}): {what}")
                })?;
            }
            // Marks that could not be removed are no harm, so it may come to its end before the last write.
            if ended {
                break;
            }
            assert!(writes < 20, "{doing:?} has no end");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_between_two_writes_loses_nothing_and_leaves_nothing() {
    assert_eq!(deaths(None).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_tells_or_removes_too_early_loses_events_when_somebody_dies() {
    for flaw in [Flaw::TellsBeforeTheMark, Flaw::RemovesMarksFirst] {
        let found = deaths(Some(flaw)).await;
        assert!(found.is_err(), "{flaw:?} was not found");
    }
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
async fn a_retry_that_meets_its_own_first_try_is_nobody_elses() {
    finds!(IgnoresReceipts, own_retries);
}

async fn own_retries(flaw: Option<Flaw>) -> Result<(), String> {
    let table = local::table().await;
    let process = flawed(&table, flaw).await;
    let told = |error: StoreError| error.to_string();
    process.proxy.does(first(|call| call.puts("e#"), Fault::LosesReply));
    let claimed = claim(&process, 1, after(1)).await.map_err(told)?;
    let Held::Claimed(lease) = claimed.standing else { return Err(format!("{claimed:?}")) };
    let update = |call: &Call| call.operation == "UpdateItem";
    process.proxy.does(first(update, Fault::LosesReply));
    process.claims.settle(&lease, again(after(5)), after(2)).await.map_err(told)?;
    process.proxy.does(first(update, Fault::LosesReply));
    let work = process.claims.lease(&[shop()], after(6), after(66), 9).await.map_err(told)?;
    let [leased] = &work.leased[..] else { return Err("not leased".to_owned()) };
    process.proxy.does(first(update, Fault::LosesReply));
    process.claims.settle(&leased.lease, done(), after(7)).await.map_err(told)?;
    process.proxy.does(first(update, Fault::LosesReply));
    process.claims.requeue(key(1), after(8)).await.map_err(told)?;
    let kept = process.claims.get(key(1), after(9)).await.unwrap().unwrap();
    if kept.replays == 1 { Ok(()) } else { Err(format!("replayed {} times", kept.replays)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_whose_event_is_on_its_way_stays() {
    finds!(RemovesMarksTooEarly, late_event);
}

async fn late_event(flaw: Option<Flaw>) -> Result<(), String> {
    let table = local::table().await;
    let (slow, sweeper) = (process(&table).await, flawed(&table, flaw).await);
    let gate = Gate::closed();
    slow.proxy.does(each(|call| call.puts("e#"), Fault::Waits(Arc::clone(&gate))));
    let claims = Arc::clone(&slow.claims);
    let accept = tokio::spawn(async move { claims.accept(event(1), after(0)).await });
    gate.somebody_waits().await;
    while marks(&table).await == 0 {
        tokio::task::yield_now().await;
    }
    for minute in 1..4 {
        assert!(leases(&sweeper, after(60 * minute)).await.is_empty());
    }
    gate.open();
    accept.await.unwrap().unwrap();
    let found = leases(&sweeper, after(600)).await.len();
    if found == 1 { Ok(()) } else { Err("an accepted event is lost".to_owned()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_told_only_of_what_will_be_found() {
    finds!(TrustsDuplicates, half_an_append);
}

async fn half_an_append(flaw: Option<Flaw>) -> Result<(), String> {
    let table = local::table().await;
    let once = Patience { attempts: 1, ..hasty() };
    let dying = process_with(options(&table), once).await;
    let other = flawed(&table, flaw).await;
    dying.proxy.does(each(|call| call.puts("w#"), Fault::Lost));
    let unanswered = dying.claims.accept(event(1), after(0)).await;
    assert!(is_unavailable(&unanswered), "{unanswered:?}");
    let unanswered = Store::append(&*dying.claims, event(2), Claim::Queue).await;
    assert!(is_unavailable(&unanswered), "{unanswered:?}");
    drop(dying);
    let told = other.claims.accept(event(1), after(1)).await.unwrap();
    assert_eq!(told.standing, Held::Running { until: None });
    let told = Store::append(&*other.claims, event(2), Claim::Queue).await.unwrap();
    assert_eq!(told, Receipt::Duplicate { state: State::Pending });
    let found = leases(&other, after(10)).await.len();
    if found == 2 { Ok(()) } else { Err(format!("{found} of 2 accepted events are found")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_finds_stores_that_do_not_fence_or_do_not_keep_leases() {
    for (flaw, checks) in [
        (Flaw::DoesNotFence, &["a_lease_that_went_to_somebody_else_is_fenced"][..]),
        (Flaw::DoesNotFence, &["a_lease_settles_once"]),
        (Flaw::DoesNotFence, &["a_requeue_takes_the_lease_away"]),
        (Flaw::IgnoresLeases, &["a_leased_event_is_nobody_elses_until_it_lapses"]),
        (Flaw::IgnoresLapses, &["a_leased_event_is_nobody_elses_until_it_lapses"]),
        (Flaw::IgnoresLapses, &["what_is_unfinished_is_due_after_a_restart"]),
    ] {
        for check in checks {
            let verdict = conformance::check_one(&ClaimsSubject::with(flaw), check).await;
            assert!(verdict.is_err(), "{flaw:?} was not found by {check}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_takes_what_lapsed_and_nothing_else() {
    finds!(IgnoresLeases, claims_again);
    finds!(IgnoresLapses, claims_again);
}

async fn claims_again(flaw: Option<Flaw>) -> Result<(), String> {
    let table = local::table().await;
    let process = flawed(&table, flaw).await;
    claim(&process, 1, after(1)).await.unwrap();
    let early = claim(&process, 1, after(60)).await.unwrap();
    let late = claim(&process, 1, after(61)).await.unwrap();
    match (early.standing, late.standing) {
        (Held::Running { .. }, Held::Claimed(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

// ---- Marks.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_slow_writes_its_mark_again() {
    let table = local::table().await;
    let clock = Arc::new(HandClock::default());
    let slow_clock: Arc<dyn dynamodb::Clock> = Arc::clone(&clock) as _;
    let slow =
        process_with(Options { clock: slow_clock, ..options(&table) }, local::patient()).await;
    let sweeper = process(&table).await;
    let gate = Gate::closed();
    slow.proxy.does(each(|call| call.puts("e#"), Fault::Waits(Arc::clone(&gate))));
    let claims = Arc::clone(&slow.claims);
    let accept = tokio::spawn(async move { claims.accept(event(1), after(0)).await });
    gate.somebody_waits().await;
    while marks(&table).await == 0 {
        tokio::task::yield_now().await;
    }
    // It stands still for so long that its mark is taken for one that nobody names.
    let mut now = after(60);
    for _ in 0..2 {
        assert!(leases(&sweeper, now).await.is_empty());
        now = now.saturating_add(LONG);
    }
    assert_eq!(marks(&table).await, 0);
    clock.advance(2 * LONG);
    gate.open();
    accept.await.unwrap().unwrap();
    assert_eq!(leases(&sweeper, now).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_works_on_is_read_once_by_those_who_look() {
    let table = local::table().await;
    let (worker, other) = (process(&table).await, process(&table).await);
    worker.claims.accept(event(1), after(0)).await.unwrap();
    let [leased] = &leases(&worker, after(1)).await[..] else { panic!() };
    let mut reads = Vec::new();
    for _ in 0..3 {
        let before = units(&other)["poll"].1;
        let work = other.claims.lease(&[shop()], after(2), after(62), 9).await.unwrap();
        assert_eq!((work.leased.len(), work.next_due), (0, Some(leased.lease.until)));
        reads.push(units(&other)["poll"].1 - before);
    }
    let [first, second, third] = reads[..] else { panic!() };
    assert!(second < first && third <= second, "{reads:?}");
    // A lease that is given back before is found at once.
    worker.claims.settle(&leased.lease, again(after(3)), after(3)).await.unwrap();
    assert_eq!(leases(&other, after(4)).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_events_than_are_read_together_are_all_found_listed_and_counted() {
    const COUNT: u64 = 250;
    let table = local::table().await;
    let process = process(&table).await;
    let mut tasks = JoinSet::new();
    for first in 0..8 {
        let claims = Arc::clone(&process.claims);
        tasks.spawn(async move {
            for number in (first..COUNT).step_by(8) {
                assert!(claims.accept(event(number), after(0)).await.unwrap().new);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    // Their keys end alike: they are all in one partition.
    let partitions: Vec<String> = items(&table).await.into_keys().map(|(pk, _)| pk).collect();
    assert_eq!(partitions.iter().filter(|pk| *pk == "w#0").count() as u64, COUNT);
    let tally = process.claims.tally(after(1)).await.unwrap();
    assert_eq!((tally.pending, tally.oldest_pending), (COUNT, Some(NOON)));
    let mut query = Query { state: Some(State::Pending), limit: 40, ..Query::default() };
    let mut listed = Vec::new();
    loop {
        let page = process.claims.list(&query, after(1)).await.unwrap();
        listed.extend(page.events.iter().map(|kept| kept.event.key));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert!(listed.into_iter().eq((0..COUNT).rev().map(key)));
    let work = process.claims.lease(&[shop()], after(1), after(61), 1_000).await.unwrap();
    let leased = work.leased.iter().map(|leased| leased.lease.key);
    assert!(leased.eq((0..COUNT).map(key)), "the oldest first");
    assert_eq!(work.next_due, None);
}

// ---- When its sender looks after a claimed event.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_its_sender_looks_after_has_no_mark_until_it_waits() {
    let table = local::table().await;
    let options = || Options { recovery: Recovery::BySender, ..options(&table) };
    let process = process_with(options(), local::patient()).await;
    let other = process_with(options(), local::patient()).await;
    let lease = lease_of(&claim(&process, 1, after(1)).await.unwrap());
    assert_eq!(marks(&table).await, 0);
    // Its worker dies; its sender comes again.
    let taken = lease_of(&claim(&other, 1, after(61)).await.unwrap());
    assert!(is_fenced(&process.claims.settle(&lease, done(), after(62)).await));
    other.claims.settle(&taken, done(), after(62)).await.unwrap();
    // What is given back is found.
    let lease = lease_of(&claim(&process, 2, after(1)).await.unwrap());
    process.claims.settle(&lease, again(after(5)), after(2)).await.unwrap();
    let [leased] = &leases(&other, after(6)).await[..] else { panic!() };
    other.claims.settle(&leased.lease, done(), after(7)).await.unwrap();
    // Somebody is told that it is durable while another one works on it: from then on it is looked after.
    let lease = lease_of(&claim(&process, 3, after(1)).await.unwrap());
    let told = other.claims.accept(event(3), after(2)).await.unwrap();
    assert_eq!(told.standing, Held::Running { until: Some(after(61)) });
    let [leased] = &leases(&other, after(62)).await[..] else { panic!() };
    assert!(is_fenced(&process.claims.settle(&lease, done(), after(63)).await));
    other.claims.settle(&leased.lease, done(), after(63)).await.unwrap();
    let expires: Vec<bool> = items(&table)
        .await
        .into_iter()
        .filter(|((pk, _), _)| pk.starts_with("e#"))
        .map(|(_, item)| item.contains_key("x"))
        .collect();
    assert_eq!(expires, [true; 3]);
    let lease = lease_of(&claim(&process, 4, after(1)).await.unwrap());
    other.claims.accept(event(4), after(2)).await.unwrap();
    process.claims.settle(&lease, done(), after(3)).await.unwrap();
    for hours in [1, 2] {
        assert!(leases(&other, after(3_600 * hours)).await.is_empty());
    }
    assert_eq!(marks(&table).await, 0, "what was left was found");
}

// ---- What goes wrong.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_throttles_refuses_or_is_gone_is_unavailable() {
    let table = local::table().await;
    let process = process_with(options(&table), Patience { attempts: 1, ..hasty() }).await;
    process.claims.health().await.unwrap();
    let faults = [
        says(400, "ProvisionedThroughputExceededException", ""),
        says(400, "AccessDeniedException", ""),
        says(500, "InternalServerError", ""),
        Fault::Lost,
    ];
    for fault in faults {
        process.proxy.does(move |_| fault.clone());
        assert!(is_unavailable(&claim(&process, 1, after(1)).await));
        assert!(is_unavailable(&process.claims.accept(event(1), after(1)).await));
        assert!(is_unavailable(&process.claims.lease(&[shop()], after(1), after(2), 1).await));
        assert!(is_unavailable(&process.claims.get(key(1), after(1)).await));
        assert!(is_unavailable(&process.claims.health().await));
    }
    let throttled = process.claims.usage().throttled;
    assert!(throttled.iter().any(|(why, _)| why == "ProvisionedThroughputExceededException"));
    process.proxy.recovers();
    assert!(claim(&process, 1, after(1)).await.unwrap().new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_kept_in_a_bucket_or_refused() {
    let table = local::table().await;
    let large = || {
        with(1, |parts| {
            parts.body = noise(0, LARGE).into();
            parts.content = ContentDigest::from_bytes([7; 16]);
        })
    };
    let without = process(&table).await;
    let refused = without.claims.claim(large(), after(1), after(61)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    bodies::make(&table).await;
    let bucket = Bucket::new(bodies::connection(bucket::address()), &table, &local::patient());
    let large_bodies = LargeBodies { bodies: Arc::new(bucket), prefix: "bodies/".to_owned() };
    let options = Options { large_bodies: Some(large_bodies), ..options(&table) };
    let with_one = process_with(options, local::patient()).await;
    with_one.claims.accept(large(), after(1)).await.unwrap();
    let [leased] = &leases(&with_one, after(2)).await[..] else { panic!() };
    assert_eq!(leased.event.body, large().body);
    with_one.claims.settle(&leased.lease, again(after(3)), after(3)).await.unwrap();
    // Without the bucket it is put off, and nothing becomes of it.
    assert!(leases(&without, after(4)).await.is_empty());
    assert_eq!(leases(&with_one, after(10)).await.len(), 1);
}

// ---- A table that gateways use too.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_event_is_left_to_it() {
    for completion in [Completion::Checkpoint, Completion::Each] {
        let table = local::table().await;
        let clock = Arc::new(HandClock::default());
        let options = dynamodb::Options { completion, ..local::options(&table, &clock) };
        let gateway = local::node(local::address(), options, NOON).await;
        let process = process(&table).await;
        for number in 1..3 {
            gateway.append(event(number), Claim::Queue).await.unwrap();
        }
        let quarantined = with(3, |parts| parts.intake = Intake::Quarantine(Quarantine::NotJson));
        gateway.append(quarantined, Claim::Queue).await.unwrap();
        let work = gateway.lease(&[shop()], after(1), after(61), 1).await.unwrap();
        gateway.settle(work.leased[0].lease.clone(), done(), after(2)).await.unwrap();
        let before = items(&table).await;
        let running = Held::Running { until: None };
        let finished = match completion {
            Completion::Checkpoint => running.clone(),
            Completion::Each => Held::Done(State::Done),
        };
        let dead = Held::Dead(DeadReason::Quarantined(Quarantine::NotJson));
        for (number, standing) in [(1, finished), (2, running), (3, dead)] {
            let claimed = claim(&process, number, after(3_600)).await.unwrap();
            assert_eq!((claimed.standing, claimed.new), (standing.clone(), false), "{number}");
            let accepted = process.claims.accept(event(number), after(3_600)).await.unwrap();
            assert_eq!(accepted.standing, standing);
            let kept = process.claims.get(key(number), after(10)).await.unwrap().unwrap();
            assert_eq!(kept.event.body, event(number).body);
            let replay = process.claims.requeue(key(number), after(10)).await;
            assert!(matches!(replay, Err(StoreError::Unsupported { .. })), "{replay:?}");
        }
        assert!(leases(&process, after(3_600)).await.is_empty());
        assert_eq!(items(&table).await, before, "nothing of it was changed");
        let conflict = with(2, |parts| parts.content = ContentDigest::from_bytes([9; 16]));
        let conflict = process.claims.claim(conflict, after(4), after(64)).await.unwrap();
        assert_eq!(conflict.standing, Held::Conflict);
        gateway.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_acknowledges_no_event_that_the_library_has_not_finished() {
    let table = local::table().await;
    let clock = Arc::new(HandClock::default());
    let options = || local::options(&table, &clock);
    let gateway = local::node(local::address(), options(), NOON).await;
    let process = process(&table).await;
    let lease = lease_of(&claim(&process, 1, after(1)).await.unwrap());
    gateway.append(event(2), Claim::Queue).await.unwrap();
    let early = gateway.append(event(1), Claim::Queue).await;
    assert!(is_unavailable(&early), "{early:?}");
    process.claims.settle(&lease, done(), after(2)).await.unwrap();
    let late = gateway.append(event(1), Claim::Queue).await.unwrap();
    assert_eq!(late, Receipt::Duplicate { state: State::Done });
    // Its lists and its successor are not held up by what they do not know.
    let page = gateway.list(&Query { limit: 9, ..Query::default() }).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert!(gateway.get(key(1)).await.unwrap().is_none());
    drop(gateway);
    let successor = local::node(local::address(), options(), NOON).await;
    successor.tend().await.unwrap();
    clock.advance(local::LAPSE);
    successor.tend().await.unwrap();
    let work = successor.lease(&[shop()], after(3_600), after(7_200), 9).await.unwrap();
    assert_eq!(work.leased.len(), 1);
    assert_eq!(work.leased[0].lease.key, key(2));
}

// ---- What it costs.

/// Write units and read units by outcome.
fn units(process: &Process) -> BTreeMap<&'static str, (f64, f64)> {
    let mut used: BTreeMap<_, (f64, f64)> = BTreeMap::from([("poll", (0.0, 0.0))]);
    for units in process.claims.usage().units {
        let sum = used.entry(units.outcome).or_default();
        sum.0 += units.writes;
        sum.1 += units.reads;
    }
    used
}

/// What a step wrote and read.
struct Bill<'p> {
    process: &'p Process,
    before: (f64, f64),
}

impl<'p> Bill<'p> {
    fn new(process: &'p Process) -> Self {
        let mut bill = Self { process, before: (0.0, 0.0) };
        bill.next();
        bill
    }

    fn next(&mut self) -> (f64, f64) {
        let sum = units(self.process)
            .values()
            .fold((0.0, 0.0), |(writes, reads), (w, r)| (writes + w, reads + r));
        let (writes, reads) = std::mem::replace(&mut self.before, sum);
        (sum.0 - writes, sum.1 - reads)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_outcome_costs_what_the_page_says() {
    // A body that does not compress, so that the event is of so many kilobytes.
    for (body, p) in [(300, 1.0), (2_500, 3.0)] {
        let sized = |number: u64| with(number, |parts| parts.body = noise(number, body).into());
        for recovery in [Recovery::Swept, Recovery::BySender] {
            let table = local::table().await;
            let options = Options { recovery, ..options(&table) };
            let process = process_with(options, local::patient()).await;
            let claims = &process.claims;
            let mark = if recovery == Recovery::Swept { 1.0 } else { 0.0 };
            // One for the partition that has a mark, one for the event. DynamoDB Local takes nothing for an empty partition, and
            // DynamoDB one unit.
            let looked = 2.0;
            let mut bill = Bill::new(&process);
            // In the request.
            let claimed = claims.claim(sized(1), after(1), after(61)).await.unwrap();
            assert_eq!(bill.next(), (p + mark, 0.0), "claimed");
            claims.claim(sized(1), after(1), after(61)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0 * mark, 0.0), "repeated while it runs");
            claims.settle(&lease_of(&claimed), done(), after(2)).await.unwrap();
            assert_eq!(bill.next(), (p + mark, 0.0), "done");
            claims.claim(sized(1), after(3), after(63)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0 * mark, 0.0), "repeated when it is done");
            // By a worker.
            claims.accept(sized(2), after(3)).await.unwrap();
            assert_eq!(bill.next(), (p + 1.0, 0.0), "accepted");
            claims.accept(sized(2), after(3)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0, 1.0), "repeated while it waits");
            let leased = leases(&process, after(4)).await;
            assert_eq!(bill.next(), (p, looked), "leased");
            claims.settle(&leased[0].lease, again(after(5)), after(4)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0, 0.0), "failed");
            let leased = leases(&process, after(6)).await;
            assert_eq!(bill.next(), (p, looked), "leased again");
            claims.extend(&leased[0].lease, after(100)).await.unwrap();
            assert_eq!(bill.next(), (p, 0.0), "extended");
            claims.settle(&leased[0].lease, dead(), after(6)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0, 0.0), "given up");
            claims.requeue(key(2), after(7)).await.unwrap();
            assert_eq!(bill.next(), (p + 2.0, 1.0), "replayed");
            let leased = leases(&process, after(8)).await;
            assert_eq!(bill.next(), (p, looked), "leased after its replay");
            claims.settle(&leased[0].lease, done(), after(9)).await.unwrap();
            assert_eq!(bill.next(), (p + 1.0, 0.0), "done by a worker");
            assert!(leases(&process, after(9)).await.is_empty());
            assert_eq!(bill.next(), (0.0, 0.0), "looked for nothing");
            assert_eq!(marks(&table).await, 0);
        }
    }
}
