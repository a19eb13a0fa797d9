//! Leases: exclusive, expiring, fenced.

use std::{collections::BTreeSet, sync::Arc};

use hookward_core::SourceName;
use tokio::task::JoinSet;

use super::{
    Claim, LEASE, Outcome, Subject, Verdict, after, attempt, ensure, ensure_eq, event, fenced,
    keep, key, keys, lease, lease_one, parts, says, settle, shop, testing,
};

pub(super) async fn the_oldest_due_comes_first_and_no_more_than_asked_for(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..5).await?;
    let first = lease(&*store, after(1), 2).await?;
    ensure_eq!(keys(&first), [key(0), key(1)], "the first two");
    for leased in first {
        let again = Outcome::Again { at: after(30), attempt: attempt(2, "busy") };
        settle(&*store, leased.lease, again, after(2)).await?;
    }
    ensure_eq!(
        keys(&lease(&*store, after(60), 10).await?),
        [key(2), key(3), key(4), key(0), key(1)],
        "all five"
    );
    Ok(())
}

pub(super) async fn only_the_sources_asked_for_are_leased(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let bank = SourceName::parse("bank").map_err(|error| error.to_string())?;
    keep(&*store, [1, 3]).await?;
    for number in [0, 2] {
        let mut parts = parts(number);
        parts.source = bank.clone();
        says(store.append(testing::event(parts), Claim::Queue).await)?;
    }
    let none = says(store.lease(&[], after(9), after(99), 10).await)?;
    ensure!(none.leased.is_empty() && none.next_due.is_none(), "leased for no source: {none:?}");
    let ours = says(store.lease(&[shop()], after(9), after(99), 10).await)?;
    ensure_eq!(keys(&ours.leased), [key(1), key(3)], "events of one source");
    ensure_eq!(ours.next_due, None, "what waits of one source");
    let rest = says(store.lease(&[shop(), bank.clone(), bank], after(9), after(99), 10).await)?;
    ensure_eq!(keys(&rest.leased), [key(0), key(2)], "events of the other source");
    Ok(())
}

pub(super) async fn nothing_is_leased_before_it_is_due(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    settle(&*store, leased.lease, Outcome::Release { at: after(100) }, after(2)).await?;
    ensure!(lease(&*store, after(99), 10).await?.is_empty(), "leased before it was due");
    lease_one(&*store, after(100)).await?;
    Ok(())
}

pub(super) async fn a_leased_event_is_nobody_elses_until_it_lapses(
    subject: &dyn Subject,
) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let first = lease_one(&*store, after(1)).await?;
    ensure_eq!(first.lease.until, after(1).saturating_add(LEASE), "the end of the lease");
    ensure!(lease(&*store, after(60), 10).await?.is_empty(), "leased twice at once");
    let second = lease_one(&*store, after(61)).await?;
    ensure!(second.lease.token > first.lease.token, "the second token is not higher");
    ensure_eq!(second.attempts, 0, "attempts after a lease that lapsed");
    Ok(())
}

pub(super) async fn a_lease_that_went_to_somebody_else_is_fenced(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let first = lease_one(&*store, after(1)).await?.lease;
    let second = lease_one(&*store, after(61)).await?.lease;
    fenced(
        store.settle(first.clone(), Outcome::Done(attempt(62, "late")), after(62)).await,
        "the first holder",
    )?;
    fenced(store.extend(&first, after(62), after(500)).await, "the first holder's extension")?;
    ensure!(lease(&*store, after(70), 10).await?.is_empty(), "the fenced holder changed something");
    settle(&*store, second, Outcome::Done(attempt(70, "ok")), after(70)).await?;
    ensure!(lease(&*store, after(9_999), 10).await?.is_empty(), "due after it was done");
    Ok(())
}

pub(super) async fn an_extended_lease_lasts_longer(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, [1]).await?;
    let leased = lease_one(&*store, after(1)).await?;
    let extended = says(store.extend(&leased.lease, after(30), after(200)).await)?;
    ensure_eq!((extended.key, extended.until), (key(1), after(200)), "the extended lease");
    ensure!(
        lease(&*store, after(199), 10).await?.is_empty(),
        "leased to somebody else while extended"
    );
    settle(&*store, extended, Outcome::Done(attempt(199, "ok")), after(199)).await?;
    Ok(())
}

pub(super) async fn next_due_says_when_there_is_more(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let sources = [shop()];
    let nothing = says(store.lease(&sources, after(1), after(2), 10).await)?;
    ensure_eq!(nothing.next_due, None, "next due of an empty store");
    keep(&*store, 0..3).await?;
    let one = says(store.lease(&sources, after(1), after(50), 1).await)?;
    ensure_eq!(
        one.next_due,
        Some(parts(1).received_at),
        "next due when there is more than the limit"
    );
    let rest = says(store.lease(&sources, after(1), after(40), 10).await)?;
    ensure_eq!(rest.next_due, Some(after(50)), "next due when the rest is leased by somebody else");
    let none = says(store.lease(&sources, after(1), after(99), 10).await)?;
    ensure_eq!(
        (none.leased.len(), none.next_due),
        (0, Some(after(40))),
        "next due when all is leased"
    );
    Ok(())
}

pub(super) async fn concurrent_leases_share_nothing(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..60).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.lease(&[shop()], after(1), after(61), 7).await });
    }
    let mut leased = BTreeSet::new();
    while let Some(answer) = tasks.join_next().await {
        for one in says(answer.map_err(|error| error.to_string())?)?.leased {
            ensure!(leased.insert(one.lease.key), "{} was leased twice at once", one.lease.key);
            ensure_eq!(one.event.key, one.lease.key, "the event of a lease");
        }
    }
    ensure_eq!(leased.len(), 60, "events leased");
    says(store.append(event(99), Claim::Queue).await)?;
    Ok(())
}
