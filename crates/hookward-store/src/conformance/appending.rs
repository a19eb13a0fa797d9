//! Appends: one of a key, whole, and in the state that the intake says.

use std::sync::Arc;

use hookward_core::{ContentDigest, Event, Quarantine};
use tokio::task::JoinSet;

use super::{
    Claim, Intake, LEASE, NOON, Outcome, Receipt, Subject, Verdict, after, attempt, ensure,
    ensure_eq, event, get, keep, key, lease, lease_one, parts, says, settle, testing,
};
use crate::{DeadReason, State, Store};

pub(super) async fn a_new_event_is_kept_and_the_same_one_is_a_duplicate(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let again = says(store.append(event(1), Claim::Queue).await)?;
    ensure_eq!(
        again,
        Receipt::Duplicate { state: State::Pending },
        "the same event while it waits"
    );
    let leased = lease_one(&*store, after(1)).await?;
    let again = says(store.append(event(1), Claim::Lease { until: after(100) }).await)?;
    ensure_eq!(
        again,
        Receipt::Duplicate { state: State::Pending },
        "the same event while it is delivered"
    );
    settle(&*store, leased.lease, Outcome::Done(attempt(1, "ok")), after(1)).await?;
    let again = says(store.append(event(1), Claim::Queue).await)?;
    ensure_eq!(
        again,
        Receipt::Duplicate { state: State::Done },
        "the same event after its delivery"
    );
    ensure!(lease(&*store, after(9_999), 10).await?.is_empty(), "a duplicate was queued");
    Ok(())
}

pub(super) async fn other_content_under_a_held_key_is_a_conflict(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let mut other = parts(1);
    other.content = ContentDigest::from_bytes([9; 16]);
    other.body = "other".into();
    let other = testing::event(other);
    let receipt = says(store.append(other.clone(), Claim::Queue).await)?;
    ensure_eq!(
        receipt,
        Receipt::Conflict { state: State::Pending },
        "other content under the same key"
    );
    ensure_eq!(get(&*store, 1).await?.event.body, parts(1).body, "the first event's body");
    let conflict = says(store.append(other.into_conflict(), Claim::Queue).await)?;
    ensure_eq!(conflict, Receipt::Kept { lease: None }, "the conflict under its own key");
    Ok(())
}

pub(super) async fn of_concurrent_appends_of_one_key_one_is_kept(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    for number in 0..20 {
        let receipts = together(&store, (0..16).map(|_| event(number))).await?;
        let kept =
            receipts.iter().filter(|receipt| matches!(receipt, Receipt::Kept { .. })).count();
        ensure_eq!(kept, 1, "concurrent appends of one key that were kept");
        let duplicates = receipts
            .iter()
            .filter(|receipt| matches!(receipt, Receipt::Duplicate { state: State::Pending }))
            .count();
        ensure_eq!(duplicates, 15, "concurrent appends of one key that were duplicates");
    }
    ensure_eq!(lease(&*store, after(9), 100).await?.len(), 20, "events to deliver");
    Ok(())
}

pub(super) async fn concurrent_appends_of_many_keys_are_all_kept(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let receipts = together(&store, (0..200).map(event)).await?;
    ensure!(
        receipts.iter().all(|receipt| *receipt == Receipt::Kept { lease: None }),
        "some were not kept"
    );
    ensure_eq!(lease(&*store, after(9), 1_000).await?.len(), 200, "events to deliver");
    for number in 0..200 {
        ensure_eq!(get(&*store, number).await?.event.body, parts(number).body, "body");
    }
    Ok(())
}

pub(super) async fn a_dropped_append_is_whole_or_absent(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    for number in 0..30 {
        let appending = Arc::clone(&store);
        let task = tokio::spawn(async move { appending.append(event(number), Claim::Queue).await });
        tokio::task::yield_now().await;
        task.abort();
        drop(task.await);
        // Either way, an append that is not dropped settles it.
        says(store.append(event(number), Claim::Queue).await)?;
        ensure_eq!(get(&*store, number).await?.event.body, parts(number).body, "body");
    }
    ensure_eq!(lease(&*store, after(9), 1_000).await?.len(), 30, "events to deliver");
    Ok(())
}

pub(super) async fn intake_decides_the_state(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let quarantine = Intake::Quarantine(Quarantine::SchemaViolation);
    for (number, intake) in [(1, Intake::Archive), (2, quarantine), (3, Intake::Deliver)] {
        let mut parts = parts(number);
        parts.intake = intake;
        let receipt =
            says(store.append(testing::event(parts), Claim::Lease { until: after(60) }).await)?;
        let Receipt::Kept { lease } = receipt else {
            return Err(format!("a new event: {receipt:?}"));
        };
        ensure_eq!(lease.is_some(), intake == Intake::Deliver, "whether it was leased");
    }
    let (archived, dead, pending) =
        (get(&*store, 1).await?, get(&*store, 2).await?, get(&*store, 3).await?);
    ensure_eq!(archived.state, State::Archived, "an archived event");
    ensure_eq!(
        (archived.attempts, archived.due_at),
        (0, None),
        "attempts and due time of an archived event"
    );
    ensure_eq!(dead.state, State::Dead, "a quarantined event");
    ensure_eq!(dead.dead, Some(DeadReason::Quarantined(Quarantine::SchemaViolation)), "why");
    ensure_eq!(pending.state, State::Pending, "an event to deliver");
    ensure_eq!(lease(&*store, after(3_600), 10).await?.len(), 1, "events to deliver");
    Ok(())
}

pub(super) async fn a_claimed_event_is_leased_at_once(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let until = NOON.saturating_add(LEASE);
    let receipt = says(store.append(event(1), Claim::Lease { until }).await)?;
    let Receipt::Kept { lease: Some(claimed) } = receipt else {
        return Err(format!("no lease: {receipt:?}"));
    };
    ensure_eq!((claimed.key, claimed.until), (key(1), until), "the lease");
    ensure!(
        lease(&*store, after(59), 10).await?.is_empty(),
        "a claimed event was leased to somebody else"
    );
    settle(&*store, claimed, Outcome::Done(attempt(1, "ok")), after(1)).await?;
    ensure_eq!(get(&*store, 1).await?.state, State::Done, "a claimed event that was settled");
    Ok(())
}

async fn together(
    store: &Arc<dyn Store>,
    events: impl Iterator<Item = Event>,
) -> Result<Vec<Receipt>, String> {
    let mut tasks = JoinSet::new();
    for event in events {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.append(event, Claim::Queue).await });
    }
    let mut receipts = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        receipts.push(says(answer.map_err(|error| error.to_string())?)?);
    }
    Ok(receipts)
}
