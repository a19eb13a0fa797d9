//! A disk that fills up, that fails, that fails to sync.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp,
    event::testing,
};
use hookward_store::{
    Attempt, Claim, Outcome, Receipt, State, Store, StoreError,
    embedded::{Disk, Embedded, OpenError, Options},
};

use crate::{sim::SimDisk, subjects::small};

pub(crate) fn shop() -> SourceName {
    SourceName::parse("shop").unwrap()
}

pub(crate) fn key(number: u64) -> EventKey {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    EventKey::from_bytes(spread.to_be_bytes())
}

pub(crate) fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000).saturating_add(Duration::from_secs(second))
}

pub(crate) fn event(number: u64) -> Event {
    let body =
        format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat((number % 7) as usize * 100));
    testing::event(EventParts {
        key: key(number),
        source: shop(),
        event_type: Some("paid".into()),
        sender_id: Some(number.to_string().into()),
        content: ContentDigest::from_bytes(*key(number).as_bytes()),
        received_at: at(0),
        intake: Intake::Deliver,
        headers: Vec::new(),
        body: body.into(),
        body_expires_at: at(1_000),
        key_expires_at: Some(at(2_000)),
    })
}

pub(crate) fn done(second: u64) -> Outcome {
    Outcome::Done(Attempt { at: at(second), status: Some(200), note: "ok".into() })
}

/// Appends until it fails; gives back how many were kept, and why no more.
async fn fill(store: &Embedded, from: u64) -> (u64, StoreError) {
    let mut number = from;
    loop {
        match store.append(event(number), Claim::Queue).await {
            Ok(receipt) => assert_eq!(receipt, Receipt::Kept { lease: None }),
            Err(error) => return (number, error),
        }
        number += 1;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_loses_nothing_and_recovers() {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), small()).unwrap();
    disk.set_capacity(Some(60 * 1024));
    let (kept, error) = fill(&store, 0).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(kept > 20, "only {kept} were kept");
    let (still, error) = fill(&store, kept).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    for number in 0..still {
        let again = store.append(event(number), Claim::Queue).await.unwrap();
        assert_eq!(
            again,
            Receipt::Duplicate { state: State::Pending },
            "a full disk still knows its events"
        );
    }

    disk.set_capacity(None);
    let mut tries = 0;
    while store.append(event(still), Claim::Queue).await.is_err() {
        tries += 1;
        assert!(tries < 3, "space returned, but appends are still refused");
    }
    let (survived, ()) = (Arc::new(disk.cut_power()), drop(store));
    let store = Embedded::open_on(survived, small()).unwrap();
    let work = store.lease(&[shop()], at(1), at(2), 10_000).await.unwrap();
    assert_eq!(work.leased.len() as u64, still + 1);
}

/// Appends and delivers until there is no room, and then takes away what was left of it.
async fn fill_with_finished_events(disk: &SimDisk, store: &Embedded) -> u64 {
    let mut number = 0;
    while store.append(event(number), Claim::Queue).await.is_ok() {
        number += 1;
        for leased in store.lease(&[shop()], at(1), at(60), 10).await.unwrap().leased {
            drop(store.settle(leased.lease, done(2), at(2)).await);
        }
    }
    disk.set_capacity(Some(disk.files_now().values().map(Vec::len).sum()));
    number
}

#[tokio::test]
async fn expiry_gives_space_back_on_a_disk_without_a_free_byte() {
    // Once when the keys outlive the bodies and need a file of their own, once when they do not.
    for now in [at(1_500), at(5_000)] {
        let disk = Arc::new(SimDisk::default());
        let store = Embedded::open_on(disk.clone(), small()).unwrap();
        disk.set_capacity(Some(80 * 1024));
        let kept = fill_with_finished_events(&disk, &store).await;
        assert!(kept > 40, "only {kept} were kept");
        let before = store.counts().await.unwrap().stored_bytes;
        let expired = store.expire(now).await.unwrap();
        let after = store.counts().await.unwrap();
        assert!(
            expired.bytes > 0 && after.stored_bytes < before / 2,
            "{expired:?}, {before} bytes before, {after:?} after"
        );
        let receipt = store.append(event(10_000), Claim::Queue).await.unwrap();
        assert_eq!(receipt, Receipt::Kept { lease: None });
        let survived = Arc::new(disk.cut_power());
        drop(store);
        let store = Embedded::open_on(survived, small()).unwrap();
        assert!(store.get(key(10_000)).await.unwrap().is_some());
        let first = store.append(event(0), Claim::Queue).await.unwrap();
        assert_eq!(
            matches!(first, Receipt::Duplicate { state: State::Done }),
            now < at(2_000),
            "{first:?}"
        );
    }
}

