//! What has become of an event that is in the table, and who has to deliver it.

use std::sync::Arc;

use hookward_core::{EventKey, EventParts, Intake, Timestamp};

use super::{
    Shared,
    book::{Facts, Waiting},
    item::{
        self, Key,
        event::EventItem,
        journal::{self, EntryKind, JournalItem},
        node::{NodeItem, NodeState},
        ticket::{self, Ticket, TicketState},
    },
    nodes::Whereabouts,
    table::{For, Range},
    tenure::Tenure,
    tickets::Placed,
    trouble::Trouble,
    usage::Purpose,
};
use crate::{DeadReason, State, StoreError};

/// How often somebody else may be faster before that is no coincidence any more.
pub(super) const RACES_MAX: usize = 5;

/// Who has to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This node.
    Ours,
    /// Another node that is there, and that will find it.
    Elsewhere,
    /// Nobody.
    Final(State),
}

/// An event and its ticket, as they are in the table.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) item: EventItem,
    /// `None` also when the ticket is that of a former event of this key.
    pub(super) ticket: Option<Ticket>,
}

impl Record {
    /// From what was read under an event's keys; `None` when the event is not there, or is the library's: no node knows what
    /// becomes of that.
    pub(super) fn read(
        key: EventKey,
        event: Option<&item::Item>,
        ticket: Option<&item::Item>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(event) = event.filter(|event| !item::claim::is_one(event)) else {
            return Ok(None);
        };
        let item = EventItem::decode(event)?;
        let ticket = ticket.map(|item| Ticket::decode(key, item)).transpose()?;
        let ticket = ticket.filter(|ticket| ticket.receipt == item.receipt);
        Ok(Some(Self { item, ticket }))
    }

    pub(super) fn facts(&self) -> Facts {
        Facts::of(&self.item.event, self.item.receipt, self.item.stored.body_bytes())
    }

    /// The ticket of an event that had none, or the next one, pending at a node.
    pub(super) fn next_ticket(&self, owner: u64, due_at: Timestamp) -> Ticket {
        let fresh = Ticket {
            key: self.item.event.key,
            receipt: self.item.receipt,
            version: 0,
            owner,
            state: TicketState::Pending { due_at },
            attempts: 0,
            replays: 0,
            replayed_at: None,
            history: std::collections::VecDeque::new(),
            expires_at: item::held_until(&self.item.event).map(item::whole_secs),
        };
        let before = self.ticket.clone().unwrap_or(fresh);
        Ticket {
            owner,
            version: before.version + 1,
            state: TicketState::Pending { due_at },
            ..before
        }
    }

    /// When it is due next, if it is pending.
    pub(super) fn due_at(&self) -> Timestamp {
        match self.ticket.as_ref().map(|ticket| ticket.state) {
            Some(TicketState::Pending { due_at }) => due_at,
            Some(TicketState::Done | TicketState::Dead(_) | TicketState::Dropped) | None => {
                self.item.event.received_at
            }
        }
    }
}

/// The keys of an event and of its ticket.
pub(super) fn keys_of(key: EventKey) -> [Key; 2] {
    [item::event::key_of(key), ticket::key_of(key)]
}

/// Why an event without a ticket is dead.
pub(super) fn quarantined(event: &EventParts) -> Option<DeadReason> {
    match event.intake {
        Intake::Quarantine(why) => Some(DeadReason::Quarantined(why)),
        Intake::Deliver | Intake::Archive => None,
    }
}

impl Shared {
    /// An event and its ticket in their newest state.
    pub(super) async fn record(
        &self,
        key: EventKey,
        why: For<'_>,
    ) -> Result<Option<Record>, StoreError> {
        let keys = keys_of(key);
        let found = self.table.get_all(&keys, why).await?;
        let [event, ticket] = &keys;
        Record::read(key, found.get(event), found.get(ticket))
    }

    /// Who has to deliver the event that an append met. What nobody would deliver is this node's from now on.
    pub(super) async fn standing_for_append(
        self: &Arc<Self>,
        there: EventItem,
        now: Timestamp,
    ) -> Result<Standing, StoreError> {
        let key = there.event.key;
        let source = there.event.source.clone();
        let why = For { source: Some(&source), purpose: Purpose::Duplicate };
        let ticket = self.table.get(ticket::key_of(key), why).await?;
        let ticket = ticket.map(|item| Ticket::decode(key, &item)).transpose()?;
        let ticket = ticket.filter(|ticket| ticket.receipt == there.receipt);
        let mut record = Record { item: there, ticket };
        for _ in 0..RACES_MAX {
            match self.standing(&record, why).await? {
                Some(standing) => return Ok(standing),
                None => {
                    if self.adopt(&record, now).await? {
                        return Ok(Standing::Ours);
                    }
                }
            }
            record = self
                .record(key, why)
                .await?
                .ok_or_else(|| Trouble::not_tried("the key's holder has just expired"))?;
        }
        Err(Trouble::not_tried("other nodes change this event all the time").into())
    }

