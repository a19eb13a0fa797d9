//! What a node has in memory: its unfinished events, their order, and how far it has come.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use hookward_core::{ContentDigest, EventKey, EventParts, SourceName, Timestamp};
use tokio::sync::watch;

use super::{
    item::{
        event::ReceiptId,
        held_until,
        journal::{Entry, EntryKind},
        ticket::{Ticket, TicketState},
        whole_secs,
    },
    journal::Tells,
    ledger::{Finished, Ledger},
    progress::Progress,
    recent::{Known, Recent},
    tenure::Tenure,
    tickets::Undecided,
};
use crate::{ATTEMPTS_KEPT_MAX, Attempt, Counts, Lease, State, StoreError};

/// A lease's token is the node's epoch above so many bits, and a counter below.
const TOKEN_BITS: u32 = 40;

/// Everything that one lock guards. No method waits for anything.
#[derive(Debug)]
pub(crate) struct Book {
    /// What this process is at present.
    pub(crate) tenure: Arc<Tenure>,
    /// Above every token that another node handed out for the events that are here.
    pub(crate) epoch: u64,
    next_number: u64,
    pub(crate) progress: Progress,
    /// Journal items with unfinished events, oldest first: time and last number.
    groups: VecDeque<(Timestamp, u64)>,
    last_group: Timestamp,
    /// What waits to be journaled.
    pub(crate) journal: VecDeque<Queued>,
    entries: HashMap<EventKey, Waiting>,
    queue: HashMap<SourceName, BTreeSet<(Timestamp, u64, EventKey)>>,
    arrivals: u64,
    tokens: u64,
    cached_bytes: usize,
    /// Keys whose write is on its way; the channel closes when it is not any more.
    pub(crate) in_flight: HashMap<EventKey, watch::Receiver<()>>,
    /// Keys whose write had no answer.
    pub(crate) unresolved: HashMap<EventKey, Unresolved>,
    /// Keys whose ticket had no answer.
    pub(crate) undecided: HashMap<EventKey, Undecided>,
    trials: u64,
    pub(crate) recent: Recent,
    pub(crate) ledger: Ledger,
    /// What had expired at this time cannot be seen. The time that was told last: after one that was wrong, all that is still
    /// in the table is seen again.
    pub(crate) forgotten_at: Timestamp,
    /// The latest time that anybody told this store.
    pub(crate) latest: Timestamp,
    pub(crate) closed: bool,
}

/// An event that waits to be journaled.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) entry: Entry,
    pub(crate) expires_at: Timestamp,
    pub(crate) told: Tells,
}

/// A write of which nobody knows whether it took place: a later try of the same event uses the same receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unresolved {
    /// Which try it is: whoever looks for an earlier one knows less.
    pub(crate) trial: u64,
    pub(crate) number: u64,
    /// The number under which the journal holds it, where that is another one.
    pub(crate) also: Option<u64>,
    pub(crate) receipt: ReceiptId,
    pub(crate) content: ContentDigest,
    /// Whether the journal holds it.
    pub(crate) journaled: bool,
}

/// An event that somebody has to deliver.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) facts: Facts,
    /// The event, when its body is at hand and there was memory for it.
    pub(crate) event: Option<Arc<EventParts>>,
    /// Numbers of this node that are finished when it is.
    pub(crate) numbers: Vec<u64>,
    arrival: u64,
    pub(crate) attempts: u32,
    pub(crate) replays: u32,
    replayed_at: Option<Timestamp>,
    pub(crate) history: VecDeque<Attempt>,
    /// The version of its ticket; 0 when it has none.
    pub(crate) ticket: u64,
    /// Whether the ticket would expire before the event, which was given more time.
    pub(crate) ticket_is_short: bool,
    /// Whether a later ticket may have been written without an answer.
    pub(crate) ticket_is_in_doubt: bool,
    pub(crate) due_at: Timestamp,
    pub(crate) free_at: Timestamp,
    pub(crate) token: Option<u64>,
}

/// What does not change of an event.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) key: EventKey,
    pub(crate) source: SourceName,
    pub(crate) receipt: ReceiptId,
    pub(crate) content: ContentDigest,
    pub(crate) received_at: Timestamp,
    pub(crate) body_expires_at: Timestamp,
    pub(crate) key_expires_at: Option<Timestamp>,
    /// When DynamoDB may delete it. `None`: never.
    pub(crate) held_until: Option<Timestamp>,
    /// Until when it is kept for being unfinished.
    pub(crate) lives_until: Timestamp,
    pub(crate) body_bytes: usize,
}

