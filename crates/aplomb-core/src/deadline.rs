use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::Request;
use crate::time::Instant;

/// How long the caller will wait, in whole milliseconds (Envoy's name, so that meshes read it too).
pub const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// The same for gRPC, as up to eight digits and a unit.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The instant after which nobody waits for the answer any more.
///
/// Within a task it is in force while the future that it bounds is polled: whatever is called there
/// finds it with [`current`](Self::current), whatever the type of its request, and nothing is
/// allocated for it. A request may carry one too, across a queue or a spawned task. Between
/// processes only the time that is left travels, since two machines never agree on what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this instant.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// `time` from `now`; at most a century ahead.
    #[inline]
    pub fn after(now: Instant, time: Duration) -> Self {
        Self(now + time.min(CENTURY))
    }

    /// The one in force where this is called.
    #[inline]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// The one that bounds a request: the earlier of the one in force and the one it carries.
    #[inline]
    pub fn of(request: &impl Request, now: Instant) -> Option<Self> {
        match (Self::current(), request.deadline(now)) {
            (Some(current), Some(carried)) => Some(current.min(carried)),
            (current, carried) => current.or(carried),
        }
    }

    /// The same, for whoever needs the time for nothing else: the clock is read only for a request
    /// that may carry one.
    #[inline]
    pub fn of_call(request: &impl Request, clock: impl FnOnce() -> Instant) -> Option<Self> {
        if request.may_carry_deadline() { Self::of(request, clock()) } else { Self::current() }
    }

    /// Puts it in force until the scope is dropped. For the shells of layers: around each call of
    /// an inner service and each poll of its future. Never held across an `.await`; scopes end in the
    /// reverse of their order.
    ///
    /// ```
    /// use aplomb_core::{Deadline, time};
    ///
    /// let deadline = Deadline::after(time::now(), time::Duration::from_secs(1));
    /// let scope = deadline.enter();
    /// assert_eq!(Deadline::current(), Some(deadline));
    /// drop(scope);
    /// assert_eq!(Deadline::current(), None);
    /// ```
    #[inline]
    pub fn enter(self) -> Scope {
        Scope { outer: CURRENT.replace(Some(self)), _here: PhantomData }
    }

    /// Reads what the caller wrote on the wire, counted from `now`: the shorter of
    /// `x-envoy-expected-rq-timeout-ms` and `grpc-timeout`. What nobody can read is no deadline.
    pub fn from_wire(headers: &HeaderMap, now: Instant) -> Option<Self> {
        let text = |name| headers.get(name)?.to_str().ok();
        let plain = text(EXPECTED_TIMEOUT).and_then(|millis| millis.parse().ok());
        let plain = plain.map(Duration::from_millis);
        let grpc = text(GRPC_TIMEOUT).and_then(grpc_timeout);
        let left = plain.into_iter().chain(grpc).min()?;
        Some(Self::after(now, left))
    }

    /// Writes what is left for the next hop, in gRPC's words for a gRPC request. Rounded down: a
    /// server that believes it has more time than its caller works for nobody.
    pub fn write(self, headers: &mut HeaderMap, now: Instant) {
        let millis = u64::try_from(self.remaining(now).as_millis()).unwrap_or(u64::MAX);
        if !is_grpc(headers) {
            headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(millis));
            return;
        }
        let written = if millis < GRPC_DIGITS_MAX {
            format!("{millis}m")
        } else {
            format!("{}S", (millis / 1_000).min(GRPC_DIGITS_MAX - 1))
        };
        if let Ok(written) = HeaderValue::try_from(written) {
            headers.insert(GRPC_TIMEOUT, written);
        }
    }

    /// The time left, nothing once it has passed.
    #[inline]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed.
    #[inline]
    pub fn is_over(self, now: Instant) -> bool {
        now >= self.0
    }

    /// Its instant.
    pub const fn instant(self) -> Instant {
        self.0
    }
}

/// While it lives, a deadline is in force on this thread.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{Deadline, Scope};
///
/// fn call(timeout: Duration) -> Option<Deadline> {
///     let _in_force: Scope = Deadline::after(aplomb_core::time::now(), timeout).enter();
///     Deadline::current() // what every layer inside finds
/// }
///
/// assert!(call(Duration::from_secs(3)).is_some());
/// assert!(Deadline::current().is_none());
/// ```
#[derive(Debug)]
#[must_use = "dropped, the deadline is in force no more"]
pub struct Scope {
    outer: Option<Deadline>,
    // It must be dropped on the thread that entered it.
    _here: PhantomData<*const ()>,
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

thread_local! {
    static CURRENT: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// The deadline passed before the answer came.
///
/// Whether the server acted is unknown, unless the call was never sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlineExceeded {
    /// Whether the time was up before anything was sent.
    pub unsent: bool,
}

impl DeadlineExceeded {
    /// Time was up before anything was sent.
    pub const UNSENT: Self = Self { unsent: true };
}

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.unsent {
            "deadline exceeded before the call was sent"
        } else {
            "deadline exceeded, the outcome is unknown"
        })
    }
}

