//! The suite finds each planted fault: a store with one thing wrong with it fails the check that is about that thing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, EventParts, SourceName, Timestamp, event::testing};
use hookward_store::{
    Claim, Counts, Expired, Kept, Lease, Outcome, Page, Query, Receipt, State, Store, StoreError,
    Work,
    conformance::{CHECKS, Subject, run},
    memory::Memory,
};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    KeepsDuplicates,
    ForgetsKeysWhenDone,
    TakesConflictForDuplicate,
    SaysPendingOfAllDuplicates,
    KeepsBothOfConcurrentAppends,
    DeliversArchived,
    IgnoresClaims,
    NewestDueFirst,
    IgnoresSources,
    IgnoresLimits,
    LeasesTooEarly,
    LeasesWhatIsLeased,
    NoFencing,
    TokensDoNotRise,
    IgnoresExtensions,
    NoNextDue,
    DueAgainWhenDone,
    LosesAttempts,
    CountsReleases,
    DropsTheDead,
    KeepsNoHistory,
    CutsBodies,
    ListsOldestFirst,
    IgnoresFilters,
    CursorsRepeat,
    ListsBodies,
    CountsWrong,
    RequeueIsSwallowed,
    RequeueKeepsTheReplayNumber,
    RequeueKeepsTheLease,
    DiscardForgetsTheKey,
    ExpiresPending,
    ForgetsKeysWithBodies,
    NeverForgetsKeys,
    AnswersBeforeItIsDurable,
    KeepsNothing,
    LosesOutcomes,
    LosesOperators,
    KeepsLeasesOverARestart,
    GoesOnWhenClosed,
    LosesConcurrentAppends,
    DroppedAppendsHoldTheirKey,
    LeasesAreNotOneStep,
    SettlesTwice,
    HoldsUnknownKeys,
    DeadLettersNeverExpire,
    LosesWhatWasForgotten,
    AWrongTimeIsForEver,
    PendingSinceItsReceipt,
}

