//! What outlives the process.

use super::{
    Claim, DAY, NOON, Outcome, Receipt, Subject, Verdict, after, attempt, counts, ensure,
    ensure_eq, event, fenced, get, keep, key, keys, lease, lease_one, parts, says, settle, testing,
};
use crate::{Leased, State, StoreError};

/// A restarted store, or an end of the check where there is no such thing.
macro_rules! restart {
    ($subject:expr, $store:expr) => {
        match $subject.restart($store).await {
            Some(store) => store,
            None => return Ok(()),
        }
    };
}

pub(super) async fn what_was_acknowledged_is_held_after_a_restart(
    subject: &dyn Subject,
) -> Verdict {
    let mut store = subject.fresh().await;
    for round in 0..4 {
        keep(&*store, round * 10..round * 10 + 10).await?;
        store = restart!(subject, store);
        for number in 0..round * 10 + 10 {
            let again = says(store.append(event(number), Claim::Queue).await)?;
            ensure_eq!(
                again,
                Receipt::Duplicate { state: State::Pending },
                format!("event {number} after a restart")
            );
            ensure_eq!(get(&*store, number).await?.event.body, parts(number).body, "its body");
        }
    }
    Ok(())
}

pub(super) async fn what_is_unfinished_is_due_after_a_restart(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..3).await?;
    says(store.append(event(3), Claim::Lease { until: after(999) }).await)?;
    let before = lease(&*store, after(1), 2).await?;
    ensure_eq!(before.len(), 2, "events leased before the restart");
    let store = restart!(subject, store);
    ensure_eq!(counts(&*store).await?.leased, 0, "leases after a restart");
    let now = if subject.leases_end_with_the_process() {
        after(2)
    } else {
        // What the process had is its own until its time is over, and then anybody's.
        let early = lease(&*store, after(2), 10).await?;
        ensure_eq!(keys(&early), [key(2)], "events due while the former process has the others");
        let lapsed = lease(&*store, after(61), 10).await?;
        ensure_eq!(keys(&lapsed), [key(0), key(1)], "events due when its leases have lapsed");
        after(999)
    };
    let leased = lease(&*store, now, 10).await?;
    ensure_eq!(keys(&leased), [key(0), key(1), key(2), key(3)], "events due after a restart");
    for former in before {
        let late =
            store.settle(former.lease.clone(), Outcome::Done(attempt(3, "late")), after(3)).await;
        fenced(late, "a holder from before the restart")?;
        // Tokens of different events have an order where one process hands them all out.
        let comparable = |now: &&Leased| {
            subject.leases_end_with_the_process() || now.lease.key == former.lease.key
        };
        ensure!(
            leased.iter().filter(comparable).all(|now| now.lease.token > former.lease.token),
            "a token is not higher than before"
        );
    }
    Ok(())
}

pub(super) async fn attempts_and_due_times_outlive_a_restart(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    let again = Outcome::Again { at: after(50), attempt: attempt(2, "busy") };
    settle(&*store, leased.lease, again, after(2)).await?;
    // An outcome is durable with the next group, so one that is answered later makes it so.
    keep(&*store, [2]).await?;
    let store = restart!(subject, store);
    let kept = get(&*store, 1).await?;
    ensure_eq!(
        (kept.attempts, kept.due_at),
        (1, Some(after(50))),
        "attempts and due time after a restart"
    );
    ensure_eq!(kept.history, [attempt(2, "busy")], "history after a restart");
    ensure_eq!(
        keys(&lease(&*store, after(49), 10).await?),
        [key(2)],
        "what is due before its time"
    );
    Ok(())
}

pub(super) async fn decisions_of_operators_outlive_a_restart(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..2).await?;
    for leased in lease(&*store, after(1), 2).await? {
        settle(&*store, leased.lease, Outcome::Dead(attempt(2, "no")), after(2)).await?;
    }
    says(store.requeue(key(0), after(3)).await)?;
    says(store.discard(key(1), after(3)).await)?;
    let store = restart!(subject, store);
    let leased = lease_one(&*store, after(3)).await?;
    ensure_eq!(
        (leased.lease.key, leased.attempts, leased.replays),
        (key(0), 0, 1),
        "the replay after a restart"
    );
    ensure_eq!(get(&*store, 1).await?.state, State::Dropped, "the dropped event after a restart");
    settle(&*store, leased.lease, Outcome::Done(attempt(4, "ok")), after(4)).await?;
    keep(&*store, [9]).await?;
    let store = restart!(subject, store);
    let kept = get(&*store, 0).await?;
    ensure_eq!(
        (kept.state, kept.replays),
        (State::Done, 1),
        "the delivered replay after a restart"
    );
    Ok(())
}

pub(super) async fn what_was_forgotten_stays_forgotten(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let mut forever = parts(2);
    forever.key_expires_at = None;
    says(store.append(testing::event(forever), Claim::Queue).await)?;
    keep(&*store, [1]).await?;
    for leased in lease(&*store, after(1), 2).await? {
        settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    }
    says(store.expire(NOON.saturating_add(3 * DAY)).await)?;
    let store = restart!(subject, store);
    if !subject.remembers_what_was_forgotten() {
        says(store.expire(NOON.saturating_add(3 * DAY)).await)?;
    }
    ensure!(says(store.get(key(1)).await)?.is_none(), "a forgotten key is held after a restart");
    let again = says(store.append(event(2), Claim::Queue).await)?;
    ensure_eq!(
        again,
        Receipt::Duplicate { state: State::Done },
        "a key held for ever, after a restart"
    );
    ensure!(
        lease(&*store, NOON.saturating_add(9 * DAY), 9).await?.is_empty(),
        "a finished event is due again"
    );
    Ok(())
}

pub(super) async fn a_closed_store_answers_closed_and_holds_everything(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..3).await?;
    let leased = lease(&*store, after(1), 1).await?;
    for leased in leased {
        settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    }
    says(store.close().await)?;
    let late = store.append(event(9), Claim::Queue).await;
    ensure!(matches!(late, Err(StoreError::Closed)), "an append after closing: {late:?}");
    let late = store.lease(&[], after(1), after(2), 1).await;
    ensure!(matches!(late, Err(StoreError::Closed)), "a lease after closing: {late:?}");
    let late = store.get(key(1)).await;
    ensure!(matches!(late, Err(StoreError::Closed)), "a read after closing: {late:?}");
    let late = store.health().await;
    ensure!(matches!(late, Err(StoreError::Closed)), "health after closing: {late:?}");
    let store = restart!(subject, store);
    ensure_eq!(get(&*store, 0).await?.state, State::Done, "an event that was done before closing");
    ensure_eq!(lease(&*store, after(1), 9).await?.len(), 2, "events due");
    Ok(())
}
