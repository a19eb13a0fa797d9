//! The default store: a segmented log in one directory of one machine, owned by one process.
//!
//! The log is the truth, and everything else is derived from it. An append is one record; the writer makes many of them
//! durable with one sync and then answers each caller. What is unfinished is kept in memory, what is finished costs
//! none. `docs/store-format.md` describes the files byte by byte.
//!
//! Where to read on: [`record`] is what is written, [`writer`] makes it durable, [`book`] is what it means, [`recovery`]
//! reads it again, [`retention`] forgets it.

mod admission;
mod answer;
mod book;
pub(crate) mod codec;
mod disk;
mod keeper;
mod keyfile;
mod log;
mod lookup;
mod reads;
mod record;
mod recovery;
mod retention;
mod segment;
mod snapshot;
mod watermarks;
mod writer;

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use hookward_core::{Event, EventKey, SourceName, Timestamp};

use self::{
    answer::{Caller, caller},
    book::{Granted, Progress},
    log::{Failure, Log, Spare, Submission, Then},
    lookup::{Found, find},
    record::{Discarded, OutcomeRecord, Place, Requeued, Verdict, Watermark},
    segment::ReadError,
    writer::Writer,
};
pub use self::{
    disk::{Disk, RealDisk},
    recovery::Recovery,
};
use crate::{
    Attempt, Claim, Counts, Expired, Kept, Lease, Leased, Outcome, Page, Query, Receipt, State,
    Store, StoreError, Work,
};

/// How an embedded store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The size of a segment: space is given back by segments, and an event must fit in one. 64 MiB; from 4 KiB to 1 GiB.
    pub segment_bytes: u32,
    /// Unfinished events taken before an append answers [`StoreError::Full`]: about 350 bytes of memory each, bodies aside
    /// (measured with a million, all leased). 1,000,000.
    pub queue_max: usize,
    /// Dead letters beyond which an append to quarantine answers [`StoreError::Full`]: they are at hand for people, about 200
    /// bytes of memory each (measured likewise), until their bodies expire. Deliveries that are given up add to them, so events
    /// to deliver are refused too when there are more of both than both limits together. 1,000,000.
    pub dead_max: usize,
    /// The longest that an append waits for others to share its sync, where that was found to pay. 150 µs.
    pub commit_delay_max: Duration,
    /// Memory for bodies of new events, so that their first delivery reads no disk. 16 MiB.
    pub cache_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            queue_max: 1_000_000,
            dead_max: 1_000_000,
            commit_delay_max: Duration::from_micros(150),
            cache_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// The smallest segment that is of any use.
const SEGMENT_BYTES_MIN: u32 = 4 * 1024;

/// The largest segment: offsets are 32 bits, and space is given back by segments.
const SEGMENT_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns the directory.
    #[error("{} is in use by another process: stop it, or talk to it over its admin API", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("cannot use the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The directory holds something that is not of a store.
    #[error("{name} is not a file of a store: give the store a directory of its own")]
    Foreign {
        /// The file.
        name: String,
    },
    /// The disk failed.
    #[error("reading or writing the store failed")]
    Disk(#[from] io::Error),
    /// Acknowledged data is missing or changed. Nothing was altered: a person must look, or restore a copy.
    #[error("the store is damaged: {place}")]
    Damaged {
        /// Where, and what is wrong.
        place: String,
    },
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Disk(error) => Self::Disk(error),
            ReadError::Damaged(place) => Self::Damaged { place },
        }
    }
}

/// A store in a directory.
///
/// Dropping it stops it as a crash would, without losing anything acknowledged; [`Store::close`] also writes what makes the
/// next opening fast.
#[derive(Debug)]
pub struct Embedded {
    log: Arc<Log>,
    recovery: Recovery,
    threads: Arc<Mutex<Threads>>,
}

/// What runs, and what is to be given back when it has ended.
#[derive(Debug)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    lock: Option<File>,
}