/// Each flaw, and the checks of which one at least must fail.
const PLANTED: &[(Flaw, &[&str])] = &[
    (Flaw::KeepsDuplicates, &["a_new_event_is_kept_and_the_same_one_is_a_duplicate"]),
    (Flaw::ForgetsKeysWhenDone, &["a_new_event_is_kept_and_the_same_one_is_a_duplicate"]),
    (Flaw::TakesConflictForDuplicate, &["other_content_under_a_held_key_is_a_conflict"]),
    (Flaw::SaysPendingOfAllDuplicates, &["a_new_event_is_kept_and_the_same_one_is_a_duplicate"]),
    (Flaw::KeepsBothOfConcurrentAppends, &["of_concurrent_appends_of_one_key_one_is_kept"]),
    (Flaw::DeliversArchived, &["intake_decides_the_state"]),
    (Flaw::IgnoresClaims, &["a_claimed_event_is_leased_at_once"]),
    (Flaw::NewestDueFirst, &["the_oldest_due_comes_first_and_no_more_than_asked_for"]),
    (Flaw::IgnoresSources, &["only_the_sources_asked_for_are_leased"]),
    (Flaw::IgnoresLimits, &["the_oldest_due_comes_first_and_no_more_than_asked_for"]),
    (Flaw::LeasesTooEarly, &["nothing_is_leased_before_it_is_due"]),
    (Flaw::LeasesWhatIsLeased, &["a_leased_event_is_nobody_elses_until_it_lapses"]),
    (Flaw::NoFencing, &["a_lease_that_went_to_somebody_else_is_fenced"]),
    (Flaw::TokensDoNotRise, &["a_leased_event_is_nobody_elses_until_it_lapses"]),
    (Flaw::IgnoresExtensions, &["an_extended_lease_lasts_longer"]),
    (Flaw::NoNextDue, &["next_due_says_when_there_is_more"]),
    (Flaw::DueAgainWhenDone, &["what_is_done_is_never_due_again"]),
    (Flaw::LosesAttempts, &["what_failed_is_due_again_with_its_attempts_counted"]),
    (Flaw::CountsReleases, &["what_was_released_counts_no_attempt"]),
    (Flaw::DropsTheDead, &["what_is_dead_waits_for_a_person"]),
    (Flaw::KeepsNoHistory, &["history_keeps_the_latest_attempts"]),
    (Flaw::CutsBodies, &["bodies_and_labels_come_back_byte_for_byte"]),
    (Flaw::ListsOldestFirst, &["a_list_is_newest_first_and_filtered"]),
    (Flaw::IgnoresFilters, &["a_list_is_newest_first_and_filtered"]),
    (Flaw::CursorsRepeat, &["pages_of_a_list_make_up_the_whole"]),
    (Flaw::ListsBodies, &["a_list_is_newest_first_and_filtered"]),
    (Flaw::CountsWrong, &["counts_tell_each_state"]),
    (Flaw::RequeueIsSwallowed, &["a_requeued_event_is_due_again_under_a_new_number"]),
    (Flaw::RequeueKeepsTheReplayNumber, &["a_requeued_event_is_due_again_under_a_new_number"]),
    (Flaw::RequeueKeepsTheLease, &["a_requeue_takes_the_lease_away"]),
    (Flaw::DiscardForgetsTheKey, &["a_discarded_event_is_dropped_and_its_key_held"]),
    (Flaw::ExpiresPending, &["an_unfinished_event_never_expires"]),
    (Flaw::ForgetsKeysWithBodies, &["a_body_expires_and_its_key_is_still_held"]),
    (Flaw::NeverForgetsKeys, &["a_key_expires_and_the_event_is_new_again"]),
    (Flaw::AnswersBeforeItIsDurable, &["what_was_acknowledged_is_held_after_a_restart"]),
    (Flaw::KeepsNothing, &["what_was_acknowledged_is_held_after_a_restart"]),
    (Flaw::LosesOutcomes, &["attempts_and_due_times_outlive_a_restart"]),
    (Flaw::LosesOperators, &["decisions_of_operators_outlive_a_restart"]),
    (Flaw::KeepsLeasesOverARestart, &["what_is_unfinished_is_due_after_a_restart"]),
    (Flaw::GoesOnWhenClosed, &["a_closed_store_answers_closed_and_holds_everything"]),
    (Flaw::LosesConcurrentAppends, &["concurrent_appends_of_many_keys_are_all_kept"]),
    (Flaw::DroppedAppendsHoldTheirKey, &["a_dropped_append_is_whole_or_absent"]),
    (Flaw::LeasesAreNotOneStep, &["concurrent_leases_share_nothing"]),
    (Flaw::SettlesTwice, &["a_lease_settles_once"]),
    (Flaw::HoldsUnknownKeys, &["an_unknown_key_is_not_held"]),
    (Flaw::DeadLettersNeverExpire, &["a_dead_letter_expires_with_its_body"]),
    (Flaw::LosesWhatWasForgotten, &["what_was_forgotten_stays_forgotten"]),
    (Flaw::AWrongTimeIsForEver, &["a_time_that_was_wrong_is_not_about_what_comes_later"]),
    (Flaw::PendingSinceItsReceipt, &["a_requeued_event_is_pending_since_its_requeue"]),
];

#[test]
fn each_check_has_a_planted_fault() {
    for check in CHECKS {
        let planted = PLANTED.iter().any(|(_, checks)| checks.contains(check));
        assert!(planted, "nothing shows that {check} can fail");
    }
}

#[tokio::test]
async fn each_planted_fault_fails_the_check_that_is_about_it() {
    for (flaw, checks) in PLANTED {
        let broken = run(&Planted::new(*flaw)).await;
        let found = broken.iter().any(|broken| checks.contains(&broken.check));
        assert!(found, "{flaw:?} was not found by {checks:?}, but by {broken:?}");
    }
}

