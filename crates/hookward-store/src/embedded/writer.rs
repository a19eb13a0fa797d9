//! The one thread that writes the log: many records, one write, one sync, then each caller its answer.

use std::{
    io,
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    answer::Answers,
    codec::len_u32,
    disk::PAGE_BYTES,
    keeper::spare_name,
    log::{Failure, Held, Log, State, Submission, Then},
    record::{Encoded, Place},
    segment::{SEGMENT_HEADER_BYTES, Segment, log_name},
};
use crate::Receipt;

/// How long outcomes wait for an append to share its sync: they are answered already.
const SETTLE_DELAY: Duration = Duration::from_millis(5);

/// Every so many groups it is tried again whether waiting pays.
const PROBE_EVERY: u32 = 32;

/// A wait pays when it brings at least so many records on average, in hundredths.
const GAIN_MIN: usize = 50;

/// The buffer of a group is given back when it grew beyond this.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the writer is.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<Log>,
    segment: Arc<Segment>,
    offset: u32,
    buffer: Vec<u8>,
    delay: Delay,
}

/// Whether to wait for more records before a sync: learnt from what waiting brought.
#[derive(Debug, Default)]
struct Delay {
    groups: u32,
    last: usize,
    /// Records that a wait brought on average, in hundredths.
    gain: usize,
}

impl Writer {
    pub(crate) fn new(log: Arc<Log>, segment: Arc<Segment>, offset: u32) -> Self {
        Self { log, segment, offset, buffer: Vec::new(), delay: Delay::default() }
    }

    /// Writes until the store is closed or a write fails.
    pub(crate) fn run(mut self) {
        let log = Arc::clone(&self.log);
        let _watch = PanicWatch(&log);
        while let Some(batch) = self.next_batch() {
            if let Err(error) = self.commit(batch) {
                tracing::error!(error = %error, "writing the log failed; nothing is acknowledged until the store is reopened");
                fail(&log, error);
                break;
            }
        }
    }

    /// What is to be written next, once it is time. `None` when the store is closed and all is written.
    fn next_batch(&mut self) -> Option<Vec<Submission>> {
        let log = Arc::clone(&self.log);
        let mut state = log.state();
        let mut waited = None;
        loop {
            if state.closing {
                let rest = state.take_queue();
                return (!rest.is_empty()).then_some(rest);
            }
            if state.urgent == 0 {
                state.wake_at = 1;
                if state.queue.is_empty() {
                    state = log.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                } else {
                    let (woken, timeout) = wait(&log, state, SETTLE_DELAY);
                    state = woken;
                    if timeout {
                        break;
                    }
                }
                continue;
            }
            let wanted = self.delay.wanted(state.urgent);
            if waited.is_some() || state.urgent >= wanted {
                break;
            }
            waited = Some(state.urgent);
            state.wake_at = wanted;
            state = wait(&log, state, log.options.commit_delay_max).0;
        }
        self.delay.learn(waited, state.urgent);
        state.wake_at = usize::MAX;
        Some(state.take_queue())
    }

    fn commit(&mut self, batch: Vec<Submission>) -> io::Result<()> {
        let mut group = Vec::with_capacity(batch.len());
        for mut submission in batch {
            if submission.place.segment != self.segment.header.number {
                self.flush(std::mem::take(&mut group))?;
                self.move_on()?;
            }
            if let Some(record) = &mut submission.record {
                let offset = self.offset + len_u32(self.buffer.len());
                if offset != submission.place.offset {
                    return Err(io::Error::other("a record is not where its caller was told"));
                }
                let salt = self.segment.header.salt;
                record.stamp(&mut self.buffer, salt, offset, self.offset);
            }
            group.push(submission);
        }
        self.flush(group)
    }