impl Embedded {
    /// Opens the store in a directory, which is made if there is none. Reads the disk, and returns when the store is ready.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = disk::lock(path)?;
        Self::start(Arc::new(RealDisk::open(path)?), options, Some(lock))
    }

    /// Opens the store on a disk of the caller's, who sees to it that nobody else does.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        Self::start(disk, options, None)
    }

    /// What opening the store found.
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    fn start(
        disk: Arc<dyn Disk>,
        mut options: Options,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        options.segment_bytes = options.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let recovered = recovery::recover(disk.as_ref(), &options)?;
        let log = Arc::new(Log::new(disk, options, recovered.state));
        let writer = Writer::new(Arc::clone(&log), recovered.segment, recovered.offset);
        let writer = thread::Builder::new().name("hookward-log".into()).spawn(|| writer.run())?;
        let kept = Arc::clone(&log);
        let keeper = thread::Builder::new()
            .name("hookward-keeper".into())
            .spawn(move || keeper::run(&kept))?;
        let threads = Threads { writer: Some(writer), keeper: Some(keeper), lock };
        Ok(Self { log, recovery: recovered.recovery, threads: Arc::new(Mutex::new(threads)) })
    }

    /// Runs something that reads the disk where that stalls nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Log) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let log = Arc::clone(&self.log);
        let joined = tokio::task::spawn_blocking(move || run(&log)).await;
        joined.unwrap_or_else(|error| Err(StoreError::Unavailable(Arc::new(error))))
    }

    /// An event that cannot be read can never be delivered: it waits for a person, who sees why, and can drop it.
    async fn give_up_if_damaged(&self, lease: Lease, error: &StoreError, now: Timestamp) {
        let StoreError::Damaged { place } = error else { return };
        let note = format!("what is stored cannot be read: {place}").into();
        let attempt = Attempt { at: now, status: None, note };
        if let Err(error) = self.settle(lease, Outcome::Dead(attempt), now).await {
            tracing::warn!(error = %error, "an event that cannot be read stays in the queue");
        }
    }

    /// Closes the open segment if all in it has expired, so that it can go too, and writes down that time.
    async fn note_expiry(&self, now: Timestamp) -> Result<(), StoreError> {
        if retention::open_segment_has_expired(&self.log) {
            self.durably(|log, state, answer| {
                let Some(place) = state.move_on() else { return Ok(None) };
                state.book.watermarks.note(place, now);
                let then = answer.take().map_or(Then::Nothing, Then::Answer);
                log.submit(state, Submission { place, record: None, then });
                Ok(Some(()))
            })
            .await?;
        }
        self.durably(|log, state, answer| {
            let record = Watermark { expired_at: now }.encode();
            let Some(place) = state.reserve(record.len()) else { return Ok(None) };
            state.book.watermarks.note(place, now);
            let then = answer.take().map_or(Then::Nothing, Then::Answer);
            log.submit(state, Submission { place, record: Some(record), then });
            Ok(Some(()))
        })
        .await
    }

    /// Waits until what was said so far is in the log, so that reading it tells the latest.
    async fn written(&self) -> Result<(), StoreError> {
        let (answer, written) = caller();
        {
            let mut state = self.log.reading()?;
            if state.durable == state.tail || matches!(state.failure, Some(Failure::Disk(_))) {
                return Ok(());
            }
            let place = state.tail;
            self.log
                .submit(&mut state, Submission { place, record: None, then: Then::Answer(answer) });
        }
        // When writing fails, what is in the log can still be read.
        drop(written.answer().await);
        Ok(())
    }

    /// Writes a record that somebody waits for. `run` says which, and is run again while there is no room for it.
    async fn durably(
        &self,
        mut run: impl FnMut(
            &Log,
            &mut log::State,
            &mut Option<Caller<()>>,
        ) -> Result<Option<()>, StoreError>
        + Send,
    ) -> Result<(), StoreError> {
        let (answer, durable) = caller();
        let mut answer = Some(answer);
        self.log.with_room(|state| run(&self.log, state, &mut answer)).await?;
        if answer.is_some() {
            return Ok(());
        }
        durable.answer().await.unwrap_or_else(|| Err(self.log.broken()))
    }
}

