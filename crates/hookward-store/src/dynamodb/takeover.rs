//! Finishing the work of a node that is gone; and carrying one's own along.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hookward_core::{EventKey, Intake, Timestamp};

use super::{
    Shared,
    book::{Facts, Waiting},
    duplicate::{RACES_MAX, Record, keys_of},
    item::{
        EXPIRES, bytes,
        dead::DeadMark,
        event, expiry_secs,
        journal::{self, EntryKind, JournalItem},
        node::{self, NodeItem, NodeState},
        number, text,
        ticket::TicketState,
    },
    journal::Told,
    nodes::Whereabouts,
    table::{For, Guard, Range},
    tenure::Tenure,
    trouble::Trouble,
    usage::Purpose,
};
use crate::StoreError;

/// How long before it would be deleted an unfinished event is given more time: DynamoDB deletes on the second at the earliest.
const EXPIRES_SOON: Duration = Duration::from_hours(48);

/// How much.
const LIVES_ON: Duration = Duration::from_hours(7 * 24);

/// Events that are taken over together.
const BATCH: usize = 50;

/// Own events that are carried along together.
const CARRY_MAX: usize = 200;

/// The journal that a successor would have to read may be so many times as long as what is unfinished in it, ...
const JOURNAL_FACTOR: u64 = 4;
/// ... and always so long.
const JOURNAL_MIN: u64 = 5_000;

impl Shared {
    /// Makes a node's unfinished events this node's, and writes its last word.
    pub(super) async fn take_over(self: &Arc<Self>, other: &NodeItem) -> Result<(), StoreError> {
        let tenure = self.tenure();
        let Some(mine) = self.claim(&tenure, other).await? else { return Ok(()) };
        tracing::info!(node = mine.node, name = %mine.name, "taking over the unfinished events of a node that is gone");
        self.raise_epoch(&tenure, mine.node).await?;

        let range = Range {
            from: Some(journal::range(mine.from)),
            ..Range::all(journal::partition(mine.node))
        };
        let items = self.table.query_all(range, For::all(Purpose::Takeover)).await?;
        let groups = items.iter().map(JournalItem::decode).collect::<Result<Vec<_>, _>>()?;
        let mut progress = mine.progress.clone();
        for group in &groups {
            progress.merge(&group.progress);
        }
        let unfinished: Vec<EventKey> = groups
            .iter()
            .flat_map(JournalItem::numbered)
            .filter(|(number, _)| !progress.covers(*number))
            .map(|(_, entry)| entry.key)
            .collect();
        let mut taken = 0;
        for keys in unfinished.chunks(BATCH) {
            taken += self.take_events(&tenure, mine.node, keys).await?;
        }
        if !tenure.is_valid(&*self.options.clock) {
            return Err(Trouble::not_tried("this node's own lease ended during a takeover").into());
        }
        let still_mine = Guard::when("#st = :taken AND #by = :by")
            .name("#st", node::STATE)
            .name("#by", node::BY)
            .value(":taken", text(node::STATE_TAKEN))
            .value(":by", number(tenure.node));
        self.end_node(&mine, progress, Purpose::Takeover, still_mine).await?;
        tracing::info!(
            node = mine.node,
            events = taken,
            "took over the unfinished events of a node that is gone"
        );
        self.taken_over.notify_waiters();
        Ok(())
    }

    /// The right to take a node over: for one successor at a time. `None` when another one has it.
    async fn claim(
        &self,
        tenure: &Tenure,
        other: &NodeItem,
    ) -> Result<Option<NodeItem>, StoreError> {
        let mut guard = Guard::when(match other.state {
            NodeState::Live | NodeState::Free => "#st = :was AND #hb = :hb",
            NodeState::Taken { .. } => "#st = :was AND #hb = :hb AND #by = :former",
        })
        .name("#st", node::STATE)
        .name("#hb", node::BEAT)
        .name("#by", node::BY)
        .value(":hb", number(other.beat))
        .value(":next", number(other.beat + 1))
        .value(":taken", text(node::STATE_TAKEN))
        .value(":by", number(tenure.node));
        guard = match other.state {
            NodeState::Live => guard.value(":was", text(node::STATE_LIVE)),
            NodeState::Free => guard.value(":was", text(node::STATE_FREE)),
            NodeState::Taken { by } => {
                guard.value(":was", text(node::STATE_TAKEN)).value(":former", number(by))
            }
        };
        let change = "SET #st = :taken, #by = :by, #hb = :next";
        self.table
            .update(node::key_of(other.node), change, guard, For::all(Purpose::Takeover))
            .await?;
        // Read again: for the newest checkpoint, and since a retry may have met its own first try.
        let mine = self.read_node(other.node).await?;
        Ok(mine.filter(|mine| mine.state == NodeState::Taken { by: tenure.node }))
    }

