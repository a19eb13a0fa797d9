//! What [`Store`] means, as checks that every store and every wrapper passes.
//!
//! Not API-stable. A store's test makes a [`Subject`] and calls [`run`]; a check that fails says which promise is broken.

mod appending;
mod expiring;
mod leasing;
mod operating;
mod reading;
mod restarting;
mod settling;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
};

use crate::{
    Attempt, Claim, Counts, Kept, Lease, Leased, Outcome, Receipt, State, Store, StoreError,
};

/// A kind of store under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A store that holds nothing.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// The same store after its process ended without closing it: whatever it had acknowledged must be there.
    /// `None` when this kind of store does not outlive its process.
    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>>;

    /// Whether a restarted store still counts what it had finished. One of many nodes counts what it does itself.
    fn counts_what_was_finished(&self) -> bool {
        true
    }

    /// Whether leases end with the process that took them. Where any process may settle any lease, they end with their time.
    fn leases_end_with_the_process(&self) -> bool {
        true
    }

    /// Whether the store knows of all that it holds: it counts and lists what is finished and what is leased, and reports what
    /// expired. One that is nothing but a table without an index knows what is pending, and what is dead.
    fn knows_what_it_holds(&self) -> bool {
        true
    }

    /// Whether a restarted store knows by which time it was told to forget. One that has no memory is told again.
    fn remembers_what_was_forgotten(&self) -> bool {
        true
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The check.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// Runs all checks, each on a fresh store; gives back those that failed.
pub async fn run(subject: &dyn Subject) -> Vec<Broken> {
    let mut broken = Vec::new();
    for check in CHECKS {
        if let Err(what) = check_one(subject, check).await {
            broken.push(Broken { check, what });
        }
    }
    broken
}

/// What a check says: `Err` is what was seen in place of what was promised.
type Verdict = Result<(), String>;

macro_rules! checks {
    ($($module:ident::$check:ident,)*) => {
        /// The names of all checks.
        pub const CHECKS: &[&str] = &[$(stringify!($check)),*];

        /// Runs one check by its name.
        pub async fn check_one(subject: &dyn Subject, name: &str) -> Result<(), String> {
            match name {
                $(stringify!($check) => Box::pin($module::$check(subject)).await,)*
                _ => Err(format!("there is no check {name}")),
            }
        }
    };
}

checks! {
    appending::a_new_event_is_kept_and_the_same_one_is_a_duplicate,
    appending::other_content_under_a_held_key_is_a_conflict,
    appending::of_concurrent_appends_of_one_key_one_is_kept,
    appending::concurrent_appends_of_many_keys_are_all_kept,
    appending::a_dropped_append_is_whole_or_absent,
    appending::intake_decides_the_state,
    appending::a_claimed_event_is_leased_at_once,
    leasing::the_oldest_due_comes_first_and_no_more_than_asked_for,
    leasing::only_the_sources_asked_for_are_leased,
    leasing::nothing_is_leased_before_it_is_due,
    leasing::a_leased_event_is_nobody_elses_until_it_lapses,
    leasing::a_lease_that_went_to_somebody_else_is_fenced,
    leasing::an_extended_lease_lasts_longer,
    leasing::next_due_says_when_there_is_more,
    leasing::concurrent_leases_share_nothing,
    settling::what_is_done_is_never_due_again,
    settling::what_failed_is_due_again_with_its_attempts_counted,
    settling::what_was_released_counts_no_attempt,
    settling::what_is_dead_waits_for_a_person,
    settling::a_lease_settles_once,
    settling::history_keeps_the_latest_attempts,
    reading::bodies_and_labels_come_back_byte_for_byte,
    reading::a_list_is_newest_first_and_filtered,
    reading::pages_of_a_list_make_up_the_whole,
    reading::counts_tell_each_state,
    reading::an_unknown_key_is_not_held,
    operating::a_requeued_event_is_due_again_under_a_new_number,
    operating::a_requeue_takes_the_lease_away,
    operating::a_requeued_event_is_pending_since_its_requeue,
    operating::a_discarded_event_is_dropped_and_its_key_held,
    expiring::an_unfinished_event_never_expires,
    expiring::a_body_expires_and_its_key_is_still_held,
    expiring::a_key_expires_and_the_event_is_new_again,
    expiring::a_dead_letter_expires_with_its_body,
    expiring::a_time_that_was_wrong_is_not_about_what_comes_later,
    restarting::what_was_acknowledged_is_held_after_a_restart,
    restarting::what_is_unfinished_is_due_after_a_restart,
    restarting::attempts_and_due_times_outlive_a_restart,
    restarting::decisions_of_operators_outlive_a_restart,
    restarting::what_was_forgotten_stays_forgotten,
    restarting::a_closed_store_answers_closed_and_holds_everything,
}

/// Fails the check with what was seen, unless the promise holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// Fails the check unless both are the same.
macro_rules! ensure_eq {
    ($seen:expr, $promised:expr, $what:expr) => {{
        let (seen, promised) = (&$seen, &$promised);
        if seen != promised {
            return Err(format!("{}: {seen:?}, promised {promised:?}", $what));
        }
    }};
}

use {ensure, ensure_eq};

/// The time at which the checks take place.
const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
/// How long the checks' leases last.
const LEASE: Duration = Duration::from_mins(1);
/// How long bodies are kept unless a check says otherwise.
const DAY: Duration = Duration::from_hours(24);

fn after(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(seconds))
}

