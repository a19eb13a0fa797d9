//! What waits, found by its marks.

use std::collections::VecDeque;

use hookward_core::{EventKey, Timestamp};

use super::{Claims, Flaw, WITHOUT_EFFECT};
use crate::{
    StoreError,
    dynamodb::{
        item::{
            self,
            claim::{ClaimItem, Keeper, Standing},
            event,
            mark::{self, Mark},
        },
        table::{For, Guard, Range},
        usage::Purpose,
    },
};

/// Marks that are read together, of each partition.
const READ_ITEMS: i32 = 100;

/// Marks in their order, of all partitions together.
pub(super) struct Marks {
    shards: Vec<Shard>,
    newest_first: bool,
    purpose: Purpose,
}

struct Shard {
    /// What is still to be read; `None` at the end.
    unread: Option<Range>,
    read: VecDeque<Mark>,
}

impl Marks {
    /// The marks from the earliest on.
    pub(super) fn oldest_first(purpose: Purpose) -> Self {
        Self::new(purpose, false, |range| range)
    }

    /// The marks from a time back, that time included.
    pub(super) fn newest_first(purpose: Purpose, from: Option<Timestamp>) -> Self {
        // Behind every mark of that time.
        let to = from.map(|at| format!("{}~", mark::range(at)));
        Self::new(purpose, true, |range| Range { to: to.clone(), newest_first: true, ..range })
    }

    fn new(purpose: Purpose, newest_first: bool, bound: impl Fn(Range) -> Range) -> Self {
        let shard = |shard| {
            let range = Range { limit: Some(READ_ITEMS), ..Range::all(mark::partition(shard)) };
            Shard { unread: Some(bound(range)), read: VecDeque::new() }
        };
        Self { shards: (0..mark::SHARDS).map(shard).collect(), newest_first, purpose }
    }
}

/// What is to be done about an event whose mark was found.
pub(super) enum Found {
    /// It is due, and nobody's.
    Due(Box<(ClaimItem, Standing)>),
    /// There is nothing to do before.
    NotBefore(Timestamp),
    /// No event names this mark.
    Unnamed,
}

impl Claims {
    /// The next mark, without taking it.
    pub(super) async fn peek<'m>(
        &self,
        marks: &'m mut Marks,
    ) -> Result<Option<&'m Mark>, StoreError> {
        Ok(self.next_shard(marks).await?.and_then(|shard| {
            let shard: &Shard = shard;
            shard.read.front()
        }))
    }

    /// The next mark.
    pub(super) async fn next(&self, marks: &mut Marks) -> Result<Option<Mark>, StoreError> {
        Ok(self.next_shard(marks).await?.and_then(|shard| shard.read.pop_front()))
    }

    /// The partition whose first mark is next.
    async fn next_shard<'m>(
        &self,
        marks: &'m mut Marks,
    ) -> Result<Option<&'m mut Shard>, StoreError> {
        let why = For::all(marks.purpose);
        let empty = marks.shards.iter_mut().filter(|shard| shard.read.is_empty());
        let reads = empty.map(async |shard| {
            while shard.read.is_empty()
                && let Some(mut range) = shard.unread.take()
            {
                let found = self.table.query(&range, why).await?;
                for item in &found.items {
                    shard.read.push_back(Mark::decode(item)?);
                }
                let last = found.items.last().and_then(item::Key::of).filter(|_| found.more);
                if let Some(last) = last {
                    if range.newest_first {
                        // The next page begins with this one again.
                        range.to = Some(last.sk);
                    } else {
                        // Behind this one: all range keys here are of one length.
                        range.from = Some(format!("{}~", last.sk));
                    }
                    shard.unread = Some(range);
                }
            }
            Ok::<_, StoreError>(())
        });
        futures_util::future::try_join_all(reads).await?;
        let shards = marks.shards.iter_mut().filter(|shard| !shard.read.is_empty());
        let order = |shard: &Shard| shard.read.front().map(Mark::order);
        Ok(if marks.newest_first {
            shards.max_by_key(|shard| order(shard))
        } else {
            shards.min_by_key(|shard| order(shard))
        })
    }

    /// What is to be done about the events of some marks, in the same order.
    pub(super) async fn look_at(
        &self,
        marks: &[Mark],
        now: Timestamp,
    ) -> Result<Vec<Found>, StoreError> {
        let mut keys: Vec<EventKey> = marks.iter().map(|mark| mark.event).collect();
        keys.sort_unstable();
        keys.dedup();
        let keys: Vec<_> = keys.into_iter().map(event::key_of).collect();
        let items = self.table.get_all(&keys, For::all(Purpose::Poll)).await?;
        let found = marks.iter().map(|mark| {
            let Some(item) = items.get(&event::key_of(mark.event)) else {
                return Ok(Found::Unnamed);
            };
            let item = ClaimItem::decode(item)?;
            Ok(match &item.keeper {
                Keeper::Library(standing) if standing.mark == Some(mark.name) => {
                    let not_before = standing.free_at().filter(|at| *at > now);
                    match not_before {
                        Some(at) if !self.has(Flaw::IgnoresLeases) => Found::NotBefore(at),
                        _ if standing.until.is_some() && self.has(Flaw::IgnoresLapses) => {
                            Found::NotBefore(now.saturating_add(WITHOUT_EFFECT))
                        }
                        _ => {
                            let standing = standing.clone();
                            Found::Due(Box::new((item, standing)))
                        }
                    }
                }
                Keeper::Library(_) | Keeper::Node(_) => Found::Unnamed,
            })
        });
        // One event that cannot be read holds up no other.
        let found = found.zip(marks).map(|(found, mark)| {
            found.unwrap_or_else(|error: StoreError| {
                tracing::error!(key = %mark.event, "a waiting event cannot be read: {error}");
                Found::NotBefore(now.saturating_add(WITHOUT_EFFECT))
            })
        });
        Ok(found.collect())
    }

    /// Notes on a mark that there is nothing to do before, so that its event needs not be looked at.
    pub(super) async fn put_off(&self, mark: &Mark, until: Timestamp) {
        let guard = Guard::when("attribute_exists(pk)")
            .name("#u", mark::NOT_BEFORE)
            .value(":u", item::number(until.as_micros()));
        let why = For { source: Some(&mark.source), purpose: Purpose::Mark };
        if let Err(trouble) = self.table.update(mark.key(), "SET #u = :u", guard, why).await {
            tracing::debug!(key = %mark.event, %trouble, "a mark will be looked at again");
        }
    }

    /// What becomes of a mark that no event names: it may be that of an event that is on its way. It goes when it was seen so
    /// for as long as nothing is on its way.
    pub(super) async fn pass_unnamed(&self, mark: &Mark, now: Timestamp) -> Result<(), StoreError> {
        let why = For { source: Some(&mark.source), purpose: Purpose::Mark };
        match mark.unnamed_since {
            Some(since)
                if since.saturating_add(WITHOUT_EFFECT) <= now
                    || self.has(Flaw::RemovesMarksTooEarly) =>
            {
                self.table.delete(mark.key(), Guard::always(), why).await?;
            }
            Some(_) => {}
            None => {
                let guard = Guard::when("attribute_exists(pk) AND attribute_not_exists(#g)")
                    .name("#g", mark::UNNAMED_SINCE)
                    .value(":g", item::number(now.as_micros()));
                self.table.update(mark.key(), "SET #g = :g", guard, why).await?;
            }
        }
        Ok(())
    }
}
