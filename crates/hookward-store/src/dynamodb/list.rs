//! Lists, newest first: from the journals of all nodes, and of dead letters from their marks.

use std::collections::{BinaryHeap, VecDeque};

use hookward_core::{EventKey, SourceName, Timestamp};

use super::{
    Shared,
    item::{
        dead,
        journal::{self, EntryKind, JournalItem, SPAN},
        node::{self, EndedItem},
    },
    table::{For, Range},
    usage::Purpose,
};
use crate::{Cursor, Page, Query, State, StoreError};

/// Journal items that are read together.
const READ_ITEMS: i32 = 25;

/// Events that are read together.
const BATCH: usize = 50;

/// Events that one call looks at, before it returns what it has and where to go on.
const LOOKED_AT_MAX: usize = 1_000;

/// Days that one call looks at for dead letters.
const DAYS_MAX: u64 = 62;

/// Bits of a cursor below the time: which of the events of one microsecond.
const ORDINAL_BITS: u32 = 12;

/// A place in the order of a list: the time, and how many of the same time came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    ordinal: u64,
}

impl Place {
    pub(super) fn cursor(self) -> Cursor {
        let ordinal = self.ordinal.min((1 << ORDINAL_BITS) - 1);
        Cursor(self.at.as_micros() << ORDINAL_BITS | ordinal)
    }

    pub(super) fn of(cursor: Cursor) -> Self {
        let at = Timestamp::from_micros(cursor.0 >> ORDINAL_BITS);
        Self { at, ordinal: cursor.0 & ((1 << ORDINAL_BITS) - 1) }
    }

    /// Everything before a time.
    pub(super) const fn before(at: Timestamp) -> Self {
        Self { at, ordinal: 0 }
    }

    /// Whether a list that goes on after `from` was here already.
    pub(super) fn is_past(self, from: Option<Self>) -> bool {
        from.is_some_and(|from| {
            self.at > from.at || (self.at == from.at && self.ordinal <= from.ordinal)
        })
    }

    /// The place of the next event, at this time or before.
    pub(super) fn next(before: Option<Self>, at: Timestamp) -> Self {
        let ordinal = before.filter(|it| it.at == at).map_or(0, |it| it.ordinal + 1);
        Self { at, ordinal }
    }
}

/// Something that may belong into a list.
#[derive(Clone, Debug)]
struct Candidate {
    place: Place,
    key: EventKey,
    /// The node and number that the event must have to be listed here: those of an arrival that may have been a duplicate.
    arrived: Option<(u64, u64)>,
}

/// Candidates of a list after each other, newest first.
struct Stream {
    nodes: Vec<NodeStream>,
    last: Option<Place>,
}

/// An entry that was read, ordered as it is listed.
type Read = (Timestamp, u64, EventKey, SourceName, bool);

struct NodeStream {
    node: u64,
    /// Everything at or after this time has been read; `None` when everything has.
    unread_to: Option<Timestamp>,
    read: BinaryHeap<Read>,
}

impl NodeStream {
    /// The latest time at which this journal may still have something.
    fn latest(&self) -> Option<Timestamp> {
        self.read.peek().map(|(at, ..)| *at).max(self.unread_to)
    }

