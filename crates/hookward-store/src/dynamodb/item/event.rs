//! `e#…`/`e`: the event with its body. Written once, conditionally, and not touched again on the happy path.

use ::bytes::Bytes;
use hookward_core::{
    ContentDigest, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp,
};

use super::{
    Attributes, EXPIRES, Item, Key, PK, body::Stored, bytes, expiry_secs, held_until,
    key_from_text, key_text, number, text,
};
use crate::{
    StoreError,
    embedded::codec::{Put, Reader},
};

/// The owner: the node that took it.
pub(crate) const OWNER: &str = "o";
/// Its number at the owner.
pub(crate) const NUMBER: &str = "q";
/// The receipt: random, so that a retry of one's own write is told from somebody else's event.
pub(crate) const RECEIPT: &str = "r";
const SOURCE: &str = "s";
const RECEIVED: &str = "t";
const CONTENT: &str = "h";
const TYPE: &str = "ty";
const SENDER_ID: &str = "id";
const INTAKE: &str = "i";
const HEADERS: &str = "hd";
const BODY_EXPIRES: &str = "bx";
const KEY_EXPIRES: &str = "kx";

/// With `completion = "each"`: `pending`, `processed`, `failed` or `dead`, for people who read the table.
pub(crate) const STATUS: &str = "status";
/// With `completion = "each"`: when it was delivered, in RFC 3339.
pub(crate) const PROCESSED_AT: &str = "processed_at";
/// With `completion = "each"`: how many attempts have ended.
pub(crate) const ATTEMPTS: &str = "attempts";

/// What a node sees as the owner of an event that the library keeps: no node has this number.
const NOBODY: u64 = 0;

const PK_PREFIX: &str = "e#";
const SK_EVENT: &str = "e";

/// Proof of having written an item oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReceiptId(pub(crate) [u8; 8]);

/// An event item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventItem {
    /// The event without its body.
    pub(crate) event: EventParts,
    pub(crate) stored: Stored,
    pub(crate) owner: u64,
    pub(crate) number: u64,
    pub(crate) receipt: ReceiptId,
}

/// Where the event of this key is.
pub(crate) fn key_of(key: EventKey) -> Key {
    Key { pk: format!("{PK_PREFIX}{}", key_text(key)), sk: SK_EVENT.to_owned() }
}

/// The item of an event; `stored` is its body.
pub(crate) fn encode(
    event: &EventParts,
    stored: Stored,
    owner: u64,
    sequence: u64,
    receipt: ReceiptId,
) -> Item {
    let mut item = encode_facts(event, stored, receipt);
    item.insert(OWNER.to_owned(), number(owner));
    item.insert(NUMBER.to_owned(), number(sequence));
    item
}

/// The same without a node that it belongs to.
pub(crate) fn encode_facts(event: &EventParts, stored: Stored, receipt: ReceiptId) -> Item {
    let mut item = key_of(event.key).item();
    let mut set = |name: &str, value| drop(item.insert(name.to_owned(), value));
    set(RECEIPT, bytes(receipt.0));
    set(SOURCE, text(event.source.as_str()));
    set(RECEIVED, number(event.received_at.as_micros()));
    set(CONTENT, bytes(*event.content.as_bytes()));
    if let Some(event_type) = &event.event_type {
        set(TYPE, text(&**event_type));
    }
    if let Some(sender_id) = &event.sender_id {
        set(SENDER_ID, text(&**sender_id));
    }
    if let Some(intake) = intake_text(event.intake) {
        set(INTAKE, text(intake));
    }
    if !event.headers.is_empty() {
        let mut packed = Vec::new();
        for (name, value) in &event.headers {
            packed.put_sized(name.as_bytes());
            packed.put_sized(value);
        }
        set(HEADERS, bytes(packed));
    }
    set(BODY_EXPIRES, number(event.body_expires_at.as_micros()));
    if let Some(at) = event.key_expires_at {
        set(KEY_EXPIRES, number(at.as_micros()));
    }
    if let Some(at) = held_until(event) {
        set(EXPIRES, number(expiry_secs(at)));
    }
    stored.write(&mut item);
    item
}

