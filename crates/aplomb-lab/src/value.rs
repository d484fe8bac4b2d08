//! How a value is written: numbers, times, shares, words.

use aplomb_core::Ratio;

use crate::units::{SECOND, float, seconds, whole};

/// A whole number within bounds.
pub(crate) fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    plain.parse().ok().filter(|n| (least..=most).contains(n))
}

/// A fraction within bounds.
pub(crate) fn fraction(text: &str, least: f64, most: f64) -> Option<f64> {
    text.parse().ok().filter(|n| (least..=most).contains(n))
}

/// A share: `0.2` or `20%`.
pub(crate) fn share(text: &str) -> Option<Ratio> {
    match text.strip_suffix('%') {
        Some(percent) => Ratio::from_fraction(percent.trim().parse::<f64>().ok()? / 100.0),
        None => Ratio::from_fraction(text.parse().ok()?),
    }
}

/// A time in nanoseconds: `50ms`, `1.5s`, `2m`; a plain number is seconds.
pub(crate) fn time(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let scale = match unit.trim() {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    };
    let plain: String = number.chars().filter(|&c| c != '_').collect();
    let nanos = plain.parse::<f64>().ok()? * float(scale);
    (nanos <= float(LONGEST)).then(|| whole(nanos.round()))
}

/// What `time` reads back.
pub(crate) fn written(nanos: u64) -> String {
    match nanos {
        0 => "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}us", float(n) / 1e3),
        n if n < SECOND => format!("{}ms", float(n) / 1e6),
        n => format!("{}s", seconds(n)),
    }
}

/// A run may not outlast a year.
const LONGEST: u64 = 365 * 24 * 3600 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (text, nanos) in [
            ("50ms", SECOND / 20),
            ("0.05", SECOND / 20),
            ("1.5s", 3 * SECOND / 2),
            ("2m", 120 * SECOND),
            ("0", 0),
        ] {
            assert_eq!(time(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-1", "5 parsecs", "1.2.3", "NaN", "inf", "9e99", "800d"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for nanos in [0, 7, 1_500, 50_000_000, SECOND, 90 * SECOND] {
            assert_eq!(time(&written(nanos)), Some(nanos));
        }
    }

    #[test]
    fn a_share_may_be_a_percentage() {
        assert_eq!(share("20%"), share("0.2"));
        assert_eq!(share("1.2"), None);
    }
}
