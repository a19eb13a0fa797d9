//! What the callers, the writer and the keeper share: the book, which keys are where, and what is to be written.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use hookward_core::{ContentDigest, EventKey, EventParts, Intake, SourceName, Timestamp};
use tokio::sync::oneshot;

use super::{
    Options,
    answer::Caller,
    book::{Book, Facts, Granted},
    disk::Disk,
    keyfile::{KeyFile, Terms},
    record::{Encoded, Place},
    segment::{ReadError, SEGMENT_HEADER_BYTES, Segment},
};
use crate::{Lease, Receipt, StoreError};

/// Bytes that may wait for the writer: half a second's worth at full speed.
const QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The store, as its threads and callers see it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    state: Mutex<State>,
    /// The writer waits here.
    pub(crate) work: Condvar,
    /// The keeper waits here.
    pub(crate) chores: Condvar,
    /// Held while files other than the open segment change.
    pub(crate) housekeeping: Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) book: Book,
    /// Keys whose append is on its way, and who waits to see what becomes of it.
    pub(crate) in_flight: HashMap<EventKey, Vec<oneshot::Sender<()>>>,
    /// All segments that still have their bodies; the last one is open.
    pub(crate) segments: BTreeMap<u32, Held>,
    /// The keys of segments that went.
    pub(crate) retired: BTreeMap<u32, Arc<KeyFile>>,
    /// Where to look for a key besides the open segment, newest first.
    pub(crate) shelves: Arc<[Shelf]>,
    pub(crate) queue: Vec<Submission>,
    queued_bytes: usize,
    /// Submissions in the queue that somebody waits for.
    pub(crate) urgent: usize,
    /// So many of them wake the writer.
    pub(crate) wake_at: usize,
    /// The place of the next submission.
    pub(crate) tail: Place,
    /// The size of the tail's segment, and of those after it.
    tail_bytes: u32,
    segment_bytes: u32,
    /// Everything before it is durable.
    pub(crate) durable: Place,
    pub(crate) spare: Spare,
    pub(crate) waiting_for_room: Vec<oneshot::Sender<Result<(), Arc<io::Error>>>>,
    /// Sealed segments without a key file yet.
    pub(crate) unindexed: Vec<u32>,
    pub(crate) failure: Option<Failure>,
    /// Why there was no room for a record, until there is again.
    pub(crate) starved: Option<Arc<io::Error>>,
    pub(crate) closing: bool,
    /// The writer has gone, and the keeper is to follow.
    pub(crate) drained: bool,
    pub(crate) generation: u32,
    tokens: u32,
}

/// A segment with its bodies.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) segment: Arc<Segment>,
    pub(crate) keys: Keys,
    pub(crate) events: u64,
    pub(crate) terms: Terms,
}

/// Where the keys of a segment are.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    Memory(Arc<HashMap<EventKey, KeyEntry>>),
    File(Arc<KeyFile>),
}

/// What a key in memory leads to.
#[derive(Clone, Debug)]
pub(crate) struct KeyEntry {
    pub(crate) offset: u32,
    pub(crate) content: ContentDigest,
    pub(crate) facts: Facts,
}

/// A closed place to look for a key.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) segment: u32,
    /// `None` when only the keys are left.
    pub(crate) log: Option<Arc<Segment>>,
    pub(crate) keys: Keys,
}

/// The file that becomes the next segment.
#[derive(Debug)]
pub(crate) enum Spare {
    Missing,
    Wanted,
    Ready,
    /// It could not be made: tried again when it is needed, not before.
    Failed,
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) place: Place,
    /// `None` only moves the log on to the next segment.
    pub(crate) record: Option<Encoded>,
    pub(crate) then: Then,
}

/// What is to happen when it is durable.
#[derive(Debug)]
pub(crate) enum Then {
    Nothing,
    Answer(Caller<()>),
    Keep(Box<Admission>),
}

/// An event on its way.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) event: Arc<EventParts>,
    /// Leased at once until then.
    pub(crate) claim: Option<Timestamp>,
    pub(crate) answer: Caller<Receipt>,
}

/// Why nothing is acknowledged any more.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A write or sync failed: what the medium holds is known again when the store is reopened.
    Disk(Arc<io::Error>),
    /// Where; and which event, if it is one's alone: nothing is wrong any more when a person is done with that.
    Damaged(String, Option<Place>),
}

impl Failure {
    pub(crate) fn error(&self) -> StoreError {
        match self {
            Self::Disk(error) => StoreError::Unavailable(Arc::<io::Error>::clone(error)),
            Self::Damaged(place, _) => StoreError::Damaged { place: place.clone() },
        }
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Disk(error) => Self::Unavailable(Arc::new(error)),
            ReadError::Damaged(place) => Self::Damaged { place },
        }
    }
}

