//! How large items are, for estimates of what a table costs. The tests hold these numbers to what is written.

use std::time::Duration;

/// A typical event's item beside its body: with a type, the sender's id and one kept header.
pub const EVENT_BYTES: u64 = 200;

/// The largest item that is written. A body that does not fit goes into a bucket.
pub const ITEM_BYTES_MAX: usize = hookward_core::limits::DYNAMODB_ITEM_BYTES_MAX;

/// What an item has in place of such a body: the key of the object, with a prefix of some characters.
pub const OBJECT_BYTES: u64 = 75;

/// An item of the journal beside its events, for one source.
pub const JOURNAL_BYTES: u64 = 55;

/// An event in the journal.
pub const JOURNAL_EVENT_BYTES: u64 = 20;

/// So many events fill an item of the journal: it waits for no more.
pub const JOURNAL_EVENTS_FULL: u64 = 40;

/// How much longer than its bodies a journal item is kept, for events that are still being delivered.
pub const JOURNAL_EXTRA: Duration = Duration::from_hours(7 * 24);

/// What an event writes whose first attempt fails and whose second one does not: its ticket, and the ticket again.
pub const RETRIED_UNITS: u64 = 2;

/// What a dead letter writes: its mark, and its ticket.
pub const DEAD_UNITS: u64 = 2;

/// What a duplicate reads that meets a node which does not remember it: the event's ticket, and the event's node.
pub const DUPLICATE_READ_UNITS: u64 = 2;

/// A node says that it is there, and looks at the others, so many times a lease.
pub const BEATS_A_LEASE: u64 = 3;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use hookward_core::{ContentDigest, EventKey, EventParts, Intake, SourceName, Timestamp};

    use super::*;
    use crate::{
        Attempt,
        dynamodb::{
            item::{
                Item, billed_bytes,
                body::Stored,
                dead::DeadMark,
                event::{self, ReceiptId},
                journal::{Entry, EntryKind, JournalItem},
                ticket::{Ticket, TicketState},
            },
            progress::Progress,
        },
    };

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_123_456);

    fn event() -> EventParts {
        EventParts {
            key: EventKey::from_bytes([7; 16]),
            source: SourceName::parse("stripe").unwrap(),
            event_type: Some("invoice.payment_succeeded".into()),
            sender_id: Some("evt_1NG8Du2eZvKYlo2CUI79vXWy".into()),
            content: ContentDigest::from_bytes([7; 16]),
            received_at: NOW,
            intake: Intake::Deliver,
            headers: vec![("content-type".into(), (*b"application/json").into())],
            body: Bytes::new(),
            body_expires_at: NOW.saturating_add(Duration::from_hours(30 * 24)),
            key_expires_at: Some(NOW.saturating_add(Duration::from_hours(30 * 24))),
        }
    }

    fn journal(events: usize) -> Item {
        let entry = |_| Entry {
            key: EventKey::from_bytes([7; 16]),
            source: SourceName::parse("stripe").unwrap(),
            at: NOW.saturating_sub(Duration::from_millis(3)),
            kind: EntryKind::Arrived,
        };
        let item = JournalItem {
            node: 41,
            at: NOW,
            first: 1_000_000,
            entries: (0..events).map(entry).collect(),
            progress: Progress::default(),
            expires_at: NOW,
        };
        item.encode()
    }

    /// Within a tenth: an estimate needs no more.
    #[track_caller]
    fn close(said: u64, written: usize) {
        let written = written as u64;
        assert!(said.abs_diff(written) * 10 <= written, "{said} is said, {written} is written");
    }

    fn units(item: &Item) -> u64 {
        (billed_bytes(item) as u64).div_ceil(1024)
    }

    #[test]
    fn events_are_as_large_as_is_said() {
        let item =
            event::encode(&event(), Stored::plain(Bytes::new()), 41, 1_000_000, ReceiptId([7; 8]));
        close(EVENT_BYTES, billed_bytes(&item));
    }

    #[test]
    fn the_name_of_an_object_is_as_large_as_is_said() {
        let item = |stored| event::encode(&event(), stored, 41, 1_000_000, ReceiptId([7; 8]));
        let body = Bytes::from(vec![7; 500_000]);
        let key = |_: &[u8]| format!("hookward/{}", "0".repeat(64));
        let (named, _) = Stored::plain(body.clone()).moved(&body, key).unwrap();
        let without = billed_bytes(&item(Stored::plain(Bytes::new())));
        close(OBJECT_BYTES, billed_bytes(&item(named)) - without);
    }

    #[test]
    fn the_journal_is_as_large_as_is_said() {
        for events in [1, 10, 40, 100] {
            let said = JOURNAL_BYTES + events as u64 * JOURNAL_EVENT_BYTES;
            close(said, billed_bytes(&journal(events)));
        }
        assert_eq!(units(&journal(usize::try_from(JOURNAL_EVENTS_FULL).unwrap())), 1);
    }

    #[test]
    fn what_goes_wrong_writes_items_of_one_unit() {
        let attempt = Attempt { at: NOW, status: Some(503), note: "answered 503".into() };
        let ticket = Ticket {
            key: EventKey::from_bytes([7; 16]),
            receipt: ReceiptId([7; 8]),
            version: 2,
            owner: 41,
            state: TicketState::Pending { due_at: NOW },
            attempts: 16,
            replays: 1,
            replayed_at: Some(NOW),
            history: VecDeque::from(vec![attempt; 16]),
            expires_at: Some(NOW),
        };
        assert_eq!(units(&ticket.encode()), 1);
        assert_eq!(units(&DeadMark::of(&event()).encode()), 1);
    }
}
