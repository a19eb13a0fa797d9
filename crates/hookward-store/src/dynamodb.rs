//! Any number of nodes on one Amazon DynamoDB table, without an index.
//!
//! An append is one conditional write of the [event](item::event) and, beside it, a share of one [journal
//! item](item::journal) for all events that are on their way. That an event was delivered is not written on it: each
//! node numbers its events and says in its next journal item or [heartbeat](nodes) which numbers are
//! [finished](progress). When a node is not heard of any more, another one reads its journal and finishes the rest.
//! What does not go well at once has a [ticket](item::ticket) of its own.
//!
//! `docs/dynamodb-format.md` says what is in the table. The parts:
//!
//! - [`append`]: a new event, or what to say of one that was there ([`duplicate`], [`resolve`])
//! - [`journal`]: shared writes
//! - [`dictionary`], [`train`]: what bodies are compressed with; [`bodies`]: those that do not fit into an item
//! - [`deliver`], [`operate`], [`reads`], [`list`]: the rest of the contract; [`reader`]: looking without being a node
//! - [`tickets`]: what became of an event, where an answer may be lost
//! - [`nodes`], [`takeover`], [`tenure`]: who works, and who works after whom
//! - [`book`], [`recent`], [`ledger`]: memory
//! - [`dead_letters`]: their marks
//! - [`claims`]: the same table for processes that come and go, without nodes
//! - [`table`], [`client`], [`usage`], [`spending`], [`trouble`]: DynamoDB's calls, costs, budgets and errors

mod append;
pub mod bodies;
mod book;
pub mod claims;
mod client;
mod dead_letters;
mod deliver;
mod dictionary;
mod duplicate;
mod item;
mod journal;
mod ledger;
mod list;
mod nodes;
mod operate;
mod options;
pub mod policy;
mod progress;
mod reader;
mod reads;
mod recent;
mod resolve;
pub mod setup;
pub mod size;
mod spending;
mod table;
mod takeover;
mod tenure;
mod tickets;
pub mod train;
mod trouble;
mod usage;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, Intake, SourceName, Timestamp};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{AbortHandle, JoinSet},
};

use self::{
    book::Book, dictionary::Dictionaries, progress::Progress, table::Table, tenure::Tenure,
};
pub use self::{
    client::{client, http_client, patient_client},
    item::{EXPIRES, PK, SK},
    options::{BootClock, Clock, Completion, Flaw, Options, Patience},
    reader::Reader,
    spending::WriteBudgets,
};
use crate::{
    Claim, Counts, Expired, Kept, Lease, Outcome, Page, Query, Receipt, Store, StoreError, Usage,
    Work,
};

/// Changes of one event take turns; of so many at once.
const TURNS: usize = 64;

/// A store in a DynamoDB table. One of its nodes.
#[derive(Debug)]
pub struct DynamoDb {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
    /// The runtime that it was opened on.
    home: Handle,
}

/// What the parts of a node share.
#[derive(Debug)]
struct Shared {
    options: Options,
    table: Table,
    book: Mutex<Book>,
    journal_wanted: Notify,
    taken_over: Notify,
    beating: tokio::sync::Mutex<()>,
    watching: tokio::sync::Mutex<()>,
    said: Mutex<nodes::Said>,
    seen: Mutex<HashMap<u64, nodes::Seen>>,
    endings: Mutex<HashMap<u64, Progress>>,
    dictionaries: Dictionaries,
    turns: Vec<tokio::sync::Mutex<()>>,
}

impl DynamoDb {
    /// Enters the table as a new node at `now`. Fails when the table is not there or not for us, so that credentials and
    /// connection are warm afterwards.
    pub async fn open(
        client: aws_sdk_dynamodb::Client,
        options: Options,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let shared = Shared::new(client, options, now);
        let forgotten_at = shared.read_forgotten().await?;
        let tenure = shared.enter(now).await?;
        {
            let mut book = shared.book();
            *book = Book::new(tenure, shared.options.recent_max, now);
            book.forgotten_at = forgotten_at;
        }
        let tasks = [
            tokio::spawn(Arc::clone(&shared).keep_journal()).abort_handle(),
            tokio::spawn(Arc::clone(&shared).keep_beating()).abort_handle(),
            tokio::spawn(Arc::clone(&shared).keep_watch()).abort_handle(),
        ];
        Ok(Self { shared, tasks: tasks.into(), home: Handle::current() })
    }

    /// This node's number among all that ever were. Another one after it was taken for dead.
    pub fn node(&self) -> u64 {
        self.shared.tenure().node
    }

    /// Says at once that this node is there, and looks at once for others that need a successor; both happen by themselves
    /// in time.
    pub async fn tend(&self) -> Result<(), StoreError> {
        self.shared.beat().await?;
        self.shared.watch().await
    }

