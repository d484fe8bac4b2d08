//! What a server answers to a call that it does not take on, in one place.
//!
//! Both are a 503 with a `Retry-After`, since nothing was done. Where the caller has no leave to come
//! again they say `x-should-retry: false` too. The member `reason` holds the word of a
//! [`RejectReason`].
//!
//! | type | means |
//! |---|---|
//! | [`OVERLOADED`] | the server has more to do than it can |
//! | [`EXPIRED`] | the caller's deadline left no time for the work |

use std::time::Duration;

use aplomb_core::{Problem, Rng, owner, retry_after};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::rejection::{RejectReason, Rejection};

/// The server has more to do than it can.
pub const OVERLOADED: &str = "/problems/admission/overloaded";
/// A call's deadline left no time for the work.
pub const EXPIRED: &str = "/problems/admission/expired";

/// The answer to a call that does not run. Its caller is to come back no earlier than `wait`, which
/// is jittered.
pub fn response<B: From<Bytes>>(
    rejection: &Rejection,
    wait: Duration,
    rng: &mut Rng,
) -> Response<B> {
    let reason = rejection.reason;
    let (kind, title) = match reason {
        RejectReason::Expired => (EXPIRED, "no time left"),
        _ => (OVERLOADED, "overloaded"),
    };
    let problem = Problem::new(kind, title, StatusCode::SERVICE_UNAVAILABLE)
        .detail(format!("{reason}; nothing was done"))
        .with("reason", reason.as_str());
    let mut response = problem.into_response();
    retry_after::write(response.headers_mut(), wait, rng);
    if !rejection.may_retry {
        let no = HeaderValue::from_static("false");
        response.headers_mut().insert(owner::SHOULD_RETRY, no);
    }
    response.extensions_mut().insert(*rejection);
    response
}