impl Facts {
    pub(crate) fn of(event: &EventParts, receipt: ReceiptId, body_bytes: usize) -> Self {
        Self {
            key: event.key,
            source: event.source.clone(),
            receipt,
            content: event.content,
            received_at: event.received_at,
            body_expires_at: event.body_expires_at,
            key_expires_at: event.key_expires_at,
            held_until: held_until(event),
            lives_until: Timestamp::default(),
            body_bytes,
        }
    }

    /// Whether DynamoDB may delete it before a time.
    pub(crate) fn expires_before(&self, at: Timestamp) -> bool {
        self.held_until.is_some_and(|until| until < at)
            || self.body_expires_at.max(self.lives_until) < at
    }

    /// It is unfinished, and kept until a time whatever it was kept for.
    pub(crate) fn lives_until(&mut self, at: Timestamp) {
        self.lives_until = at;
        self.held_until = self.held_until.map(|until| until.max(at));
    }

    /// When nobody asks the journal for it any more.
    pub(crate) fn journaled_until(&self) -> Timestamp {
        self.body_expires_at.max(self.lives_until)
    }

    pub(crate) fn finished(&self, dead: bool) -> Finished {
        Finished {
            body_expires_at: self.body_expires_at,
            key_expires_at: self.key_expires_at,
            body_bytes: self.body_bytes as u64,
            dead,
        }
    }

    pub(crate) fn known(&self, state: State) -> Known {
        Known { content: self.content, state, held_until: self.held_until }
    }

    pub(crate) fn entry(&self, kind: EntryKind) -> Entry {
        Entry { key: self.key, source: self.source.clone(), at: self.received_at, kind }
    }
}

impl Waiting {
    /// A new event.
    pub(crate) fn fresh(
        facts: Facts,
        event: impl Into<Option<Arc<EventParts>>>,
        numbers: Vec<u64>,
    ) -> Self {
        Self {
            due_at: facts.received_at,
            free_at: facts.received_at,
            facts,
            event: event.into(),
            numbers,
            arrival: 0,
            attempts: 0,
            replays: 0,
            replayed_at: None,
            history: VecDeque::new(),
            ticket: 0,
            ticket_is_short: false,
            ticket_is_in_doubt: false,
            token: None,
        }
    }

    /// An event that has a ticket.
    pub(crate) fn ticketed(
        facts: Facts,
        event: impl Into<Option<Arc<EventParts>>>,
        numbers: Vec<u64>,
        ticket: Ticket,
    ) -> Self {
        let due_at = match ticket.state {
            TicketState::Pending { due_at } => due_at,
            TicketState::Done | TicketState::Dead(_) | TicketState::Dropped => facts.received_at,
        };
        Self {
            due_at,
            free_at: due_at,
            facts,
            event: event.into(),
            numbers,
            arrival: 0,
            attempts: ticket.attempts,
            replays: ticket.replays,
            replayed_at: ticket.replayed_at,
            history: ticket.history,
            ticket: ticket.version,
            ticket_is_short: false,
            ticket_is_in_doubt: false,
            token: None,
        }
    }

    /// What its own ticket says that was written without an answer counts.
    pub(crate) fn follow(&mut self, ticket: Ticket) {
        if let TicketState::Pending { due_at } = ticket.state {
            (self.due_at, self.free_at) = (due_at, due_at);
        }
        self.attempts = ticket.attempts;
        self.replays = ticket.replays;
        self.replayed_at = ticket.replayed_at;
        self.history = ticket.history;
        self.ticket = ticket.version;
        self.ticket_is_in_doubt = false;
        self.token = None;
    }

    fn pending_since(&self) -> Timestamp {
        self.replayed_at.unwrap_or(self.facts.received_at)
    }

    /// One more attempt ended.
    pub(crate) fn tried(&mut self, attempt: Attempt) {
        self.attempts = self.attempts.saturating_add(1);
        if self.history.len() == ATTEMPTS_KEPT_MAX {
            self.history.pop_front();
        }
        self.history.push_back(attempt.clipped());
    }