    /// Whether the next is known: nothing unread can be newer.
    fn is_ready(&self) -> bool {
        match (self.read.peek(), self.unread_to) {
            (Some((at, ..)), Some(unread)) => *at > unread,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

impl Shared {
    pub(super) async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        drop(self.open_book()?);
        if query.state == Some(State::Dead) {
            return self.list_dead(query).await;
        }
        let from = query.cursor.map(Place::of);
        let mut stream = self.stream(query, from).await?;
        let mut page = Page::default();
        let mut looked_at = 0;
        loop {
            let mut candidates = VecDeque::new();
            let mut at_end = false;
            while candidates.len() < BATCH {
                let Some(candidate) = self.next_candidate(&mut stream, query, from).await? else {
                    at_end = true;
                    break;
                };
                candidates.push_back(candidate);
            }
            looked_at += candidates.len();
            let last = candidates.back().map(|candidate| candidate.place);
            if let Some(full) = self.fill(&mut page, query, candidates).await? {
                page.next = Some(full.cursor());
                return Ok(page);
            }
            if at_end {
                return Ok(page);
            }
            if looked_at >= LOOKED_AT_MAX {
                page.next = last.map(Place::cursor);
                return Ok(page);
            }
        }
    }

    /// Puts those candidates onto the page that belong there. The place of the last one when it is full.
    async fn fill(
        &self,
        page: &mut Page,
        query: &Query,
        candidates: VecDeque<Candidate>,
    ) -> Result<Option<Place>, StoreError> {
        let forgotten_at = self.open_book()?.forgotten_at;
        let keys: Vec<EventKey> = candidates.iter().map(|candidate| candidate.key).collect();
        let records = self.records(&keys).await?;
        for Candidate { place, key, arrived } in candidates {
            let Some(record) = records.get(&key) else { continue };
            let is_elsewhere =
                arrived.is_some_and(|arrived| arrived != (record.item.owner, record.item.number));
            let is_shown = || page.events.iter().any(|kept| kept.event.key == key);
            if is_elsewhere || is_shown() {
                continue;
            }
            let record = record.clone();
            let Some(kept) = self.kept(record, forgotten_at, 1).await? else { continue };
            if kept.body_expired || !query.matches(&kept.event, kept.state) {
                continue;
            }
            page.events.push(kept);
            if page.events.len() >= query.limit {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The journals of all nodes that were and are.
    async fn stream(&self, query: &Query, from: Option<Place>) -> Result<Stream, StoreError> {
        let why = For::all(Purpose::Read);
        let mut nodes: Vec<u64> =
            self.live_nodes(Purpose::Read).await?.iter().map(|node| node.node).collect();
        for item in self.table.query_all(Range::all(node::ENDED), why).await? {
            nodes.push(EndedItem::decode(&item)?.node);
        }
        nodes.sort_unstable();
        nodes.dedup();
        let latest = Timestamp::from_micros(u64::MAX >> ORDINAL_BITS);
        let bounds = [from.map(|place| place.at), query.before];
        let end = bounds.into_iter().flatten().min().map_or(latest, |at| at.saturating_add(SPAN));
        let stream = |node| NodeStream { node, unread_to: Some(end), read: BinaryHeap::new() };
        Ok(Stream { nodes: nodes.into_iter().map(stream).collect(), last: None })
    }

    async fn next_candidate(
        &self,
        stream: &mut Stream,
        query: &Query,
        from: Option<Place>,
    ) -> Result<Option<Candidate>, StoreError> {
        loop {
            let newest = stream
                .nodes
                .iter_mut()
                .filter_map(|node| Some((node.latest()?, node.is_ready(), node)));
            // Of the same time, what has to be read goes first: it may hold something that belongs before.
            let Some((at, is_ready, node)) =
                newest.max_by_key(|(at, ready, node)| (*at, !*ready, node.node))
            else {
                return Ok(None);
            };
            if query.since.is_some_and(|since| at < since) {
                return Ok(None);
            }
            if !is_ready {
                self.read_journal(node).await?;
                continue;
            }
            let Some((at, number, key, source, arrived)) = node.read.pop() else { continue };
            let arrived = arrived.then_some((node.node, number));
            let place = Place::next(stream.last, at);
            stream.last = Some(place);
            if place.is_past(from) || query.source.as_ref().is_some_and(|wanted| *wanted != source)
            {
                continue;
            }
            return Ok(Some(Candidate { place, key, arrived }));
        }
    }

    /// Reads some more of a node's journal, towards the past.
    async fn read_journal(&self, node: &mut NodeStream) -> Result<(), StoreError> {
        let Some(to) = node.unread_to else { return Ok(()) };
        let range = Range {
            to: Some(journal::range(to)),
            newest_first: true,
            limit: Some(READ_ITEMS),
            ..Range::all(journal::partition(node.node))
        };
        let found = self.table.query(&range, For::all(Purpose::Read)).await?;
        node.unread_to = None;
        for item in &found.items {
            let group = JournalItem::decode(item)?;
            if found.more {
                node.unread_to = group.at.as_micros().checked_sub(1).map(Timestamp::from_micros);
            }
            for (number, entry) in group.numbered() {
                let arrived = match entry.kind {
                    EntryKind::Arrived => true,
                    EntryKind::Instead => false,
                    EntryKind::Again => continue,
                };
                node.read.push((entry.at, number, entry.key, entry.source.clone(), arrived));
            }
        }
        Ok(())
    }

    async fn list_dead(&self, query: &Query) -> Result<Page, StoreError> {
        let (latest, mut first) = {
            let book = self.open_book()?;
            (book.latest, book.latest)
        };
        let why = For::all(Purpose::Read);
        for node in self.live_nodes(Purpose::Read).await? {
            first = first.min(node.born_at);
        }
        for item in self.table.query_all(Range::all(node::ENDED), why).await? {
            first = first.min(EndedItem::decode(&item)?.born_at);
        }
        let from = query.cursor.map(Place::of);
        let last_day = [from.map(|place| place.at), query.before, Some(latest)];
        let last_day = dead::day_of(last_day.into_iter().flatten().min().unwrap_or(latest))
            + u64::from(from.is_none());
        // Events of before its first node came with a clock that was behind.
        let first_day = dead::day_of(query.since.unwrap_or(first).max(first)).saturating_sub(1);
        let mut page = Page::default();
        let mut last = None;
        for (looked_at, day) in (first_day..=last_day).rev().enumerate() {
            if looked_at as u64 >= DAYS_MAX {
                let end = Timestamp::from_secs((day + 1) * 24 * 3_600);
                page.next = Some(Place::before(end).cursor());
                return Ok(page);
            }
            let mut candidates = VecDeque::new();
            for mark in self.table.dead_marks(day).await? {
                let place = Place::next(last, mark.received_at);
                last = Some(place);
                if !place.is_past(from) {
                    candidates.push_back(Candidate { place, key: mark.key, arrived: None });
                }
            }
            while !candidates.is_empty() {
                let rest = candidates.split_off(candidates.len().min(BATCH));
                if let Some(full) = self.fill(&mut page, query, candidates).await? {
                    page.next = Some(full.cursor());
                    return Ok(page);
                }
                candidates = rest;
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_place() {
        let place = Place { at: Timestamp::from_micros(1_700_000_000_123_456), ordinal: 7 };
        assert_eq!(Place::of(place.cursor()), place);
        let next = Place::next(Some(place), place.at);
        assert_eq!(next.ordinal, 8);
        assert_eq!(Place::next(Some(place), Timestamp::from_micros(5)).ordinal, 0);
    }
}
