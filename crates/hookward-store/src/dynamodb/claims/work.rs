//! Handing events out, and what came of it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use hookward_core::{EventParts, SourceName, Timestamp};

use super::{
    Changed, Claims, Flaw,
    marks::{Found, Marks},
    random,
};
use crate::{
    Attempt, DeadReason, Lease, Leased, Outcome, State, StoreError, Work,
    dynamodb::{
        item::{
            self,
            claim::{self, ClaimItem, Keeper, Standing},
            dead::DeadMark,
            event,
            mark::{Mark, MarkName},
        },
        table::{For, Guard, Written},
        usage::Purpose,
    },
};

/// Events that are read together.
const READ_MAX: usize = 50;

/// Leases that are taken together.
const TAKEN_AT_ONCE: usize = 8;

/// How long an event waits whose body could not be had just now: the others go on meanwhile.
const BODY_LATER: Duration = Duration::from_secs(5);

impl Claims {
    /// Leases up to `limit` events of these sources that are due at `now` and nobody's, oldest due first.
    pub async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        self.open()?;
        self.saw(now);
        let mut work = Work::default();
        if sources.is_empty() {
            return Ok(work);
        }
        let mut next_due = Soonest(None);
        let mut marks = Marks::oldest_first(Purpose::Poll);
        while work.leased.len() < limit {
            let wanted = (limit - work.leased.len()).min(READ_MAX);
            let mut some = Vec::with_capacity(wanted);
            while some.len() < wanted {
                if self.peek(&mut marks).await?.is_none_or(|mark| mark.name.due > now) {
                    break;
                }
                let Some(mark) = self.next(&mut marks).await? else { break };
                if !sources.contains(&mark.source) {
                    continue;
                }
                match mark.not_before.filter(|at| *at > now && !self.has(Flaw::IgnoresLeases)) {
                    Some(at) => next_due.note(at),
                    None => some.push(mark),
                }
            }
            if some.is_empty() {
                break;
            }
            let mut due = Vec::new();
            for (mark, found) in some.iter().zip(self.look_at(&some, now).await?) {
                match found {
                    Found::Due(due_now) => due.push((mark.clone(), due_now)),
                    Found::NotBefore(at) => {
                        next_due.note(at);
                        self.put_off(mark, at).await;
                    }
                    Found::Unnamed => self.pass_unnamed(mark, now).await?,
                }
            }
            due.sort_by_key(|(_, found)| {
                let (item, standing) = &**found;
                (standing.due_at, item.event.received_at, item.event.key)
            });
            let taken = due.into_iter().map(|(mark, found)| self.take(mark, *found, now, until));
            let mut taken = stream::iter(taken).buffered(TAKEN_AT_ONCE);
            let mut failed = None;
            while let Some(one) = taken.next().await {
                match one {
                    Ok(Taken::Leased(leased)) => work.leased.push(*leased),
                    Ok(Taken::Later(at)) => next_due.note(at),
                    Ok(Taken::Gone) => {}
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                // What was leased by now is the caller's; the rest is still there.
                if work.leased.is_empty() {
                    return Err(error);
                }
                tracing::warn!("fewer events were leased than are due: {error}");
                work.next_due = Some(now);
                return Ok(work);
            }
        }
        while let Some(mark) = self.next(&mut marks).await? {
            if !sources.contains(&mark.source) {
                continue;
            }
            if let Some(at) = mark.not_before.filter(|at| *at > now) {
                // Another one may come before.
                next_due.note(at);
            } else {
                next_due.note(mark.name.due);
                break;
            }
        }
        work.next_due = next_due.0;
        Ok(work)
    }