    /// The ticket that says so; its version is one higher than that of the ticket that is there.
    pub(crate) fn next_ticket(&self, owner: u64, state: TicketState) -> Ticket {
        Ticket {
            key: self.facts.key,
            receipt: self.facts.receipt,
            version: self.ticket + 1,
            owner,
            state,
            attempts: self.attempts,
            replays: self.replays,
            replayed_at: self.replayed_at,
            history: self.history.clone(),
            expires_at: self.facts.held_until.map(whole_secs),
        }
    }
}

impl Book {
    pub(crate) fn new(tenure: Arc<Tenure>, recent_max: usize, now: Timestamp) -> Self {
        Self {
            epoch: tenure.node,
            tenure,
            next_number: 1,
            progress: Progress::default(),
            groups: VecDeque::new(),
            last_group: Timestamp::default(),
            journal: VecDeque::new(),
            entries: HashMap::new(),
            queue: HashMap::new(),
            arrivals: 0,
            tokens: 0,
            cached_bytes: 0,
            in_flight: HashMap::new(),
            unresolved: HashMap::new(),
            undecided: HashMap::new(),
            trials: 0,
            recent: Recent::new(recent_max),
            ledger: Ledger::default(),
            forgotten_at: Timestamp::default(),
            latest: now,
            closed: false,
        }
    }

    /// Begins again as another node: all that was here is somebody else's now.
    pub(crate) fn begin_again(&mut self, tenure: Arc<Tenure>, recent_max: usize) {
        let fresh = Self::new(tenure, recent_max, self.latest);
        let before = std::mem::replace(self, fresh);
        self.ledger = before.ledger;
        self.forgotten_at = before.forgotten_at;
        self.closed = before.closed;
        // Whoever waits for these is told when their senders are dropped, and finds out the rest.
        self.in_flight = before.in_flight;
    }

    /// The next number of this node, unfinished.
    pub(crate) fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Which try of an event without an answer this is.
    pub(crate) fn next_trial(&mut self) -> u64 {
        self.trials += 1;
        self.trials
    }

    /// The last number that was given.
    pub(crate) const fn last_number(&self) -> u64 {
        self.next_number - 1
    }

    /// The journal from here on has unfinished events.
    pub(crate) fn journal_from(&mut self) -> Timestamp {
        while let Some((_, last)) = self.groups.front() {
            if *last > self.progress.through() {
                break;
            }
            self.groups.pop_front();
        }
        let next = Timestamp::from_micros(self.last_group.as_micros() + 1);
        self.groups.front().map_or(next, |(at, _)| *at)
    }

    /// The time of the next journal item, for events of which `at` is the youngest.
    pub(crate) fn next_group(&mut self, at: Timestamp, last: u64) -> Timestamp {
        let after = Timestamp::from_micros(self.last_group.as_micros() + 1);
        self.last_group = at.max(after);
        self.groups.push_back((self.last_group, last));
        self.last_group
    }

    pub(crate) fn waiting(&self, key: EventKey) -> Option<&Waiting> {
        self.entries.get(&key)
    }