    /// The numbers of the nodes that are there, this one among them.
    pub async fn nodes(&self) -> Result<Vec<u64>, StoreError> {
        let nodes = self.shared.live_nodes(usage::Purpose::Read).await?;
        Ok(nodes.into_iter().map(|node| node.node).collect())
    }
}

impl DynamoDb {
    /// Works on the runtime that the store was opened on, whoever asks: a connection to DynamoDB ends with the runtime that
    /// opened it, and another one may be in the middle of a call over it.
    async fn at_home<T>(&self, work: impl Future<Output = T> + Send) -> T {
        let mut work = Box::pin(work);
        std::future::poll_fn(|context| {
            let _home = self.home.enter();
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for DynamoDb {
    /// Without a close, this is what others see of a crash.
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// A node that has not entered yet.
    fn new(client: aws_sdk_dynamodb::Client, options: Options, now: Timestamp) -> Arc<Self> {
        let table = Table::new(client, &options.table, &options.write_budgets, &options.clock);
        let nobody = Arc::new(Tenure::new(0, std::time::Duration::ZERO, std::time::Duration::ZERO));
        Arc::new(Self {
            book: Mutex::new(Book::new(nobody, options.recent_max, now)),
            journal_wanted: Notify::new(),
            taken_over: Notify::new(),
            beating: tokio::sync::Mutex::new(()),
            watching: tokio::sync::Mutex::new(()),
            said: Mutex::default(),
            seen: Mutex::default(),
            endings: Mutex::default(),
            dictionaries: Dictionaries::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            table,
            options,
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_book(&self) -> Result<MutexGuard<'_, Book>, StoreError> {
        let book = self.book();
        if book.closed { Err(StoreError::Closed) } else { Ok(book) }
    }

    fn tenure(&self) -> Arc<Tenure> {
        Arc::clone(&self.book().tenure)
    }

    /// Changes of one event do not overlap.
    async fn turn(&self, key: EventKey) -> tokio::sync::MutexGuard<'_, ()> {
        let [first, ..] = key.as_bytes();
        let turn = self.turns.get(usize::from(*first) % TURNS).unwrap_or_else(|| {
            unreachable!("a remainder is smaller than what it is the remainder of")
        });
        turn.lock().await
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.options.has(flaw)
    }

    /// `completion = "each"`: what people read on a new event.
    fn with_status(&self, mut item: item::Item, intake: Intake) -> item::Item {
        if self.options.completion == Completion::Each {
            let status = match intake {
                Intake::Deliver => "pending",
                Intake::Archive => "processed",
                Intake::Quarantine(_) => "dead",
            };
            item.insert(item::event::STATUS.to_owned(), item::text(status));
        }
        item
    }

    /// Waits until nothing is on its way any more.
    async fn settle_down(&self) {
        let on_their_way: Vec<_> = self.book().in_flight.values().cloned().collect();
        let mut waits = JoinSet::new();
        for mut one in on_their_way {
            waits.spawn(async move { drop(one.changed().await) });
        }
        while waits.join_next().await.is_some() {}
    }
}

#[async_trait]
impl Store for DynamoDb {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        self.at_home(self.shared.append(event, claim)).await
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        self.at_home(self.shared.lease(sources, now, until, limit)).await
    }

    async fn extend(
        &self,
        lease: &Lease,
        _now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.shared.extend(lease, until)
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.at_home(self.shared.settle(lease, outcome, now)).await
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        self.at_home(self.shared.get(key)).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.at_home(self.shared.list(query)).await
    }

    /// Of this node's unfinished events, and of those that it finished since it came.
    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(self.shared.open_book()?.counts())
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.at_home(self.shared.requeue(key, now)).await
    }

    async fn discard(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        self.at_home(self.shared.discard(key, now)).await
    }

    /// Of what this node finished since it came.
    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        self.at_home(self.shared.expire(now)).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        let tenure = Arc::clone(&self.shared.open_book()?.tenure);
        let wrong = if !tenure.is_valid(&*self.shared.options.clock) {
            "this node was not heard of for the time of its lease"
        } else if !self.shared.table.answers() {
            "the latest calls to DynamoDB all failed"
        } else {
            return Ok(());
        };
        Err(trouble::Trouble::not_tried(wrong).into())
    }

    fn usage(&self) -> Usage {
        self.shared.table.meter.usage()
    }

    async fn close(&self) -> Result<(), StoreError> {
        {
            let mut book = self.shared.open_book()?;
            book.closed = true;
        }
        self.at_home(async {
            self.shared.settle_down().await;
            self.shared.leave().await
        })
        .await?;
        for task in &self.tasks {
            task.abort();
        }
        Ok(())
    }
}
