//! Every answer that refuses, by its stable `type`.
//!
//! | `type` | status | meaning, and what the caller can do |
//! |---|---|---|
//! | [`KEY_MISSING`] | 400 | send an `Idempotency-Key` |
//! | [`KEY_MALFORMED`] | 400 | send one that can be read: see [`Key`](crate::Key) |
//! | [`BODY_UNREADABLE`] | 400 | the upload broke off; nothing was begun |
//! | [`BODY_TOO_SLOW`] | 408 | the body took too long to arrive; nothing was begun |
//! | [`BODY_TOO_LARGE`] | 413 | the body is over the cap |
//! | [`KEY_REUSED`] | 422 | the key was used for another payload: choose a new key |
//! | [`IN_FLIGHT`] | 409 + `Retry-After` | the work is under way: come back with the same key |
//! | [`OUTCOME_UNKNOWN`] | 409 | nobody knows whether it was done: ask a person, quoting `reference` |
//! | [`KEY_RETIRED`] | 410 | it was done long ago, the answer is gone: choose a new key |
//! | [`STORE_UNAVAILABLE`] | 503 + `Retry-After` | nothing was done, or its answer could not be read back: come back with the same key |
//! | [`RECORD_UNREADABLE`] | 500 | the key's record is there and cannot be read; the work is not done again: tell the operator, quoting `reference` |
//! | [`NO_SCOPE`] | 500 | the server forgot to authenticate, or to declare a global scope |
//! | [`NO_CLAIM`] | 500 | a handler asks for a claim on a route that the layer does not guard |
//! | [`NOT_RECORDED`] | 500 | a transactional handler did not record its success |
//! | [`HANDLER_PANICKED`] | 500 | the handler panicked |
//! | [`RESULT_NOT_RETAINED`] | the original's | a replay whose body was too long to keep; the other headers are the original's |

use std::error::Error;
use std::time::Duration;

use aplomb_core::Problem;
use http::{HeaderName, StatusCode};

use crate::{MalformedKey, RecordId};

/// The header that marks a replay, with the value `true`.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request that needs a key has none.
pub const KEY_MISSING: &str = "/problems/idempotency/key-missing";
/// A key cannot be read.
pub const KEY_MALFORMED: &str = "/problems/idempotency/key-malformed";
/// A key was used for another payload.
pub const KEY_REUSED: &str = "/problems/idempotency/key-reused";
/// A key's outcome was forgotten.
pub const KEY_RETIRED: &str = "/problems/idempotency/key-retired";
/// A key's handler is running.
pub const IN_FLIGHT: &str = "/problems/idempotency/in-flight";
/// It is not known whether a key's handler had its effect.
pub const OUTCOME_UNKNOWN: &str = "/problems/idempotency/outcome-unknown";
/// The store failed or is full.
pub const STORE_UNAVAILABLE: &str = "/problems/idempotency/store-unavailable";
/// A key's record cannot be read: it is damaged, or sealed with a key that is gone.
pub const RECORD_UNREADABLE: &str = "/problems/idempotency/record-unreadable";
/// A body is over the cap.
pub const BODY_TOO_LARGE: &str = "/problems/idempotency/body-too-large";
/// A body did not arrive in time.
pub const BODY_TOO_SLOW: &str = "/problems/idempotency/body-too-slow";
/// A body broke off.
pub const BODY_UNREADABLE: &str = "/problems/idempotency/body-unreadable";
/// Neither a principal nor a global scope.
pub const NO_SCOPE: &str = "/problems/idempotency/no-scope";
/// A handler asks for a claim where there is none.
pub const NO_CLAIM: &str = "/problems/idempotency/no-claim";
/// A transactional handler did not record its success.
pub const NOT_RECORDED: &str = "/problems/idempotency/not-recorded";
/// A handler panicked.
pub const HANDLER_PANICKED: &str = "/problems/idempotency/handler-panicked";
/// A replay without its body.
pub const RESULT_NOT_RETAINED: &str = "/problems/idempotency/result-not-retained";

