//! The nodes that share the table: entering, heartbeats, watching each other, leaving.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use hookward_core::Timestamp;

use super::{
    Shared,
    item::{
        self, Attributes, Item,
        node::{self, EndedItem, NodeItem, NodeState},
        number, text,
    },
    progress::Progress,
    table::{For, Guard, Range, Written},
    tenure::Tenure,
    usage::Purpose,
};
use crate::StoreError;

/// A node says that it is there so many times a lease.
const BEATS_A_LEASE: u32 = 3;

/// How often a node that only finishes events says so: what it did not say is done again if it dies.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Where the node is that took an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    Here,
    Live(Progress),
    /// Its work is about to be taken over.
    Leaving,
    Ended(Progress),
}

/// What this node saw of another one.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    beat: u64,
    state: NodeState,
    lease: Duration,
    /// By this node's clock, when the heartbeat was seen first.
    since: Duration,
}

/// What was said last about this node.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    progress: Progress,
    at: Duration,
    beat: u64,
}

impl Shared {
    /// Becomes a node that never was.
    pub(super) async fn enter(&self, now: Timestamp) -> Result<Arc<Tenure>, StoreError> {
        let node = self.next_epoch(Purpose::Node).await?;
        let sent_at = self.options.clock.elapsed();
        let item = NodeItem {
            node,
            beat: 1,
            state: NodeState::Live,
            progress: Progress::default(),
            from: Timestamp::default(),
            lease: self.options.lease,
            name: self.options.name.clone(),
            born_at: now,
        };
        // Nobody else has this number: what is there is a retry's own first try. One that comes late must not undo what
        // happened since.
        let first = Guard::when("attribute_not_exists(pk)");
        self.table.put(item.encode(), first, For::all(Purpose::Node)).await?;
        Ok(Arc::new(Tenure::new(node, sent_at, self.options.lease)))
    }

    /// A number above all that any node of this table ever had.
    pub(super) async fn next_epoch(&self, purpose: Purpose) -> Result<u64, StoreError> {
        let guard = Guard::always().name("#c", node::COUNT).value(":one", number(1));
        let answer = self
            .table
            .update(node::counters_key(), "ADD #c :one", guard, For::all(purpose))
            .await?;
        let (_, Some(counters)) = answer else {
            return Err(StoreError::Damaged { place: "n#table/n: no counters".to_owned() });
        };
        Attributes(&counters).number(node::COUNT)
    }

    /// Says that this node is there, and how far it has come. Begins again when it was taken for dead.
    pub(super) async fn beat(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.beating.lock().await;
        let (tenure, progress, from) = {
            let mut book = self.open_book()?;
            (Arc::clone(&book.tenure), book.progress.clone(), book.journal_from())
        };
        let beat = self.said().beat + 1;
        let sent_at = self.options.clock.elapsed();
        let guard = Guard::when("#st = :live")
            .name("#st", node::STATE)
            .name("#hb", node::BEAT)
            .name("#ck", node::THROUGH)
            .name("#dn", node::BEYOND)
            .name("#js", node::FROM)
            .value(":live", text(node::STATE_LIVE))
            .value(":one", number(1))
            .value(":ck", number(progress.through()))
            .value(":dn", item::bytes(progress.encode_beyond(node::BEYOND_BYTES_MAX)))
            .value(":js", number(from.as_micros()));
        let change = "SET #hb = #hb + :one, #ck = :ck, #dn = :dn, #js = :js";
        let (written, _) = self
            .table
            .update(node::key_of(tenure.node), change, guard, For::all(Purpose::Node))
            .await?;
        if written.is_done() {
            tenure.extend(sent_at, self.options.lease);
            *self.said() = Said { progress, at: sent_at, beat };
            return Ok(());
        }
        tracing::error!(
            node = tenure.node,
            "this node was taken for dead, and others deliver its events: it begins again as a new node"
        );
        tenure.end();
        self.begin_again().await
    }

