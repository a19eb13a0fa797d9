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

    /// Reads a date and time as HTTP writes it, such as `Tue, 24 Nov 2026 08:15:30 GMT`.
    ///
    /// `None` for anything else, the obsolete forms and a wrong weekday among it, and for times before 1970.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        let at = u64::try_from(parsed.as_microsecond()).ok().map(Self)?;
        // What is read is more than HTTP allows: another zone, comments, white space.
        (at.to_http_date() == text).then_some(at)
    }

    /// This time as HTTP writes it, in whole seconds; empty for one beyond the year 9999.
    pub fn to_http_date(self) -> String {
        let at = i64::try_from(self.as_secs()).ok();
        let at = at.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        at.and_then(|at| printer.timestamp_to_rfc9110_string(&at).ok()).unwrap_or_default()
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
    fn reads_one_form_of_http_dates() {
        let at = Timestamp::from_secs(784_111_777);
        assert_eq!(at.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Timestamp::from_micros(u64::MAX).to_http_date(), "");
        let check = |text, is| assert_eq!(Timestamp::parse_http_date(text), is, "{text}");
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(at));
        for other in [
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sun, 06 Nov 1994 08:49:37 GMT (a comment)",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "1994-11-06T08:49:37Z",
            "784111777",
            "",
        ] {
            check(other, None);
        }
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
