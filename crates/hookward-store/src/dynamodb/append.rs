//! The way of one event into the table.

use std::sync::Arc;

use hookward_core::{Event, EventParts, Intake};
use tokio::sync::watch;

use super::{
    Shared, bodies,
    book::{Facts, Unresolved, Waiting},
    duplicate::Standing,
    item::{
        Item,
        claim::{self, ClaimItem},
        dead::DeadMark,
        event::{self, EventItem, ReceiptId},
        journal::{Entry, EntryKind},
    },
    journal::Told,
    options::Flaw,
    spending::Held,
    table::{For, Guard, Written},
    tenure::Tenure,
    trouble::Trouble,
    usage::Purpose,
};
use crate::{Claim, Lease, Receipt, State, StoreError};

/// An event whose turn it is to be written.
struct Turn {
    tenure: Arc<Tenure>,
    /// A try of the same event of which nobody knows whether it took place.
    earlier: Option<Unresolved>,
    /// What it may cost at the least.
    _held: Option<Held>,
    /// Dropped when the key is not on its way any more, which tells whoever waits for that.
    _on_its_way: watch::Sender<()>,
}

/// An event that is on its way into the journal.
struct Numbered {
    number: u64,
    /// The number under which the journal holds it, where that is another one.
    also: Option<u64>,
    /// Told when the journal holds it; `None` when it does.
    journal: Option<Told>,
}

/// What this node's memory says to an append.
enum Admitted {
    Known(Receipt),
    /// The same key is on its way: its outcome first.
    After(watch::Receiver<()>),
    Write(Turn),
}

impl Shared {
    pub(super) async fn append(
        self: &Arc<Self>,
        event: Event,
        claim: Claim,
    ) -> Result<Receipt, StoreError> {
        let event = event.into_parts();
        let turn = loop {
            match self.admit(&event)? {
                Admitted::Known(receipt) => {
                    self.table.meter.wrote(Some(&event.source), Purpose::Duplicate, 0.0);
                    return Ok(receipt);
                }
                // An error is the end of the wait: its sender was dropped.
                Admitted::After(mut other) => drop(other.changed().await),
                Admitted::Write(turn) => break turn,
            }
        };
        // A caller that goes away leaves no half of it behind.
        let shared = Arc::clone(self);
        let written = tokio::spawn(async move {
            let key = event.key;
            let receipt = shared.write(event, claim, turn).await;
            shared.book().in_flight.remove(&key);
            receipt
        });
        match written.await {
            Ok(receipt) => receipt,
            Err(error) => Err(StoreError::Unavailable(Arc::new(error))),
        }
    }

    /// Gives the event its number and its place in the journal, unless memory knows the answer.
    fn admit(&self, event: &EventParts) -> Result<Admitted, StoreError> {
        let mut book = self.open_book()?;
        book.latest = book.latest.max(event.received_at);
        if !book.tenure.is_valid(&*self.options.clock) {
            return Err(
                Trouble::not_tried("this node's lease is over; it tries to get a new one").into()
            );
        }
        if let Some(other) = book.in_flight.get(&event.key) {
            return Ok(Admitted::After(other.clone()));
        }
        if let Some(waiting) = book.waiting(event.key) {
            let same = waiting.facts.content == event.content;
            return Ok(Admitted::Known(Receipt::for_held(State::Pending, same)));
        }
        if let Some(known) = book.recent.get(event.key, event.received_at)
            && known.state != State::Pending
        {
            let same = known.content == event.content;
            return Ok(Admitted::Known(Receipt::for_held(known.state, same)));
        }
        let unresolved = book.unresolved.get(&event.key).copied();
        if unresolved.is_some_and(|it| it.content != event.content) {
            return Err(Trouble::not_tried("what holds this key is being found out").into());
        }
        if unresolved.is_none() && event.intake == Intake::Deliver {
            let waiting = book.waiting_count() + book.in_flight.len() + book.unresolved.len();
            if waiting >= self.options.queue_max {
                return Err(StoreError::Full);
            }
        }
        if book.in_flight.len() >= self.options.in_flight_max {
            return Err(Trouble::not_tried("too many writes are on their way to DynamoDB").into());
        }
        let held = self
            .options
            .write_budgets
            .hold(&event.source, self.options.clock.elapsed())
            .map_err(|wait| StoreError::OverBudget { retry_after: wait.0 })?;
        let (sender, receiver) = watch::channel(());
        book.in_flight.insert(event.key, receiver);
        if unresolved.is_some() {
            book.unresolved.remove(&event.key);
        }
        Ok(Admitted::Write(Turn {
            tenure: Arc::clone(&book.tenure),
            earlier: unresolved,
            _held: held,
            _on_its_way: sender,
        }))
    }

