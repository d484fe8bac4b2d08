//! Times as people write them: `500ms`, `1.5s`, `24h`, `1h 30m`.

use std::fmt;
use std::time::Duration;

use super::bounds::TIME_MAX;
use super::nearest::nearest;

/// Reads a time: numbers with units, added up.
///
/// Exact to the nanosecond, since a time that is written is read back.
pub(crate) fn read(text: &str) -> Result<Duration, WrongTime> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(WrongTime::Unreadable);
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let after = after.trim_start();
        let unit_ends = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        nanos += part(number, unit)?;
        rest = after.trim_start();
    }
    if nanos > TIME_MAX.as_nanos() {
        return Err(WrongTime::TooLong);
    }
    let nanos = u64::try_from(nanos).map_err(|_| WrongTime::TooLong)?;
    Ok(Duration::from_nanos(nanos))
}

/// The nanoseconds of one number with its unit.
fn part(number: &str, unit: &str) -> Result<u128, WrongTime> {
    if number.is_empty() {
        return Err(WrongTime::Unreadable);
    }
    if unit.is_empty() {
        return Err(WrongTime::NoUnit(number.to_owned()));
    }
    let Some((_, scale)) = UNITS.iter().find(|(known, _)| *known == unit) else {
        let known = UNITS.iter().map(|(known, _)| *known);
        return Err(WrongTime::Unit { unit: unit.to_owned(), nearest: nearest(unit, known) });
    };
    let plain: String = number.chars().filter(|&c| c != '_').collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let has_digits = !whole.is_empty() && (!fraction.is_empty() || !plain.contains('.'));
    if !has_digits || whole.len() > DIGITS_MAX || fraction.len() > DIGITS_MAX {
        return Err(WrongTime::Unreadable);
    }
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| WrongTime::Unreadable)?;
    let shift = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(u32::MAX));
    // What is finer than a nanosecond is refused rather than rounded: nobody means it.
    let nanos = digits * scale;
    if nanos % shift == 0 { Ok(nanos / shift) } else { Err(WrongTime::TooFine) }
}

/// A time as a policy file writes it, exactly: `500ms`, `1.5s`, `24h`.
///
/// ```
/// use std::time::Duration;
/// use aplomb::policy::time_in_words;
///
/// assert_eq!(time_in_words(Duration::from_millis(1_500)), "1.5s");
/// ```
#[must_use]
pub fn written(time: Duration) -> String {
    let nanos = time.as_nanos();
    let whole = |unit: u128| nanos > 0 && nanos % unit == 0;
    match nanos {
        _ if whole(DAY) && nanos > 2 * DAY => format!("{}d", nanos / DAY),
        _ if whole(HOUR) => format!("{}h", nanos / HOUR),
        _ if whole(MINUTE) => format!("{}m", nanos / MINUTE),
        n if n >= SECOND => decimal(n, SECOND, "s"),
        n if n >= MILLI => decimal(n, MILLI, "ms"),
        0 => "0s".to_owned(),
        n => decimal(n, MICRO, "us"),
    }
}

