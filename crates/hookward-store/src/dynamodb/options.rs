//! What a DynamoDB store is opened with.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::bodies::LargeBodies;
use super::spending::WriteBudgets;

/// How a [`DynamoDb`](super::DynamoDb) store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table.
    pub table: String,
    /// What people call this node, in the table and in logs.
    pub name: String,
    /// How it is written that an event is finished. Checkpoint.
    pub completion: Completion,
    /// How long this node keeps its events without being heard of. 30 s.
    pub lease: Duration,
    /// How much longer others wait: for clocks that run at different speeds, and for what is on its way. 5 s.
    pub lease_margin: Duration,
    /// How long an event waits at most for others to share a journal item with. 25 ms.
    pub journal_delay: Duration,
    /// Unfinished events taken before an append answers [`StoreError::Full`](crate::StoreError::Full). 1,000,000.
    pub queue_max: usize,
    /// Writes on their way at once before further appends are refused. 1,024.
    pub in_flight_max: usize,
    /// Memory for bodies of unfinished events, so that their delivery costs no read. 64 MiB.
    pub cache_bytes_max: usize,
    /// Keys remembered so that their duplicates cost nothing. 100,000.
    pub recent_max: usize,
    /// What sources may spend. Nothing is limited.
    pub write_budgets: Arc<WriteBudgets>,
    /// How often a newer dictionary of a source is looked for. 5 min.
    pub dictionary_refresh: Duration,
    /// Where bodies are kept that do not fit into an item; their events are refused without. `None`.
    pub large_bodies: Option<LargeBodies>,
    /// Whether it finishes the work of nodes that are gone. `true`; a tool that only decides does not.
    pub takes_over: bool,
    /// How long calls to DynamoDB may take.
    pub patience: Patience,
    /// The clock that leases are kept by.
    pub clock: Arc<dyn Clock>,
    /// What is wrong with it, for the tests that must find it.
    #[cfg(feature = "conformance")]
    pub flaw: Option<Flaw>,
}

/// Something that is wrong with a store, planted so that the tests show that they would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Takes its own retry for somebody else's event.
    IgnoresReceipts,
    /// Acknowledges before the journal holds the event.
    AcknowledgesBeforeTheJournal,
    /// Acknowledges a duplicate without asking who will deliver the first one.
    AcknowledgesAnyDuplicate,
    /// Acknowledges without a valid lease.
    ForgetsItsLease,
}

impl Options {
    /// The defaults for a table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            name: "hookward".to_owned(),
            completion: Completion::Checkpoint,
            lease: Duration::from_secs(30),
            lease_margin: Duration::from_secs(5),
            journal_delay: hookward_core::limits::JOURNAL_DELAY_DEFAULT,
            queue_max: 1_000_000,
            in_flight_max: 1_024,
            cache_bytes_max: 64 * 1024 * 1024,
            recent_max: 100_000,
            write_budgets: Arc::default(),
            dictionary_refresh: hookward_core::limits::DICTIONARY_REFRESH,
            large_bodies: None,
            takes_over: true,
            patience: Patience::default(),
            clock: Arc::new(BootClock),
            #[cfg(feature = "conformance")]
            flaw: None,
        }
    }

    #[cfg(feature = "conformance")]
    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    #[cfg(not(feature = "conformance"))]
    #[expect(clippy::unused_self, reason = "a sound store has no flaws")]
    pub(crate) const fn has(&self, _: Flaw) -> bool {
        false
    }
}

/// How it is written that an event is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Each node for all its events at once.
    Checkpoint,
    /// In addition on each event's own item, as `status`, `processed_at` and `attempts`.
    Each,
}

/// How long a call may take: below what senders wait for, so that they hear "try again" and not nothing.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection. 500 ms.
    pub connect: Duration,
    /// For one try. 800 ms.
    pub attempt: Duration,
    /// For all tries together. 2 s.
    pub operation: Duration,
    /// How often. 4.
    pub attempts: u32,
    /// How long the first retry waits at most; the wait doubles. 25 ms.
    pub first_backoff: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            attempt: Duration::from_millis(800),
            operation: Duration::from_secs(2),
            attempts: 4,
            first_backoff: Duration::from_millis(25),
        }
    }
}

/// A clock that only runs forwards, also while the machine is suspended.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time since some moment before the store was opened.
    fn elapsed(&self) -> Duration;

    /// Returns when so much time has passed.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The system's clock that counts the time in which the machine was suspended too: a lease is over then like any other time.
#[derive(Clone, Copy, Debug)]
pub struct BootClock;

impl Clock for BootClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn elapsed(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let secs = u64::try_from(now.tv_sec).unwrap_or_default();
        Duration::new(secs, u32::try_from(now.tv_nsec).unwrap_or_default())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(clippy::disallowed_methods, reason = "this is the store's one clock")]
    fn elapsed(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        let start = *START;
        std::time::Instant::now().saturating_duration_since(start)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
}
