//! Bytes that change under the store, and files that go: never a panic, and never a silent loss.

use std::{collections::BTreeMap, sync::Arc};

use hookward_store::{
    Attempt, Claim, Outcome, Query, State, Store, StoreError,
    embedded::{Disk, Embedded, OpenError, Options},
};

use crate::{
    sim::SimDisk,
    subjects::small,
    trouble::{at, done, event, key, shop},
};

const EVENTS: u64 = 40;

type Files = BTreeMap<String, Vec<u8>>;

/// A store with these events delivered, whose bodies expire soon and whose keys never do.
async fn delivered(numbers: std::ops::Range<u64>) -> (Arc<SimDisk>, Embedded) {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), small()).unwrap();
    for number in numbers {
        let mut parts = event(number).into_parts();
        parts.key_expires_at = None;
        parts.body_expires_at = at(5);
        store.append(hookward_core::event::testing::event(parts), Claim::Queue).await.unwrap();
    }
    for leased in store.lease(&[shop()], at(1), at(60), 100).await.unwrap().leased {
        store.settle(leased.lease, done(2), at(2)).await.unwrap();
    }
    (disk, store)
}

/// A store with events in all states over several segments, some of which have gone, closed or not.
async fn files(close: bool) -> Files {
    let (disk, store) = delivered(100..115).await;
    store.expire(at(6)).await.unwrap();
    for number in 0..EVENTS {
        store.append(event(number), Claim::Queue).await.unwrap();
    }
    let leased = store.lease(&[shop()], at(7), at(60), EVENTS as usize - 8).await.unwrap().leased;
    for (number, leased) in leased.into_iter().enumerate() {
        let attempt = Attempt { at: at(8), status: None, note: "no".into() };
        let outcome = match number % 4 {
            0 => Outcome::Again { at: at(9), attempt },
            1 => Outcome::Dead(attempt),
            _ => done(8),
        };
        store.settle(leased.lease, outcome, at(8)).await.unwrap();
    }
    store.requeue(key(1), at(9)).await.unwrap();
    store.discard(key(5), at(9)).await.unwrap();
    if close {
        store.close().await.unwrap();
    }
    drop(store);
    disk.files_now()
}

/// Opens what is left, and uses it; `Err` says what was lost without a word.
async fn use_it(files: Files) -> Result<(), String> {
    let disk = Arc::new(SimDisk::with_files(files));
    let store = match Embedded::open_on(disk.clone(), small()) {
        Ok(store) => store,
        Err(OpenError::Damaged { .. } | OpenError::Foreign { .. }) if disk.now() == 0 => {
            return Ok(());
        }
        Err(OpenError::Damaged { place }) => return Err(format!("altered in spite of {place}")),
        Err(error) => return Err(format!("neither opened nor damaged: {error}")),
    };
    let reported = store.recovery().cut.is_some();
    let mut damaged = false;
    let pending = store.counts().await.map_err(|error| error.to_string())?.pending;
    let mut delivered = 0;
    loop {
        match store.lease(&[shop()], at(10), at(500), 3).await {
            Ok(work) if work.leased.is_empty() => break,
            Ok(work) => {
                for leased in work.leased {
                    delivered += 1;
                    if leased.event.body != event_body(&leased.event.sender_id) {
                        return Err(format!("another body was delivered: {:?}", leased.event));
                    }
                }
            }
            Err(StoreError::Damaged { .. }) => damaged = true,
            Err(other) => return Err(other.to_string()),
        }
    }
    damaged |= store.health().await.is_err();
    if delivered < pending && !damaged {
        return Err(format!("{delivered} delivered of {pending}"));
    }
    for number in (0..EVENTS).chain(100..115) {
        match store.get(key(number)).await {
            Ok(Some(kept)) if kept.body_expired => {}
            Ok(Some(kept)) => {
                if kept.event.body != event_body(&kept.event.sender_id) {
                    return Err(format!("another body was read: {:?}", kept.event));
                }
            }
            Ok(None) if reported => {}
            Ok(None) => return Err(format!("event {number} is lost, and nobody was told")),
            Err(StoreError::Damaged { .. }) => damaged = true,
            Err(other) => return Err(other.to_string()),
        }
    }
    let list = store.list(&Query { limit: 1_000, ..Query::default() }).await;
    drop(
        list.map_err(|error| {
            matches!(error, StoreError::Damaged { .. }).then_some(()).ok_or(error)
        }),
    );
    let expired = store.expire(at(1_500)).await;
    match expired {
        Ok(_) | Err(StoreError::Damaged { .. }) => {}
        Err(other) => return Err(other.to_string()),
    }
    if damaged && store.health().await.is_ok() {
        return Err("damage was met, but the store says that it is well".into());
    }
    Ok(())
}