    pub(crate) fn waiting_count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn all_waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.entries.values()
    }

    /// Takes an unfinished event in, in place of what is known of it already.
    pub(crate) fn insert(&mut self, mut waiting: Waiting, cache_bytes_max: usize) {
        let key = waiting.facts.key;
        if let Some(mut before) = self.take(key) {
            waiting.numbers.append(&mut before.numbers);
        }
        self.arrivals += 1;
        waiting.arrival = self.arrivals;
        if let Some(event) = &waiting.event {
            if self.cached_bytes + event.body.len() <= cache_bytes_max {
                self.cached_bytes += event.body.len();
            } else {
                waiting.event = None;
            }
        }
        self.recent.note(key, waiting.facts.known(State::Pending));
        self.enqueue(&waiting);
        self.entries.insert(key, waiting);
    }

    /// Takes an event out, its numbers unfinished.
    pub(crate) fn take(&mut self, key: EventKey) -> Option<Waiting> {
        let waiting = self.entries.remove(&key)?;
        if let Some(event) = &waiting.event {
            self.cached_bytes -= event.body.len();
        }
        self.dequeue(&waiting);
        Some(waiting)
    }

    /// An event needs nothing any more.
    pub(crate) fn finish(&mut self, key: EventKey, state: State) {
        if let Some(waiting) = self.take(key) {
            for number in &waiting.numbers {
                self.progress.finish(*number);
            }
            self.ledger.add(waiting.facts.finished(state == State::Dead));
            self.recent.note(key, waiting.facts.known(state));
        }
    }

    /// An event is somebody else's: its numbers mean nothing any more.
    pub(crate) fn give_up(&mut self, key: EventKey) {
        if let Some(waiting) = self.take(key) {
            for number in &waiting.numbers {
                self.progress.finish(*number);
            }
            self.recent.forget(key);
        }
    }

    /// An event is what its ticket says; nobody has a lease of it any more.
    pub(crate) fn follow(&mut self, key: EventKey, ticket: Ticket) {
        match ticket.state {
            TicketState::Pending { .. } => {
                self.change(key, |waiting| waiting.follow(ticket));
            }
            TicketState::Done => self.finish(key, State::Done),
            TicketState::Dead(_) => self.finish(key, State::Dead),
            TicketState::Dropped => self.finish(key, State::Dropped),
        }
    }

    /// An event's other numbers are finished: this one stands for it now.
    pub(crate) fn renumber(&mut self, key: EventKey, number: u64) {
        let Some(waiting) = self.entries.get_mut(&key) else {
            self.progress.finish(number);
            return;
        };
        for former in std::mem::replace(&mut waiting.numbers, vec![number]) {
            self.progress.finish(former);
        }
    }

    /// The entry of a lease that is the caller's.
    pub(crate) fn leased(&self, lease: &Lease) -> Result<&Waiting, StoreError> {
        let held = |waiting: &&Waiting| waiting.token == Some(lease.token);
        self.entries.get(&lease.key).filter(held).ok_or(StoreError::Fenced)
    }

    /// Leases an event until a time.
    pub(crate) fn lease(&mut self, key: EventKey, until: Timestamp) -> Option<Lease> {
        self.tokens += 1;
        let token = (self.epoch << TOKEN_BITS) | self.tokens;
        self.change(key, |waiting| {
            waiting.token = Some(token);
            waiting.free_at = until;
        })?;
        Some(Lease { key, token, until })
    }

    /// Changes an event and its place in the queue.
    pub(crate) fn change<T>(
        &mut self,
        key: EventKey,
        change: impl FnOnce(&mut Waiting) -> T,
    ) -> Option<T> {
        let mut waiting = self.entries.remove(&key)?;
        self.dequeue(&waiting);
        let changed = change(&mut waiting);
        self.enqueue(&waiting);
        self.entries.insert(key, waiting);
        Some(changed)
    }

    /// What is due of some sources, oldest first, at most so many; and when the next one is.
    pub(crate) fn due(
        &self,
        sources: &[SourceName],
        now: Timestamp,
        limit: usize,
    ) -> (Vec<EventKey>, Option<Timestamp>) {
        let distinct: BTreeSet<&SourceName> = sources.iter().collect();
        let mut heads: Vec<_> = distinct
            .into_iter()
            .filter_map(|source| Some(self.queue.get(source)?.iter().peekable()))
            .collect();
        let mut due = Vec::new();
        loop {
            let next = heads
                .iter_mut()
                .filter_map(|head| Some((**head.peek()?, head)))
                .min_by_key(|(at, _)| *at);
            let Some(((free_at, _, key), head)) = next else { return (due, None) };
            if free_at > now || due.len() == limit {
                return (due, Some(free_at));
            }
            due.push(key);
            head.next();
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let (finished, dead, bytes) = self.ledger.counts();
        let mut counts = Counts {
            pending: self.entries.len() as u64,
            dead,
            finished,
            stored_bytes: bytes,
            ..Counts::default()
        };
        for waiting in self.entries.values() {
            counts.leased += u64::from(waiting.token.is_some());
            counts.stored_bytes += waiting.facts.body_bytes as u64;
            let since = waiting.pending_since();
            counts.oldest_pending =
                Some(counts.oldest_pending.map_or(since, |oldest| oldest.min(since)));
        }
        counts
    }

    fn enqueue(&mut self, waiting: &Waiting) {
        let place = (waiting.free_at, waiting.arrival, waiting.facts.key);
        if let Some(queue) = self.queue.get_mut(&waiting.facts.source) {
            queue.insert(place);
        } else {
            self.queue.insert(waiting.facts.source.clone(), BTreeSet::from([place]));
        }
    }

    fn dequeue(&mut self, waiting: &Waiting) {
        if let Some(queue) = self.queue.get_mut(&waiting.facts.source) {
            queue.remove(&(waiting.free_at, waiting.arrival, waiting.facts.key));
        }
    }
}
