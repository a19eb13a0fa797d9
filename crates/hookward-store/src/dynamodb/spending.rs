//! What each source may spend of write units.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hookward_core::{
    SourceName,
    rate::{Budget, RetryAfter, SharedBucket},
};

/// Write units that sources may use at this node. One that has used up its budget is told to come later, before anything
/// is written.
///
/// All that is written for a source counts, at what it cost: its new events, its repeated ones, its retries and dead letters.
/// Only new events are held up; so a budget may be overdrawn by what had begun, and is paid back before the next one.
#[derive(Debug, Default)]
pub struct WriteBudgets(RwLock<HashMap<SourceName, Arc<Account>>>);

#[derive(Debug)]
struct Account {
    budget: Budget,
    bucket: SharedBucket,
}

/// A unit that is held for an event on its way, so that many at once do not all see the same room. Given back when dropped:
/// by then what the event cost was counted.
#[derive(Debug)]
pub(crate) struct Held(Arc<Account>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.bucket.refund(&self.0.budget);
    }
}

impl WriteBudgets {
    /// Replaces all budgets, in units. What was spent under one that stays as it is remains spent.
    pub fn set(&self, budgets: impl IntoIterator<Item = (SourceName, Budget)>) {
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *accounts);
        let account = |(source, budget): (SourceName, Budget)| {
            let same = before.get(&source).filter(|account| account.budget == budget).cloned();
            let fresh = || Arc::new(Account { budget, bucket: SharedBucket::default() });
            (source, same.unwrap_or_else(fresh))
        };
        *accounts = budgets.into_iter().map(account).collect();
    }

    /// Room for one more event; `None` when the source has no budget.
    pub(crate) fn hold(
        &self,
        source: &SourceName,
        now: Duration,
    ) -> Result<Option<Held>, RetryAfter> {
        let Some(account) = self.account(source) else { return Ok(None) };
        account.bucket.take(&account.budget, now)?;
        Ok(Some(Held(account)))
    }

    /// So much was written for a source.
    pub(crate) fn spend(&self, source: &SourceName, units: f64, now: Duration) {
        if let Some(account) = self.account(source) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a call writes 400 units at most"
            )]
            account.bucket.charge(&account.budget, units.ceil() as u32, now);
        }
    }

    fn account(&self, source: &SourceName) -> Option<Arc<Account>> {
        let accounts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        accounts.get(source).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn shop() -> SourceName {
        SourceName::parse("shop").unwrap()
    }

    fn ten_a_second() -> Budget {
        Budget { rate: "10/s".parse().unwrap(), burst: NonZeroU32::new(10).unwrap() }
    }

    fn wait(budgets: &WriteBudgets, now: Duration) -> Option<Duration> {
        budgets.hold(&shop(), now).err().map(|RetryAfter(wait)| wait)
    }

    #[test]
    fn what_was_overdrawn_is_paid_back_before_the_next_event() {
        let budgets = WriteBudgets::default();
        budgets.set([(shop(), ten_a_second())]);
        assert_eq!(wait(&budgets, START), None);
        budgets.spend(&shop(), 25.0, START);
        assert_eq!(wait(&budgets, START), Some(Duration::from_millis(1_600)));
        assert_eq!(wait(&budgets, START + Duration::from_millis(1_600)), None);
    }

    #[test]
    fn events_on_their_way_hold_room() {
        let budgets = WriteBudgets::default();
        budgets.set([(shop(), ten_a_second())]);
        let held: Vec<_> = (0..10).map(|_| budgets.hold(&shop(), START).unwrap()).collect();
        assert!(wait(&budgets, START).is_some());
        drop(held);
        assert_eq!(wait(&budgets, START), None);
    }

    #[test]
    fn a_reload_forgives_no_debt_under_the_same_budget() {
        let budgets = WriteBudgets::default();
        budgets.set([(shop(), ten_a_second())]);
        budgets.spend(&shop(), 100.0, START);
        budgets.set([(shop(), ten_a_second())]);
        assert!(wait(&budgets, START).is_some());
        budgets.set([]);
        assert_eq!(wait(&budgets, START), None, "without a budget nothing is held up");
    }
}
