//! What makes an event this event and no other.
//!
//! Identity comes from signed bytes only: an id in the body, an id in a header that the signature covers, or the
//! digest of the body. An id in a header that is not signed is kept for people to search by and decides
//! nothing: whoever captured one request could otherwise replay it under new ids, or claim a genuine id first.

use sha2::{Digest, Sha256};

use crate::{
    ContentDigest, EventKey, SourceName, Timestamp,
    json::{Pointer, Scalar},
};

/// Where a source's events have their identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityRule {
    /// A string or an integer in the body.
    Body(Pointer),
    /// The header that the scheme signs as id.
    SignedHeader,
    /// The body itself: the same bytes are the same event.
    Content,
    /// Nothing: each request is an event of its own. For senders that say no more than that something changed, often in the
    /// same words; a captured request can be replayed.
    Each,
}

/// An identity, typed: the number 1 and the text "1" are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity<'a> {
    Text(&'a str),
    Integer(&'a str),
    Content(ContentDigest),
    Each(ContentDigest, Timestamp),
}

impl<'a> Identity<'a> {
    /// A body's id as an identity. `None` for what cannot be one: fractions and numbers beyond 64 bits (two of them can
    /// round to one), booleans, null, containers and the empty text.
    pub(crate) fn from_scalar(scalar: &'a Scalar) -> Option<Self> {
        match scalar {
            Scalar::Text(text) if !text.is_empty() => Some(Self::Text(text)),
            Scalar::Integer(digits) => Some(Self::Integer(digits)),
            Scalar::Text(_)
            | Scalar::Number(_)
            | Scalar::Bool(_)
            | Scalar::Null
            | Scalar::Container => None,
        }
    }

    /// The key: a digest over lengths and bytes, so that no two of (source, kind, id) run into each other, and ids of any
    /// length and content make keys of one length.
    pub(crate) fn key(self, source: &SourceName) -> EventKey {
        let moment;
        let (kind, id) = match &self {
            Self::Text(text) => (b's', text.as_bytes()),
            Self::Integer(digits) => (b'n', digits.as_bytes()),
            Self::Content(digest) => (b'c', digest.as_bytes().as_slice()),
            Self::Each(digest, at) => {
                moment = [digest.as_bytes().as_slice(), &at.as_micros().to_le_bytes()].concat();
                (b'e', &*moment)
            }
        };
        let source = source.as_str().as_bytes();
        let digest = Sha256::new()
            .chain_update(b"hookward event 1\0")
            .chain_update((source.len() as u64).to_le_bytes())
            .chain_update(source)
            .chain_update([kind])
            .chain_update(id)
            .finalize();
        EventKey::from_bytes(first_16(&digest.into()))
    }
}

impl EventKey {
    /// The key of an event whose own key is held by one with other content.
    pub(crate) fn for_conflict(key: Self, content: ContentDigest) -> Self {
        let digest = Sha256::new()
            .chain_update(b"hookward conflict 1\0")
            .chain_update(key.as_bytes())
            .chain_update(content.as_bytes())
            .finalize();
        Self::from_bytes(first_16(&digest.into()))
    }
}

impl ContentDigest {
    /// The digest of a body.
    pub fn of(body: &[u8]) -> Self {
        Self::from_bytes(first_16(&Sha256::digest(body).into()))
    }
}

fn first_16(digest: &[u8; 32]) -> [u8; 16] {
    let (first, _) = digest.split_first_chunk::<16>().expect("32 bytes have a first half");
    *first
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sources_kinds_and_ids_do_not_run_into_each_other() {
        let (a, ab) = (SourceName::parse("a").unwrap(), SourceName::parse("ab").unwrap());
        let content = ContentDigest::of(b"1");
        let keys = [
            Identity::Text("1").key(&a),
            Identity::Integer("1").key(&a),
            Identity::Content(content).key(&a),
            Identity::Each(content, Timestamp::from_micros(1)).key(&a),
            Identity::Each(content, Timestamp::from_micros(2)).key(&a),
            Identity::Text("1").key(&ab),
            Identity::Text("b1").key(&a),
            Identity::Text("1 ").key(&a),
            Identity::Text("e\u{301}").key(&a),
            Identity::Text("\u{e9}").key(&a),
            EventKey::for_conflict(Identity::Text("1").key(&a), content),
        ];
        assert_eq!(HashSet::from(keys).len(), keys.len());
    }

    #[test]
    fn keys_are_stable_because_stores_hold_them() {
        let source = SourceName::parse("stripe").unwrap();
        let key = Identity::Text("evt_1").key(&source);
        assert_eq!(key.to_string(), expected_key_of_evt_1());
    }

    /// Computed apart from this code: SHA-256 over `hookward event 1\0`, 6 as u64 LE, `stripe`, `s`, `evt_1`.
    fn expected_key_of_evt_1() -> String {
        let mut bytes = b"hookward event 1\0".to_vec();
        bytes.extend_from_slice(&[6, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(b"stripesevt_1");
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        hex::encode(&digest.as_ref()[..16])
    }

    #[test]
    fn what_cannot_be_told_apart_is_no_identity() {
        for scalar in
            [Scalar::Text(String::new()), Scalar::Bool(true), Scalar::Null, Scalar::Container]
        {
            assert_eq!(Identity::from_scalar(&scalar), None, "{scalar:?}");
        }
    }
}