#[tokio::test]
async fn a_failed_sync_poisons_the_store_until_it_is_reopened() {
    for syncs in 0..40 {
        let disk = Arc::new(SimDisk::default());
        let store = Embedded::open_on(disk.clone(), small()).unwrap();
        disk.fail_sync_in(syncs);
        let mut acknowledged = BTreeSet::new();
        let mut failed = false;
        for number in 0..60 {
            match store.append(event(number), Claim::Queue).await {
                Ok(_) => {
                    // The next segment's file may fail to sync, which is no reason to stop.
                    acknowledged.insert(number);
                }
                Err(StoreError::Unavailable(_)) => failed = true,
                Err(other) => panic!("{other:?}"),
            }
        }
        if store.health().await.is_err() {
            assert!(failed, "unhealthy without a failed append");
            assert!(
                store.append(event(999), Claim::Queue).await.is_err(),
                "acknowledged after a failed sync"
            );
            assert!(
                store.lease(&[shop()], at(1), at(2), 1).await.is_err(),
                "leased after a failed sync"
            );
        }
        for survive in [false, true] {
            let files = disk.image(disk.now(), &mut |_| survive);
            let reopened =
                Embedded::open_on(Arc::new(SimDisk::with_files(files)), small()).unwrap();
            for number in &acknowledged {
                assert!(
                    reopened.get(key(*number)).await.unwrap().is_some(),
                    "sync {syncs}: event {number} is lost"
                );
            }
        }
    }
}

/// Opens the store although syncs fail, as an operator does: again and again.
fn open_at_last(disk: &Arc<SimDisk>) -> Embedded {
    for _ in 0..20 {
        match Embedded::open_on(disk.clone(), small()) {
            Ok(store) => return store,
            Err(OpenError::Disk(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the store does not open");
}

#[tokio::test]
async fn what_a_failed_sync_left_unwritten_is_written_when_the_store_is_reopened() {
    // The sync that fails, and another one while the store is being opened again.
    for (syncs, again) in (0..45).flat_map(|syncs| (0..5).map(move |again| (syncs, again))) {
        let disk = Arc::new(SimDisk::default());
        let store = Embedded::open_on(disk.clone(), small()).unwrap();
        disk.fail_sync_in(syncs);
        for number in 0..40 {
            drop(store.append(event(number), Claim::Queue).await);
        }
        drop(store);
        disk.fail_sync_in(again);
        let store = open_at_last(&disk);
        let mut acknowledged = BTreeSet::new();
        for number in 0..60 {
            if store.append(event(number), Claim::Queue).await.is_ok() {
                acknowledged.insert(number);
            }
        }
        drop(store);
        for survive in [false, true] {
            let files = disk.image(disk.now(), &mut |_| survive);
            let reopened = Embedded::open_on(Arc::new(SimDisk::with_files(files)), small())
                .unwrap_or_else(|error| panic!("syncs {syncs} and {again}: {error}"));
            for number in &acknowledged {
                assert!(
                    reopened.get(key(*number)).await.unwrap().is_some(),
                    "syncs {syncs} and {again}: event {number} is lost"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_open_store_owns_its_directory_and_a_closed_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path(), small()).unwrap();
    let second = Embedded::open(directory.path(), small());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    store.close().await.unwrap();
    let second = Embedded::open(directory.path(), small()).unwrap();
    drop(second);
    Embedded::open(directory.path(), small()).unwrap();
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.doc"), "precious").unwrap();
    let opened = Embedded::open(directory.path(), small());
    assert!(matches!(opened, Err(OpenError::Foreign { .. })), "{opened:?}");
    assert!(directory.path().join("thesis.doc").exists());
}

#[tokio::test]
async fn too_many_unfinished_events_and_too_large_ones_are_refused() {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk, Options { queue_max: 3, ..small() }).unwrap();
    let (kept, error) = fill(&store, 0).await;
    assert!(kept == 3 && matches!(error, StoreError::Full), "{kept} kept, then {error:?}");
    let again = store.append(event(1), Claim::Queue).await.unwrap();
    assert_eq!(
        again,
        Receipt::Duplicate { state: State::Pending },
        "a full queue still answers duplicates"
    );
    let leased = store.lease(&[shop()], at(1), at(2), 1).await.unwrap().leased.remove(0);
    store.settle(leased.lease, done(1), at(1)).await.unwrap();
    store.append(event(3), Claim::Queue).await.unwrap();

    let mut large = event(9).into_parts();
    large.body = (0..9_000_u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect::<Vec<u8>>()
        .into();
    let refused = store.append(testing::event(large), Claim::Queue).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { max }) if max < 8 * 1024), "{refused:?}");
}

#[tokio::test]
async fn nothing_is_answered_or_leased_before_it_is_durable() {
    let disk = Arc::new(SimDisk::default());
    let options = Options { segment_bytes: 1024 * 1024, ..Options::default() };
    let store = Arc::new(Embedded::open_on(disk.clone(), options).unwrap());
    disk.hold_syncs(true);
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(event(1), Claim::Queue).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(event(1), Claim::Queue).await }
    });
    let held = Arc::clone(&disk);
    tokio::task::spawn_blocking(move || held.await_held_sync()).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!first.is_finished(), "the first append was answered before its sync");
    assert!(!second.is_finished(), "its duplicate was answered before the first was durable");
    let early = store.lease(&[shop()], at(1), at(2), 1).await.unwrap();
    assert!(early.leased.is_empty(), "leased before it was durable");
    disk.hold_syncs(false);
    assert_eq!(first.await.unwrap().unwrap(), Receipt::Kept { lease: None });
    assert_eq!(second.await.unwrap().unwrap(), Receipt::Duplicate { state: State::Pending });
}

