//! A real process is killed fifty times under load; a sender that keeps every acknowledgement finds all of it.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hookward_store::{
    Claim, Receipt, State, Store,
    embedded::{Embedded, Options},
};

use crate::trouble::{at, done, event, key, shop};

const KILLS: u64 = 50;

/// Says where the child is to work. Set by the test that starts it; without it the child does nothing.
const DIRECTORY: &str = "HOOKWARD_TEST_KILL_DIRECTORY";
/// Says which event is the child's first.
const FIRST: &str = "HOOKWARD_TEST_KILL_FIRST";

fn options() -> Options {
    Options { segment_bytes: 256 * 1024, ..Options::default() }
}

#[tokio::test]
async fn fifty_kills_under_load_lose_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept: BTreeSet<u64> = BTreeSet::new();
    let mut settling: BTreeSet<u64> = BTreeSet::new();
    let mut first = 0;
    for kill in 0..KILLS {
        // Between 1 and 1,500 acknowledgements, always the same ones for each kill.
        let after = 1 + kill.wrapping_mul(2_654_435_761) % 1_500;
        let (acknowledged, tried) = run_and_kill(directory.path(), first, after);
        assert!(acknowledged.len() as u64 >= after, "kill {kill}: the child ended by itself");
        kept.extend(&acknowledged);
        settling.extend(&tried);
        first = kept.last().map_or(first, |last| last + 1_000);

        let store = Embedded::open(directory.path(), options()).unwrap();
        let pending: BTreeSet<_> = {
            let work =
                store.lease(&[shop()], at(1_000_000), at(2_000_000), 1_000_000).await.unwrap();
            work.leased.iter().map(|leased| leased.lease.key).collect()
        };
        let recent = kept.range(first.saturating_sub(4_000)..);
        let all = if kill + 1 == KILLS { kept.range(..) } else { recent };
        for number in all {
            let receipt = store.append(event(*number), Claim::Queue).await.unwrap();
            let Receipt::Duplicate { state } = receipt else {
                panic!("kill {kill}: event {number} was acknowledged and is lost: {receipt:?}")
            };
            let waits = pending.contains(&key(*number));
            assert_eq!(state == State::Pending, waits, "kill {kill}: event {number} is {state:?}");
            assert!(
                waits || settling.contains(number),
                "kill {kill}: event {number} is {state:?}, but was never settled"
            );
        }
    }
    assert!(kept.len() as u64 > KILLS * 100, "only {} acknowledgements", kept.len());
}

/// Runs the child, kills it after so many acknowledgements; gives back all that it said: kept, and about to be settled.
fn run_and_kill(directory: &Path, first: u64, after: u64) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kill::the_child_works_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut kept, mut settling, mut killed) = (BTreeSet::new(), BTreeSet::new(), false);
    // What the child wrote before it died is still in the pipe, and counts.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(number) = line.strip_prefix("kept ").and_then(|number| number.parse().ok()) {
            kept.insert(number);
        } else if let Some(number) =
            line.strip_prefix("settling ").and_then(|number| number.parse().ok())
        {
            settling.insert(number);
        }
        if !killed && kept.len() as u64 >= after {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    (kept, settling)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells its child what to do")]
fn the_child_works_until_it_is_killed() {
    let (Some(directory), Ok(first)) = (env::var_os(DIRECTORY), env::var(FIRST)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(work(Path::new(&directory), first.parse().unwrap()));
}

async fn work(directory: &Path, first: u64) {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(directory, options()).unwrap());
    let next = Arc::new(AtomicU64::new(first));
    for _ in 0..16 {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                store.append(event(number), Claim::Queue).await.unwrap();
                println!("kept {number}");
            }
        });
    }
    loop {
        let work = store.lease(&[shop()], at(10), at(1_000), 8).await.unwrap();
        for leased in work.leased.into_iter().skip(1) {
            println!("settling {}", leased.event.sender_id.as_deref().unwrap());
            store.settle(leased.lease, done(11), at(11)).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}
