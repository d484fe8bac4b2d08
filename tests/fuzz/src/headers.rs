use aplomb_core::time::{self, Duration};
use aplomb_core::{
    Call, Classify, Deadline, GrpcClassifier, HttpClassifier, Outcome, Pushback, Rng,
};
use aplomb_core::{Failure, FailureKind};
use aplomb_idempotency::{Bare, Key};
use aplomb_retry::{BodyIs, Progress, Rules};
use http::{HeaderMap, Method, Response, StatusCode};

use crate::bytes::headers;

/// A key that is read is printable, short, and the same when it is written and read again.
pub(crate) fn idempotency_key(bytes: &[u8]) {
    let headers = headers(bytes);
    for bare in [Bare::Taken, Bare::Refused] {
        let Ok(Some(key)) = Key::of(&headers, bare) else { continue };
        assert!((1..=255).contains(&key.as_str().len()));
        assert!(key.as_str().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        let mut again = HeaderMap::new();
        again.insert(aplomb_core::IDEMPOTENCY_KEY, key.header_value());
        assert_eq!(Key::of(&again, Bare::Refused).ok().flatten(), Some(key));
    }
}

/// Whatever a server asks for, nobody waits longer than the longest pushback with its jitter, and
/// never past the deadline.
pub(crate) fn retry_after(bytes: &[u8]) {
    let asked = aplomb_core::retry_after::pushback(&headers(bytes));
    let (rules, now) = (Rules::default(), time::now());
    let deadline = Deadline::after(now, Duration::from_secs(600));
    let mut progress = Progress::new(Call::of(&Method::GET, &HeaderMap::new()), Some(deadline));
    let failure = Failure::new(FailureKind::Throttled).pushback(asked);
    let allowed = rules.allow(&mut progress, failure, BodyIs::Kept, now, &mut Rng::seeded(7));
    match (asked, allowed) {
        (Pushback::Stop, allowed) => assert!(allowed.is_err()),
        (Pushback::After(floor), Ok(wait)) => {
            assert!(wait >= floor, "never shorter than asked");
            assert!(wait <= LONGEST_PUSHBACK, "{wait:?}");
        }
        _ => {}
    }
}

/// A deadline that is read is never later than a century from now, and what is written for the
/// next hop is never more than what was read.
pub(crate) fn deadline(bytes: &[u8]) {
    let (mut headers, now) = (headers(bytes), time::now());
    let Some(read) = Deadline::from_wire(&headers, now) else { return };
    let left = read.remaining(now);
    read.write(&mut headers, now);
    let again = Deadline::from_wire(&headers, now).expect("what we write can be read");
    assert!(again.remaining(now) <= left);
}

/// The first two bytes are a status, the rest are headers. A success is a success whatever the
/// headers say, and whoever says no is heard.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((status, rest)) = bytes.split_at_checked(2) else { return };
    let status = 100 + (u16::from(status[0]) << 8 | u16::from(status[1])) % 900;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).expect("100 to 999 are codes");
    *response.headers_mut() = headers(rest);
    let call = Call::of(&Method::POST, response.headers());
    let judged = HttpClassifier.classify(call, Ok(&response));
    if response.status().is_success() {
        assert_eq!(judged, Outcome::Success);
    }
    _ = GrpcClassifier.classify(call, Ok(&response));
}

/// A minute with the jitter on top, which is a quarter of it or a plain backoff.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(120);