/// What [`encode_facts`] wrote: the event without its body, its body as it is stored, and the receipt.
pub(crate) fn decode_facts(item: &Item) -> Result<(EventParts, Stored, ReceiptId), StoreError> {
    let read = Attributes(item);
    let key = read.text(PK)?.strip_prefix(PK_PREFIX).and_then(key_from_text);
    let optional = |name| -> Result<Option<Box<str>>, StoreError> {
        Ok(read.maybe_text(name)?.map(Into::into))
    };
    let event = EventParts {
        key: key.ok_or_else(|| read.damaged(PK))?,
        source: SourceName::parse(read.text(SOURCE)?).map_err(|_| read.damaged(SOURCE))?,
        event_type: optional(TYPE)?,
        sender_id: optional(SENDER_ID)?,
        content: ContentDigest::from_bytes(
            read.bytes(CONTENT)?.try_into().map_err(|_| read.damaged(CONTENT))?,
        ),
        received_at: read.time(RECEIVED)?,
        intake: intake_from(read.maybe_text(INTAKE)?).ok_or_else(|| read.damaged(INTAKE))?,
        headers: headers(read.maybe_bytes(HEADERS)?.unwrap_or_default())
            .ok_or_else(|| read.damaged(HEADERS))?,
        body: Bytes::new(),
        body_expires_at: read.time(BODY_EXPIRES)?,
        key_expires_at: read.maybe_time(KEY_EXPIRES)?,
    };
    Ok((event, Stored::read(read)?, receipt(read)?))
}

impl EventItem {
    pub(crate) fn decode(item: &Item) -> Result<Self, StoreError> {
        let (event, stored, receipt) = decode_facts(item)?;
        let read = Attributes(item);
        let (owner, number) = if super::claim::is_one(item) {
            (NOBODY, 0)
        } else {
            (read.number(OWNER)?, read.number(NUMBER)?)
        };
        Ok(Self { event, stored, owner, number, receipt })
    }

    /// Whether nobody holds this key any more at `now`, for its time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        held_until(&self.event).is_some_and(|until| until <= now)
    }

    /// Whether its body may not be seen any more at `now`.
    pub(crate) fn is_body_over(&self, now: Timestamp) -> bool {
        self.event.body_expires_at <= now
    }
}

fn receipt(read: Attributes<'_>) -> Result<ReceiptId, StoreError> {
    read.bytes(RECEIPT)?.try_into().map(ReceiptId).map_err(|_| read.damaged(RECEIPT))
}

/// A header that was kept.
type Header = (Box<str>, Box<[u8]>);

fn headers(packed: &[u8]) -> Option<Vec<Header>> {
    let mut reader = Reader::new(packed);
    let mut headers = Vec::new();
    while !reader.is_empty() {
        headers.push((reader.text()?.into(), reader.sized()?.into()));
    }
    Some(headers)
}

/// How an intake is written: not at all for the usual one.
pub(crate) const fn intake_text(intake: Intake) -> Option<&'static str> {
    match intake {
        Intake::Deliver => None,
        Intake::Archive => Some("archive"),
        Intake::Quarantine(why) => Some(why.as_str()),
    }
}

pub(crate) fn intake_from(text: Option<&str>) -> Option<Intake> {
    match text {
        None => Some(Intake::Deliver),
        Some("archive") => Some(Intake::Archive),
        Some(name) => quarantine_from(name).map(Intake::Quarantine),
    }
}