#[tokio::test]
async fn a_dropped_append_that_was_handed_over_is_kept() {
    let disk = Arc::new(SimDisk::default());
    let store = Arc::new(Embedded::open_on(disk.clone(), small()).unwrap());
    disk.hold_syncs(true);
    let appending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(event(1), Claim::Queue).await }
    });
    tokio::task::yield_now().await;
    appending.abort();
    assert!(appending.await.is_err());
    disk.hold_syncs(false);
    let again = store.append(event(1), Claim::Queue).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Pending });
}

#[tokio::test]
async fn health_tells_of_a_full_disk_until_space_returns() {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), small()).unwrap();
    disk.set_capacity(Some(30 * 1024));
    let (kept, _) = fill(&store, 0).await;
    assert!(
        store.health().await.is_err(),
        "appends are refused, but the store says that it is well"
    );
    disk.set_capacity(None);
    let mut asked = 0;
    while store.health().await.is_err() {
        asked += 1;
        assert!(asked < 100_000, "space returned, but the store says that it is ill");
        tokio::task::yield_now().await;
    }
    store.append(event(kept), Claim::Queue).await.unwrap();
}

/// An event whose record is longer than that of another one by the difference of their bodies.
fn sized(number: u64, body: usize) -> Event {
    let mut parts = event(number).into_parts();
    parts.sender_id = None;
    parts.body = vec![b'x'; body].into();
    testing::event(parts)
}

/// The length of the record that says that a store was opened: header and generation.
const OPENED_BYTES: usize = 20;

#[tokio::test]
async fn what_was_cut_off_does_not_come_back_behind_newer_records() {
    let disk = Arc::new(SimDisk::default());
    let store = Arc::new(Embedded::open_on(disk.clone(), small()).unwrap());
    // The first append is being synced while two others queue up, so these two are one group.
    disk.hold_syncs(true);
    let mut appending = Vec::new();
    for (number, body) in [(1, 600), (2, 600 + OPENED_BYTES), (3, 600)] {
        let store = Arc::clone(&store);
        appending.push(tokio::spawn(async move {
            store.append(sized(number, body), Claim::Queue).await
        }));
        tokio::task::yield_now().await;
        let held = Arc::clone(&disk);
        tokio::task::spawn_blocking(move || held.await_held_sync()).await.unwrap();
    }
    disk.hold_syncs(false);
    for appending in appending {
        appending.await.unwrap().unwrap();
    }
    drop(store);

    // Of the last group the power cut leaves the second record and not the first one.
    let (cut, start, len) = disk.last_write("0000000001.log");
    let second = start + len - sized_record_bytes();
    let files = disk.image(cut, &mut |sector| sector >= second / 512 * 512);
    let torn = Arc::new(SimDisk::with_files(files));
    let store = Embedded::open_on(torn.clone(), small()).unwrap();
    assert!(store.recovery().cut.is_some(), "{:?}", store.recovery());
    assert!(store.get(key(3)).await.unwrap().is_none());
    // Now the log is exactly as long as it was before the second record.
    store.append(sized(4, 600), Claim::Queue).await.unwrap();
    let again = Arc::new(torn.cut_power());
    drop(store);
    let store = Embedded::open_on(again, small()).unwrap();
    assert!(store.get(key(4)).await.unwrap().is_some());
    assert!(store.get(key(3)).await.unwrap().is_none(), "a record that was cut off came back");
}

