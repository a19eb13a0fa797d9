//! What operators decide.

use super::known;
use super::{
    Claim, Outcome, Receipt, Subject, Verdict, after, attempt, counts, ensure, ensure_eq, event,
    fenced, get, keep, key, lease, lease_one, parts, says, settle, shop, testing,
};
use crate::{Counts, State, StoreError};
use hookward_core::{Intake, Quarantine};

pub(super) async fn a_requeued_event_is_due_again_under_a_new_number(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..2).await?;
    let mut archived = parts(2);
    archived.intake = Intake::Archive;
    let mut quarantined = parts(3);
    quarantined.intake = Intake::Quarantine(Quarantine::NotJson);
    for parts in [archived, quarantined] {
        says(store.append(testing::event(parts), Claim::Queue).await)?;
    }
    for (leased, outcome) in
        lease(&*store, after(1), 2)
            .await?
            .into_iter()
            .zip([Outcome::Done, Outcome::Dead] as [fn(_) -> _; 2])
    {
        settle(&*store, leased.lease, outcome(attempt(2, "first")), after(2)).await?;
    }
    for replay in 1..3 {
        for number in 0..4 {
            says(store.requeue(key(number), after(10)).await)?;
            let leased = lease_one(&*store, after(10)).await?;
            ensure_eq!(leased.lease.key, key(number), "the requeued event");
            ensure_eq!(
                (leased.attempts, leased.replays),
                (0, replay),
                "attempts and replays at its lease"
            );
            ensure_eq!(leased.event.body, parts(number).body, "its body");
            settle(&*store, leased.lease, Outcome::Done(attempt(11, "replayed")), after(11))
                .await?;
            let kept = get(&*store, number).await?;
            ensure_eq!(
                (kept.state, kept.attempts, kept.replays),
                (State::Done, 1, replay),
                "a replayed event"
            );
            ensure!(
                kept.history.iter().any(|attempt| &*attempt.note == "replayed"),
                "history: {:?}",
                kept.history
            );
        }
    }
    let finished = known(subject, Counts { finished: 4, ..Counts::default() });
    ensure_eq!(counts(&*store).await?, finished, "finished events");
    let unknown = store.requeue(key(77), after(1)).await;
    ensure!(matches!(unknown, Err(StoreError::NotFound)), "requeue of an unknown key: {unknown:?}");
    Ok(())
}

pub(super) async fn a_requeue_takes_the_lease_away(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let first = lease_one(&*store, after(1)).await?.lease;
    says(store.requeue(key(1), after(2)).await)?;
    fenced(
        store.settle(first, Outcome::Done(attempt(3, "ok")), after(3)).await,
        "the holder before the requeue",
    )?;
    ensure_eq!(lease_one(&*store, after(3)).await?.replays, 1, "replays");
    Ok(())
}

pub(super) async fn a_discarded_event_is_dropped_and_its_key_held(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..2).await?;
    let leased = lease(&*store, after(1), 1).await?;
    for leased in leased {
        settle(&*store, leased.lease, Outcome::Dead(attempt(2, "no")), after(2)).await?;
    }
    says(store.discard(key(0), after(3)).await)?;
    let kept = get(&*store, 0).await?;
    ensure_eq!((kept.state, kept.dead), (State::Dropped, None), "a discarded event");
    ensure_eq!(counts(&*store).await?.dead, 0, "dead letters");
    let again = says(store.append(event(0), Claim::Queue).await)?;
    ensure_eq!(again, Receipt::Duplicate { state: State::Dropped }, "the same event again");
    for number in [0, 1, 9] {
        let not_dead = store.discard(key(number), after(4)).await;
        ensure!(
            matches!(not_dead, Err(StoreError::NotFound)),
            "discard of what is not dead: {not_dead:?}"
        );
    }
    says(store.requeue(key(0), after(5)).await)?;
    ensure_eq!(lease(&*store, after(5), 9).await?.len(), 2, "events due, one of them replayed");
    Ok(())
}

pub(super) async fn a_requeued_event_is_pending_since_its_requeue(
    subject: &dyn Subject,
) -> Verdict {
    let mut store = subject.fresh().await;
    keep(&*store, 0..2).await?;
    let leased = lease(&*store, after(1), 2).await?;
    for leased in leased {
        settle(&*store, leased.lease, Outcome::Dead(attempt(2, "no")), after(2)).await?;
    }
    says(store.requeue(key(1), after(40)).await)?;
    says(store.requeue(key(0), after(50)).await)?;
    ensure_eq!(counts(&*store).await?.oldest_pending, Some(after(40)), "after a replay");
    for leased in lease(&*store, after(60), 2).await? {
        let again = Outcome::Again { at: after(90), attempt: attempt(61, "busy") };
        settle(&*store, leased.lease, again, after(61)).await?;
    }
    ensure_eq!(counts(&*store).await?.oldest_pending, Some(after(40)), "after a retry");
    keep(&*store, [7]).await?;
    ensure_eq!(
        counts(&*store).await?.oldest_pending,
        Some(parts(7).received_at),
        "with an event that came before the replay"
    );
    let leased = says(store.lease(&[shop()], after(62), after(70), 9).await)?.leased;
    for leased in leased {
        settle(&*store, leased.lease, Outcome::Done(attempt(63, "ok")), after(63)).await?;
    }
    // An outcome is durable with the next group, so one that is answered later makes it so.
    let mut archived = parts(9);
    archived.intake = Intake::Archive;
    says(store.append(testing::event(archived), Claim::Queue).await)?;
    for close in [false, true] {
        if close {
            says(store.close().await)?;
        }
        store = match subject.restart(store).await {
            Some(store) => store,
            None => return Ok(()),
        };
        ensure_eq!(counts(&*store).await?.oldest_pending, Some(after(40)), "after a restart");
    }
    Ok(())
}