    /// Who has to deliver an event; `None` when nobody would, and an error while that is being decided.
    async fn standing(
        &self,
        record: &Record,
        why: For<'_>,
    ) -> Result<Option<Standing>, StoreError> {
        let key = record.item.event.key;
        if let Some(ticket) = &record.ticket {
            return match ticket.state {
                TicketState::Done => Ok(Some(Standing::Final(State::Done))),
                TicketState::Dead(_) => Ok(Some(Standing::Final(State::Dead))),
                TicketState::Dropped => Ok(Some(Standing::Final(State::Dropped))),
                TicketState::Pending { .. } => match self.whereabouts(ticket.owner).await? {
                    Whereabouts::Here => Ok(self.book().waiting(key).map(|_| Standing::Ours)),
                    Whereabouts::Live(_) => Ok(Some(Standing::Elsewhere)),
                    Whereabouts::Leaving => Err(being_taken()),
                    Whereabouts::Ended(_) => Ok(None),
                },
            };
        }
        let (state, _) = State::at_intake(record.item.event.intake);
        if state != State::Pending {
            return Ok(Some(Standing::Final(state)));
        }
        let (node, number) = (record.item.owner, record.item.number);
        let progress = match self.whereabouts(node).await? {
            Whereabouts::Here => {
                let book = self.book();
                if book.waiting(key).is_some() {
                    return Ok(Some(Standing::Ours));
                }
                if !book.progress.covers(number) {
                    return Err(Trouble::not_tried(
                        "whether this event was written is being found out",
                    )
                    .into());
                }
                return Ok(Some(Standing::Final(State::Done)));
            }
            Whereabouts::Leaving => return Err(being_taken()),
            Whereabouts::Live(progress) => {
                if !progress.covers(number) {
                    // Its owner will deliver it, and so will whoever comes after its owner, if the journal says so.
                    let received_at = record.item.event.received_at;
                    if !self.is_journaled(node, number, received_at, why).await? {
                        return Err(
                            Trouble::not_tried("another node is about to keep this event").into()
                        );
                    }
                    // A successor reads the journal once it has taken the node: it finds what was there before that.
                    return match self.read_node(node).await? {
                        Some(NodeItem { state: NodeState::Live, .. }) => {
                            Ok(Some(Standing::Elsewhere))
                        }
                        Some(_) | None => Err(being_taken()),
                    };
                }
                progress
            }
            Whereabouts::Ended(progress) => progress,
        };
        Ok(progress.covers(number).then_some(Standing::Final(State::Done)))
    }

    async fn is_journaled(
        &self,
        node: u64,
        number: u64,
        at: Timestamp,
        why: For<'_>,
    ) -> Result<bool, StoreError> {
        let mut range = Range {
            from: Some(journal::range(at)),
            limit: Some(20),
            ..Range::all(journal::partition(node))
        };
        loop {
            let found = self.table.query(&range, why).await?;
            let mut last = None;
            for item in &found.items {
                let group = JournalItem::decode(item)?;
                if group.holds(number) {
                    return Ok(true);
                }
                if group.first > number {
                    return Ok(false);
                }
                last = Some(group.at);
            }
            let Some(last) = last.filter(|_| found.more) else { return Ok(false) };
            range.from = Some(journal::range(Timestamp::from_micros(last.as_micros() + 1)));
        }
    }

    /// Makes an event this node's that nobody would deliver. `false` when somebody else was faster.
    async fn adopt(self: &Arc<Self>, record: &Record, now: Timestamp) -> Result<bool, StoreError> {
        let tenure = self.tenure();
        let mut facts = record.facts();
        // Lists order it by when it was taken.
        facts.received_at = now;
        let entry = facts.entry(EntryKind::Instead);
        let number = self.journaled(&tenure, entry, facts.body_expires_at).await?;
        let due_at = record.due_at();
        let is_taken = self.take_in(&tenure, record, number, due_at, Purpose::Duplicate).await?;
        if !is_taken {
            self.finish_numbers(&tenure, &[number]);
        }
        Ok(is_taken)
    }

    /// Writes the ticket that makes a journaled event this node's, and takes it in. `false` when somebody else was faster:
    /// its number is still open then.
    pub(super) async fn take_in(
        &self,
        tenure: &Arc<Tenure>,
        record: &Record,
        number: u64,
        due_at: Timestamp,
        purpose: Purpose,
    ) -> Result<bool, StoreError> {
        let facts = record.facts();
        let ticket = record.next_ticket(tenure.node, due_at);
        let why = For { source: Some(&facts.source), purpose };
        let _turn = self.turn(facts.key).await;
        if !tenure.is_valid(&*self.options.clock) {
            self.finish_numbers(tenure, &[number]);
            return Err(Trouble::not_tried("this node's lease is over; others may take it").into());
        }
        let placed = self.write_ticket(&ticket, why).await;
        let placed = placed.inspect_err(|_| self.leave_undecided(tenure, &ticket, number))?;
        let mut book = self.book();
        if !Arc::ptr_eq(&book.tenure, tenure) {
            return Err(Trouble::not_tried("this node was taken for dead meanwhile").into());
        }
        if let Placed::Behind(_) = placed {
            return Ok(false);
        }
        let event = self.at_hand(&record.item);
        let waiting = Waiting::ticketed(facts, event, vec![number], ticket);
        book.insert(waiting, self.options.cache_bytes_max);
        Ok(true)
    }

    /// Where a node is, by what it was seen doing, or by its last word.
    pub(super) async fn whereabouts(&self, node: u64) -> Result<Whereabouts, StoreError> {
        if self.tenure().node == node {
            return Ok(Whereabouts::Here);
        }
        if let Some(progress) = self.ended(node) {
            return Ok(Whereabouts::Ended(progress));
        }
        if let Some(seen) = self.read_node(node).await? {
            return Ok(match seen.state {
                NodeState::Live if !self.has_lapsed(&seen) => Whereabouts::Live(seen.progress),
                NodeState::Live | NodeState::Free | NodeState::Taken { .. } => Whereabouts::Leaving,
            });
        }
        self.read_ended(node).await.map(Whereabouts::Ended)
    }
}

fn being_taken() -> StoreError {
    Trouble::not_tried("the node that took this event is gone, and its work is being taken over")
        .into()
}