#[async_trait]
impl Store for Embedded {
    async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        admission::append(&self.log, event, claim).await
    }

    async fn lease(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Work, StoreError> {
        let (granted, next_due) = self.log.sound()?.lease(sources, now, until, limit);
        let unread: Vec<Place> =
            granted.iter().filter(|one| one.cached.is_none()).map(|one| one.place).collect();
        let (mut bodies, mut unread) = match unread.as_slice() {
            [] => (HashMap::new(), HashMap::new()),
            _ => self.blocking(move |log| Ok(reads::load(log, &unread))).await?,
        };
        let mut work = Work { leased: Vec::with_capacity(granted.len()), next_due };
        let mut failed = None;
        for Granted { place, lease, cached, progress: Progress { attempts, replays, .. } } in
            granted
        {
            if let Some(event) = cached.or_else(|| bodies.remove(&place)) {
                work.leased.push(Leased { lease, event, attempts, replays });
            } else if let Some(error) = unread.remove(&place) {
                self.give_up_if_damaged(lease, &error, now).await;
                failed = Some(error);
            }
        }
        match failed {
            // What could be read is leased and must not wait for what could not.
            Some(error) if work.leased.is_empty() => Err(error),
            Some(_) | None => Ok(work),
        }
    }

    async fn extend(
        &self,
        lease: &Lease,
        _now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.log.sound()?.book.extend(lease, until)?;
        Ok(Lease { until, ..lease.clone() })
    }

    async fn settle(
        &self,
        lease: Lease,
        outcome: Outcome,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let (verdict, attempt) = match outcome {
            Outcome::Done(attempt) => (Verdict::Done, Some(attempt)),
            Outcome::Again { at, attempt } => (Verdict::Again(at), Some(attempt)),
            Outcome::Release { at } => (Verdict::Again(at), None),
            Outcome::Dead(attempt) => (Verdict::Dead, Some(attempt)),
        };
        let attempt = attempt.map(Attempt::clipped);
        self.log
            .with_room(|state| {
                let event = state.book.holder(&lease)?;
                let progress = state.book.pending.get(&event).ok_or(StoreError::Fenced)?.progress;
                let record = OutcomeRecord {
                    event,
                    previous: progress.last,
                    verdict,
                    attempts: progress.attempts.saturating_add(u32::from(attempt.is_some())),
                    replays: progress.replays,
                    attempt: attempt.clone(),
                };
                let encoded = record.encode();
                let Some(place) = state.reserve(encoded.len()) else { return Ok(None) };
                state.book.ended(place, &record);
                self.log.submit(
                    state,
                    Submission { place, record: Some(encoded), then: Then::Nothing },
                );
                Ok(Some(()))
            })
            .await
    }

    async fn get(&self, key: EventKey) -> Result<Option<Kept>, StoreError> {
        self.written().await?;
        self.blocking(move |log| reads::get(log, key)).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.written().await?;
        let query = query.clone();
        self.blocking(move |log| reads::list(log, &query)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.blocking(|log| {
            let counts = {
                let state = log.reading()?;
                state.book.counts(state.events())
            };
            let files =
                log.disk.files().map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
            Ok(Counts { stored_bytes: files.iter().map(|(_, size)| size).sum(), ..counts })
        })
        .await
    }

    async fn requeue(&self, key: EventKey, now: Timestamp) -> Result<(), StoreError> {
        let found = self.blocking(move |log| find(log, key)).await?.ok_or(StoreError::NotFound)?;
        if found.state(&self.log.sound()?.book).is_none() {
            return Err(StoreError::NotFound);
        }
        let Found::Event { place: event, facts, .. } = found else {
            return Err(StoreError::BodyExpired);
        };
        self.written().await?;
        let unlisted = self.blocking(move |log| reads::last_attempt(log, event)).await?;
        self.durably(|log, state, answer| {
            let standing = state.book.standing(event, &facts);
            if standing.forgotten || !state.segments.contains_key(&event.segment) {
                return Err(StoreError::NotFound);
            }
            if standing.body_expired {
                return Err(StoreError::BodyExpired);
            }
            let progress = standing.progress.unwrap_or_default();
            let record = Requeued {
                event,
                previous: progress.last.or(unlisted),
                replays: progress.replays.saturating_add(1),
                due_at: now,
            };
            let encoded = record.encode();
            let Some(place) = state.reserve(encoded.len()) else { return Ok(None) };
            state.book.requeued(&record, || Ok::<_, StoreError>(facts.clone()))?;
            let then = answer.take().map_or(Then::Nothing, Then::Answer);
            log.submit(state, Submission { place, record: Some(encoded), then });
            Ok(Some(()))
        })
        .await
    }

    async fn discard(&self, key: EventKey, _now: Timestamp) -> Result<(), StoreError> {
        let found = self.blocking(move |log| find(log, key)).await?;
        let Some(Found::Event { place: event, facts, .. }) = found else {
            return Err(StoreError::NotFound);
        };
        self.durably(|log, state, answer| {
            let standing = state.book.standing(event, &facts);
            if standing.state != State::Dead || standing.body_expired {
                return Err(StoreError::NotFound);
            }
            let record = Discarded { event };
            let encoded = record.encode();
            let Some(place) = state.reserve(encoded.len()) else { return Ok(None) };
            state.book.discarded(record);
            state.forgive(event);
            let then = answer.take().map_or(Then::Nothing, Then::Answer);
            log.submit(state, Submission { place, record: Some(encoded), then });
            Ok(Some(()))
        })
        .await
    }

    async fn expire(&self, now: Timestamp) -> Result<Expired, StoreError> {
        {
            let mut state = self.log.sound()?;
            let tail = state.tail;
            state.book.watermarks.note(tail, now);
        }
        // On a full disk there is no room to write down what expired; removing it gives room.
        let noted = self.note_expiry(now).await;
        let expired = self.blocking(retention::collect).await?;
        if expired == Expired::default() { noted.map(|()| expired) } else { Ok(expired) }
    }

    async fn health(&self) -> Result<(), StoreError> {
        let mut state = self.log.reading()?;
        if let Some(failure) = &state.failure {
            return Err(failure.error());
        }
        let Some(error) = state.starved.clone() else { return Ok(()) };
        // Nobody may append while this says no, so whether space has returned is tried from here.
        state.spare = Spare::Wanted;
        self.log.chores.notify_one();
        Err(StoreError::Unavailable(error))
    }

    async fn close(&self) -> Result<(), StoreError> {
        {
            let mut state = self.log.reading()?;
            state.closing = true;
        }
        let (log, threads) = (Arc::clone(&self.log), Arc::clone(&self.threads));
        let stopped = tokio::task::spawn_blocking(move || {
            let lock = stop(&log, &threads);
            let (failure, spare) = {
                let state = log.state();
                (state.failure.clone(), keeper::spare_name(state.tail.segment + 1))
            };
            if let Err(error) = log.disk.remove(&spare) {
                tracing::debug!(error = %error, "there was no spare segment to remove");
            }
            let written = match failure {
                Some(failure @ Failure::Disk(_)) => Err(failure.error()),
                Some(Failure::Damaged(..)) | None => {
                    // What was expiring may still be at it.
                    let _housekeeping =
                        log.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
                    keeper::write_snapshot(&log)
                        .map(drop)
                        .map_err(|error| StoreError::Unavailable(Arc::new(error)))
                }
            };
            drop(lock);
            written
        });
        stopped.await.unwrap_or_else(|error| Err(StoreError::Unavailable(Arc::new(error))))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(stop(&self.log, &self.threads));
    }
}

/// Ends the threads; what is in the queue is written. Gives back the lock of the directory.
fn stop(log: &Log, threads: &Mutex<Threads>) -> Option<File> {
    log.state().closing = true;
    log.work.notify_all();
    let mut threads = threads.lock().unwrap_or_else(PoisonError::into_inner);
    for thread in [threads.writer.take(), threads.keeper.take()].into_iter().flatten() {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
    let waiting = std::mem::take(&mut log.state().waiting_for_room);
    drop(waiting);
    threads.lock.take()
}