    /// Leases of these events from now on have higher tokens than that node gave them.
    async fn raise_epoch(&self, tenure: &Arc<Tenure>, above: u64) -> Result<(), StoreError> {
        if self.book().epoch > above {
            return Ok(());
        }
        let epoch = self.next_epoch(Purpose::Takeover).await?;
        let mut book = self.book();
        if Arc::ptr_eq(&book.tenure, tenure) {
            book.epoch = epoch;
        }
        Ok(())
    }

    /// Takes those of the events that are there and that this node still had.
    async fn take_events(
        self: &Arc<Self>,
        tenure: &Arc<Tenure>,
        from: u64,
        keys: &[EventKey],
    ) -> Result<usize, StoreError> {
        let why = For::all(Purpose::Takeover);
        let wanted: Vec<_> = {
            let mut keys = keys.to_vec();
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().flat_map(keys_of).collect()
        };
        let found = self.table.get_all(&wanted, why).await?;
        let mut records = Vec::new();
        let mut owners = HashMap::new();
        for pair in wanted.chunks(2) {
            let [event, ticket] = pair else { continue };
            let Some(item) = found.get(event) else { continue };
            let key = event::EventItem::decode(item)?.event.key;
            let Some(record) = Record::read(key, Some(item), found.get(ticket))? else { continue };
            if self.is_left_behind(tenure, &record, from, &mut owners).await? {
                records.push(record);
            } else if is_new_dead_letter(&record, from) {
                // Its mark may not have been written.
                self.table
                    .mark_dead(&record.item.event.source, DeadMark::of(&record.item.event))
                    .await?;
            }
        }
        records.sort_by_key(|record| record.item.event.received_at);
        let waits: Vec<_> = {
            let mut book = self.open_book()?;
            if !Arc::ptr_eq(&book.tenure, tenure) {
                return Err(
                    Trouble::not_tried("this node was taken for dead during a takeover").into()
                );
            }
            let enqueue = |record: &Record| {
                let facts = record.facts();
                let number = book.next_number();
                let told = self.enqueue(
                    &mut book,
                    number,
                    facts.entry(EntryKind::Again),
                    facts.body_expires_at,
                );
                (number, told)
            };
            records.iter().map(enqueue).collect()
        };
        let mut taken = 0;
        let mut failed = None;
        for (record, (number, told)) in records.into_iter().zip(waits) {
            if failed.is_some() {
                // Whoever tries again gives it another one.
                self.finish_numbers(tenure, &[number]);
                continue;
            }
            match self.take_journaled(tenure, from, record, number, told).await {
                Ok(is_taken) => taken += usize::from(is_taken),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(taken), Err)
    }

    /// Takes an event that its node still had, whatever that one still writes.
    async fn take_journaled(
        &self,
        tenure: &Arc<Tenure>,
        from: u64,
        mut record: Record,
        number: u64,
        told: Told,
    ) -> Result<bool, StoreError> {
        let give_back = || self.finish_numbers(tenure, &[number]);
        self.wait_for_journal(Some(told)).await.inspect_err(|_| give_back())?;
        for _ in 0..RACES_MAX {
            let due_at = record.due_at();
            if self.take_in(tenure, &record, number, due_at, Purpose::Takeover).await? {
                return Ok(true);
            }
            let key = record.item.event.key;
            let next = self.record(key, For::all(Purpose::Takeover)).await;
            let Some(next) = next.inspect_err(|_| give_back())? else { break };
            let mut owners = HashMap::new();
            let is_left = self.is_left_behind(tenure, &next, from, &mut owners).await;
            if !is_left.inspect_err(|_| give_back())? {
                break;
            }
            record = next;
        }
        give_back();
        Ok(false)
    }

    /// Whether a node still had to deliver an event, or another one had that is no more and wrote its ticket too late for
    /// whoever took it over. `owners`: whether those that were asked for are no more.
    async fn is_left_behind(
        &self,
        tenure: &Arc<Tenure>,
        record: &Record,
        from: u64,
        owners: &mut HashMap<u64, bool>,
    ) -> Result<bool, StoreError> {
        let owner = match &record.ticket {
            None => {
                return Ok(record.item.owner == from && record.item.event.intake == Intake::Deliver);
            }
            Some(ticket) if !matches!(ticket.state, TicketState::Pending { .. }) => {
                return Ok(false);
            }
            Some(ticket) => ticket.owner,
        };
        if owner == from || owner == tenure.node {
            return Ok(owner == from);
        }
        if let Some(is_gone) = owners.get(&owner) {
            return Ok(*is_gone);
        }
        let is_gone = matches!(self.whereabouts(owner).await?, Whereabouts::Ended(_));
        owners.insert(owner, is_gone);
        Ok(is_gone)
    }

    /// Journals anew what holds the checkpoint back, once the journal behind it is much longer than what is unfinished.
    pub(super) async fn carry_forward(self: &Arc<Self>) -> Result<(), StoreError> {
        let oldest: Vec<EventKey> = {
            let book = self.open_book()?;
            let length = book.last_number() - book.progress.through();
            let unfinished = book.waiting_count() as u64;
            if length <= JOURNAL_MIN.max(unfinished * JOURNAL_FACTOR) {
                return Ok(());
            }
            let numbered =
                |waiting: &Waiting| Some((*waiting.numbers.iter().min()?, waiting.facts.key));
            let mut oldest: Vec<_> = book.all_waiting().filter_map(numbered).collect();
            oldest.sort_unstable();
            oldest.into_iter().take(CARRY_MAX).map(|(_, key)| key).collect()
        };
        self.carry(&oldest).await
    }

    /// Sees to it that DynamoDB does not delete an event that still has to be delivered, its journal or its ticket.
    pub(super) async fn keep_unfinished(
        self: &Arc<Self>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let soon = now.saturating_add(EXPIRES_SOON);
        let until = now.saturating_add(LIVES_ON);
        let (tenure, old) = {
            let book = self.open_book()?;
            let is_old =
                |waiting: &&Waiting| waiting.facts.expires_before(soon) || waiting.ticket_is_short;
            let old: Vec<Facts> = book
                .all_waiting()
                .filter(is_old)
                .take(CARRY_MAX)
                .map(|it| it.facts.clone())
                .collect();
            (Arc::clone(&book.tenure), old)
        };
        let mut keys = Vec::with_capacity(old.len());
        for facts in old {
            let why = For { source: Some(&facts.source), purpose: Purpose::Retried };
            let guard = Guard::when("#r = :r")
                .name("#r", event::RECEIPT)
                .name("#x", EXPIRES)
                .value(":r", bytes(facts.receipt.0))
                .value(":x", number(expiry_secs(until)));
            let place = event::key_of(facts.key);
            let (written, _) = self.table.update(place, "SET #x = :x", guard, why).await?;
            let _turn = self.turn(facts.key).await;
            let mut book = self.book();
            if !Arc::ptr_eq(&book.tenure, &tenure) {
                return Ok(());
            }
            if !written.is_done() {
                tracing::error!(key = %facts.key, "an unfinished event is not in the table any more");
                book.give_up(facts.key);
                continue;
            }
            // The next ticket says so too.
            book.change(facts.key, |waiting| {
                waiting.facts.lives_until(until);
                waiting.ticket_is_short = waiting.ticket > 0;
            });
            keys.push(facts.key);
        }
        self.carry(&keys).await
    }

    /// Journals own events anew, and frees their former numbers.
    async fn carry(self: &Arc<Self>, keys: &[EventKey]) -> Result<(), StoreError> {
        let (tenure, waits) = {
            let mut book = self.open_book()?;
            let mut waits = Vec::with_capacity(keys.len());
            for key in keys {
                let Some(facts) = book.waiting(*key).map(|waiting| waiting.facts.clone()) else {
                    continue;
                };
                let number = book.next_number();
                let told = self.enqueue(
                    &mut book,
                    number,
                    facts.entry(EntryKind::Again),
                    facts.journaled_until(),
                );
                waits.push((*key, number, told));
            }
            (Arc::clone(&book.tenure), waits)
        };
        let mut failed = None;
        for (key, number, told) in waits {
            let journaled = self.wait_for_journal(Some(told)).await;
            let _turn = self.turn(key).await;
            let ready = match journaled {
                Ok(()) => self.has_ticket(&tenure, key).await,
                Err(trouble) => Err(StoreError::Unavailable(trouble)),
            };
            let mut book = self.book();
            if !Arc::ptr_eq(&book.tenure, &tenure) {
                return Ok(());
            }
            match ready {
                Ok(true) => book.renumber(key, number),
                // The former numbers stay, and this one means nothing.
                Ok(false) => book.progress.finish(number),
                Err(error) => {
                    book.progress.finish(number);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sees to it that an event's state does not depend on its number any more. `false` when it needs nothing any more.
    async fn has_ticket(&self, tenure: &Arc<Tenure>, key: EventKey) -> Result<bool, StoreError> {
        let Some(mut waiting) = self.book().waiting(key).cloned() else { return Ok(false) };
        if waiting.ticket > 0 && !waiting.ticket_is_short && !waiting.ticket_is_in_doubt {
            return Ok(true);
        }
        let state = TicketState::Pending { due_at: waiting.due_at };
        let source = waiting.facts.source.clone();
        let why = For { source: Some(&source), purpose: Purpose::Journal };
        if !self.place_ticket(tenure, &mut waiting, state, None, why).await? {
            return Ok(false);
        }
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            return Ok(false);
        }
        book.change(key, |entry| {
            entry.ticket = waiting.ticket;
            entry.ticket_is_short = false;
            entry.ticket_is_in_doubt = false;
            (entry.attempts, entry.history) = (waiting.attempts, waiting.history);
        });
        Ok(true)
    }
}

fn is_new_dead_letter(record: &Record, node: u64) -> bool {
    record.ticket.is_none()
        && record.item.owner == node
        && matches!(record.item.event.intake, Intake::Quarantine(_))
}
