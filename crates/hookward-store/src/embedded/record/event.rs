//! An event was kept.

use bytes::Bytes;
use hookward_core::{
    ContentDigest, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp,
};

use super::{Encoded, Kind, Put, Reader};

/// Bodies from this size on are compressed when that saves an eighth. Below it the time is worth more than the
/// bytes: at 1 KiB, compressing costs as much CPU as everything else that an append does.
const COMPRESS_BYTES_MIN: usize = 2 * 1024;

/// zstd's fastest ordinary level: the log is written once and mostly read never.
const COMPRESS_LEVEL: i32 = 1;

/// No stored body decompresses to more, whatever its record says: above what a segment can hold.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

const COMPRESSED: u8 = 0x80;

/// The event without its body, which follows the record's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRecord {
    /// The body is empty here.
    pub(crate) event: EventParts,
    /// The size of the body.
    pub(crate) body_bytes: usize,
    compressed: bool,
}

impl EventRecord {
    /// `None` when its headers and labels are too long to be kept.
    pub(crate) fn encode(event: &EventParts) -> Option<Encoded> {
        let compressed = (event.body.len() >= COMPRESS_BYTES_MIN)
            .then(|| zstd::bulk::compress(&event.body, COMPRESS_LEVEL).ok())
            .flatten()
            .filter(|smaller| smaller.len() <= event.body.len() - event.body.len() / 8);
        let body = compressed.as_deref().unwrap_or(&event.body);
        Encoded::new(Kind::Event, body, |out| {
            let flag = if compressed.is_some() { COMPRESSED } else { 0 };
            out.put(event.key.as_bytes());
            out.put(event.content.as_bytes());
            out.put_u8(intake_code(event.intake) | flag);
            out.put_time(event.received_at);
            out.put_time_from(event.received_at, event.body_expires_at);
            match event.key_expires_at {
                None => out.put_u8(0),
                Some(at) => {
                    out.put_u8(1);
                    out.put_time_from(event.received_at, at);
                }
            }
            out.put_sized(event.source.as_str().as_bytes());
            put_label(out, event.event_type.as_deref());
            put_label(out, event.sender_id.as_deref());
            out.put_varint(event.headers.len() as u64);
            for (name, value) in &event.headers {
                out.put_sized(name.as_bytes());
                out.put_sized(value);
            }
            if compressed.is_some() {
                out.put_varint(event.body.len() as u64);
            }
        })
    }

    /// Reads what the record says. The size of a body that is not compressed is known to the caller alone.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let key = EventKey::from_bytes(reader.array()?);
        let content = ContentDigest::from_bytes(reader.array()?);
        let code = reader.u8()?;
        let compressed = code & COMPRESSED != 0;
        let intake = intake_from(code & !COMPRESSED)?;
        let received_at = reader.time()?;
        let body_expires_at = reader.time_from(received_at)?;
        let key_expires_at = match reader.u8()? {
            0 => None,
            1 => Some(reader.time_from(received_at)?),
            _ => return None,
        };
        let source = SourceName::parse(reader.text()?).ok()?;
        let (mut event_type, mut sender_id) = (None, None);
        read_label(reader, &mut event_type)?;
        read_label(reader, &mut sender_id)?;
        let count = usize::try_from(reader.varint()?).ok()?;
        // A header takes two bytes at least, so a wrong count asks for no memory.
        let mut headers = Vec::with_capacity(count.min(reader.len() / 2));
        for _ in 0..count {
            headers.push((reader.text()?.into(), reader.sized()?.into()));
        }
        let body_bytes = if compressed { usize::try_from(reader.varint()?).ok()? } else { 0 };
        Some(Self {
            event: EventParts {
                key,
                source,
                event_type,
                sender_id,
                content,
                received_at,
                intake,
                headers,
                body: Bytes::new(),
                body_expires_at,
                key_expires_at,
            },
            body_bytes,
            compressed,
        })
    }

    /// Says how long the stored body is.
    pub(crate) fn with_stored_len(mut self, stored: usize) -> Self {
        if !self.compressed {
            self.body_bytes = stored;
        }
        self
    }

    /// The event with its body; `None` when the stored bytes are not what they were.
    pub(crate) fn with_body(mut self, stored: Vec<u8>) -> Option<Self> {
        self.event.body = if !self.compressed {
            stored.into()
        } else if self.body_bytes <= BODY_BYTES_MAX {
            let body = zstd::bulk::decompress(&stored, self.body_bytes).ok()?;
            if body.len() != self.body_bytes {
                return None;
            }
            body.into()
        } else {
            return None;
        };
        Some(self)
    }
}

/// Until when a key is held: as long as it is asked for, and as long as the body that goes with it. `None`: for ever.
pub(crate) fn held_until(event: &EventParts) -> Option<Timestamp> {
    event.key_expires_at.map(|at| at.max(event.body_expires_at))
}

/// The stored number of an intake: never change one.
pub(crate) const fn intake_code(intake: Intake) -> u8 {
    match intake {
        Intake::Deliver => 0,
        Intake::Archive => 1,
        Intake::Quarantine(Quarantine::NotJson) => 16,
        Intake::Quarantine(Quarantine::SchemaViolation) => 17,
        Intake::Quarantine(Quarantine::MissingId) => 18,
        Intake::Quarantine(Quarantine::UnknownType) => 19,
        Intake::Quarantine(Quarantine::UnexpectedValue) => 20,
        Intake::Quarantine(Quarantine::IdConflict) => 21,
    }
}

pub(crate) const fn intake_from(code: u8) -> Option<Intake> {
    Some(match code {
        0 => Intake::Deliver,
        1 => Intake::Archive,
        16 => Intake::Quarantine(Quarantine::NotJson),
        17 => Intake::Quarantine(Quarantine::SchemaViolation),
        18 => Intake::Quarantine(Quarantine::MissingId),
        19 => Intake::Quarantine(Quarantine::UnknownType),
        20 => Intake::Quarantine(Quarantine::UnexpectedValue),
        21 => Intake::Quarantine(Quarantine::IdConflict),
        _ => return None,
    })
}

/// A text behind its length plus one, or a zero.
fn put_label(out: &mut Vec<u8>, label: Option<&str>) {
    match label {
        None => out.put_u8(0),
        Some(label) => {
            out.put_varint(label.len() as u64 + 1);
            out.put(label.as_bytes());
        }
    }
}

fn read_label(reader: &mut Reader<'_>, label: &mut Option<Box<str>>) -> Option<()> {
    if let Some(len) = usize::try_from(reader.varint()?).ok()?.checked_sub(1) {
        *label = Some(str::from_utf8(reader.bytes(len)?).ok()?.into());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::{
        super::{Record, tests::round_trip},
        *,
    };

    fn intake() -> impl Strategy<Value = Intake> {
        prop_oneof![
            Just(Intake::Deliver),
            Just(Intake::Archive),
            (0..Quarantine::ALL.len()).prop_map(|i| Intake::Quarantine(Quarantine::ALL[i])),
        ]
    }

    prop_compose! {
        fn event()(
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
        fn an_event_is_read_as_it_was_written(event in event()) {
            let (record, stored) = round_trip(EventRecord::encode(&event).unwrap());
            let Record::Event(record) = record else { panic!("{record:?}") };
            let record = record.with_stored_len(stored.len());
            prop_assert_eq!(record.body_bytes, event.body.len());
            prop_assert_eq!(record.with_body(stored).map(|record| record.event), Some(event));
        }
    }
}
