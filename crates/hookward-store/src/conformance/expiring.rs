//! What is forgotten, and what is not.

use super::TOLD_OF;
use super::{
    Claim, DAY, LEASE, NOON, Outcome, Receipt, Subject, Verdict, after, attempt, counts, ensure,
    ensure_eq, event, get, keep, key, lease, lease_one, parts, says, settle, shop, testing,
};
use crate::{Query, State, StoreError};
use hookward_core::{Intake, Quarantine};

pub(super) async fn an_unfinished_event_never_expires(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..2).await?;
    let later = NOON.saturating_add(10 * DAY);
    let leased = lease(&*store, after(1), 1).await?;
    ensure_eq!(leased.len(), 1, "events leased");
    let expired = says(store.expire(later).await)?;
    ensure_eq!((expired.bodies, expired.keys), (0, 0), "bodies and keys forgotten");
    let again = says(store.append(event(1), Claim::Queue).await)?;
    ensure_eq!(again, Receipt::Duplicate { state: State::Pending }, "the same event again");
    let due = lease(&*store, later, 10).await?;
    ensure_eq!(due.len(), 2, "events due");
    for leased in due {
        ensure!(!leased.event.body.is_empty(), "the body of an unfinished event was forgotten");
    }
    Ok(())
}

pub(super) async fn a_body_expires_and_its_key_is_still_held(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let mut forever = parts(2);
    forever.key_expires_at = None;
    says(store.append(testing::event(forever), Claim::Queue).await)?;
    for leased in lease(&*store, after(1), 2).await? {
        settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    }
    let early = says(store.expire(after(3)).await)?;
    ensure_eq!((early.bodies, early.keys), (0, 0), "forgotten too early");
    let expired = says(store.expire(NOON.saturating_add(DAY)).await)?;
    if subject.knows_what_it_holds() {
        ensure_eq!((expired.bodies, expired.keys), (2, 0), "bodies and keys forgotten");
        ensure!(expired.bytes > 0, "no bytes given back");
    }
    for number in [1, 2] {
        let kept = get(&*store, number).await?;
        ensure!(
            kept.body_expired && kept.event.body.is_empty(),
            "a body outlived its time: {kept:?}"
        );
        ensure_eq!(
            (kept.state, kept.event.source.clone()),
            (State::Done, shop()),
            "what is still known"
        );
        let again = says(store.append(event(number), Claim::Queue).await)?;
        ensure_eq!(again, Receipt::Duplicate { state: State::Done }, "the same event again");
        let replay = store.requeue(key(number), after(1)).await;
        ensure!(
            matches!(replay, Err(StoreError::BodyExpired)),
            "a replay without a body: {replay:?}"
        );
    }
    let states = if subject.knows_what_it_holds() { &[None][..] } else { &TOLD_OF };
    for state in states {
        let listed =
            says(store.list(&Query { state: *state, limit: 9, ..Query::default() }).await)?;
        ensure!(listed.events.is_empty(), "an event without its body in a list");
    }
    ensure_eq!(counts(&*store).await?.finished, 0, "finished events with their bodies");
    let years = NOON.saturating_add(5_000 * DAY);
    says(store.expire(years).await)?;
    let again = says(store.append(event(2), Claim::Queue).await)?;
    ensure_eq!(
        again,
        Receipt::Duplicate { state: State::Done },
        "an event whose key is held for ever"
    );
    Ok(())
}

pub(super) async fn a_key_expires_and_the_event_is_new_again(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    let later = NOON.saturating_add(2 * DAY);
    let expired = says(store.expire(later).await)?;
    if subject.knows_what_it_holds() {
        ensure_eq!((expired.bodies, expired.keys), (1, 1), "bodies and keys forgotten");
    }
    ensure!(says(store.get(key(1)).await)?.is_none(), "a forgotten key is held");
    let mut again = parts(1);
    again.received_at = later;
    again.body_expires_at = later.saturating_add(DAY);
    again.key_expires_at = None;
    let receipt = says(store.append(testing::event(again), Claim::Queue).await)?;
    ensure_eq!(receipt, Receipt::Kept { lease: None }, "an event whose key was forgotten");
    let leased = says(store.lease(&[shop()], later, later.saturating_add(LEASE), 10).await)?.leased;
    ensure_eq!(leased.len(), 1, "events due");
    ensure_eq!(
        leased.first().map(|leased| (leased.attempts, leased.replays)),
        Some((0, 0)),
        "attempts and replays"
    );
    Ok(())
}

pub(super) async fn a_dead_letter_expires_with_its_body(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Dead(attempt(2, "no")), after(2)).await?;
    says(store.expire(after(3)).await)?;
    ensure_eq!(counts(&*store).await?.dead, 1, "dead letters before their time");
    says(store.expire(NOON.saturating_add(DAY)).await)?;
    ensure_eq!(counts(&*store).await?.dead, 0, "dead letters after their time");
    let again = says(store.append(event(1), Claim::Queue).await)?;
    ensure_eq!(again, Receipt::Duplicate { state: State::Dead }, "the same event again");
    Ok(())
}

pub(super) async fn a_time_that_was_wrong_is_not_about_what_comes_later(
    subject: &dyn Subject,
) -> Verdict {
    let mut store = subject.fresh().await;
    let quarantined = |number| {
        let mut parts = parts(number);
        parts.intake = Intake::Quarantine(Quarantine::NotJson);
        testing::event(parts)
    };
    // Delivered and given up on after the clock was wrong, though they came before.
    keep(&*store, [1, 2]).await?;
    says(store.expire(NOON.saturating_add(4_000 * DAY)).await)?;
    let leased = lease(&*store, after(1), 2).await?;
    for (leased, outcome) in
        leased.into_iter().zip([Outcome::Done, Outcome::Dead] as [fn(_) -> _; 2])
    {
        settle(&*store, leased.lease, outcome(attempt(2, "after all")), after(2)).await?;
    }
    says(store.append(quarantined(3), Claim::Queue).await)?;
    for round in 0..3 {
        says(store.expire(after(3)).await)?;
        for (number, state) in [(1, State::Done), (2, State::Dead), (3, State::Dead)] {
            let kept = get(&*store, number).await?;
            ensure_eq!(
                (kept.state, kept.body_expired, kept.event.body.clone()),
                (state, false, parts(number).body),
                format!("event {number} in round {round}")
            );
            let again = says(store.append(event(number), Claim::Queue).await)?;
            ensure_eq!(again, Receipt::Duplicate { state }, "the same event again");
        }
        if round == 0 || subject.counts_what_was_finished() {
            ensure_eq!(counts(&*store).await?.dead, 2, "dead letters");
        }
        if let Some(restarted) = subject.restart(store).await {
            store = restarted;
        } else {
            return Ok(());
        }
        if round == 1 {
            says(store.close().await)?;
            store = subject.restart(store).await.ok_or("it restarted before")?;
        }
    }
    says(store.requeue(key(3), after(4)).await)?;
    let leased = lease_one(&*store, after(4)).await?;
    settle(&*store, leased.lease, Outcome::Done(attempt(5, "ok")), after(5)).await?;
    says(store.expire(NOON.saturating_add(2 * DAY)).await)?;
    for number in 1..4 {
        ensure!(says(store.get(key(number)).await)?.is_none(), "event {number} outlived its time");
    }
    Ok(())
}
