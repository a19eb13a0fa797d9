//! The way of one event into the table, and what is said of one that was there.

use hookward_core::{Event, EventParts, Intake, Timestamp};

use super::{Changed, Claimed, Claims, Flaw, Held, RACES_MAX, Recovery, nodes_reason, random};
use crate::{
    Claim, DeadReason, Lease, Receipt, State, StoreError,
    dynamodb::{
        bodies,
        item::{
            self, EXPIRES,
            claim::{self, ClaimItem, Keeper, Standing},
            dead::DeadMark,
            event::ReceiptId,
            mark::{Mark, MarkName},
        },
        table::{For, Guard, Written},
        trouble::Trouble,
        usage::Purpose,
    },
};

/// What became of an event that was to be written.
struct Put {
    event: Event,
    /// What holds its key, if somebody else's does.
    there: Option<ClaimItem>,
    /// The mark that was written beside it.
    mark: Option<MarkName>,
    /// The lease, if it is new and was claimed.
    lease: Option<Lease>,
}

impl Claims {
    /// Keeps the event under a lease in one atomic step; of any number of concurrent calls exactly one has the lease.
    ///
    /// A key that is held: takes the lease if it lapsed at `now` or was given back (due or not), otherwise says what there is.
    pub async fn claim(
        &self,
        event: Event,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let Put { event, there, mark, lease } = self.put(event, now, Some(until)).await?;
        let Some(mut there) = there else { return Ok(new(&event, lease)) };
        for _ in 0..RACES_MAX {
            let free = match &there.keeper {
                Keeper::Library(standing) if there.event.content == event.content => {
                    let is_free = standing.state == State::Pending
                        && (!standing.is_leased(now) || self.has(Flaw::IgnoresLeases))
                        && !(standing.until.is_some() && self.has(Flaw::IgnoresLapses));
                    is_free.then_some(standing)
                }
                Keeper::Library(_) | Keeper::Node(_) => None,
            };
            let Some(standing) = free else {
                self.unmark(&event, mark, Purpose::Duplicate).await;
                return self.told_of(event, &there).await;
            };
            let mut next = standing.leased(until);
            // The claim's own mark, which is durable, takes the place of the one before.
            next.mark = mark.or(next.mark);
            let why = For { source: Some(&event.source), purpose: Purpose::Leased };
            match self.change(&there, standing, next, why).await? {
                Changed::Done(item) => {
                    if mark.is_some() {
                        self.unmark(&event, standing.mark, Purpose::Mark).await;
                    }
                    self.remember(&item);
                    return Ok(Claimed {
                        standing: Held::Claimed(Lease {
                            key: event.key,
                            token: standing.version + 1,
                            until,
                        }),
                        attempts: standing.attempts,
                        replays: standing.replays,
                        new: false,
                    });
                }
                Changed::Behind(Some(item)) => there = *item,
                Changed::Behind(None) => {
                    return Err(Trouble::not_tried("the key's holder has just expired").into());
                }
            }
        }
        Err(Trouble::not_tried("others change this event all the time").into())
    }

    /// Keeps the event for whoever leases next. Never hands out a lease.
    pub async fn accept(&self, event: Event, now: Timestamp) -> Result<Claimed, StoreError> {
        let Put { event, there, mark, lease } = self.put(event, now, None).await?;
        let Some(there) = there else { return Ok(new(&event, lease)) };
        self.unmark(&event, mark, Purpose::Duplicate).await;
        self.see_mark(&there).await?;
        self.told_of(event, &there).await
    }

    /// [`Store::append`](crate::Store::append).
    pub(super) async fn append(&self, event: Event, claim: Claim) -> Result<Receipt, StoreError> {
        let now = event.received_at;
        let until = match claim {
            Claim::Queue => None,
            Claim::Lease { until } => Some(until),
        };
        let Put { event, there, mark, lease } = self.put(event, now, until).await?;
        let Some(there) = there else { return Ok(Receipt::Kept { lease }) };
        self.unmark(&event, mark, Purpose::Duplicate).await;
        self.see_mark(&there).await?;
        let state = there.state().unwrap_or(State::Pending);
        Ok(Receipt::for_held(state, there.event.content == event.content))
    }

