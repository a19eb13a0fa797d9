//! What version 1 of the format wrote is read for ever.

use std::{env, fs, path::PathBuf};

use hookward_core::{Intake, Quarantine, event::testing};
use hookward_store::{
    Attempt, Claim, Kept, Outcome, Store,
    embedded::{Embedded, Options},
};

use crate::trouble::{at, done, event, key, shop};

/// The events of the fixture.
const EVENTS: [u64; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22, 23];

/// The version of the fixture.
const VERSION: &str = "v1";

/// How the store was left.
const STATES: [&str; 2] = ["closed", "crashed"];

fn options() -> Options {
    Options { segment_bytes: 4 * 1024, ..Options::default() }
}

fn fixture(state: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(VERSION).join(state)
}

/// Writes a store with each kind of record and of file. Never changed: what it wrote once is the fixture.
async fn write(store: &Embedded) {
    for number in 20..24 {
        let mut parts = event(number).into_parts();
        parts.key_expires_at = (number != 20).then(|| at(9_000));
        parts.body_expires_at = at(5);
        store.append(testing::event(parts), Claim::Queue).await.unwrap();
    }
    for leased in store.lease(&[shop()], at(1), at(60), 100).await.unwrap().leased {
        store.settle(leased.lease, done(2), at(2)).await.unwrap();
    }
    store.expire(at(6)).await.unwrap();
    for number in 0..10_u32 {
        let mut parts = event(number.into()).into_parts();
        match number {
            0 => parts.intake = Intake::Archive,
            1 => parts.intake = Intake::Quarantine(Quarantine::UnknownType),
            2 => parts.body = b"compressible ".repeat(400).into(),
            7 | 8 => {
                let noise = (0..400_u32)
                    .flat_map(|i| (i + number).wrapping_mul(2_654_435_761).to_be_bytes());
                parts.body = noise.collect::<Vec<u8>>().into();
            }
            3 => parts.headers = vec![("x-shop".into(), [1, 2, 255].into())],
            _ => {}
        }
        store.append(testing::event(parts), Claim::Queue).await.unwrap();
    }
    for leased in store.lease(&[shop()], at(7), at(60), 6).await.unwrap().leased {
        let attempt = Attempt { at: at(8), status: Some(503), note: "busy".into() };
        let outcome = match leased.event.sender_id.as_deref() {
            Some("2") => Outcome::Again { at: at(9), attempt },
            Some("3" | "4") => Outcome::Dead(attempt),
            Some("5") => Outcome::Release { at: at(12) },
            _ => done(8),
        };
        store.settle(leased.lease, outcome, at(8)).await.unwrap();
    }
    store.requeue(key(6), at(9)).await.unwrap();
    store.discard(key(4), at(9)).await.unwrap();
}

/// All that is known of the fixture's events.
async fn read(store: &Embedded) -> Vec<Option<Kept>> {
    let mut all = Vec::new();
    for number in EVENTS {
        all.push(store.get(key(number)).await.unwrap());
    }
    all
}

#[tokio::test]
async fn a_store_of_version_1_is_read_as_it_was_written() {
    for state in STATES {
        let from = fixture(state);
        assert!(from.exists(), "{} is missing: see `generate`", from.display());
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        let old = Embedded::open(copy.path(), options()).unwrap();
        assert_eq!(old.recovery().snapshot, state == "closed", "{:?}", old.recovery());
        let fresh = tempfile::tempdir().unwrap();
        let new = Embedded::open(fresh.path(), options()).unwrap();
        write(&new).await;
        let (old, new) = (read(&old).await, read(&new).await);
        for (number, (old, new)) in EVENTS.iter().zip(old.iter().zip(&new)) {
            assert!(old.is_some(), "{state}: event {number} is not there");
            assert_eq!(format!("{old:?}"), format!("{new:?}"), "{state}: event {number}");
        }
    }
}

/// Names the version whose fixture is to be made. What is there already is never written again.
const WRITE_FIXTURE: &str = "HOOKWARD_TEST_WRITE_FIXTURE";

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a person asks for it, once for each version")]
async fn a_fixture_is_made_when_it_is_asked_for() {
    if env::var(WRITE_FIXTURE).is_ok_and(|version| version == VERSION) {
        for state in STATES {
            generate(state).await;
        }
    }
}

/// Makes the fixture: once for each version of the format.
async fn generate(state: &str) {
    let path = fixture(state);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::create_dir(&path).unwrap();
    let store = Embedded::open(&path, options()).unwrap();
    write(&store).await;
    if state == "closed" {
        store.close().await.unwrap();
    }
    drop(store);
    fs::remove_file(path.join("LOCK")).unwrap();
    if state == "crashed" {
        for file in fs::read_dir(&path).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().is_some_and(|name| name == "snapshot")
                || path.extension().is_some_and(|e| e == "spare")
            {
                fs::remove_file(path).unwrap();
            }
        }
    }
}