/// A kind of store with a flaw.
struct Planted {
    flaw: Flaw,
    latest: Mutex<Option<Arc<Flawed>>>,
}

impl Planted {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, latest: Mutex::new(None) }
    }

    fn store(&self, memory: Memory) -> Arc<Flawed> {
        let flawed = Arc::new(Flawed {
            flaw: self.flaw,
            memory,
            before: Mutex::new(None),
            first: Mutex::default(),
            holders: Mutex::default(),
            arriving: Mutex::default(),
            settled: Mutex::default(),
            latest_expiry: Mutex::default(),
            most_dead: Mutex::default(),
        });
        *self.latest.lock().unwrap() = Some(Arc::clone(&flawed));
        flawed
    }
}

#[async_trait]
impl Subject for Planted {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.store(Memory::default())
    }

    async fn restart(&self, _store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let former = self.latest.lock().unwrap().clone()?;
        let lost = former.before.lock().unwrap().take();
        let memory = match self.flaw {
            Flaw::KeepsNothing => Memory::default(),
            Flaw::KeepsLeasesOverARestart => former.memory.restarted_with_leases(),
            _ => lost.unwrap_or_else(|| former.memory.restarted()),
        };
        Some(self.store(memory))
    }
}

/// The memory store with a flaw.
#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    memory: Memory,
    /// What was durable before something that should have been durable too.
    before: Mutex<Option<Memory>>,
    /// Leases as they were first handed out.
    first: Mutex<HashMap<EventKey, Lease>>,
    /// The latest lease of each event.
    holders: Mutex<HashMap<EventKey, Lease>>,
    /// Keys whose append has begun and not ended.
    arriving: Mutex<BTreeSet<EventKey>>,
    /// Tokens that were settled.
    settled: Mutex<BTreeSet<u64>>,
    latest_expiry: Mutex<Timestamp>,
    most_dead: Mutex<u64>,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn hold(&self, lease: &Lease) {
        self.first.lock().unwrap().entry(lease.key).or_insert_with(|| lease.clone());
        self.holders.lock().unwrap().insert(lease.key, lease.clone());
    }

    fn holder(&self, lease: Lease) -> Lease {
        if self.is(Flaw::NoFencing) || self.is(Flaw::TokensDoNotRise) {
            return self.holders.lock().unwrap().get(&lease.key).cloned().unwrap_or(lease);
        }
        lease
    }

    /// Another event in place of this one.
    fn copy(event: &Event, change: impl FnOnce(&mut EventParts)) -> Event {
        let mut parts = event.clone().into_parts();
        change(&mut parts);
        testing::event(parts)
    }

    async fn state(&self, key: EventKey) -> Option<State> {
        self.memory.get(key).await.ok().flatten().map(|kept| kept.state)
    }
}

