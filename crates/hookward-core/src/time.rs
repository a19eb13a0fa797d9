//! Points in time, as arguments: nothing in this crate asks what time it is.

use std::{fmt, time::Duration};

/// A wall-clock time: microseconds since 1970-01-01T00:00:00Z, never negative.
///
/// Stored as an unsigned 64-bit number, so it lasts until the year 586,524.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch; stops at the largest representable time.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From seconds since the epoch; stops at the largest representable time.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This time moved into the future; stops at the largest representable time.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// This time moved into the past; stops at the epoch.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Reads an RFC 3339 date and time with offset, such as `2026-11-24T08:15:30.5Z`.
    ///
    /// `None` for anything else and for times before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(parsed.as_microsecond()).ok().map(Self)
    }
}

/// RFC 3339 in UTC with milliseconds, such as `2026-11-24T08:15:30.500Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0).ok();
        match micros.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(timestamp) => write!(f, "{timestamp:.3}"),
            None => write!(f, "{}us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_250).to_string(),
            "2023-11-14T22:13:20.250Z"
        );
        assert_eq!(Timestamp::from_micros(u64::MAX).to_string(), "18446744073709551615us");
    }

    #[test]
    fn reads_what_it_writes() {
        let at = Timestamp::from_millis(1_700_000_000_250);
        assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Some(at));
        assert_eq!(Timestamp::parse_rfc3339("1969-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn never_wraps() {
        let last = Timestamp::from_micros(u64::MAX);
        assert_eq!(last.saturating_add(Duration::MAX), last);
        assert_eq!(Timestamp::default().saturating_sub(Duration::MAX), Timestamp::default());
        assert_eq!(Timestamp::default().since(last), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(u64::MAX), last);
    }
}