    /// Writes the event and its mark side by side, unless its key is held at `now`.
    async fn put(
        &self,
        event: Event,
        now: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Put, StoreError> {
        self.open()?;
        self.saw(now);
        let began = self.options.clock.elapsed();
        let receipt = ReceiptId(random()?);
        let is_pending = event.intake == Intake::Deliver;
        let until = until.filter(|_| is_pending);
        let needs_mark =
            is_pending && (until.is_none() || self.options.recovery == Recovery::Swept);
        let mark = if needs_mark {
            let due = until.unwrap_or(event.received_at);
            Some(MarkName { due, dice: random()? })
        } else {
            None
        };
        let standing = Standing::new(&event, until, mark);
        let stored = bodies::packed(&event.body, None).await;
        let encode = |stored| claim::encode(&event, stored, &standing, receipt);
        let large = self.options.large_bodies.as_ref();
        let stored = bodies::fitting(large, &event, stored, encode).await?;
        let item = encode(stored.clone());
        let why = For { source: Some(&event.source), purpose: Purpose::Accepted };
        let is_new = Guard::is_new(now);
        let (put, marked) = if self.has(Flaw::TellsBeforeTheMark) {
            (self.table.put(item, is_new, why).await, Ok(()))
        } else {
            tokio::join!(self.table.put(item, is_new, why), self.mark_new(&event, mark))
        };
        let mine = ClaimItem {
            event: EventParts { body: bytes::Bytes::new(), ..(*event).clone() },
            stored,
            receipt,
            keeper: Keeper::Library(standing.clone()),
        };
        let there = match put? {
            Written::Done => None,
            Written::Refused(Some(there)) => {
                let there = ClaimItem::decode(&there)?;
                // A retry that met its own first try.
                let is_own = there.receipt == receipt && !self.has(Flaw::IgnoresReceipts);
                (!is_own).then_some(there)
            }
            Written::Refused(None) => {
                return Err(Trouble::not_tried("the key's holder has just expired").into());
            }
        };
        if there.is_none() {
            marked?;
            self.again_if_late(began, &event, mark, Purpose::Mark).await?;
            if self.has(Flaw::TellsBeforeTheMark) {
                self.mark_new(&event, mark).await.unwrap_or_default();
            }
        } else if let (Some(there), Intake::Quarantine(_)) = (&there, event.intake) {
            // Its mark among dead letters is another one's, unless it is the same.
            let own = DeadMark::of(&event);
            let is_same = there.state() == Some(State::Dead) && DeadMark::of(&there.event) == own;
            if !is_same {
                self.table.unmark_dead(&event, For { purpose: Purpose::Duplicate, ..why }).await;
            }
        } else {
            // Whether or not the mark of a duplicate was written, the event there has its own.
            drop(marked);
        }
        let lease = until.filter(|_| there.is_none()).map(|until| {
            self.remember(&mine);
            Lease { key: event.key, token: standing.version, until }
        });
        Ok(Put { event, there, mark, lease })
    }

    /// What finds a new event: its mark, or its mark among dead letters.
    async fn mark_new(&self, event: &EventParts, mark: Option<MarkName>) -> Result<(), StoreError> {
        match (event.intake, mark) {
            (Intake::Quarantine(_), _) => {
                self.table.mark_dead(&event.source, DeadMark::of(event)).await
            }
            (_, Some(mark)) => self.write_mark(event, mark, event.received_at, Purpose::Mark).await,
            (_, None) => Ok(()),
        }
    }

    /// Before anybody is told that an event waits already: it has a mark by which it is found.
    async fn see_mark(&self, there: &ClaimItem) -> Result<(), StoreError> {
        let Keeper::Library(standing) = &there.keeper else { return Ok(()) };
        if standing.state != State::Pending || self.has(Flaw::TrustsDuplicates) {
            return Ok(());
        }
        let event = &there.event;
        let why = For { source: Some(&event.source), purpose: Purpose::Duplicate };
        if let Some(mark) = standing.mark {
            if self.table.get(mark.key(event.key), why).await?.is_none() {
                // If the event is finished meanwhile, whoever finds it takes it away again.
                self.write_mark(event, mark, standing.since(event), Purpose::Duplicate).await?;
            }
            return Ok(());
        }
        // Its sender was to look after it. Now somebody else is told that it is durable.
        let began = self.options.clock.elapsed();
        let due = standing.free_at().unwrap_or(event.received_at);
        let mark = MarkName { due, dice: random()? };
        self.write_mark(event, mark, standing.since(event), Purpose::Duplicate).await?;
        // The token of whoever has the lease stays good.
        self.name_mark(there, standing, mark, why).await?;
        self.again_if_late(began, event, Some(mark), Purpose::Duplicate).await
    }

    /// Lets an event that has no mark name this one, unless it has changed.
    async fn name_mark(
        &self,
        there: &ClaimItem,
        standing: &Standing,
        mark: MarkName,
        why: For<'_>,
    ) -> Result<(), StoreError> {
        let guard = Guard::when("#v = :v AND attribute_not_exists(#m)")
            .name("#v", claim::VERSION)
            .name("#m", claim::MARK)
            .name("#x", EXPIRES)
            .value(":v", item::number(standing.version))
            .value(":m", item::text(mark.to_string()));
        let key = item::event::key_of(there.event.key);
        let (written, _) = self.table.update(key, "SET #m = :m REMOVE #x", guard, why).await?;
        if written.is_done() {
            return Ok(());
        }
        // It changed meanwhile: it has a mark, is finished, or its sender looks after it again.
        match self.read(there.event.key, why).await? {
            Some(ClaimItem { keeper: Keeper::Library(now), .. })
                if now.state == State::Pending && now.mark.is_none() =>
            {
                Err(Trouble::not_tried("this event is being worked on: try again").into())
            }
            _ => Ok(()),
        }
    }

    /// What is said of an event that was there. Other content is kept as a dead letter of its own.
    async fn told_of(&self, event: Event, there: &ClaimItem) -> Result<Claimed, StoreError> {
        if there.event.content != event.content {
            let now = event.received_at;
            // Its key is made from its content too: what holds it is the same conflict.
            let Put { there, .. } = Box::pin(self.put(event.into_conflict(), now, None)).await?;
            let standing = Held::Conflict;
            return Ok(Claimed { standing, attempts: 0, replays: 0, new: there.is_none() });
        }
        let of = |standing, attempts, replays| Claimed { standing, attempts, replays, new: false };
        Ok(match &there.keeper {
            Keeper::Library(it) => {
                let standing = match it.state {
                    State::Pending => Held::Running { until: it.until },
                    State::Dead => Held::Dead(it.dead.unwrap_or(DeadReason::Undeliverable)),
                    State::Done | State::Archived | State::Dropped => Held::Done(it.state),
                };
                of(standing, it.attempts, it.replays)
            }
            Keeper::Node(said) => {
                let standing = match said {
                    None | Some(State::Pending) => Held::Running { until: None },
                    Some(State::Dead) => Held::Dead(nodes_reason(&there.event)),
                    Some(state @ (State::Done | State::Archived | State::Dropped)) => {
                        Held::Done(*state)
                    }
                };
                of(standing, 0, 0)
            }
        })
    }
}

/// The answer to an event that is new.
fn new(event: &EventParts, lease: Option<Lease>) -> Claimed {
    let standing = match (lease, event.intake) {
        (Some(lease), _) => Held::Claimed(lease),
        (None, Intake::Quarantine(why)) => Held::Dead(DeadReason::Quarantined(why)),
        (None, Intake::Deliver | Intake::Archive) => Held::Kept,
    };
    Claimed { standing, attempts: 0, replays: 0, new: true }
}

impl Claims {
    /// Writes a mark of an event. Its name is its own: whatever is there is the same.
    pub(super) async fn write_mark(
        &self,
        event: &EventParts,
        name: MarkName,
        since: Timestamp,
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let why = For { source: Some(&event.source), purpose };
        let mark = Mark {
            name,
            event: event.key,
            source: event.source.clone(),
            since,
            not_before: None,
            unnamed_since: None,
        };
        self.table.put(mark.encode(), Guard::always(), why).await?;
        Ok(())
    }

    /// Writes the mark again when the operation that wrote it took so long that somebody may have removed it.
    pub(super) async fn again_if_late(
        &self,
        began: std::time::Duration,
        event: &EventParts,
        mark: Option<MarkName>,
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let Some(mark) = mark else { return Ok(()) };
        if self.options.clock.elapsed().saturating_sub(began) < super::PROMPT {
            return Ok(());
        }
        self.write_mark(event, mark, event.received_at, purpose).await
    }

    /// Removes a mark that its event does not name any more. That it could not be is no harm: whoever finds it does.
    pub(super) async fn unmark(
        &self,
        event: &EventParts,
        mark: Option<MarkName>,
        purpose: Purpose,
    ) {
        let Some(mark) = mark else { return };
        let why = For { source: Some(&event.source), purpose };
        if let Err(trouble) = self.table.delete(mark.key(event.key), Guard::always(), why).await {
            tracing::debug!(key = %event.key, %trouble, "a mark stays until it is found");
        }
    }
}