#[async_trait]
impl Store for Flawed {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        if self.is(Flaw::LosesConcurrentAppends) || self.is(Flaw::DroppedAppendsHoldTheirKey) {
            let key = event.key;
            let (alone, first) = {
                let mut arriving = self.arriving.lock().unwrap();
                (arriving.is_empty(), arriving.insert(key))
            };
            if !first && self.is(Flaw::DroppedAppendsHoldTheirKey) {
                return Ok(Receipt::Duplicate { state: State::Pending });
            }
            tokio::task::yield_now().await;
            let receipt = if self.is(Flaw::LosesConcurrentAppends) && !alone {
                Ok(Receipt::Kept { lease: None })
            } else {
                self.memory.append(event, claim).await
            };
            self.arriving.lock().unwrap().remove(&key);
            return receipt;
        }
        let lost = self.is(Flaw::AnswersBeforeItIsDurable).then(|| self.memory.restarted());
        let state = self.state(event.key).await;
        let again = state.is_some();
        if self.is(Flaw::KeepsBothOfConcurrentAppends) && !again {
            tokio::task::yield_now().await;
            self.memory.append(event, claim).await?;
            return Ok(Receipt::Kept { lease: None });
        }
        let forgets = self.is(Flaw::ForgetsKeysWhenDone) && state == Some(State::Done)
            || self.is(Flaw::DiscardForgetsTheKey) && state == Some(State::Dropped);
        if (self.is(Flaw::KeepsDuplicates) && again) || forgets {
            return Ok(Receipt::Kept { lease: None });
        }
        let event = match self.flaw {
            Flaw::DeliversArchived => {
                Self::copy(&event, |parts| parts.intake = hookward_core::Intake::Deliver)
            }
            Flaw::CutsBodies => Self::copy(&event, |parts| {
                parts.body = parts.body.slice(..parts.body.len().min(255));
            }),
            Flaw::ForgetsKeysWithBodies => {
                Self::copy(&event, |parts| parts.key_expires_at = Some(parts.body_expires_at))
            }
            Flaw::NeverForgetsKeys => Self::copy(&event, |parts| parts.key_expires_at = None),
            _ => event,
        };
        let claim = if self.is(Flaw::IgnoresClaims) { Claim::Queue } else { claim };
        let receipt = self.memory.append(event, claim).await?;
        if let Some(lost) = lost.filter(|_| matches!(receipt, Receipt::Kept { .. })) {
            *self.before.lock().unwrap() = Some(lost);
        }
        Ok(match receipt {
            Receipt::Conflict { state } if self.is(Flaw::TakesConflictForDuplicate) => {
                Receipt::Duplicate { state }
            }
            Receipt::Duplicate { .. } if self.is(Flaw::SaysPendingOfAllDuplicates) => {
                Receipt::Duplicate { state: State::Pending }
            }
            other => other,
        })
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        let everyone = ["shop", "bank"].map(|name| SourceName::parse(name).unwrap());
        let sources = if self.is(Flaw::IgnoresSources) { &everyone } else { sources };
        let limit = if self.is(Flaw::IgnoresLimits) { usize::MAX } else { limit };
        let (asked_at, end) = match self.flaw {
            Flaw::LeasesTooEarly => {
                (Timestamp::from_micros(now.as_micros() + 3_600_000_000), until)
            }
            Flaw::LeasesWhatIsLeased | Flaw::LeasesAreNotOneStep => (now, now),
            _ => (now, until),
        };
        let mut work = self.memory.lease(sources, asked_at, end, limit).await?;
        if self.is(Flaw::LeasesAreNotOneStep) {
            // Somebody else looks at the same events before this one takes them.
            tokio::task::yield_now().await;
        }
        for leased in &mut work.leased {
            if self.is(Flaw::LeasesAreNotOneStep) {
                drop(self.memory.extend(&leased.lease, now, until).await);
            }
            leased.lease.until = until;
            self.hold(&leased.lease);
            match self.flaw {
                Flaw::LosesAttempts => leased.attempts = 0,
                Flaw::RequeueKeepsTheReplayNumber => leased.replays = 0,
                Flaw::TokensDoNotRise => leased.lease.token = 1,
                _ => {}
            }
        }
        if self.is(Flaw::NewestDueFirst) {
            work.leased.reverse();
        }
        if self.is(Flaw::NoNextDue) {
            work.next_due = None;
        }
        Ok(work)
    }

    async fn extend(
        &self,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        if self.is(Flaw::IgnoresExtensions) {
            return Ok(Lease { until, ..lease.clone() });
        }
        self.memory.extend(&self.holder(lease.clone()), now, until).await
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lease = self.holder(lease);
        let outcome = match outcome {
            Outcome::Done(attempt) if self.is(Flaw::DueAgainWhenDone) => {
                Outcome::Again { at: now, attempt }
            }
            Outcome::Dead(attempt) if self.is(Flaw::DropsTheDead) => Outcome::Done(attempt),
            Outcome::Release { at } if self.is(Flaw::CountsReleases) => {
                let attempt = hookward_store::Attempt { at, status: None, note: "".into() };
                Outcome::Again { at, attempt }
            }
            other => other,
        };
        let lost = self.is(Flaw::LosesOutcomes).then(|| self.memory.restarted());
        if !self.settled.lock().unwrap().insert(lease.token) && self.is(Flaw::SettlesTwice) {
            return Ok(());
        }
        self.memory.settle(lease, outcome, now).await?;
        if let Some(lost) = lost {
            *self.before.lock().unwrap() = Some(lost);
        }
        Ok(())
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        if self.is(Flaw::AWrongTimeIsForEver) {
            let latest = *self.latest_expiry.lock().unwrap();
            self.memory.expire(latest).await?;
        }
        let mut kept = self.memory.get(key).await?;
        if kept.is_none() && self.is(Flaw::HoldsUnknownKeys) {
            let any = Query { limit: 1, ..Query::default() };
            kept = self.memory.list(&any).await?.events.pop();
        }
        if let Some(kept) = kept.as_mut().filter(|_| self.is(Flaw::KeepsNoHistory)) {
            kept.history.clear();
        }
        Ok(kept)
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let mut query = query.clone();
        match self.flaw {
            Flaw::IgnoresFilters => (query.source, query.since) = (None, None),
            Flaw::CursorsRepeat => {
                query.cursor = query.cursor.map(|cursor| hookward_store::Cursor(cursor.0 + 1));
            }
            _ => {}
        }
        let mut page = self.memory.list(&query).await?;
        if self.is(Flaw::ListsOldestFirst) {
            page.events.reverse();
        }
        if self.is(Flaw::ListsBodies) {
            for kept in &mut page.events {
                let mut whole = (*kept.event).clone();
                whole.body = "a body".into();
                kept.event = Arc::new(whole);
            }
        }
        Ok(page)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = self.memory.counts().await?;
        match self.flaw {
            Flaw::CountsWrong => counts.leased = 0,
            Flaw::DeadLettersNeverExpire => {
                let mut most = self.most_dead.lock().unwrap();
                *most = counts.dead.max(*most);
                counts.dead = *most;
            }
            Flaw::PendingSinceItsReceipt => {
                let pending =
                    Query { state: Some(State::Pending), limit: usize::MAX, ..Query::default() };
                let pending = self.memory.list(&pending).await?.events;
                counts.oldest_pending = pending.iter().map(|kept| kept.event.received_at).min();
            }
            _ => {}
        }
        Ok(counts)
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        let lost = self.is(Flaw::LosesOperators).then(|| self.memory.restarted());
        let swallowed =
            self.is(Flaw::RequeueIsSwallowed) && self.state(key).await == Some(State::Done);
        let holder = self.holders.lock().unwrap().get(&key).cloned();
        if swallowed || (self.is(Flaw::RequeueKeepsTheLease) && holder.is_some()) {
            return Ok(());
        }
        self.memory.requeue(key, now).await?;
        if let Some(lost) = lost {
            *self.before.lock().unwrap() = Some(lost);
        }
        Ok(())
    }

    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.memory.discard(key, now).await
    }

    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        if self.is(Flaw::ExpiresPending) {
            let shop = [SourceName::parse("shop").unwrap()];
            let work = self.memory.lease(&shop, now, now, usize::MAX).await?;
            for leased in work.leased {
                let attempt =
                    hookward_store::Attempt { at: now, status: None, note: "expired".into() };
                self.memory.settle(leased.lease, Outcome::Done(attempt), now).await?;
            }
        }
        let now = {
            let mut latest = self.latest_expiry.lock().unwrap();
            *latest = now.max(*latest);
            if self.is(Flaw::AWrongTimeIsForEver) { *latest } else { now }
        };
        let lost = self.is(Flaw::LosesWhatWasForgotten).then(|| self.memory.restarted());
        let expired = self.memory.expire(now).await?;
        if let Some(lost) = lost {
            *self.before.lock().unwrap() = Some(lost);
        }
        Ok(expired)
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.memory.health().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.is(Flaw::GoesOnWhenClosed) { Ok(()) } else { self.memory.close().await }
    }
}