/// Writes a time for people: at most three digits that matter after the point.
pub(crate) fn shown(time: Duration) -> String {
    let round = |unit: Duration| {
        let unit = unit.as_nanos();
        let nanos = (time.as_nanos() + unit / 2) / unit * unit;
        written(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    };
    match time.as_secs() {
        0 => round(Duration::from_micros(10)),
        1..60 => round(Duration::from_millis(10)),
        60..7_200 => round(Duration::from_secs(1)),
        _ => round(Duration::from_secs(60)),
    }
}

fn decimal(nanos: u128, unit: u128, name: &str) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return format!("{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WrongTime {
    /// A number alone.
    NoUnit(String),
    /// A unit nobody knows.
    Unit { unit: String, nearest: &'static str },
    /// Over the bound.
    TooLong,
    /// Finer than a nanosecond.
    TooFine,
    /// Nothing that looks like a time.
    Unreadable,
}

impl WrongTime {
    /// What to write instead.
    pub(crate) fn mend(&self) -> String {
        match self {
            Self::NoUnit(number) => {
                format!("say what it counts: \"{number}ms\" or \"{number}s\"")
            }
            Self::Unit { nearest, .. } => {
                format!("the nearest unit is `{nearest}`; there are us, ms, s, m, h and d")
            }
            Self::TooLong => format!("give at most \"{}\"", written(TIME_MAX)),
            Self::TooFine => "give whole nanoseconds".to_owned(),
            Self::Unreadable => {
                "write a number and its unit, such as \"500ms\", \"10s\" or \"24h\"".to_owned()
            }
        }
    }
}

impl fmt::Display for WrongTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnit(_) => f.write_str("a time without its unit"),
            Self::Unit { unit, .. } => write!(f, "`{unit}` is no unit of time"),
            Self::TooLong => f.write_str("longer than any policy means"),
            Self::TooFine => f.write_str("finer than a nanosecond"),
            Self::Unreadable => f.write_str("not a time"),
        }
    }
}

const MICRO: u128 = 1_000;
const MILLI: u128 = 1_000 * MICRO;
const SECOND: u128 = 1_000 * MILLI;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
const DAY: u128 = 24 * HOUR;

const UNITS: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", MICRO),
    ("µs", MICRO),
    ("ms", MILLI),
    ("s", SECOND),
    ("m", MINUTE),
    ("min", MINUTE),
    ("h", HOUR),
    ("d", DAY),
];

/// So many digits fit the arithmetic with room to spare.
const DIGITS_MAX: usize = 18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, nanos) in [
            ("500ms", 500 * MILLI),
            ("10s", 10 * SECOND),
            ("24h", DAY),
            ("1.5s", 1_500 * MILLI),
            ("1h 30m", 90 * MINUTE),
            ("1h30min", 90 * MINUTE),
            ("7 d", 7 * DAY),
            ("1_000us", MILLI),
            ("0s", 0),
        ] {
            assert_eq!(read(text).map(|time| time.as_nanos()), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_mend() {
        for (text, mend) in [
            ("500", "\"500ms\" or \"500s\""),
            ("500msec", "nearest unit is `ms`"),
            ("3 hours", "nearest unit is `h`"),
            ("10 years", "us, ms, s, m, h and d"),
            ("9999999h", "at most \"3650d\""),
            ("999999999999999999d", "at most"),
            ("0.0000000001s", "whole nanoseconds"),
            ("soon", "\"24h\""),
            ("-1s", "\"24h\""),
            ("1.s", "\"24h\""),
            (".5s", "\"24h\""),
            ("1.2.3s", "\"24h\""),
            ("", "\"24h\""),
            ("  ", "\"24h\""),
            ("99999999999999999999s", "\"24h\""),
        ] {
            let mend_said = read(text).unwrap_err().mend();
            assert!(mend_said.contains(mend), "{text}: {mend_said}");
        }
    }

    #[test]
    fn people_are_shown_few_digits() {
        let shown = |nanos: u64| super::shown(Duration::from_nanos(nanos));
        assert_eq!(shown(1_653_333_333), "1.65s");
        assert_eq!(shown(33_333_333), "33.33ms");
        assert_eq!(shown(21_601_000_000_000), "6h");
        assert_eq!(shown(0), "0s");
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(nanos in 0..u64::try_from(TIME_MAX.as_nanos()).unwrap()) {
            let time = Duration::from_nanos(nanos);
            prop_assert_eq!(read(&written(time)), Ok(time));
            let coarse = Duration::from_secs(nanos / 1_000_000_000);
            prop_assert_eq!(read(&written(coarse)), Ok(coarse));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[0-9._ a-zµ]{0,24}") {
            let _ = read(&text);
        }
    }
}