/// The length of the record of `sized(_, 600)`.
fn sized_record_bytes() -> usize {
    let labels = 1 + "shop".len() + 1 + "paid".len() + 1 + 1;
    16 + 16 + 16 + 1 + 8 + varint_bytes(1_000) + 1 + varint_bytes(2_000) + labels + 4 + 600
}

/// The length of a time so many seconds after the time of receipt.
fn varint_bytes(seconds: u64) -> usize {
    let bits = 64 - (seconds * 1_000_000 * 2).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[tokio::test]
async fn a_leftover_of_a_longer_snapshot_does_no_harm() {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), small()).unwrap();
    store.append(event(1), Claim::Queue).await.unwrap();
    disk.write("snapshot.tmp", 0, &[7; 10_000]).unwrap();
    store.close().await.unwrap();
    let store = Embedded::open_on(disk, small()).unwrap();
    assert!(store.recovery().snapshot, "{:?}", store.recovery());
}

/// A disk on which writing the log panics.
#[derive(Debug)]
struct Panicking(SimDisk, AtomicBool);

impl Disk for Panicking {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        self.0.files()
    }

    fn read(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(name, offset, buf)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(!self.1.load(Ordering::SeqCst), "a bug in the disk");
        self.0.write(name, offset, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.0.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
}

#[tokio::test]
async fn a_thread_that_panicked_keeps_nobody_waiting() {
    // The first append meets a writer that panics; without room for it, the keeper does.
    for appended in [0, 200] {
        let disk = Arc::new(Panicking(SimDisk::default(), AtomicBool::new(false)));
        let store = Embedded::open_on(disk.clone(), small()).unwrap();
        for number in 0..appended {
            store.append(event(number), Claim::Queue).await.unwrap();
        }
        disk.1.store(true, Ordering::SeqCst);
        let mut number = appended;
        loop {
            match store.append(event(number), Claim::Queue).await {
                Ok(_) => number += 1,
                Err(StoreError::Unavailable(_)) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(store.health().await.is_err());
        assert!(store.append(event(number + 1), Claim::Queue).await.is_err());
        assert!(store.close().await.is_err(), "closed as if nothing had happened");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_stored_is_for_its_owner_alone() {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/store");
    let store = Embedded::open(&path, small()).unwrap();
    for number in 0..60 {
        store.append(event(number), Claim::Queue).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(mode(&path), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&path).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files > 4, "only {files} files");

    // What is there already is its owner's affair.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let store = Embedded::open(&path, small()).unwrap();
    assert_eq!(mode(&path), 0o755);
    store.close().await.unwrap();
}

/// An event that nobody delivers.
fn quarantined(number: u64) -> Event {
    let mut parts = event(number).into_parts();
    parts.intake = Intake::Quarantine(Quarantine::NotJson);
    testing::event(parts)
}

#[tokio::test]
async fn too_many_dead_letters_are_refused() {
    let options = Options { queue_max: 3, dead_max: 4, ..small() };
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), options.clone()).unwrap();
    for number in 0..4 {
        store.append(quarantined(number), Claim::Queue).await.unwrap();
    }
    let refused = store.append(quarantined(9), Claim::Queue).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let again = store.append(quarantined(1), Claim::Queue).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { state: State::Dead });
    drop(store);
    let store = Embedded::open_on(disk, options).unwrap();
    let refused = store.append(quarantined(9), Claim::Queue).await;
    assert!(matches!(refused, Err(StoreError::Full)), "after a restart: {refused:?}");

    // Dead letters do not close the queue, unless both together are too many.
    for number in 10..13 {
        store.append(event(number), Claim::Queue).await.unwrap();
    }
    let leased = store.lease(&[shop()], at(1), at(2), 1).await.unwrap().leased.remove(0);
    let attempt = Attempt { at: at(1), status: None, note: "gone".into() };
    store.settle(leased.lease, Outcome::Dead(attempt), at(1)).await.unwrap();
    let refused = store.append(event(13), Claim::Queue).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    for number in [0, 1] {
        store.discard(key(number), at(2)).await.unwrap();
    }
    store.append(event(13), Claim::Queue).await.unwrap();
    store.append(quarantined(9), Claim::Queue).await.unwrap();
}