impl Log {
    pub(crate) fn new(disk: Arc<dyn Disk>, options: Options, state: State) -> Self {
        Self {
            disk,
            options,
            state: Mutex::new(state),
            work: Condvar::new(),
            chores: Condvar::new(),
            housekeeping: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a store that is neither closed nor, for whoever writes, broken.
    pub(crate) fn sound(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.reading()?;
        match &state.failure {
            Some(failure @ Failure::Disk(_)) => Err(failure.error()),
            Some(Failure::Damaged(..)) | None => Ok(state),
        }
    }

    /// The state of a store that is not closed.
    pub(crate) fn reading(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.closing { Err(StoreError::Closed) } else { Ok(state) }
    }

    /// Runs something that needs room for a record in the log, again whenever there is more room.
    pub(crate) async fn with_room<T: Send>(
        &self,
        mut run: impl FnMut(&mut State) -> Result<Option<T>, StoreError> + Send,
    ) -> Result<T, StoreError> {
        loop {
            let room = {
                let mut state = self.sound()?;
                if let Some(done) = run(&mut state)? {
                    return Ok(done);
                }
                let room = state.await_room();
                self.chores.notify_one();
                room
            };
            // A dropped sender means the same as room: look again.
            room.await.unwrap_or(Ok(())).map_err(|error| StoreError::Unavailable(error))?;
        }
    }

    /// Hands a record to the writer.
    pub(crate) fn submit(&self, state: &mut State, submission: Submission) {
        let urgent = !matches!(submission.then, Then::Nothing);
        state.queued_bytes += submission.record.as_ref().map_or(0, Encoded::len);
        state.queue.push(submission);
        state.urgent += usize::from(urgent);
        if (urgent && state.urgent >= state.wake_at) || (!urgent && state.queue.len() == 1) {
            self.work.notify_one();
        }
        // Early enough for the next file to be made at leisure.
        if state.tail.offset > self.options.segment_bytes / 8
            && matches!(state.spare, Spare::Missing)
        {
            state.spare = Spare::Wanted;
            self.chores.notify_one();
        }
    }

    /// What to say when the writer went away without an answer: from here on nothing is acknowledged, also when the writer has not
    /// got as far as saying so itself.
    pub(crate) fn broken(&self) -> StoreError {
        let mut state = self.state();
        let gone = || Failure::Disk(Arc::new(io::Error::other("the log's writer has stopped")));
        let failure = match state.failure.take() {
            Some(first @ Failure::Disk(_)) => first,
            Some(Failure::Damaged(..)) | None => gone(),
        };
        state.failure.insert(failure).error()
    }

    /// Remembers damage that was met while reading, for [`health`](crate::Store::health) to tell.
    pub(crate) fn note_damage(&self, error: &ReadError) {
        self.note(error, None);
    }

    /// The same of damage that is one event's.
    pub(crate) fn note_damaged_event(&self, error: &ReadError, event: Place) {
        self.note(error, Some(event));
    }

    fn note(&self, error: &ReadError, event: Option<Place>) {
        if let ReadError::Damaged(place) = error {
            tracing::error!(place, "the store is damaged");
            self.state().failure.get_or_insert_with(|| Failure::Damaged(place.clone(), event));
        }
    }

    /// The largest record of a segment.
    pub(crate) fn record_bytes_max(&self) -> usize {
        (self.options.segment_bytes - SEGMENT_HEADER_BYTES) as usize - seal_bytes()
    }
}

/// Room that is always left for the seal.
pub(crate) fn seal_bytes() -> usize {
    Encoded::seal().len()
}

impl State {
    pub(crate) fn new(
        book: Book,
        segments: BTreeMap<u32, Held>,
        retired: BTreeMap<u32, Arc<KeyFile>>,
        tail: Place,
        segment_bytes: u32,
        generation: u32,
    ) -> Self {
        let tail_bytes =
            segments.last_key_value().map_or(segment_bytes, |(_, held)| held.segment.header.bytes);
        let mut state = Self {
            book,
            in_flight: HashMap::new(),
            segments,
            retired,
            shelves: Arc::new([]),
            queue: Vec::new(),
            queued_bytes: 0,
            urgent: 0,
            wake_at: 1,
            tail,
            tail_bytes,
            segment_bytes,
            durable: tail,
            spare: Spare::Missing,
            waiting_for_room: Vec::new(),
            unindexed: Vec::new(),
            failure: None,
            starved: None,
            closing: false,
            drained: false,
            generation,
            tokens: 0,
        };
        state.arrange();
        state
    }

    /// Takes the place for a record of this length. `None` when it must wait for the next segment.
    pub(crate) fn reserve(&mut self, len: usize) -> Option<Place> {
        let fits = self.tail.offset as usize + len + seal_bytes() <= self.tail_bytes as usize;
        if !fits {
            self.move_on()?;
        }
        let place = self.tail;
        self.tail.offset += u32::try_from(len).ok()?;
        Some(place)
    }

    /// Moves the tail to the next segment, if its file is ready.
    pub(crate) fn move_on(&mut self) -> Option<Place> {
        if !matches!(self.spare, Spare::Ready) {
            return None;
        }
        self.spare = Spare::Missing;
        self.tail_bytes = self.segment_bytes;
        self.tail = Place { segment: self.tail.segment + 1, offset: SEGMENT_HEADER_BYTES };
        Some(self.tail)
    }

    /// A person is done with an event: if it was what was damaged, the store is well again.
    pub(crate) fn forgive(&mut self, event: Place) {
        if matches!(&self.failure, Some(Failure::Damaged(_, Some(damaged))) if *damaged == event) {
            self.failure = None;
        }
    }

    /// Asks for the next segment's file, and waits until it is there or cannot be made.
    fn await_room(&mut self) -> oneshot::Receiver<Result<(), Arc<io::Error>>> {
        self.spare = Spare::Wanted;
        let (room, wait) = oneshot::channel();
        self.waiting_for_room.push(room);
        wait
    }

    /// Whether so many more bytes may wait.
    pub(crate) const fn takes(&self, bytes: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes + bytes <= QUEUED_BYTES_MAX
    }

    /// The writer's share: all that waits.
    pub(crate) fn take_queue(&mut self) -> Vec<Submission> {
        self.queued_bytes = 0;
        self.urgent = 0;
        std::mem::take(&mut self.queue)
    }

    /// Puts the closed segments in the order in which they are searched.
    pub(crate) fn arrange(&mut self) {
        let logs = self.segments.iter().rev().skip(1).map(|(number, held)| Shelf {
            segment: *number,
            log: Some(Arc::clone(&held.segment)),
            keys: held.keys.clone(),
        });
        let retired = self.retired.iter().rev().map(|(number, file)| Shelf {
            segment: *number,
            log: None,
            keys: Keys::File(Arc::clone(file)),
        });
        self.shelves = logs.chain(retired).collect();
    }

    /// Leases what is due of these sources.
    pub(crate) fn lease(
        &mut self,
        sources: &[SourceName],
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> (Vec<Granted>, Option<Timestamp>) {
        let (due, next_due) = self.book.due(sources, now, limit);
        let granted = due.into_iter().filter_map(|place| {
            let token = self.token();
            self.book.grant(place, until, token)
        });
        (granted.collect(), next_due)
    }

    /// A kept event is durable: from now on it is found, and leased.
    pub(crate) fn keep(&mut self, place: Place, admission: &Admission) -> Option<Lease> {
        let event = &admission.event;
        let facts = Facts::of(event);
        if let Some(held) = self.segments.get_mut(&place.segment) {
            held.add(place.offset, event.content, facts.clone());
        }
        self.book.kept(place, facts, Some(Arc::clone(event)));
        let until = admission.claim.filter(|_| event.intake == Intake::Deliver)?;
        let token = self.token();
        self.book.grant(place, until, token).map(|granted| granted.lease)
    }

    /// A token higher than all before it, those of earlier processes included.
    pub(crate) fn token(&mut self) -> u64 {
        self.tokens = self.tokens.wrapping_add(1);
        if self.tokens == 0 {
            // Four thousand million leases in one run: go on as if the store had been reopened.
            self.generation = self.generation.saturating_add(1);
        }
        (u64::from(self.generation) << 32) | u64::from(self.tokens)
    }

    /// The key in the open segment.
    pub(crate) fn open_key(&self, key: EventKey) -> Option<(Place, &KeyEntry)> {
        let (number, held) = self.segments.last_key_value()?;
        match &held.keys {
            Keys::Memory(keys) => keys
                .get(&key)
                .map(|entry| (Place { segment: *number, offset: entry.offset }, entry)),
            Keys::File(_) => None,
        }
    }

    pub(crate) fn log_of(&self, place: Place) -> Option<Arc<Segment>> {
        self.segments.get(&place.segment).map(|held| Arc::clone(&held.segment))
    }

    pub(crate) fn events(&self) -> u64 {
        self.segments.values().map(|held| held.events).sum()
    }
}

impl Held {
    /// A segment without events, and room for the keys of so many.
    pub(crate) fn new(segment: Segment, events: usize) -> Self {
        Self {
            segment: Arc::new(segment),
            keys: Keys::Memory(Arc::new(HashMap::with_capacity(events))),
            events: 0,
            terms: Terms::NONE,
        }
    }

    pub(crate) fn add(&mut self, offset: u32, content: ContentDigest, facts: Facts) {
        self.events += 1;
        self.terms.add(facts.body_expires_at, facts.held_until);
        if let Keys::Memory(keys) = &mut self.keys {
            // While the segment is open nobody else holds its keys.
            Arc::make_mut(keys).insert(facts.key, KeyEntry { offset, content, facts });
        }
    }
}
