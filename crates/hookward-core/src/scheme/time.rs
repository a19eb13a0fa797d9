//! The signed time, and the window in which it counts.

use std::{borrow::Cow, time::Duration};

use super::location::Names;
use crate::{Refusal, Timestamp, json::Pointer};

/// A signed time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTime {
    /// Where it is.
    pub place: TimePlace,
    /// What it counts.
    pub unit: TimeUnit,
    /// How old it may be.
    pub past: Duration,
    /// How far ahead it may be: clocks differ.
    pub future: Duration,
}

/// Where a signed time is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In a header of its own.
    Header(Names),
    /// In the signature header's list, under this label.
    Element(Cow<'static, str>),
    /// In the signature header's list of values without labels, in front of the signatures.
    First,
    /// In a field of the body.
    Field(Pointer),
    /// Where the code of the scheme knows.
    Code,
}

/// What a signed time counts since 1970, or how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// A date and time as RFC 3339 writes it, such as `2026-11-24T08:15:30Z`.
    Rfc3339,
    /// A date and time as HTTP writes it, such as `Tue, 24 Nov 2026 08:15:30 GMT` (RFC 9110, in its one form that is not obsolete).
    HttpDate,
}

impl TimeUnit {
    pub(super) fn read(self, text: &[u8]) -> Option<Timestamp> {
        match self {
            Self::Seconds => number(text).map(Timestamp::from_secs),
            Self::Milliseconds => number(text).map(Timestamp::from_millis),
            Self::Rfc3339 => date(text).and_then(Timestamp::parse_rfc3339),
            Self::HttpDate => date(text).and_then(Timestamp::parse_http_date),
        }
    }

    pub(super) fn write(self, at: Timestamp) -> String {
        match self {
            Self::Seconds => at.as_secs().to_string(),
            Self::Milliseconds => at.as_millis().to_string(),
            Self::Rfc3339 => at.to_string(),
            Self::HttpDate => at.to_http_date(),
        }
    }
}

/// Digits only, as all senders write numbers: no sign, space, fraction, exponent or other script.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Text that is short enough for a date.
fn date(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().filter(|text| text.len() <= 40)
}

impl SignedTime {
    /// Both directions: a time far ahead would stay fresh for as long. Compared in whole seconds, edges included.
    pub(super) fn check(&self, signed: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let (signed, now) = (signed.as_secs(), now.as_secs());
        let (age_secs, ahead_secs) = (now.saturating_sub(signed), signed.saturating_sub(now));
        if age_secs > self.past.as_secs() {
            return Err(Refusal::Stale { age_secs, max_secs: self.past.as_secs() });
        }
        if ahead_secs > self.future.as_secs() {
            return Err(Refusal::FromTheFuture { ahead_secs, max_secs: self.future.as_secs() });
        }
        Ok(())
    }
}