    /// Makes a group durable and answers its callers.
    fn flush(&mut self, group: Vec<Submission>) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let len = self.buffer.len();
            self.fill_page();
            let result = self
                .log
                .disk
                .write(&self.segment.name, self.offset.into(), &self.buffer)
                .and_then(|()| self.log.disk.sync(&self.segment.name));
            if let Err(error) = result {
                fail_group(&self.log, group, error);
                return Err(io::Error::other("see the first error"));
            }
            self.offset += len_u32(len);
            self.buffer.clear();
            self.buffer.shrink_to(BUFFER_BYTES_MAX);
        }
        let durable = Place { segment: self.segment.header.number, offset: self.offset };
        applied(&self.log, group, durable);
        Ok(())
    }

    /// Appends the zeros that are behind the group anyway, to the end of a page: writing part of one, the system would have to
    /// read it first.
    fn fill_page(&mut self) {
        let end = u64::from(self.offset) + self.buffer.len() as u64;
        let filled = end.next_multiple_of(PAGE_BYTES).min(self.segment.header.bytes.into());
        let missing = usize::try_from(filled.saturating_sub(end)).unwrap_or_default();
        self.buffer.resize(self.buffer.len() + missing, 0);
    }

    /// Ends the segment and goes on in the next one, whose file waits already.
    fn move_on(&mut self) -> io::Result<()> {
        let disk = self.log.disk.as_ref();
        let (ended, next) = (self.segment.header.number, self.segment.header.number + 1);
        let mut seal = Vec::new();
        Encoded::seal().stamp(&mut seal, self.segment.header.salt, self.offset, self.offset);
        disk.write(&self.segment.name, self.offset.into(), &seal)?;
        disk.sync(&self.segment.name)?;
        disk.rename(&spare_name(next), &log_name(next))?;
        let segment = Segment::open(disk, next).map_err(io::Error::other)?;

        // About as many events as in the one before: a table that grows is copied again and again.
        let events = self.log.state().segments.get(&ended).map_or(0, |held| held.events);
        let held = Held::new(segment, usize::try_from(events).unwrap_or_default());
        self.segment = Arc::clone(&held.segment);
        self.offset = SEGMENT_HEADER_BYTES;
        let mut state = self.log.state();
        state.segments.insert(next, held);
        state.unindexed.push(ended);
        state.durable = Place { segment: next, offset: self.offset };
        state.arrange();
        drop(state);
        self.log.chores.notify_one();
        Ok(())
    }
}

impl Delay {
    /// At how many waiting records a group is complete, when so many wait already.
    fn wanted(&self, waiting: usize) -> usize {
        let probe = self.groups.is_multiple_of(PROBE_EVERY);
        if self.gain >= GAIN_MIN || probe { self.last.max(waiting + 1) } else { waiting }
    }

    fn learn(&mut self, waited: Option<usize>, now: usize) {
        self.groups = self.groups.wrapping_add(1);
        self.last = now;
        if let Some(before) = waited {
            self.gain = (self.gain * 3 + (now - before) * 100) / 4;
        }
    }
}

fn wait<'a>(
    log: &Log,
    state: MutexGuard<'a, State>,
    at_most: Duration,
) -> (MutexGuard<'a, State>, bool) {
    let (state, timeout) =
        log.work.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner);
    (state, timeout.timed_out())
}

/// So many records are noted at a stroke: the lock is what every caller needs, and must not be held for a whole group.
const NOTED_AT_A_STROKE: usize = 8;

/// The group is durable.
fn applied(log: &Log, mut group: Vec<Submission>, durable: Place) {
    let mut answers = Answers::with_capacity(group.len());
    let mut followers = Vec::new();
    while !group.is_empty() {
        let mut state = log.state();
        for Submission { place, record, then } in group.drain(..group.len().min(NOTED_AT_A_STROKE))
        {
            match then {
                Then::Nothing => {}
                Then::Answer(caller) => answers.plain(caller, Ok(())),
                Then::Keep(admission) => {
                    let lease = state.keep(place, &admission);
                    followers.extend(state.in_flight.remove(&admission.event.key));
                    answers.receipt(admission.answer, Ok(Receipt::Kept { lease }), record);
                }
            }
        }
    }
    log.state().durable = durable;
    answers.send();
    // Dropping them wakes whoever waited to see what becomes of the first append.
    drop(followers);
}

/// Sees to it that nobody waits for a writer that has gone, the keeper included, and no caller for one that has panicked.
struct PanicWatch<'a>(&'a Log);

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            fail(self.0, io::Error::other("the log's writer has panicked"));
        }
        self.0.state().drained = true;
        self.0.chores.notify_all();
    }
}

/// The medium failed: nothing is acknowledged any more.
pub(crate) fn fail(log: &Log, error: io::Error) {
    fail_group(log, Vec::new(), error);
}

fn fail_group(log: &Log, group: Vec<Submission>, error: io::Error) {
    let mut state = log.state();
    let failure = match state.failure.take() {
        Some(first @ Failure::Disk(_)) => first,
        Some(Failure::Damaged(..)) | None => Failure::Disk(Arc::new(error)),
    };
    state.failure = Some(failure.clone());
    let queue = state.take_queue();
    let followers = std::mem::take(&mut state.in_flight);
    let waiting = std::mem::take(&mut state.waiting_for_room);
    drop(state);
    let mut answers = Answers::default();
    for submission in group.into_iter().chain(queue) {
        match submission.then {
            Then::Nothing => {}
            Then::Answer(caller) => answers.plain(caller, Err(failure.error())),
            Then::Keep(admission) => {
                answers.receipt(admission.answer, Err(failure.error()), submission.record);
            }
        }
    }
    answers.send();
    drop((followers, waiting));
}
