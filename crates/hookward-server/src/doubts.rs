//! Which sources' secrets are in doubt: a signature was wrong, perhaps because the secret was changed.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hookward_core::{
    SourceName,
    rate::{DOUBT_BUDGET, RetryAfter, SharedBucket},
};
use tokio::sync::Notify;

/// What tells whoever keeps the secrets to look them up again, no more often than forgers may cause it.
#[derive(Debug, Default)]
pub struct Doubts {
    sources: Mutex<BTreeSet<SourceName>>,
    told: Notify,
}

impl Doubts {
    /// Notes that a signature of this source was wrong, as often as its budget allows.
    pub(crate) fn note(
        &self,
        source: &SourceName,
        budget: &SharedBucket,
        now: Duration,
    ) -> Result<(), RetryAfter> {
        budget.take(&DOUBT_BUDGET, now)?;
        self.learnt(source);
        Ok(())
    }

    /// Notes that this source has another secret.
    pub(crate) fn learnt(&self, source: &SourceName) {
        // A panic in another thread leaves the set whole.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone());
        self.told.notify_one();
    }

    /// Waits until there are sources whose secrets are in doubt. Each doubt is told once.
    pub async fn next(&self) -> BTreeSet<SourceName> {
        loop {
            let told = self.told.notified();
            let sources =
                mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
            if !sources.is_empty() {
                return sources;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> SourceName {
        SourceName::parse(name).unwrap()
    }

    #[test]
    fn a_source_is_doubted_once_a_minute_whatever_forgers_do() {
        let (doubts, stripe, github) =
            (Doubts::default(), SharedBucket::default(), SharedBucket::default());
        let mut told = Vec::new();
        for millis in (0..=180_000).step_by(100) {
            let now = Duration::from_millis(millis);
            if doubts.note(&source("stripe"), &stripe, now).is_ok() {
                told.push(now.as_secs());
            }
        }
        assert_eq!(told, [0, 60, 120, 180]);
        // One that nobody forges has its own.
        assert!(doubts.note(&source("github"), &github, Duration::from_mins(3)).is_ok());
    }

    #[tokio::test]
    async fn each_doubt_is_told_once() {
        let doubts = Doubts::default();
        for name in ["stripe", "github"] {
            doubts.note(&source(name), &SharedBucket::default(), Duration::ZERO).unwrap();
        }
        let both = BTreeSet::from([source("github"), source("stripe")]);
        assert_eq!(doubts.next().await, both);
        let later = async {
            tokio::task::yield_now().await;
            doubts.note(&source("stripe"), &SharedBucket::default(), Duration::ZERO).unwrap();
        };
        let (told, ()) = tokio::join!(doubts.next(), later);
        assert_eq!(told, BTreeSet::from([source("stripe")]));
    }
}
