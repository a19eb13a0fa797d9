//! The rules of Hookward: what a webhook must be to be admitted, who may ask how often, when to try again.
//!
//! Nothing here does I/O, asks the time or rolls dice: time and chance are arguments, decisions are
//! returned values. So nothing here fails for outside reasons, and the tests need nothing.
//!
//! Start at [`Source::admit`]: it is the only door between a [`Request`] (a stranger's bytes) and an
//! [`Event`] (a verified, identified, well-formed webhook).
#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod address;
pub mod answer;
pub mod config;
pub mod event;
pub mod form;
pub mod handshake;
pub mod identity;
pub mod json;
pub mod limits;
pub mod provider;
pub mod rate;
pub mod reception;
pub mod refusal;
pub mod request;
pub mod retry;
pub mod schema;
pub mod scheme;
pub mod secret;
pub mod source;
pub mod time;

pub use event::{Content, ContentDigest, Event, EventKey, EventParts, Intake, Quarantine};
pub use refusal::Refusal;
pub use request::{Head, Request};
pub use source::{Source, SourceName};
pub use time::Timestamp;
