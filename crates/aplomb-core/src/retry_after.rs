//! `Retry-After`: read in every form, written in one.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use crate::{Pushback, Rng, owner, time};

/// Reads what a response asks of its caller: `x-should-retry`, `retry-after`,
/// `grpc-retry-pushback-ms`.
///
/// A `Retry-After` that is a date is counted from the response's own `Date`, so that a client
/// whose clock is wrong waits as long as one whose clock is right. A value nobody can read asks
/// for nothing.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{Dice, Pushback, retry_after};
///
/// let mut headers = http::HeaderMap::new();
/// assert_eq!(retry_after::pushback(&headers), Pushback::None);
/// retry_after::write(&mut headers, Duration::from_secs(8), &mut Dice::seeded(7).roll());
/// let Pushback::After(wait) = retry_after::pushback(&headers) else { panic!() };
/// assert!(wait >= Duration::from_secs(8) && wait <= Duration::from_secs(10));
/// ```
pub fn pushback(headers: &HeaderMap) -> Pushback {
    if headers.get(owner::SHOULD_RETRY).is_some_and(is_false) {
        return Pushback::Stop;
    }
    if headers.contains_key(GRPC_PUSHBACK) {
        // A value gRPC cannot read means "do not retry", as a negative one does (gRFC A6).
        return match text(headers, GRPC_PUSHBACK).and_then(number::<u32>) {
            Some(millis) => Pushback::After(Duration::from_millis(millis.into())),
            None => Pushback::Stop,
        };
    }
    match text(headers, header::RETRY_AFTER.as_str()).and_then(|value| wait(value, headers)) {
        Some(wait) => Pushback::After(wait),
        None => Pushback::None,
    }
}

/// Writes `Retry-After` in seconds, lengthened by up to a quarter (at least by up to one second),
/// so that callers refused together do not come back together.
pub fn write(headers: &mut HeaderMap, wait: Duration, rng: &mut Rng) {
    let least = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    let spread = (least / 4).max(1);
    let seconds = least.saturating_add(rng.below(spread + 1));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}

fn wait(value: &str, headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(value) {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let from: SystemTime = text(headers, header::DATE.as_str())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(time::wall);
    Some(until.duration_since(from).unwrap_or_default())
}

/// Digits alone: Rust would read a sign as well.
fn number<N: FromStr>(value: &str) -> Option<N> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())?
}

fn is_false(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"false")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

const GRPC_PUSHBACK: &str = "grpc-retry-pushback-ms";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read() {
        assert_eq!(asked(&[("retry-after", " 7 ")]), Pushback::After(Duration::from_secs(7)));
    }

    #[test]
    fn a_date_is_counted_from_the_servers_own_clock() {
        let headers = [
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:49:07 GMT"),
        ];
        assert_eq!(asked(&headers), Pushback::After(Duration::from_secs(30)));
    }

    #[test]
    fn a_date_that_has_passed_asks_for_no_wait() {
        let headers = [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(asked(&headers), Pushback::After(Duration::ZERO));
    }

    #[test]
    fn a_negative_grpc_pushback_means_stop() {
        assert_eq!(asked(&[("grpc-retry-pushback-ms", "-1")]), Pushback::Stop);
        assert_eq!(
            asked(&[("grpc-retry-pushback-ms", "250")]),
            Pushback::After(Duration::from_millis(250))
        );
    }

    #[test]
    fn do_not_retry_is_never_overruled() {
        assert_eq!(asked(&[("x-should-retry", "false"), ("retry-after", "1")]), Pushback::Stop);
        assert_eq!(asked(&[("x-should-retry", "true")]), Pushback::None);
    }

    #[test]
    fn what_nobody_can_read_asks_for_nothing() {
        for wrong in ["", "soon", "-5", "1.5", "99999999999999999999999999"] {
            assert_eq!(asked(&[("retry-after", wrong)]), Pushback::None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_spread_and_never_too_short() {
        let mut rng = Rng::seeded(1);
        let waits: std::collections::BTreeSet<u64> = (0..200)
            .map(|_| {
                let mut headers = HeaderMap::new();
                write(&mut headers, Duration::from_millis(7_500), &mut rng);
                headers["retry-after"].to_str().unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(waits.into_iter().collect::<Vec<_>>(), [8, 9, 10]);
    }

    #[test]
    fn no_wait_is_too_long_to_be_written() {
        let mut headers = HeaderMap::new();
        write(&mut headers, Duration::MAX, &mut Rng::seeded(1));
        assert_eq!(headers["retry-after"], u64::MAX.to_string());
    }

    #[test]
    fn a_sign_is_no_part_of_a_number_of_seconds() {
        assert_eq!(asked(&[("retry-after", "+5")]), Pushback::None);
        assert_eq!(asked(&[("grpc-retry-pushback-ms", "+5")]), Pushback::Stop);
    }

    #[test]
    fn a_grpc_pushback_in_no_known_letters_means_stop() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_PUSHBACK, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(pushback(&headers), Pushback::Stop);
    }

    #[test]
    fn do_not_retry_is_understood_in_capitals_too() {
        assert_eq!(asked(&[("x-should-retry", "False")]), Pushback::Stop);
    }

    fn asked(pairs: &[(&'static str, &'static str)]) -> Pushback {
        pushback(
            &pairs
                .iter()
                .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect(),
        )
    }
}
