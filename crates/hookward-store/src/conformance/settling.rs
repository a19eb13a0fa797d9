//! How work ends.

use super::{
    Outcome, Subject, Verdict, after, attempt, counts, ensure, ensure_eq, fenced, get, keep, lease,
    lease_one, settle,
};
use crate::{ATTEMPT_NOTE_BYTES_MAX, ATTEMPTS_KEPT_MAX, DeadReason, State};

pub(super) async fn what_is_done_is_never_due_again(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    ensure!(lease(&*store, after(99_999), 10).await?.is_empty(), "due after it was done");
    let kept = get(&*store, 1).await?;
    ensure_eq!(
        (kept.state, kept.attempts, kept.due_at),
        (State::Done, 1, None),
        "state, attempts, due time"
    );
    Ok(())
}

pub(super) async fn what_failed_is_due_again_with_its_attempts_counted(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    for round in 0..3_u32 {
        let now = after(u64::from(round) * 100 + 1);
        let leased = lease_one(&*store, now).await?;
        ensure_eq!(leased.attempts, round, "attempts at a lease");
        let at = after((u64::from(round) + 1) * 100);
        settle(&*store, leased.lease, Outcome::Again { at, attempt: attempt(1, "busy") }, now)
            .await?;
        let kept = get(&*store, 1).await?;
        ensure_eq!(
            (kept.state, kept.attempts, kept.due_at),
            (State::Pending, round + 1, Some(at)),
            "after a failure"
        );
    }
    Ok(())
}

pub(super) async fn what_was_released_counts_no_attempt(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Release { at: after(5) }, after(2)).await?;
    let kept = get(&*store, 1).await?;
    ensure_eq!(
        (kept.state, kept.attempts, kept.due_at),
        (State::Pending, 0, Some(after(5))),
        "after a release"
    );
    ensure!(kept.history.is_empty(), "a release is no attempt: {:?}", kept.history);
    Ok(())
}

pub(super) async fn what_is_dead_waits_for_a_person(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Dead(attempt(2, "gone")), after(2)).await?;
    ensure!(lease(&*store, after(99_999), 10).await?.is_empty(), "due after it was given up");
    let kept = get(&*store, 1).await?;
    ensure_eq!(
        (kept.state, kept.dead),
        (State::Dead, Some(DeadReason::Undeliverable)),
        "state and reason"
    );
    ensure_eq!(kept.history, [attempt(2, "gone")], "history");
    ensure_eq!(counts(&*store).await?.dead, 1, "dead letters");
    Ok(())
}

pub(super) async fn a_lease_settles_once(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?.lease;
    let again = Outcome::Again { at: after(5), attempt: attempt(2, "busy") };
    settle(&*store, leased.clone(), again, after(2)).await?;
    fenced(
        store.settle(leased.clone(), Outcome::Done(attempt(3, "ok")), after(3)).await,
        "the second settling",
    )?;
    fenced(store.extend(&leased, after(3), after(50)).await, "an extension after settling")?;
    ensure_eq!(lease_one(&*store, after(5)).await?.attempts, 1, "attempts");
    Ok(())
}

pub(super) async fn history_keeps_the_latest_attempts(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let rounds = ATTEMPTS_KEPT_MAX as u64 + 4;
    for round in 0..rounds {
        let now = after(100 * (round + 1));
        let leased = lease_one(&*store, now).await?;
        let attempt = attempt(100 * (round + 1), &format!("try {round}"));
        settle(&*store, leased.lease, Outcome::Again { at: now, attempt }, now).await?;
    }
    let leased = lease_one(&*store, after(100 * rounds)).await?;
    let long = "ä".repeat(ATTEMPT_NOTE_BYTES_MAX);
    settle(&*store, leased.lease, Outcome::Done(attempt(9_999, &long)), after(100 * rounds))
        .await?;
    let kept = get(&*store, 1).await?;
    ensure_eq!(u64::from(kept.attempts), rounds + 1, "attempts");
    ensure_eq!(kept.history.len(), ATTEMPTS_KEPT_MAX, "attempts kept");
    let notes: Vec<&str> = kept.history.iter().map(|attempt| &*attempt.note).collect();
    ensure_eq!(notes.first().copied(), Some("try 5"), "the oldest attempt kept");
    ensure_eq!(
        notes.last().map(|note| note.len()),
        Some(ATTEMPT_NOTE_BYTES_MAX),
        "the longest note"
    );
    Ok(())
}
