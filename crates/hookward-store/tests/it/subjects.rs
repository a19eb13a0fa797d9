//! The kinds of store that go through the suite.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hookward_core::Timestamp;
use hookward_store::{
    Store,
    conformance::Subject,
    dynamodb::{
        self, Completion, DynamoDb,
        claims::{self, Claims},
    },
    embedded::{Embedded, Options},
    fault::Faulty,
    memory::Memory,
};

use crate::{
    local::{self, HandClock},
    policy::{Guardian, Recorder},
    sim::SimDisk,
};

/// Segments so small that each check uses several.
pub(crate) fn small() -> Options {
    Options { segment_bytes: 8 * 1024, cache_bytes_max: 2 * 1024, ..Options::default() }
}

/// The reference store, which is told what a restart is.
#[derive(Default)]
pub(crate) struct MemorySubject {
    latest: Mutex<Option<Arc<Memory>>>,
}

#[async_trait]
impl Subject for MemorySubject {
    async fn fresh(&self) -> Arc<dyn Store> {
        let memory = Arc::new(Memory::default());
        *self.latest.lock().unwrap() = Some(Arc::clone(&memory));
        memory
    }

    async fn restart(&self, _store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let mut latest = self.latest.lock().unwrap();
        let restarted = Arc::new(latest.as_ref()?.restarted());
        *latest = Some(Arc::clone(&restarted));
        Some(restarted)
    }
}

/// The embedded store in a directory.
pub(crate) struct EmbeddedSubject {
    options: Options,
    directory: tempfile::TempDir,
    latest: Mutex<u32>,
}

impl EmbeddedSubject {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, directory: tempfile::tempdir().unwrap(), latest: Mutex::new(0) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.latest.lock().unwrap().to_string())
    }
}

#[async_trait]
impl Subject for EmbeddedSubject {
    async fn fresh(&self) -> Arc<dyn Store> {
        *self.latest.lock().unwrap() += 1;
        open(&self.path(), &self.options)
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        assert_eq!(Arc::strong_count(&store), 1, "the check still uses the store");
        drop(store);
        Some(open(&self.path(), &self.options))
    }
}

fn open(path: &Path, options: &Options) -> Arc<dyn Store> {
    Arc::new(Embedded::open(path, options.clone()).unwrap())
}

/// The embedded store on a disk that loses its power at each restart, with all that was not synced.
pub(crate) struct SimSubject {
    latest: Mutex<Arc<SimDisk>>,
}

impl SimSubject {
    pub(crate) fn new() -> Self {
        Self { latest: Mutex::new(Arc::new(SimDisk::default())) }
    }
}

#[async_trait]
impl Subject for SimSubject {
    async fn fresh(&self) -> Arc<dyn Store> {
        let disk = Arc::new(SimDisk::default());
        *self.latest.lock().unwrap() = Arc::clone(&disk);
        Arc::new(Embedded::open_on(disk, small()).unwrap())
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let mut latest = self.latest.lock().unwrap();
        let survived = Arc::new(latest.cut_power());
        drop(store);
        *latest = Arc::clone(&survived);
        Some(Arc::new(Embedded::open_on(survived, small()).unwrap()))
    }
}

/// A node on a table in DynamoDB Local. A restart is a node that vanishes and another one that comes after its lease.
pub(crate) struct DynamoDbSubject {
    clock: Arc<HandClock>,
    table: Mutex<String>,
    completion: Completion,
    cache_bytes_max: usize,
    recorder: Recorder,
}

impl DynamoDbSubject {
    pub(crate) fn new(completion: Completion, cache_bytes_max: usize) -> Self {
        Self {
            clock: Arc::default(),
            table: Mutex::default(),
            completion,
            cache_bytes_max,
            recorder: Recorder::default(),
        }
    }

    /// The same, and what it calls is written down.
    pub(crate) fn recorded(self, recorder: &Recorder) -> Self {
        Self { recorder: recorder.clone(), ..self }
    }

    async fn node(&self) -> DynamoDb {
        let table = self.table.lock().unwrap().clone();
        let options = dynamodb::Options {
            completion: self.completion,
            cache_bytes_max: self.cache_bytes_max,
            ..local::options(&table, &self.clock)
        };
        let connection = local::connection(local::address())
            .interceptor(Guardian::of_a_gateway())
            .interceptor(self.recorder.clone());
        local::node_over(connection, options, Timestamp::from_secs(1_700_000_000)).await
    }
}

#[async_trait]
impl Subject for DynamoDbSubject {
    async fn fresh(&self) -> Arc<dyn Store> {
        let table = local::table().await;
        *self.table.lock().unwrap() = table;
        Arc::new(self.node().await)
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        let node = self.node().await;
        node.tend().await.unwrap();
        self.clock.advance(local::LAPSE);
        node.tend().await.unwrap();
        assert_eq!(node.nodes().await.unwrap(), [node.node()], "nobody is left but the successor");
        Some(Arc::new(node))
    }

    fn counts_what_was_finished(&self) -> bool {
        false
    }
}

/// Claims on a table in DynamoDB Local. A restart is another process, which knows nothing but the table.
pub(crate) struct ClaimsSubject {
    table: Mutex<String>,
    flaw: Option<claims::Flaw>,
    recorder: Recorder,
}

impl ClaimsSubject {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::default(), flaw: None, recorder: Recorder::default() }
    }

    /// The same with something wrong with it.
    pub(crate) fn with(flaw: claims::Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::new() }
    }

    /// The same, and what it calls is written down.
    pub(crate) fn recorded(self, recorder: &Recorder) -> Self {
        Self { recorder: recorder.clone(), ..self }
    }

    fn process(&self) -> Arc<dyn Store> {
        let connection = local::connection(local::address()).interceptor(self.recorder.clone());
        let client = dynamodb::patient_client(connection, &local::patient());
        let table = self.table.lock().unwrap().clone();
        let options = claims::Options {
            flaw: self.flaw,
            look_back: Duration::from_hours(10 * 24),
            ..claims::Options::new(table)
        };
        Arc::new(Claims::new(client, options))
    }
}

#[async_trait]
impl Subject for ClaimsSubject {
    async fn fresh(&self) -> Arc<dyn Store> {
        let table = local::table().await;
        *self.table.lock().unwrap() = table;
        self.process()
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        Some(self.process())
    }

    fn leases_end_with_the_process(&self) -> bool {
        false
    }

    fn knows_what_it_holds(&self) -> bool {
        false
    }

    fn remembers_what_was_forgotten(&self) -> bool {
        false
    }
}

/// Another subject's store behind a wrapper without a fault.
pub(crate) struct FaultySubject<S>(pub(crate) S);

#[async_trait]
impl<S: Subject> Subject for FaultySubject<S> {
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(Faulty::new(self.0.fresh().await))
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(Arc::new(Faulty::new(self.0.restart(store).await?)))
    }

    fn counts_what_was_finished(&self) -> bool {
        self.0.counts_what_was_finished()
    }

    fn leases_end_with_the_process(&self) -> bool {
        self.0.leases_end_with_the_process()
    }

    fn knows_what_it_holds(&self) -> bool {
        self.0.knows_what_it_holds()
    }

    fn remembers_what_was_forgotten(&self) -> bool {
        self.0.remembers_what_was_forgotten()
    }
}