    /// Gives an event its number and its place in the journal: only what is going to be written.
    fn numbered(
        &self,
        tenure: &Arc<Tenure>,
        event: &EventParts,
        earlier: Option<Unresolved>,
    ) -> Result<Numbered, StoreError> {
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            return Err(Trouble::not_tried("this node was taken for dead meanwhile").into());
        }
        let entry = Entry {
            key: event.key,
            source: event.source.clone(),
            at: event.received_at,
            kind: if earlier.is_some() { EntryKind::Instead } else { EntryKind::Arrived },
        };
        let expires_at = event.body_expires_at;
        Ok(match earlier {
            Some(Unresolved { number, also, journaled: true, .. }) => {
                Numbered { number, also, journal: None }
            }
            // The journal has come past its number: it gets another one there.
            Some(Unresolved { number, .. }) => {
                let also = book.next_number();
                let journal = self.enqueue(&mut book, also, entry, expires_at);
                Numbered { number, also: Some(also), journal: Some(journal) }
            }
            None => {
                let number = book.next_number();
                let journal = self.enqueue(&mut book, number, entry, expires_at);
                Numbered { number, also: None, journal: Some(journal) }
            }
        })
    }

    /// Writes event and journal side by side, and says `Kept` when both are durable and this node still speaks for them.
    async fn write(
        self: &Arc<Self>,
        event: EventParts,
        claim: Claim,
        turn: Turn,
    ) -> Result<Receipt, StoreError> {
        let Turn { tenure, earlier, _held, _on_its_way } = turn;
        let receipt = earlier
            .map_or_else(|| ReceiptId(fastrand::u64(..).to_be_bytes()), |earlier| earlier.receipt);
        let dictionary = self.dictionary_of(&event.source).await;
        let stored = bodies::packed(&event.body, dictionary).await;
        let facts = Facts::of(&event, receipt, event.body.len());
        let encode = |stored, number| {
            let item = event::encode(&event, stored, tenure.node, number, receipt);
            self.with_status(item, event.intake)
        };
        let large = self.options.large_bodies.as_ref();
        let fitting = bodies::fitting(large, &event, stored, |stored| encode(stored, u64::MAX));
        let stored = match fitting.await {
            Ok(stored) => stored,
            Err(error) => {
                if let Some(Unresolved { number, also, journaled, .. }) = earlier {
                    self.leave_unresolved(&tenure, &facts, number, also, journaled);
                }
                return Err(error);
            }
        };
        let Numbered { number, also, journal } = self.numbered(&tenure, &event, earlier)?;
        let numbers: Vec<u64> = [number].into_iter().chain(also).collect();
        let item = encode(stored, number);
        let why = For { source: Some(&event.source), purpose: Purpose::Accepted };
        let is_new = Guard::is_new(event.received_at);
        let mark = async {
            match event.intake {
                Intake::Quarantine(_) => {
                    self.table.mark_dead(&event.source, DeadMark::of(&event)).await
                }
                Intake::Deliver | Intake::Archive => Ok(()),
            }
        };
        let (journal, put, mark) =
            tokio::join!(self.wait_for_journal(journal), self.table.put(item, is_new, why), mark);
        let there = match put {
            Ok(Written::Done) => None,
            Ok(Written::Refused(Some(there))) if claim::is_one(&there) => {
                self.finish_numbers(&tenure, &numbers);
                return for_librarys(&event, &there);
            }
            Ok(Written::Refused(Some(there))) => {
                let there = EventItem::decode(&there);
                // What cannot be read is not ours.
                Some(there.inspect_err(|_| self.finish_numbers(&tenure, &numbers))?)
            }
            // Whose it is has to be looked up.
            Ok(Written::Refused(None)) => {
                self.leave_unresolved(&tenure, &facts, number, also, journal.is_ok());
                return Err(Trouble::not_tried("what holds this key is being found out").into());
            }
            Err(trouble) => {
                self.leave_unresolved(&tenure, &facts, number, also, journal.is_ok());
                return Err(trouble.into());
            }
        };
        // Somebody else's event, unless it is what an earlier try of ours wrote.
        let ours = |there: &EventItem| there.receipt == receipt && !self.has(Flaw::IgnoresReceipts);
        if let Some(there) = there.filter(|there| !ours(there)) {
            self.finish_numbers(&tenure, &numbers);
            return self.for_duplicate(&event, there).await;
        }
        if let Err(trouble) = journal {
            self.leave_unresolved(&tenure, &facts, number, also, false);
            return Err(StoreError::Unavailable(trouble));
        }
        if let Err(error) = mark {
            self.leave_unresolved(&tenure, &facts, number, also, true);
            return Err(error);
        }
        let lease = self.keep(&tenure, facts, event, numbers, claim)?;
        self.acknowledge(&tenure, Receipt::Kept { lease })
    }

    /// Takes the durable event into this node's memory. `Unavailable` when it is not this node's any more.
    fn keep(
        &self,
        tenure: &Arc<Tenure>,
        facts: Facts,
        event: EventParts,
        numbers: Vec<u64>,
        claim: Claim,
    ) -> Result<Option<Lease>, StoreError> {
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            if self.has(Flaw::ForgetsItsLease) {
                return Ok(None);
            }
            return Err(Trouble::not_tried("this node was taken for dead meanwhile").into());
        }
        let key = facts.key;
        let (state, _) = State::at_intake(event.intake);
        if state != State::Pending {
            book.ledger.add(facts.finished(state == State::Dead));
            book.recent.note(key, facts.known(state));
            for number in numbers {
                book.progress.finish(number);
            }
            return Ok(None);
        }
        book.insert(Waiting::fresh(facts, Arc::new(event), numbers), self.options.cache_bytes_max);
        Ok(match claim {
            Claim::Queue => None,
            Claim::Lease { until } => book.lease(key, until),
        })
    }

    /// Says yes only while nobody can have taken over: what is durable by now is what they will find.
    pub(super) fn acknowledge(
        &self,
        tenure: &Tenure,
        receipt: Receipt,
    ) -> Result<Receipt, StoreError> {
        if self.has(Flaw::ForgetsItsLease) || tenure.is_valid(&*self.options.clock) {
            Ok(receipt)
        } else {
            Err(Trouble::not_tried("this node's lease ended while the event was written").into())
        }
    }

    pub(super) fn finish_numbers(&self, tenure: &Arc<Tenure>, numbers: &[u64]) {
        let mut book = self.book();
        if Arc::ptr_eq(&book.tenure, tenure) {
            for number in numbers {
                book.progress.finish(*number);
            }
        }
    }

    /// Nobody knows whether the event was written: its number stays open until that is found out.
    fn leave_unresolved(
        self: &Arc<Self>,
        tenure: &Arc<Tenure>,
        facts: &Facts,
        number: u64,
        also: Option<u64>,
        journaled: bool,
    ) {
        let mut book = self.book();
        if Arc::ptr_eq(&book.tenure, tenure) {
            // What the journal does not hold needs no number there. If it does hold it after all, it was not acknowledged.
            if let Some(also) = also.filter(|_| !journaled) {
                book.progress.finish(also);
            }
            let also = also.filter(|_| journaled);
            let (receipt, content) = (facts.receipt, facts.content);
            let trial = book.next_trial();
            let unresolved = Unresolved { trial, number, also, receipt, content, journaled };
            book.unresolved.insert(facts.key, unresolved);
            drop(book);
            self.resolve_later(tenure, facts.key, trial);
        }
    }

    pub(super) async fn mark_dead_facts(&self, facts: &Facts) -> Result<(), StoreError> {
        let mark = DeadMark {
            key: facts.key,
            received_at: facts.received_at,
            expires_at: facts.body_expires_at,
        };
        self.table.mark_dead(&facts.source, mark).await
    }

    /// What to say to an event whose key is held by somebody else's.
    async fn for_duplicate(
        self: &Arc<Self>,
        event: &EventParts,
        there: EventItem,
    ) -> Result<Receipt, StoreError> {
        let same = there.event.content == event.content;
        if self.has(Flaw::AcknowledgesAnyDuplicate) {
            return Ok(Receipt::for_held(State::Pending, same));
        }
        let key = event.key;
        let facts = Facts::of(&there.event, there.receipt, there.stored.body_bytes());
        let standing = self.standing_for_append(there, event.received_at).await?;
        let tenure = self.tenure();
        let (state, note) = match standing {
            Standing::Ours => (State::Pending, false),
            Standing::Elsewhere => (State::Pending, false),
            Standing::Final(state) => (state, true),
        };
        if note {
            self.book().recent.note(key, facts.known(state));
        }
        self.acknowledge(&tenure, Receipt::for_held(state, same))
    }
}

/// What to say to an event whose key the library holds: what the event says of itself. What the library has not finished is not
/// acknowledged, since no node would deliver it.
fn for_librarys(event: &EventParts, there: &Item) -> Result<Receipt, StoreError> {
    let there = ClaimItem::decode(there)?;
    match there.state() {
        None | Some(State::Pending) => Err(Trouble::not_tried(
            "the library keeps this event and has not finished it: let its worker run until nothing waits",
        )
        .into()),
        Some(state) => Ok(Receipt::for_held(state, there.event.content == event.content)),
    }
}
