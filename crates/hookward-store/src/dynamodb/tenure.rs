//! One life of a node: from its entry among the others until it leaves or is taken for dead.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::options::Clock;

/// A number among all nodes that ever were, and the right to speak for what it took.
///
/// The right ends a lease after the last heartbeat was *sent*, by this machine's own clock. Others wait longer, and
/// count from when they *saw* it: so nobody takes over while this node still acknowledges.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) node: u64,
    /// Of the clock, in microseconds; 0 when it is over for good.
    valid_until: AtomicU64,
}

impl Tenure {
    pub(crate) fn new(node: u64, sent_at: Duration, lease: Duration) -> Self {
        let tenure = Self { node, valid_until: AtomicU64::new(1) };
        tenure.extend(sent_at, lease);
        tenure
    }

    /// A heartbeat that was sent then has arrived.
    pub(crate) fn extend(&self, sent_at: Duration, lease: Duration) {
        let until = micros(sent_at + lease);
        let extend = |before| (before != 0).then(|| until.max(before));
        // An error is a tenure that is over, which stays so.
        let _over = self.valid_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, extend);
    }

    /// Somebody else has taken this node's place.
    pub(crate) fn end(&self) {
        self.valid_until.store(0, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.valid_until.load(Ordering::Acquire) == 0
    }

    /// Whether this node may still speak for what it took.
    pub(crate) fn is_valid(&self, clock: &dyn Clock) -> bool {
        micros(clock.elapsed()) < self.valid_until.load(Ordering::Acquire)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin};

    use super::*;

    #[derive(Debug)]
    struct At(u64);

    impl Clock for At {
        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0)
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_tenure_counts_from_when_its_heartbeat_was_sent() {
        let lease = Duration::from_secs(30);
        let tenure = Tenure::new(1, Duration::from_secs(100), lease);
        assert!(tenure.is_valid(&At(129)) && !tenure.is_valid(&At(130)));
        tenure.extend(Duration::from_secs(140), lease);
        assert!(tenure.is_valid(&At(169)) && !tenure.is_valid(&At(170)), "nobody had taken it");
        tenure.extend(Duration::from_mins(2), lease);
        assert!(tenure.is_valid(&At(169)), "an older heartbeat shortens nothing");
        tenure.end();
        tenure.extend(Duration::from_secs(200), lease);
        assert!(!tenure.is_valid(&At(0)) && tenure.has_ended());
    }
}
