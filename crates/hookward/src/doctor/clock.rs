//! Whether this machine's clock is right, as far as another one's tells.

use std::time::Duration;

use hookward_core::{Timestamp, limits};
use http::{HeaderMap, header};

use super::Finding;

/// Compares the clock with the time that an answer says it is from. `None` where it does not say.
///
/// A header has whole seconds, and the answer was on its way: within [`limits::CLOCK_SKEW_SEEN`] there is nothing to see.
pub(super) fn look(about: &str, headers: &HeaderMap, now: Timestamp) -> Option<Finding> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?;
    let theirs = Timestamp::from_secs(theirs.as_secs());
    Some(judged(about, theirs, now))
}

fn judged(about: &str, theirs: Timestamp, ours: Timestamp) -> Finding {
    let (behind, ahead) = (theirs.since(ours), ours.since(theirs));
    let (off, word) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead") };
    let said = format!("this machine's clock is {} s {word}", off.as_secs());
    let todo = "let the machine keep time by NTP (chrony, systemd-timesyncd), or find out whose clock is wrong";
    if off > limits::CLOCK_SKEW_MAX {
        let said =
            format!("{said}: webhooks with a signed time are refused, and what is signed here is");
        Finding::error("clock", about, said, todo)
    } else if off > limits::CLOCK_SKEW_SEEN + Duration::from_secs(1) {
        Finding::warning("clock", about, said).with(todo)
    } else {
        Finding::good("clock", about, "both clocks agree")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{super::finding::Severity, *};

    #[test]
    fn a_clock_may_be_off_by_what_cannot_be_seen() {
        let check = |off: i64, expected| {
            let theirs = Timestamp::from_secs(1_790_000_000);
            let ours = Timestamp::from_secs(1_790_000_000_u64.saturating_add_signed(off));
            assert_eq!(judged("there", theirs, ours).severity, expected, "{off}");
        };
        check(0, Severity::Good);
        check(6, Severity::Good);
        check(-6, Severity::Good);
        check(7, Severity::Warning);
        check(-7, Severity::Warning);
        check(150, Severity::Warning);
        check(151, Severity::Error);
        check(-151, Severity::Error);
    }

    #[test]
    fn the_time_is_read_from_the_answer() {
        let look = |date: &'static str| {
            let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date))]);
            look("there", &headers, Timestamp::from_secs(1_795_500_000))
        };
        let found = look("Tue, 24 Nov 2026 06:00:10 GMT").expect("a time");
        assert_eq!(found.found, "this machine's clock is 10 s behind");
        assert_eq!(look("soon"), None);
    }
}
