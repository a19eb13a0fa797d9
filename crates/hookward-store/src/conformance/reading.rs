//! What people and senders read back.

use std::time::Duration;

use hookward_core::{EventKey, SourceName};

use super::{
    Claim, Intake, NOON, Outcome, Subject, Verdict, after, attempt, counts, ensure, ensure_eq, get,
    keep, key, lease, lease_one, parts, says, settle, testing,
};
use super::{TOLD_OF, known};
use crate::{Counts, Query, State, StoreError};

pub(super) async fn bodies_and_labels_come_back_byte_for_byte(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let noise: Vec<u8> =
        (0..3_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let bodies: [Vec<u8>; 4] =
        [Vec::new(), (0..=255).collect(), noise, b"[1, 2, 3]\r\n ".repeat(250)];
    for (number, body) in (0..).zip(bodies) {
        let mut parts = parts(number);
        parts.body = body.into();
        parts.headers = vec![("x-one".into(), [0, 255, 10].into()), ("x-two".into(), [].into())];
        parts.event_type = (number % 2 == 0).then(|| "tüp/ё".into());
        parts.sender_id = None;
        parts.key_expires_at = None;
        says(store.append(testing::event(parts.clone()), Claim::Queue).await)?;
        let kept = get(&*store, number).await?;
        ensure_eq!(*kept.event, parts, "an event read back");
        ensure_eq!(
            (kept.body_bytes, kept.body_expired),
            (parts.body.len(), false),
            "the size of its body"
        );
        ensure_eq!(*lease_one(&*store, after(1)).await?.event, parts, "an event leased");
    }
    Ok(())
}

pub(super) async fn a_list_is_newest_first_and_filtered(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    let bank = SourceName::parse("bank").map_err(|error| error.to_string())?;
    for number in 0..6 {
        let mut parts = parts(number);
        if number % 2 == 1 {
            parts.source = bank.clone();
        }
        if number == 4 {
            parts.intake = Intake::Archive;
        }
        says(store.append(testing::event(parts), Claim::Queue).await)?;
    }
    let done = lease(&*store, after(1), 1).await?;
    for leased in done {
        settle(&*store, leased.lease, Outcome::Done(attempt(2, "ok")), after(2)).await?;
    }
    let all = Query { limit: 100, ..Query::default() };
    let millis = |number| NOON.saturating_add(Duration::from_millis(number));
    let cases: [(Query, &[u64]); 8] = [
        (all.clone(), &[5, 4, 3, 2, 1, 0]),
        (Query { source: Some(bank.clone()), ..all.clone() }, &[5, 3, 1]),
        (Query { state: Some(State::Pending), ..all.clone() }, &[5, 3, 2, 1]),
        (Query { state: Some(State::Done), ..all.clone() }, &[0]),
        (Query { state: Some(State::Archived), ..all.clone() }, &[4]),
        (Query { state: Some(State::Dead), ..all.clone() }, &[]),
        (Query { since: Some(millis(2)), before: Some(millis(5)), ..all.clone() }, &[4, 3, 2]),
        (
            Query {
                state: Some(State::Pending),
                source: Some(bank),
                since: Some(millis(2)),
                ..all
            },
            &[5, 3],
        ),
    ];
    for (query, promised) in cases {
        if !subject.knows_what_it_holds() && !TOLD_OF.contains(&query.state) {
            let refused = store.list(&query).await;
            ensure!(
                matches!(refused, Err(StoreError::Unsupported { .. })),
                "a list of what is not known: {refused:?}"
            );
            continue;
        }
        let page = says(store.list(&query).await)?;
        let listed: Vec<EventKey> = page.events.iter().map(|kept| kept.event.key).collect();
        let promised: Vec<EventKey> = promised.iter().map(|number| key(*number)).collect();
        ensure_eq!(listed, promised, format!("{query:?}"));
        ensure!(page.next.is_none(), "a cursor at the end of {query:?}");
        for kept in &page.events {
            ensure!(
                kept.event.body.is_empty() && kept.body_bytes > 0,
                "a body in a list: {kept:?}"
            );
            ensure!(kept.history.len() <= 1, "more than one attempt in a list");
        }
    }
    if !subject.knows_what_it_holds() {
        return Ok(());
    }
    let done =
        says(store.list(&Query { state: Some(State::Done), limit: 9, ..Query::default() }).await)?;
    ensure_eq!(done.events.first().map(|kept| kept.attempts), Some(1), "attempts in a list");
    Ok(())
}

pub(super) async fn pages_of_a_list_make_up_the_whole(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..23).await?;
    for state in [None, Some(State::Pending)] {
        if !subject.knows_what_it_holds() && !TOLD_OF.contains(&state) {
            continue;
        }
        let mut query = Query { state, limit: 5, ..Query::default() };
        let mut listed = Vec::new();
        for _ in 0..30 {
            let page = says(store.list(&query).await)?;
            ensure!(page.events.len() <= 5, "a page of more than its limit");
            listed.extend(page.events.iter().map(|kept| kept.event.key));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        let promised: Vec<EventKey> = (0..23).rev().map(key).collect();
        ensure_eq!(listed, promised, "all pages together");
    }
    Ok(())
}

pub(super) async fn counts_tell_each_state(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    ensure_eq!(counts(&*store).await?, Counts::default(), "counts of an empty store");
    keep(&*store, 0..6).await?;
    let mut leased = lease(&*store, after(1), 4).await?.into_iter();
    for outcome in [
        Outcome::Done(attempt(1, "ok")),
        Outcome::Dead(attempt(1, "no")),
        Outcome::Again { at: after(9), attempt: attempt(1, "busy") },
    ] {
        let one = leased.next().ok_or("fewer leased than promised")?;
        settle(&*store, one.lease, outcome, after(1)).await?;
    }
    let promised = Counts {
        pending: 4,
        leased: 1,
        dead: 1,
        finished: 1,
        oldest_pending: Some(parts(2).received_at),
        stored_bytes: 0,
    };
    ensure_eq!(counts(&*store).await?, known(subject, promised), "counts");
    Ok(())
}

pub(super) async fn an_unknown_key_is_not_held(subject: &dyn Subject) -> Verdict {
    let store = subject.fresh().await;
    keep(&*store, 0..3).await?;
    ensure!(says(store.get(key(9)).await)?.is_none(), "an unknown key was held");
    ensure!(store.health().await.is_ok(), "a sound store says that it is not");
    Ok(())
}
