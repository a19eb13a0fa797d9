//! Durations and sizes, as people write them.
//!
//! One whole number and one unit, nothing in between, so that there is one reading.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads `250ms`, `10s`, `5m`, `4h` or `30d`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// The shortest form that [`parse_duration`] reads.
pub(super) fn duration_text(duration: Duration) -> String {
    text(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// Reads `512B`, `256KiB`, `1MiB` or `1GiB`, in bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// The shortest form that [`parse_size`] reads.
pub(super) fn size_text(bytes: u64) -> String {
    text(bytes, &SIZES)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn text(number: u64, units: &[(&str, u64)]) -> String {
    let largest =
        units.iter().rev().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (unit, factor) = largest.or_else(|| units.get(1)).copied().unwrap_or(("", 1));
    format!("{}{unit}", number / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text:?}");
        };
        check("250ms", Some(250));
        check("10s", Some(10_000));
        check("30d", Some(30 * 86_400_000));
        for text in
            ["", "10", "s", "1 s", "10 s", "1.5s", "-1s", "1h30m", "10S", "10sec", "+1s", "٣s"]
        {
            check(text, None);
        }
        check("18446744073709551615d", None);
    }

    #[test]
    fn sizes_are_powers_of_two() {
        let check = |text, expected| assert_eq!(parse_size(text), expected, "{text:?}");
        check("1B", Some(1));
        check("256KiB", Some(256 * 1024));
        check("1GiB", Some(1 << 30));
        for text in ["1MB", "1M", "1mib", "1", "1.5MiB", "99999999999GiB"] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn reads_as_it_is_written(number in 0..u64::MAX / 86_400_000) {
            prop_assert_eq!(parse_size(&size_text(number)), Some(number));
            let duration = Duration::from_millis(number);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
        }
    }
}
