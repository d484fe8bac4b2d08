use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::time::Instant;

/// How long the caller will wait, in whole milliseconds (Envoy's name, so that meshes read it too).
pub const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// The instant after which nobody waits for the answer any more.
///
/// It lies in a request's extensions between layers of one process. Between processes only the
/// time that is left travels, since two machines never agree on what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this instant.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// `time` from `now`; at most a century ahead.
    pub fn after(now: Instant, time: Duration) -> Self {
        Self(now + time.min(CENTURY))
    }

    /// Reads what the caller wrote on the wire: the remaining milliseconds, counted from `now`.
    pub fn from_wire(headers: &HeaderMap, now: Instant) -> Option<Self> {
        let millis = headers.get(EXPECTED_TIMEOUT)?.to_str().ok()?.parse().ok()?;
        Some(Self::after(now, Duration::from_millis(millis)))
    }

    /// Writes what is left for the next hop, rounded down: a server that believes it has more time
    /// than its caller works for nobody.
    pub fn write(self, headers: &mut HeaderMap, now: Instant) {
        let millis = u64::try_from(self.remaining(now).as_millis()).unwrap_or(u64::MAX);
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(millis));
    }

    /// The time left, nothing once it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed.
    pub fn is_over(self, now: Instant) -> bool {
        now >= self.0
    }

    /// Its instant.
    pub const fn instant(self) -> Instant {
        self.0
    }
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
    fn an_absurd_deadline_does_not_overflow() {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(u64::MAX));
        assert!(Deadline::from_wire(&headers, time::now()).is_some());
    }
}