pub(crate) fn key_missing() -> Problem {
    Problem::new(KEY_MISSING, "idempotency key missing", StatusCode::BAD_REQUEST)
        .detail("send an Idempotency-Key header, the same one with every try of one unit of work")
}

pub(crate) fn key_malformed(error: MalformedKey) -> Problem {
    let title = "idempotency key malformed";
    Problem::new(KEY_MALFORMED, title, StatusCode::BAD_REQUEST).detail(error.to_string())
}

pub(crate) fn key_reused() -> Problem {
    let title = "idempotency key reused";
    Problem::new(KEY_REUSED, title, StatusCode::UNPROCESSABLE_ENTITY)
        .detail("this key was used for another request; choose a new key for new work")
}

pub(crate) fn key_retired() -> Problem {
    Problem::new(KEY_RETIRED, "idempotency key retired", StatusCode::GONE)
        .detail("this key was used and its answer is no longer kept; choose a new key for new work")
}

pub(crate) fn in_flight() -> Problem {
    Problem::new(IN_FLIGHT, "request in flight", StatusCode::CONFLICT)
        .detail("a request with this key is being worked on; send the same key again later")
}

pub(crate) fn outcome_unknown(id: RecordId) -> Problem {
    Problem::new(OUTCOME_UNKNOWN, "outcome unknown", StatusCode::CONFLICT)
        .detail("an earlier request with this key may have been carried out; quote the reference")
        .with("reference", id.to_string())
}

pub(crate) fn record_unreadable(id: Option<RecordId>) -> Problem {
    let title = "idempotency record unreadable";
    let problem = Problem::new(RECORD_UNREADABLE, title, StatusCode::INTERNAL_SERVER_ERROR)
        .detail("this key is on record and its record cannot be read; the work is not done again");
    match id {
        Some(id) => problem.with("reference", id.to_string()),
        None => problem,
    }
}

/// What went wrong inside the store is for the operator's log, not for the caller.
pub(crate) fn store_unavailable(error: &(dyn Error + 'static)) -> Problem {
    let title = "idempotency store unavailable";
    Problem::new(STORE_UNAVAILABLE, title, StatusCode::SERVICE_UNAVAILABLE)
        .detail(error.to_string())
}

pub(crate) fn body_too_large(cap: usize) -> Problem {
    Problem::new(BODY_TOO_LARGE, "body too large", StatusCode::PAYLOAD_TOO_LARGE)
        .detail(format!("a request with an idempotency key may have {cap} bytes of body"))
}

pub(crate) fn body_too_slow(time: Duration) -> Problem {
    Problem::new(BODY_TOO_SLOW, "body too slow", StatusCode::REQUEST_TIMEOUT)
        .detail(format!("the body was not there after {time:?}; nothing was begun"))
}

pub(crate) fn body_unreadable() -> Problem {
    Problem::new(BODY_UNREADABLE, "body unreadable", StatusCode::BAD_REQUEST)
        .detail("the body broke off; nothing was begun")
}

pub(crate) fn no_scope() -> Problem {
    Problem::new(NO_SCOPE, "idempotency scope missing", StatusCode::INTERNAL_SERVER_ERROR).detail(
        "put an aplomb_core::Principal into the request's extensions before the idempotency \
         layer, or declare IdempotencyLayer::global_scope",
    )
}

pub(crate) fn not_recorded() -> Problem {
    Problem::new(NOT_RECORDED, "answer not recorded", StatusCode::INTERNAL_SERVER_ERROR).detail(
        "the handler of a transactional route answered success without recording it in the \
         transaction of its effect; answer with the Recorded that complete_in returns, after the \
         commit",
    )
}

pub(crate) fn handler_panicked() -> Problem {
    let title = "handler panicked";
    Problem::new(HANDLER_PANICKED, title, StatusCode::INTERNAL_SERVER_ERROR)
        .detail("the outcome is kept as the route's policy says; send the same key to learn it")
}