    /// Takes the lease of an event that is due, with its body.
    async fn take(
        &self,
        mark: Mark,
        (item, standing): (ClaimItem, Standing),
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Taken, StoreError> {
        let later = now.saturating_add(BODY_LATER);
        let body = match self.body(&item).await {
            Ok(body) => Ok(body),
            Err(error @ StoreError::Damaged { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(key = %item.event.key, "an event's body cannot be had; its turn is put off: {error}");
                self.put_off(&mark, later).await;
                return Ok(Taken::Later(later));
            }
        };
        let why = For { source: Some(&item.event.source), purpose: Purpose::Leased };
        let taken = match self.change(&item, &standing, standing.leased(until), why).await? {
            Changed::Done(taken) => taken,
            Changed::Behind(there) => {
                let there = there.and_then(|there| match there.keeper {
                    Keeper::Library(standing) => standing.free_at(),
                    Keeper::Node(_) => None,
                });
                return Ok(there.map_or(Taken::Gone, Taken::Later));
            }
        };
        self.remember(&taken);
        let lease = Lease { key: item.event.key, token: standing.version + 1, until };
        match body {
            Ok(body) => Ok(Taken::Leased(Box::new(Leased {
                lease,
                event: Arc::new(EventParts { body, ..item.event }),
                attempts: standing.attempts,
                replays: standing.replays,
            }))),
            Err(error) => {
                tracing::error!(key = %item.event.key, "an event cannot be delivered, and becomes a dead letter: {error}");
                let attempt = Attempt { at: now, status: None, note: error.to_string().into() };
                self.settle(&lease, Outcome::Dead(attempt), now).await?;
                Ok(Taken::Gone)
            }
        }
    }

    /// Moves the end of a lease. [`StoreError::Fenced`] when it is no longer the caller's.
    pub async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        self.open()?;
        let condition = if self.has(Flaw::DoesNotFence) {
            "attribute_exists(#v) AND :v = :v"
        } else {
            "#v = :v AND attribute_exists(#u)"
        };
        let guard = Guard::when(condition)
            .name("#v", claim::VERSION)
            .name("#u", claim::UNTIL)
            .value(":v", item::number(lease.token))
            .value(":u", item::number(until.as_micros()));
        let why = For::all(Purpose::Leased);
        let key = event::key_of(lease.key);
        let (written, _) = self.table.update(key, "SET #u = :u", guard, why).await?;
        match written {
            Written::Done => Ok(Lease { until, ..lease.clone() }),
            Written::Refused(_) => Err(StoreError::Fenced),
        }
    }

    /// Says how the work under a lease ended, and gives the lease back. Any process may, that knows the token.
    pub async fn settle(
        &self,
        lease: &Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.open()?;
        self.saw(now);
        let held = |item: &ClaimItem| match &item.keeper {
            Keeper::Library(it) => {
                let fenced = it.version != lease.token || it.until.is_none();
                (!fenced || self.has(Flaw::DoesNotFence)).then(|| it.clone())
            }
            Keeper::Node(_) => None,
        };
        let known = self.recall(lease.key).and_then(|item| held(&item).map(|it| (item, it)));
        let (item, was) = if let Some(known) = known {
            known
        } else {
            let item = self.read(lease.key, For::all(Purpose::Read)).await?;
            let item = item.ok_or(StoreError::Fenced)?;
            let was = held(&item).ok_or(StoreError::Fenced)?;
            (item, was)
        };
        let settled = self.settle_known(&item, &was, outcome, now).await;
        if let Err(StoreError::Unavailable(_)) = &settled {
            // It may not have taken place: whoever tries again needs it again.
            self.remember(&item);
        }
        settled
    }

    async fn settle_known(
        &self,
        item: &ClaimItem,
        was: &Standing,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let event = &item.event;
        let began = self.options.clock.elapsed();
        let (next, purpose) = match outcome {
            Outcome::Done(attempt) => {
                let done = was.finished(State::Done, None).tried(attempt);
                let next = Standing { processed_at: Some(now.to_string().into()), ..done };
                (next, Purpose::Completed)
            }
            Outcome::Again { at, attempt } => {
                let mark = Some(MarkName { due: at, dice: random()? });
                let next = Standing { due_at: Some(at), mark, ..was.given_back().tried(attempt) };
                (next, Purpose::Retried)
            }
            Outcome::Release { at } => {
                let mark = Some(MarkName { due: at, dice: random()? });
                let next = Standing { due_at: Some(at), mark, ..was.given_back() };
                (next, Purpose::Retried)
            }
            Outcome::Dead(attempt) => {
                let why = Some(DeadReason::Undeliverable);
                (was.finished(State::Dead, why).tried(attempt), Purpose::Dead)
            }
        };
        // What finds it from now on is there before the event says so, and what found it goes after that.
        match (next.state, next.mark) {
            (State::Dead, _) => {
                self.table.mark_dead(&event.source, DeadMark::of(event)).await?;
            }
            (_, Some(mark)) => self.write_mark(event, mark, was.since(event), purpose).await?,
            (_, None) => {}
        }
        if self.has(Flaw::RemovesMarksFirst) {
            self.unmark(event, was.mark, purpose).await;
        }
        let why = For { source: Some(&event.source), purpose };
        let mark = next.mark;
        match self.change(item, was, next, why).await? {
            Changed::Done(_) => {
                self.again_if_late(began, event, mark, purpose).await?;
                self.unmark(event, was.mark, Purpose::Mark).await;
                Ok(())
            }
            Changed::Behind(_) => {
                self.unmark(event, mark, purpose).await;
                Err(StoreError::Fenced)
            }
        }
    }
}

/// What became of an event that was due.
enum Taken {
    Leased(Box<Leased>),
    /// Somebody else has it, or it has to wait.
    Later(Timestamp),
    Gone,
}

/// The earliest time that was noted.
struct Soonest(Option<Timestamp>);

impl Soonest {
    fn note(&mut self, at: Timestamp) {
        self.0 = Some(self.0.map_or(at, |earlier| earlier.min(at)));
    }
}