impl Error for DeadlineExceeded {}

/// Up to eight digits and a unit (gRPC over HTTP2, *Timeout*).
fn grpc_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The first number that does not fit gRPC's eight digits.
const GRPC_DIGITS_MAX: u64 = 100_000_000;

/// Longer waits overflow some platforms' clocks and are meant by nobody.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    #[test]
    fn the_wire_carries_what_is_left_rounded_down() {
        let now = time::now();
        let mut headers = HeaderMap::new();
        Deadline::after(now, Duration::from_micros(1_999)).write(&mut headers, now);
        assert_eq!(headers[EXPECTED_TIMEOUT], "1");
        assert_eq!(
            Deadline::from_wire(&headers, now),
            Some(Deadline::after(now, Duration::from_millis(1)))
        );
    }

    #[test]
    fn a_wire_value_nobody_can_read_is_no_deadline() {
        for wrong in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            let mut headers = HeaderMap::new();
            headers.insert(EXPECTED_TIMEOUT, HeaderValue::from_static(wrong));
            assert_eq!(Deadline::from_wire(&headers, time::now()), None, "{wrong}");
        }
    }

    #[test]
    fn a_deadline_is_in_force_for_its_scope_alone() {
        let now = time::now();
        let (outer, inner) = (Deadline::at(now), Deadline::after(now, Duration::from_secs(1)));
        let scope = outer.enter();
        drop(inner.enter());
        assert_eq!(Deadline::current(), Some(outer));
        drop(scope);
        assert_eq!(Deadline::current(), None);
    }

    #[test]
    fn the_earlier_of_two_deadlines_bounds_a_request() {
        let (now, mut request) = (time::now(), http::Request::new(()));
        let (early, late) = (Deadline::at(now), Deadline::after(now, Duration::from_secs(1)));
        assert_eq!(Deadline::of(&request, now), None);
        request.extensions_mut().insert(late);
        assert_eq!(Deadline::of(&request, now), Some(late));
        let _scope = early.enter();
        assert_eq!(Deadline::of(&request, now), Some(early));
    }

    #[test]
    fn the_clock_is_not_read_for_a_request_that_carries_nothing() {
        let (now, mut request) = (time::now(), http::Request::new(()));
        let of = |request: &http::Request<()>, reads: bool| {
            Deadline::of_call(request, || {
                assert!(reads, "the clock was read");
                now
            })
        };
        assert_eq!(of(&request, false), None);
        let scope = Deadline::at(now).enter();
        assert_eq!(of(&request, false), Some(Deadline::at(now)));
        drop(scope);
        request.extensions_mut().insert(Deadline::at(now));
        assert_eq!(of(&request, true), Some(Deadline::at(now)));
    }

    #[test]
    fn grpc_units_are_read() {
        let now = time::now();
        for (written, nanos) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("4m", 4_000_000),
            ("5u", 5_000),
            ("6n", 6),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(written));
            let deadline = Deadline::after(now, Duration::from_nanos(nanos));
            assert_eq!(Deadline::from_wire(&headers, now), Some(deadline), "{written}");
        }
        for wrong in ["", "m", "1", "1x", "-1m", "123456789m", "1.5S", "1é"] {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_str(wrong).unwrap());
            assert_eq!(Deadline::from_wire(&headers, now), None, "{wrong}");
        }
    }

    #[test]
    fn a_grpc_request_is_told_in_grpcs_words() {
        let now = time::now();
        for (left, written) in [(1_500, "1500m"), (100_000_000, "100000S")] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/grpc+proto"));
            Deadline::after(now, Duration::from_millis(left)).write(&mut headers, now);
            assert_eq!(headers[GRPC_TIMEOUT], written);
            assert!(!headers.contains_key(EXPECTED_TIMEOUT));
        }
    }

    #[test]
    fn of_two_deadlines_the_shorter_counts() {
        let (now, mut headers) = (time::now(), HeaderMap::new());
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("2S"));
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from_static("500"));
        let shorter = Deadline::after(now, Duration::from_millis(500));
        assert_eq!(Deadline::from_wire(&headers, now), Some(shorter));
    }

    #[test]
    fn a_deadline_of_zero_is_over_and_none_is_further_off_than_a_century() {
        let now = time::now();
        let left = |name, value| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            Deadline::from_wire(&headers, now).unwrap().remaining(now)
        };
        let year = Duration::from_secs(365 * 24 * 3600);
        assert_eq!(left(EXPECTED_TIMEOUT, "0"), Duration::ZERO);
        assert_eq!(left(EXPECTED_TIMEOUT, "31536000000"), year);
        assert_eq!(left(EXPECTED_TIMEOUT, "18446744073709551615"), CENTURY);
        assert_eq!(left(GRPC_TIMEOUT, "0n"), Duration::ZERO);
        assert_eq!(left(GRPC_TIMEOUT, "99999999H"), CENTURY);
    }

    #[test]
    fn an_absurd_deadline_does_not_overflow() {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(u64::MAX));
        assert!(Deadline::from_wire(&headers, time::now()).is_some());
    }
}