    async fn begin_again(&self) -> Result<(), StoreError> {
        let latest = self.book().latest;
        let tenure = self.enter(latest).await?;
        let mut book = self.open_book()?;
        book.begin_again(tenure, self.options.recent_max);
        *self.said() = Said { at: self.options.clock.elapsed(), ..Said::default() };
        Ok(())
    }

    /// Heartbeats as long as the store is open.
    pub(super) async fn keep_beating(self: Arc<Self>) {
        let interval = self.options.lease / BEATS_A_LEASE;
        let mut failing = false;
        loop {
            self.options.clock.sleep(CHECKPOINT.min(interval)).await;
            if !self.has_news(interval) {
                continue;
            }
            match self.beat().await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("this node is heard of again");
                    }
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "cannot tell other nodes that this one is there");
                    failing = true;
                }
            }
        }
    }

    fn has_news(&self, interval: Duration) -> bool {
        let elapsed = self.options.clock.elapsed();
        let said = self.said();
        if elapsed.saturating_sub(said.at) >= interval {
            return true;
        }
        let book = self.book();
        // What is being taken anew carries the news along in the journal.
        book.progress != said.progress && book.in_flight.is_empty()
    }

    /// Looks for nodes that need a successor, as long as the store is open.
    pub(super) async fn keep_watch(self: Arc<Self>) {
        let interval = self.options.lease / BEATS_A_LEASE;
        loop {
            match self.watch().await {
                Ok(()) => {}
                Err(StoreError::Closed) => return,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "cannot look for other nodes' unfinished work");
                }
            }
            self.options.clock.sleep(interval).await;
        }
    }

    /// Looks once, and takes over what has to be.
    pub(super) async fn watch(self: &Arc<Self>) -> Result<(), StoreError> {
        let _one_at_a_time = self.watching.lock().await;
        drop(self.open_book()?);
        let nodes = self.live_nodes(Purpose::Node).await?;
        let own = self.tenure();
        for other in &nodes {
            self.see(other);
        }
        self.seen().retain(|node, _| nodes.iter().any(|other| other.node == *node));
        let mut failed = None;
        for other in nodes.iter().filter(|other| other.node != own.node) {
            let by_is_alive = |by: u64| {
                by != own.node
                    && nodes.iter().any(|it| {
                        it.node == by && it.state == NodeState::Live && !self.has_lapsed(it)
                    })
            };
            let needs_successor = match other.state {
                NodeState::Live => self.has_lapsed(other),
                NodeState::Free => true,
                NodeState::Taken { by } => !by_is_alive(by),
            };
            if self.options.takes_over && needs_successor && own.is_valid(&*self.options.clock) {
                // One that cannot be taken over holds nobody else up.
                failed = self.take_over(other).await.err().or(failed);
            }
        }
        self.decide().await?;
        self.carry_forward().await?;
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn live_nodes(&self, purpose: Purpose) -> Result<Vec<NodeItem>, StoreError> {
        let items = self.table.query_all(Range::all(node::LIVE), For::all(purpose)).await?;
        items.iter().map(NodeItem::decode).collect()
    }

    /// Notes what a node was seen doing, and when it was seen first.
    fn see(&self, other: &NodeItem) {
        let now = self.options.clock.elapsed();
        let NodeItem { node, beat, state, lease, .. } = *other;
        let fresh = Seen { beat, state, lease, since: now };
        let mut seen = self.seen();
        let known = seen.entry(node).or_insert_with(|| fresh.clone());
        if (known.beat, known.state) != (beat, state) {
            *known = fresh;
        }
    }

    /// Whether a node was not heard of for so long that it knows itself that it may not speak any more.
    pub(super) fn has_lapsed(&self, other: &NodeItem) -> bool {
        let now = self.options.clock.elapsed();
        let seen = self.seen();
        seen.get(&other.node).is_some_and(|seen| {
            (seen.beat, seen.state) == (other.beat, other.state)
                && now.saturating_sub(seen.since) >= seen.lease + self.options.lease_margin
        })
    }

    /// A node's own item, as it is now.
    pub(super) async fn read_node(&self, node: u64) -> Result<Option<NodeItem>, StoreError> {
        let item = self.table.get(node::key_of(node), For::all(Purpose::Duplicate)).await?;
        item.as_ref().map(NodeItem::decode).transpose()
    }

    /// The last word of a node, if it is known here.
    pub(super) fn ended(&self, node: u64) -> Option<Progress> {
        self.endings().get(&node).cloned()
    }

    /// The last word of a node that is not there any more. Where there is none, nothing is known to be finished.
    pub(super) async fn read_ended(&self, node: u64) -> Result<Progress, StoreError> {
        let item = self.table.get(node::ended_key(node), For::all(Purpose::Duplicate)).await?;
        let Some(item) = item else { return Ok(Progress::default()) };
        let progress = EndedItem::decode(&item)?.progress;
        self.endings().insert(node, progress.clone());
        Ok(progress)
    }

    /// Writes a node's last word and takes it from among the nodes.
    pub(super) async fn end_node(
        &self,
        other: &NodeItem,
        progress: Progress,
        purpose: Purpose,
        guard: Guard,
    ) -> Result<(), StoreError> {
        let NodeItem { node, name, born_at, .. } = other.clone();
        let ended = EndedItem { node, progress, name, born_at };
        let first = Guard::when("attribute_not_exists(pk)");
        // Refused: somebody wrote it already, who read the same.
        self.table.put(ended.encode(), first, For::all(purpose)).await?;
        self.table.delete(node::key_of(node), guard, For::all(purpose)).await?;
        Ok(())
    }

    /// Leaves: with a last word when everything is finished, otherwise with what others need to finish it.
    pub(super) async fn leave(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.beating.lock().await;
        let (tenure, progress, finished, from) = {
            let mut book = self.book();
            let finished = book.progress.through() >= book.last_number();
            (Arc::clone(&book.tenure), book.progress.clone(), finished, book.journal_from())
        };
        if tenure.has_ended() {
            return Ok(());
        }
        let why = For::all(Purpose::Node);
        if finished {
            let key = node::key_of(tenure.node);
            let Some(item) = self.table.get(key, why).await? else { return Ok(()) };
            let own = NodeItem::decode(&item)?;
            if own.state != NodeState::Live {
                return Ok(());
            }
            let still_live = Guard::when("#st = :live")
                .name("#st", node::STATE)
                .value(":live", text(node::STATE_LIVE));
            tenure.end();
            return self.end_node(&own, progress, Purpose::Node, still_live).await;
        }
        let guard = Guard::when("#st = :live")
            .name("#st", node::STATE)
            .name("#ck", node::THROUGH)
            .name("#dn", node::BEYOND)
            .name("#js", node::FROM)
            .value(":live", text(node::STATE_LIVE))
            .value(":free", text(node::STATE_FREE))
            .value(":ck", number(progress.through()))
            .value(":dn", item::bytes(progress.encode_beyond(usize::MAX)))
            .value(":js", number(from.as_micros()));
        tenure.end();
        let change = "SET #st = :free, #ck = :ck, #dn = :dn, #js = :js";
        // Refused: somebody takes care of it already.
        let (Written::Done | Written::Refused(_), _) =
            self.table.update(node::key_of(tenure.node), change, guard, why).await?;
        Ok(())
    }

    /// The time up to which somebody forgot what had expired.
    pub(super) async fn read_forgotten(&self) -> Result<Timestamp, StoreError> {
        let item: Option<Item> =
            self.table.get(node::counters_key(), For::all(Purpose::Node)).await?;
        let Some(item) = item else { return Ok(Timestamp::default()) };
        Ok(Attributes(&item).maybe_time(node::FORGOTTEN)?.unwrap_or_default())
    }

    /// Says up to which time what had expired is forgotten.
    pub(super) async fn write_forgotten(&self, at: Timestamp) -> Result<(), StoreError> {
        let guard =
            Guard::always().name("#ea", node::FORGOTTEN).value(":at", number(at.as_micros()));
        self.table
            .update(node::counters_key(), "SET #ea = :at", guard, For::all(Purpose::Node))
            .await?;
        Ok(())
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endings(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Progress>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
