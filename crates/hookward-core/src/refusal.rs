//! Why a request was not admitted.

use std::{borrow::Cow, time::Duration};

use crate::handshake::Challenge;

/// Why a request was not admitted. Each variant is something that the answer or the counters treat
/// differently; the server maps each to one status in one exhaustive match.
///
/// Its text is for the log. The sender of an unverified request sees one constant answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No source has this path.
    #[error("no source has this path")]
    UnknownSource,
    /// The source takes webhooks by another method.
    #[error("the method is not POST")]
    MethodNotAllowed,
    /// The client's address is not in the source's allow-list.
    #[error("the client address is not in the source's origin list")]
    AddressNotAllowed,
    /// This address has used up what it may send unverified.
    #[error("the address is over its budget for unverified requests")]
    UnverifiedBudget {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The body is, or says that it is, larger than the source takes.
    #[error("the body is larger than {max} bytes")]
    BodyTooLarge {
        /// The largest body that this source takes, in bytes.
        max: usize,
    },
    /// The content type is not one that the source takes, or is there twice, or names a charset other than UTF-8.
    #[error("the content type is not one that the source takes")]
    UnsupportedType,
    /// The body is compressed.
    #[error("content encodings are not taken")]
    UnsupportedEncoding,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    /// The head or body breaks the rules of HTTP.
    #[error("bad framing: {0}")]
    BadFraming(&'static str),
    /// A header that the signature needs is absent or empty.
    #[error("header {header} is absent or empty")]
    MissingSignature {
        /// The header that is missing.
        header: Cow<'static, str>,
    },
    /// A header that the signature needs is there twice, or holds two values where one must be.
    #[error("header {header} is ambiguous: it holds more than one value")]
    AmbiguousSignature {
        /// The header in question.
        header: Cow<'static, str>,
    },
    /// A header that the signature needs cannot be read.
    #[error("header {header} is malformed")]
    MalformedSignature {
        /// The header in question.
        header: Cow<'static, str>,
    },
    /// The signature is well shaped and matches under no active secret.
    #[error("no active secret gives this signature")]
    WrongSignature,
    /// A signed token says something else than what is configured: who issued it, for whom, how long it counts.
    #[error("the token's claim {claim} is not what it has to be")]
    WrongClaim {
        /// The claim's name.
        claim: Cow<'static, str>,
    },
    /// The key that would verify is not here yet and is being fetched, off the request's path.
    #[error("the sender's key is not here yet")]
    KeyPending {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The signed time is too far in the past.
    #[error("the signed time is {age_secs} s in the past, more than {max_secs} s")]
    Stale {
        /// How old the request says it is, in seconds.
        age_secs: u64,
        /// How old it may be, in seconds.
        max_secs: u64,
    },
    /// The signed time is too far in the future.
    #[error("the signed time is {ahead_secs} s in the future, more than {max_secs} s")]
    FromTheFuture {
        /// How far ahead the request says it is, in seconds.
        ahead_secs: u64,
        /// How far ahead it may be, in seconds.
        max_secs: u64,
    },
    /// Verified, but the source is over its budget.
    #[error("the source is over its budget")]
    SourceBudget {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// Verified, but not what the source takes, and the source rejects where others quarantine.
    #[error("rejected by the source's policy: {}", .0.as_str())]
    Rejected(crate::Quarantine),
    /// Verified, but of a type that the source refuses.
    #[error("the event type is refused by the source")]
    TypeRefused,
    /// A question of the sender that does not show what it must.
    #[error("a question of the sender does not show what it must, such as the verify token")]
    HandshakeRefused {
        /// The status that says so.
        status: u16,
    },
    /// Not an event but the sender's question; answered, never stored.
    #[error("a question of the sender, answered")]
    Handshake(Box<Challenge>),
}

impl Refusal {
    /// Whether its sender had proven who it is. Of a question that was answered, it does not say.
    pub const fn is_of_a_verified_request(&self) -> bool {
        matches!(self, Self::SourceBudget { .. } | Self::Rejected(_) | Self::TypeRefused)
    }

    /// The stable name, for metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown_source",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::UnverifiedBudget { .. } => "unverified_budget",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::UnsupportedType => "unsupported_type",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::BodyTooSlow => "body_too_slow",
            Self::BadFraming(_) => "bad_framing",
            Self::MissingSignature { .. } => "missing_signature",
            Self::AmbiguousSignature { .. } => "ambiguous_signature",
            Self::MalformedSignature { .. } => "malformed_signature",
            Self::WrongSignature => "wrong_signature",
            Self::WrongClaim { .. } => "wrong_claim",
            Self::KeyPending { .. } => "key_pending",
            Self::Stale { .. } => "stale",
            Self::FromTheFuture { .. } => "from_the_future",
            Self::SourceBudget { .. } => "source_budget",
            Self::Rejected(_) => "rejected",
            Self::TypeRefused => "type_refused",
            Self::HandshakeRefused { .. } => "handshake_refused",
            Self::Handshake(_) => "handshake",
        }
    }
}