fn event_body(sender_id: &Option<Box<str>>) -> bytes::Bytes {
    event(sender_id.as_deref().unwrap().parse().unwrap()).body.clone()
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_reported_or_does_no_harm() {
    for close in [false, true] {
        let whole = files(close).await;
        use_it(whole.clone()).await.unwrap();
        let mut flips = 0_usize;
        for (name, bytes) in &whole {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let beyond = (used..bytes.len()).step_by(997);
            for position in (0..used).step_by(7).chain(beyond) {
                flips += 1;
                let mut files = whole.clone();
                files.get_mut(name).unwrap()[position] ^= 1 << (flips % 8);
                use_it(files).await.unwrap_or_else(|loss| {
                    panic!("closed: {close}, {name}, byte {position}: {loss}")
                });
            }
        }
        assert!(flips > 2_000, "only {flips} bits were flipped");
    }
}

#[tokio::test]
async fn a_shortened_or_missing_file_is_reported_or_does_no_harm() {
    for close in [false, true] {
        let whole = files(close).await;
        for (name, bytes) in &whole {
            let mut missing = whole.clone();
            missing.remove(name);
            if name.ends_with(".keys") {
                // The one file that nothing else tells of: its loss forgets keys of events that were delivered long ago.
                continue;
            }
            use_it(missing)
                .await
                .unwrap_or_else(|loss| panic!("closed: {close}, without {name}: {loss}"));
            for len in (0..bytes.len()).step_by(211) {
                let mut files = whole.clone();
                files.get_mut(name).unwrap().truncate(len);
                use_it(files)
                    .await
                    .unwrap_or_else(|loss| panic!("closed: {close}, {name} cut to {len}: {loss}"));
            }
        }
    }
}

#[tokio::test]
async fn the_place_of_damage_is_told() {
    let mut files = files(true).await;
    let (name, bytes) = files.iter_mut().find(|(name, _)| name.ends_with(".log")).unwrap();
    let name = name.clone();
    bytes[100] ^= 1;
    let store = Embedded::open_on(Arc::new(SimDisk::with_files(without_derived(files))), small());
    let Err(OpenError::Damaged { place }) = store else { panic!("{store:?}") };
    assert!(place.contains(&name) && place.contains("byte"), "{place}");
}

#[tokio::test]
async fn derived_files_are_derived_again() {
    let whole = files(true).await;
    let derived = whole.keys().filter(|name| name.ends_with(".idx")).count();
    assert!(derived > 1, "{:?}", whole.keys());
    let store =
        Embedded::open_on(Arc::new(SimDisk::with_files(without_derived(whole.clone()))), small())
            .unwrap();
    assert!(!store.recovery().snapshot && store.recovery().records > 40, "{:?}", store.recovery());
    let again = Embedded::open_on(Arc::new(SimDisk::with_files(whole)), small()).unwrap();
    assert!(
        again.recovery().snapshot && again.recovery().rebuilt.is_empty(),
        "{:?}",
        again.recovery()
    );
    assert!(again.recovery().records < 40, "{:?}", again.recovery());
    for number in (0..EVENTS).chain(100..115) {
        let (one, other) =
            (store.get(key(number)).await.unwrap(), again.get(key(number)).await.unwrap());
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

fn without_derived(mut files: Files) -> Files {
    files.retain(|name, _| !name.ends_with(".idx") && name != "snapshot");
    files
}

/// The log that was written last.
fn last_log(files: &Files) -> String {
    files.keys().rfind(|name| name.ends_with(".log")).unwrap().clone()
}

fn opens_as_damaged(files: Files) -> String {
    match Embedded::open_on(Arc::new(SimDisk::with_files(files)), small()) {
        Err(OpenError::Damaged { place }) => place,
        other => panic!("opened in spite of the damage: {other:?}"),
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_not_taken_for_a_torn_end() {
    let mut files = without_derived(files(false).await);
    let name = last_log(&files);
    // The first record behind the header; groups that were written later stand behind it.
    files.get_mut(&name).unwrap()[32 + 20] ^= 0x10;
    let place = opens_as_damaged(files);
    assert!(place.starts_with(&format!("{name}, byte 32")), "{place}");
}

#[tokio::test]
async fn an_end_that_is_gone_is_missed_after_a_clean_close() {
    let mut files = files(true).await;
    let name = last_log(&files);
    let log = files.get_mut(&name).unwrap();
    // As if the last groups had never been written.
    log[32..].fill(0);
    let place = opens_as_damaged(files);
    assert!(place.contains("durable up to"), "{place}");
}

#[tokio::test]
async fn a_sealed_segment_without_its_seal_is_damaged() {
    let mut files = without_derived(files(true).await);
    let name = files.keys().find(|name| name.ends_with(".log")).unwrap().clone();
    assert_ne!(name, last_log(&files), "the first segment is sealed");
    let log = files.get_mut(&name).unwrap();
    let seal = log.windows(8).rposition(|bytes| bytes == [7, 1, 0, 0, 0, 0, 0, 0]).unwrap() - 4;
    log[seal..].fill(0);
    let place = opens_as_damaged(files);
    assert!(place.contains("the rest is missing"), "{place}");
}

/// What opening says of files that it does not take for a store; none of them is touched.
fn is_refused(files: Files) -> OpenError {
    let disk = Arc::new(SimDisk::with_files(files.clone()));
    let error = Embedded::open_on(disk.clone(), small()).unwrap_err();
    assert_eq!(disk.now(), 0, "{error}, but files were altered");
    error
}

#[tokio::test]
async fn what_is_not_of_a_store_is_not_touched() {
    let whole = files(true).await;
    for name in [
        "thesis.tmp",
        "thesis.spare",
        "thesis",
        "1.log",
        "+000000001.log",
        "0000000000.log",
        "99999999999.log",
        "0000000001.tmp",
        "0000000001.spare.tmp",
        "snapshot.spare",
    ] {
        let mut files = whole.clone();
        files.insert(name.to_owned(), b"precious".to_vec());
        files.insert("snapshot.tmp".to_owned(), vec![1; 10]);
        let refused = is_refused(files);
        assert!(matches!(&refused, OpenError::Foreign { name: told } if told == name), "{refused}");
    }
    let mut files = whole;
    for name in [
        "0000000009.spare",
        "0000000009.log.tmp",
        "0000000009.idx.tmp",
        "0000000001.keys.tmp",
        "snapshot.tmp",
    ] {
        files.insert(name.to_owned(), vec![1; 10]);
    }
    let disk = Arc::new(SimDisk::with_files(files));
    drop(Embedded::open_on(disk.clone(), small()).unwrap());
    let left = disk.files_now();
    assert!(
        left.keys().all(|name| !name.ends_with(".tmp") && name != "0000000009.spare"),
        "{:?}",
        left.keys()
    );
}

/// As if a crash had come between writing the keys of the oldest segment and removing its log.
async fn half_retired() -> (Files, String, String) {
    let (disk, store) = delivered(100..140).await;
    let before = disk.files_now();
    // One that is not delivered, so that all but the oldest segments stay.
    store.requeue(key(139), at(3)).await.unwrap();
    store.expire(at(6)).await.unwrap();
    drop(store);
    let mut files = disk.files_now();
    // The newest that went.
    let gone = |name: &&String| name.ends_with(".log") && !files.contains_key(*name);
    let log = before.keys().rfind(gone).unwrap().clone();
    let keys = log.replace(".log", ".keys");
    assert!(files.contains_key(&keys), "{:?}", files.keys());
    files.insert(log.clone(), before[&log].clone());
    (files, log, keys)
}

#[tokio::test]
async fn a_log_goes_when_its_keys_are_whole_and_not_before() {
    let (files, log, keys) = half_retired().await;
    let disk = Arc::new(SimDisk::with_files(files.clone()));
    let store = Embedded::open_on(disk.clone(), small()).unwrap();
    assert!(!disk.files_now().contains_key(&log), "{log} is still there");
    for number in 100..140 {
        assert!(store.get(key(number)).await.unwrap().is_some(), "event {number} is lost");
    }
    // Any byte of the keys that has rotted keeps the log.
    for position in 0..files[&keys].len() {
        let mut files = files.clone();
        files.get_mut(&keys).unwrap()[position] ^= 0x20;
        let refused = is_refused(files);
        assert!(matches!(refused, OpenError::Damaged { .. }), "byte {position}: {refused}");
    }
    // The log of another store does not go because of it.
    let disk = Arc::new(SimDisk::default());
    let other = Embedded::open_on(disk.clone(), small()).unwrap();
    for number in 900..960 {
        other.append(event(number), Claim::Queue).await.unwrap();
    }
    drop(other);
    let mut mixed = files.clone();
    mixed.insert(log.clone(), disk.files_now()[&log].clone());
    let refused = is_refused(mixed);
    assert!(matches!(&refused, OpenError::Damaged { place } if place.contains(&log)), "{refused}");
    // A file that only looks like keys takes no log with it.
    let mut strange = files.clone();
    strange.insert("0000000099.keys".to_owned(), files[&keys].clone());
    let refused = is_refused(strange);
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn a_rotten_index_is_derived_again_while_the_store_works() {
    let whole = files(true).await;
    let indexes: Vec<&String> = whole.keys().filter(|name| name.ends_with(".idx")).collect();
    assert!(indexes.len() > 1, "{:?}", whole.keys());
    for how in ["rotten", "gone"] {
        let disk = Arc::new(SimDisk::with_files(whole.clone()));
        let store = Embedded::open_on(disk.clone(), small()).unwrap();
        for name in &indexes {
            if how == "gone" {
                disk.remove(name).unwrap();
            } else {
                // The last page, which holds all entries here.
                let last = whole[*name].len() as u64 - 1;
                disk.write(name, last, &[!whole[*name][last as usize]]).unwrap();
            }
        }
        for number in (0..EVENTS).chain(100..115) {
            let receipt = store.append(event(number), Claim::Queue).await.unwrap();
            let duplicate = matches!(receipt, hookward_store::Receipt::Duplicate { .. });
            assert!(duplicate, "{how}, event {number}: {receipt:?}");
        }
        let listed = store.list(&Query { limit: 1_000, ..Query::default() }).await.unwrap();
        assert!(listed.events.len() as u64 >= EVENTS - 5, "{how}: {}", listed.events.len());
        store.health().await.unwrap();
        store.close().await.unwrap();
        let files = disk.files_now();
        for name in &indexes {
            assert_eq!(files.get(*name), whole.get(*name), "{how}: {name} is not what it was");
        }
    }
}

#[tokio::test]
async fn an_event_whose_body_has_rotted_becomes_a_dead_letter_that_can_be_dropped() {
    let disk = Arc::new(SimDisk::default());
    let store = Embedded::open_on(disk.clone(), Options { cache_bytes_max: 0, ..small() }).unwrap();
    for number in 0..3 {
        store.append(event(number), Claim::Queue).await.unwrap();
    }
    let log = &disk.files_now()["0000000001.log"];
    let body = event(1).body.clone();
    let position = log.windows(body.len()).position(|bytes| bytes == body).unwrap();
    disk.write("0000000001.log", position as u64 + 3, b"?").unwrap();

    let leased = store.lease(&[shop()], at(1), at(60), 10).await.unwrap().leased;
    assert_eq!(leased.len(), 2, "what could be read is delivered");
    assert!(store.health().await.is_err(), "damage was met, but the store says that it is well");
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.pending, counts.dead), (2, 1), "{counts:?}");
    let dead = Query { state: Some(State::Dead), limit: 10, ..Query::default() };
    let dead = store.list(&dead).await.unwrap().events.remove(0);
    assert_eq!(dead.event.key, key(1));
    let why = dead.history.last().unwrap();
    assert!(why.note.contains("0000000001.log, byte"), "{why:?}");
    store.discard(key(1), at(2)).await.unwrap();
    store.health().await.unwrap();
}