pub(crate) fn quarantine_from(name: &str) -> Option<Quarantine> {
    Quarantine::ALL.into_iter().find(|why| why.as_str() == name)
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, option, prelude::*, strategy::ValueTree as _};

    use super::*;

    fn intake() -> impl Strategy<Value = Intake> {
        prop_oneof![
            Just(Intake::Deliver),
            Just(Intake::Archive),
            (0..Quarantine::ALL.len()).prop_map(|i| Intake::Quarantine(Quarantine::ALL[i])),
        ]
    }

    prop_compose! {
        pub(crate) fn event()(
            key: [u8; 16], content: [u8; 16], intake in intake(), at in 0..u64::MAX / 4, kept in 0..u64::MAX / 4,
            held in option::of(0..u64::MAX / 4), event_type in option::of(".{0,40}"), sender_id in option::of(".{0,40}"),
            headers in vec((".{0,20}", vec(any::<u8>(), 0..30)), 0..5),
            body in prop_oneof![vec(any::<u8>(), 0..50), (0..9_000_usize).prop_map(|n| vec![b'a'; n])],
        ) -> EventParts {
            EventParts {
                key: EventKey::from_bytes(key),
                source: SourceName::parse("stripe").unwrap(),
                event_type: event_type.map(Into::into),
                sender_id: sender_id.map(Into::into),
                content: ContentDigest::from_bytes(content),
                received_at: Timestamp::from_micros(at),
                intake,
                headers: headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                body: body.into(),
                body_expires_at: Timestamp::from_micros(kept),
                key_expires_at: held.map(Timestamp::from_micros),
            }
        }
    }

    proptest! {
        #[test]
        fn an_event_is_read_as_it_was_written(event in event(), owner: u64, sequence: u64, receipt: [u8; 8]) {
            let receipt = ReceiptId(receipt);
            let stored = Stored::pack(&event.body, None);
            let item = encode(&event, stored.clone(), owner, sequence, receipt);
            let read = EventItem::decode(&item).unwrap();
            let stored_bytes = read.stored.at_hand().unwrap();
            prop_assert_eq!(read.stored.unpack(stored_bytes, None), Some(event.body.clone()));
            prop_assert_eq!(read.stored.body_bytes(), event.body.len());
            let event = EventParts { body: Bytes::new(), ..event };
            prop_assert_eq!(read, EventItem { event, stored, owner, number: sequence, receipt });
        }
    }

    #[test]
    fn an_event_whose_body_is_in_an_object_names_it_and_has_none() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let event = event().new_tree(&mut runner).unwrap().current();
        let event = EventParts { body: vec![7; 9_000].into(), ..event };
        for packed in [Stored::pack(&event.body, None), Stored::plain(event.body.clone())] {
            let (stored, bytes) = packed.moved(&event.body, |_| "a/key".to_owned()).unwrap();
            let item = encode(&event, stored, 1, 1, ReceiptId([7; 8]));
            assert!(!item.contains_key("b") && item["ob"].as_s().unwrap() == "a/key");
            let read = EventItem::decode(&item).unwrap().stored;
            assert_eq!((read.body_bytes(), read.at_hand()), (9_000, None));
            assert_eq!(read.unpack(&bytes, None), Some(event.body.clone()));
        }
    }

    #[test]
    fn what_an_event_costs_beside_its_body_is_little() {
        let event = EventParts {
            key: EventKey::from_bytes([7; 16]),
            source: SourceName::parse("stripe").unwrap(),
            event_type: Some("invoice.payment_succeeded".into()),
            sender_id: Some("evt_1NG8Du2eZvKYlo2CUI79vXWy".into()),
            content: ContentDigest::from_bytes([7; 16]),
            received_at: Timestamp::from_micros(1_700_000_000_123_456),
            intake: Intake::Deliver,
            headers: vec![("content-type".into(), (*b"application/json").into())],
            body: Bytes::new(),
            body_expires_at: Timestamp::from_micros(1_702_592_000_123_456),
            key_expires_at: Some(Timestamp::from_micros(1_702_592_600_123_456)),
        };
        let item = encode(&event, Stored::plain(Bytes::new()), 41, 1_000_000, ReceiptId([7; 8]));
        let bytes = crate::dynamodb::item::billed_bytes(&item);
        assert!(bytes <= 250, "{bytes} bytes");
    }
}