/// The source of the checks' events.
fn shop() -> SourceName {
    SourceName::parse("shop").expect("a valid name")
}

fn parts(number: u64) -> EventParts {
    let mut key = [0; 16];
    // Keys are digests; these are spread like ones.
    let (low, high) = key.split_at_mut(8);
    low.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    high.copy_from_slice(&number.wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes());
    EventParts {
        key: EventKey::from_bytes(key),
        source: shop(),
        event_type: Some("order.paid".into()),
        sender_id: Some(format!("evt_{number}").into()),
        content: ContentDigest::from_bytes(key),
        received_at: NOON.saturating_add(Duration::from_millis(number)),
        intake: Intake::Deliver,
        headers: vec![("content-type".into(), (*b"application/json").into())],
        body: format!("{{\"number\":{number}}}").into_bytes().into(),
        body_expires_at: NOON.saturating_add(DAY),
        key_expires_at: Some(NOON.saturating_add(2 * DAY)),
    }
}

fn event(number: u64) -> Event {
    testing::event(parts(number))
}

fn key(number: u64) -> EventKey {
    parts(number).key
}

fn attempt(second: u64, note: &str) -> Attempt {
    Attempt { at: after(second), status: Some(503), note: note.into() }
}

/// Keeps events with these numbers.
async fn keep(store: &dyn Store, numbers: impl IntoIterator<Item = u64>) -> Verdict {
    for number in numbers {
        let receipt = says(store.append(event(number), Claim::Queue).await)?;
        ensure_eq!(receipt, Receipt::Kept { lease: None }, "a new event");
    }
    Ok(())
}

/// Leases what is due, under the usual lease.
async fn lease(store: &dyn Store, now: Timestamp, limit: usize) -> Result<Vec<Leased>, String> {
    let work = says(store.lease(&[shop()], now, now.saturating_add(LEASE), limit).await)?;
    Ok(work.leased)
}

/// Leases the one event that is due.
async fn lease_one(store: &dyn Store, now: Timestamp) -> Result<Leased, String> {
    let mut leased = lease(store, now, 10).await?;
    ensure_eq!(leased.len(), 1, "events leased");
    leased.pop().ok_or_else(|| "nothing leased".to_owned())
}

async fn settle(store: &dyn Store, lease: Lease, outcome: Outcome, now: Timestamp) -> Verdict {
    says(store.settle(lease, outcome, now).await)
}

async fn get(store: &dyn Store, number: u64) -> Result<Kept, String> {
    says(store.get(key(number)).await)?.ok_or_else(|| format!("event {number} is not held"))
}

/// Counts without what depends on the medium.
async fn counts(store: &dyn Store) -> Result<Counts, String> {
    Ok(Counts { stored_bytes: 0, ..says(store.counts().await)? })
}

/// The lists that every kind of store has.
const TOLD_OF: [Option<State>; 2] = [Some(State::Pending), Some(State::Dead)];

/// Counts as a kind of store knows them.
fn known(subject: &dyn Subject, counts: Counts) -> Counts {
    if subject.knows_what_it_holds() { counts } else { Counts { leased: 0, finished: 0, ..counts } }
}

fn keys(leased: &[Leased]) -> Vec<EventKey> {
    leased.iter().map(|leased| leased.lease.key).collect()
}

/// No check makes a store fail, so an error is a broken promise.
fn says<T>(answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| format!("failed: {error}"))
}

fn fenced<T: fmt::Debug>(answer: Result<T, StoreError>, who: &str) -> Verdict {
    match answer {
        Err(StoreError::Fenced) => Ok(()),
        other => Err(format!("{who} was not fenced: {other:?}")),
    }
}
