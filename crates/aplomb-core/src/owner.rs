//! Who owns the retries of a call.
//!
//! When every hop of a chain retries, three attempts at three hops are twenty-seven sends at the
//! bottom. The lowest hop that can retry safely owns the retrying; when it gives up it says so, and
//! every hop above stops.

use std::cell::Cell;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Attempt;

/// Which attempt a request is, from 1 (Envoy's name), counted over all layers and hops that repeated
/// it. Left out on the first.
pub const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

// Looking a header up by a name that is not made for it costs half as much.
static ATTEMPTS: HeaderName = ATTEMPT_COUNT;

/// Who owns the retries towards one dependency, as `owner@authority`.
pub const RETRY_OWNER: HeaderName = HeaderName::from_static("x-retry-owner");

/// The response header by which an exhausted owner says `false`.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Which attempt a request says it is: the first when it does not say, or says what is no number.
///
/// A stranger may write what it likes, so no more than the place of its own request hangs on it.
///
/// ```
/// use aplomb_core::owner::{ATTEMPT_COUNT, attempt};
///
/// let mut headers = http::HeaderMap::new();
/// assert!(attempt(&headers).is_first());
/// headers.insert(ATTEMPT_COUNT, 3.into());
/// assert_eq!(attempt(&headers).number(), 3);
/// ```
pub fn attempt(headers: &HeaderMap) -> Attempt {
    let count = headers.get(&ATTEMPTS).and_then(|count| count.to_str().ok()?.parse().ok());
    count.and_then(Attempt::numbered).unwrap_or(Attempt::FIRST)
}

/// Whether somebody else named itself the owner of the retries towards `authority`.
///
/// The header only ever takes retries away: what a stranger writes there can make its own call
/// fail sooner, and nothing else.
///
/// ```
/// use aplomb_core::owner::{RETRY_OWNER, claim, is_owned_elsewhere};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert(RETRY_OWNER, claim("mesh", "stock:7001").unwrap());
/// assert!(is_owned_elsewhere(&headers, Some("stock:7001"), Some("order-api")));
/// assert!(!is_owned_elsewhere(&headers, Some("stock:7001"), Some("mesh")));
/// ```
pub fn is_owned_elsewhere(headers: &HeaderMap, authority: Option<&str>, me: Option<&str>) -> bool {
    headers.get_all(RETRY_OWNER).iter().any(|value| {
        let claim = value.to_str().ok().and_then(|claim| claim.rsplit_once('@'));
        claim.is_some_and(|(owner, of)| Some(of) == authority && Some(owner) != me)
    })
}

/// The header's value for `owner` towards `authority`, if both can stand in one.
pub fn claim(owner: &str, authority: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{owner}@{authority}")).ok()
}

/// Runs `work` and says, beside its result, whether the retries of a call made in it came to their
/// end. For the shells of layers: around each poll of a handler's future.
///
/// ```
/// use aplomb_core::owner::{exhausted, watch};
///
/// let (answer, is_exhausted) = watch(|| {
///     exhausted(); // what a retry layer says when it gives up
///     503
/// });
/// assert_eq!((answer, is_exhausted), (503, true));
/// ```
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let outer = Watching(EXHAUSTED.replace(false));
    let done = work();
    let exhausted = EXHAUSTED.get();
    drop(outer);
    (done, exhausted)
}

/// The retries of a call came to their end without success.
pub fn exhausted() {
    EXHAUSTED.set(true);
}

/// Restores what the work outside had seen, even when the work inside panics.
struct Watching(bool);

impl Drop for Watching {
    fn drop(&mut self) {
        EXHAUSTED.set(self.0);
    }
}

thread_local! {
    static EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_owner_named_for_this_dependency_counts() {
        let mut headers = HeaderMap::new();
        headers.append(RETRY_OWNER, claim("mesh", "ships:7002").unwrap());
        assert!(!is_owned_elsewhere(&headers, Some("stock:7001"), None));
        headers.append(RETRY_OWNER, claim("order-api", "stock:7001").unwrap());
        assert!(is_owned_elsewhere(&headers, Some("stock:7001"), None));
        assert!(!is_owned_elsewhere(&headers, Some("stock:7001"), Some("order-api")));
        assert!(!is_owned_elsewhere(&headers, None, None));
    }

    #[test]
    fn what_nobody_can_read_names_no_owner() {
        let mut headers = HeaderMap::new();
        headers.append(RETRY_OWNER, HeaderValue::from_static("stock:7001"));
        headers.append(RETRY_OWNER, HeaderValue::from_bytes(b"\xff@stock:7001").unwrap());
        assert!(!is_owned_elsewhere(&headers, Some("stock:7001"), None));
    }

    #[test]
    fn a_request_that_does_not_say_which_attempt_it_is_is_the_first() {
        let mut headers = HeaderMap::new();
        assert_eq!(attempt(&headers), Attempt::FIRST);
        for (written, number) in [
            ("3", 3),
            ("1", 1),
            ("0", 1),
            ("-2", 1),
            ("often", 1),
            ("4294967295", u32::MAX),
            ("4294967296", 1),
            ("99999999999999999999999999", 1),
        ] {
            headers.insert(ATTEMPT_COUNT, HeaderValue::from_static(written));
            assert_eq!(attempt(&headers).number(), number, "{written}");
        }
    }

    #[test]
    fn exhaustion_is_seen_by_the_work_around_it_alone() {
        let ((), outer) = watch(|| {
            let ((), inner) = watch(exhausted);
            assert!(inner);
        });
        assert!(!outer);
        assert!(!watch(|| ()).1);
    }
}
