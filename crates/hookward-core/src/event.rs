//! An admitted webhook: verified, identified, and fit to be kept.

use std::{fmt, ops::Deref, str::FromStr, sync::Arc};

use bytes::Bytes;
use http::header;

use crate::{SourceName, Timestamp, form, json};

/// A request that was admitted. Only [`Source::admit`](crate::Source::admit) (through
/// [`Verified::admit`](crate::source::Verified::admit)) can make one, so whoever holds one holds proof
/// that its bytes were verified.
///
/// Reads like its [`EventParts`], and is cheap to clone.
#[derive(Clone, Debug)]
pub struct Event(Arc<EventParts>);

impl Event {
    pub(crate) fn new(parts: EventParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The same bytes under a key of their own, quarantined because another event holds their id.
    ///
    /// Same id with other content is never merged and never dropped: the second one is kept where a
    /// person sees it. Its key comes from id *and* content, so that repeating it is a plain duplicate.
    #[must_use]
    pub fn into_conflict(self) -> Self {
        let mut parts = self.into_parts();
        parts.key = EventKey::for_conflict(parts.key, parts.content);
        parts.intake = Intake::Quarantine(Quarantine::IdConflict);
        Self::new(parts)
    }

    /// The parts, to be changed.
    pub fn into_parts(self) -> EventParts {
        Arc::unwrap_or_clone(self.0)
    }

    /// The parts, for a store to encode and keep at hand.
    pub fn into_shared(self) -> Arc<EventParts> {
        self.0
    }
}

impl Deref for Event {
    type Target = EventParts;

    fn deref(&self) -> &EventParts {
        &self.0
    }
}

/// What an event consists of: also what a store gives back for one that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventParts {
    /// What makes it this event and no other: the de-duplication key.
    pub key: EventKey,
    /// The source that admitted it.
    pub source: SourceName,
    /// The event type as the sender calls it, such as `invoice.paid`.
    pub event_type: Option<Box<str>>,
    /// The sender's own id, for people to search by. Signed or not: the key does not depend on this field.
    pub sender_id: Option<Box<str>>,
    /// Digest of the body, to tell the same event from another one under the same id.
    pub content: ContentDigest,
    /// When the gateway had read it.
    pub received_at: Timestamp,
    /// What is to become of it.
    pub intake: Intake,
    /// The headers that the source keeps, names in lower case.
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    /// The body, byte for byte as sent.
    pub body: Bytes,
    /// When the body may be forgotten.
    pub body_expires_at: Timestamp,
    /// When the key may be forgotten, so that the same event would be new again. `None`: never.
    pub key_expires_at: Option<Timestamp>,
}

/// What a body holds, for who handles the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'e> {
    /// Strict JSON, as text.
    Json(&'e str),
    /// The fields of a form, in their order.
    Form(Vec<(String, String)>),
    /// Something that nobody has looked into.
    Opaque,
}

impl<'e> Content<'e> {
    /// What a body of this media type holds, whatever it says: a quarantined one may be neither JSON nor a form.
    pub fn of(media_type: &[u8], body: &'e [u8]) -> Self {
        if form::means_form(media_type) {
            return form::fields(body).map_or(Self::Opaque, Self::Form);
        }
        json::strict(body).map_or(Self::Opaque, Self::Json)
    }
}

impl EventParts {
    /// What the body holds.
    pub fn read(&self) -> Content<'_> {
        let mut headers = self.headers.iter();
        let media_type = headers.find(|(name, _)| **name == *header::CONTENT_TYPE.as_str());
        Content::of(media_type.map_or(b"", |(_, value)| value), &self.body)
    }
}

/// What is to become of an admitted event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// To be delivered.
    Deliver,
    /// Kept, delivered nowhere: the source has no destination.
    Archive,
    /// Kept as a dead letter: verified, but nothing that the application should see.
    Quarantine(Quarantine),
}

/// Why a verified event is kept as a dead letter and not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quarantine {
    /// The body is not strict JSON.
    NotJson,
    /// The body does not match the schema of its type.
    SchemaViolation,
    /// No usable id where the source says that the id is.
    MissingId,
    /// A type that the source does not know.
    UnknownType,
    /// A field does not have the value that the source demands, such as `livemode`.
    UnexpectedValue,
    /// Another event with the same id and other content came before.
    IdConflict,
}

impl Quarantine {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::NotJson,
        Self::SchemaViolation,
        Self::MissingId,
        Self::UnknownType,
        Self::UnexpectedValue,
        Self::IdConflict,
    ];

    /// The stable name, for metrics, logs and stored records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::SchemaViolation => "schema_violation",
            Self::MissingId => "missing_id",
            Self::UnknownType => "unknown_type",
            Self::UnexpectedValue => "unexpected_value",
            Self::IdConflict => "id_conflict",
        }
    }
}

/// The de-duplication key: the first 16 bytes of a SHA-256 over source and identity.
///
/// Written as 32 lower-case hex digits. See [`identity`](crate::identity) for what goes into it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey([u8; 16]);

impl EventKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as stores keep them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({self})")
    }
}

impl FromStr for EventKey {
    type Err = NotAnEventKey;

    fn from_str(text: &str) -> Result<Self, NotAnEventKey> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAnEventKey)?;
        Ok(Self(bytes))
    }
}

/// The text is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event key is 32 hex digits, as printed by `hookward events list`")]
pub struct NotAnEventKey;

/// The first 16 bytes of the SHA-256 of the body.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; 16]);

impl ContentDigest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as stores keep them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Events without a source, for the tests of stores.
#[cfg(feature = "testing")]
pub mod testing {
    use super::{Event, EventParts};

    /// An event with these parts, admitted by nobody.
    pub fn event(parts: EventParts) -> Event {
        Event::new(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_written() {
        let key = EventKey::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(key.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("00".parse::<EventKey>(), Err(NotAnEventKey));
    }
}
