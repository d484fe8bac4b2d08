//! gRPC: what its statuses mean, and which of its methods may be repeated.
//!
//! Every gRPC call is a POST that is answered with 200, so neither the method nor the status of
//! HTTP says anything. The status is `grpc-status`, and whether a call may be repeated only its
//! author knows.
//!
//! ```
//! use aplomb_core::grpc::{GrpcClassifier, repeatable};
//! use aplomb_core::{Call, Classify, FailureKind, Request, Safety};
//!
//! // With tower: `.map_request(repeatable(&["/stock.Stock/Look"]))`, outside the retries.
//! let mark = repeatable(&["/stock.Stock/Look"]);
//! let look = mark(http::Request::post("/stock.Stock/Look").body(())?);
//! assert_eq!(look.call().safety, Safety::Idempotent);
//!
//! let answer = http::Response::builder().header("grpc-status", "14").body(())?;
//! let outcome = GrpcClassifier.classify(look.call(), Ok(&answer));
//! assert_eq!(outcome.failure().map(|failure| failure.kind), Some(FailureKind::Transient));
//! # Ok::<(), http::Error>(())
//! ```

use std::error::Error;
use std::fmt;

use http::{HeaderMap, HeaderName, Request, StatusCode};

use crate::classify::of_error;
use crate::{
    Answer, BoxError, Call, Classify, DeadlineExceeded, Failure, FailureKind, Outcome, Pushback,
    Repeatable, cause, retry_after,
};

/// The meaning of gRPC's statuses (gRPC, *Status codes and their use in gRPC*).
///
/// | status | outcome | why |
/// |---|---|---|
/// | 0 `OK` | success | |
/// | 1 `CANCELLED` | neutral | a call that somebody gave up has no vote |
/// | 3 `INVALID_ARGUMENT`, 5 `NOT_FOUND`, 6 `ALREADY_EXISTS`, 7 `PERMISSION_DENIED`, 9 `FAILED_PRECONDITION`, 11 `OUT_OF_RANGE`, 16 `UNAUTHENTICATED` | neutral | the caller's own mistake, as a 4xx |
/// | 10 `ABORTED` | neutral | the caller is to repeat more than this call: its whole transaction |
/// | 4 `DEADLINE_EXCEEDED` | timeout | the server may have acted |
/// | 8 `RESOURCE_EXHAUSTED` | throttled | as a 429 |
/// | 14 `UNAVAILABLE` | transient; throttled with a pushback | "the client can retry just the failing call"; it may have acted |
/// | 2 `UNKNOWN`, 12 `UNIMPLEMENTED`, 13 `INTERNAL`, 15 `DATA_LOSS`, and what is no status | permanent | nothing says that it would pass |
///
/// A pushback is read from `grpc-retry-pushback-ms`; a negative one, or one that nobody can read,
/// forbids the retry (gRFC A6). What is answered without a `grpc-status` by something that does not
/// speak gRPC, such as a proxy, is read by its HTTP status (gRPC, *HTTP to gRPC Status Code
/// Mapping*); errors of the transport mean what they mean to
/// [`HttpClassifier`](crate::HttpClassifier).
///
/// # What it does not see
///
/// Only a trailers-only answer has its status where it can be read before the body: in the headers.
/// An answer that streams tells it at its end. Until then it is taken for a success, and it is never
/// retried, since its messages have reached the caller.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct GrpcClassifier;

impl<R: Answer> Classify<R> for GrpcClassifier {
    fn classify(&self, _: Call, result: Result<&R, &(dyn Error + 'static)>) -> Outcome {
        match result {
            Ok(response) => of_response(response.status(), response.headers()),
            Err(error) => of_error(error),
        }
    }
}

#[inline]
fn of_response(http: StatusCode, headers: &HeaderMap) -> Outcome {
    match headers.get(&GRPC_STATUS) {
        None if http == StatusCode::OK => Outcome::Success,
        None => of_status(of_http(http), headers),
        Some(status) => of_status(status.to_str().unwrap_or_default(), headers),
    }
}

fn of_status(status: &str, headers: &HeaderMap) -> Outcome {
    let pushback = retry_after::pushback(headers);
    let kind = match status {
        "0" => return Outcome::Success,
        "1" | "3" | "5" | "6" | "7" | "9" | "10" | "11" | "16" => return Outcome::Neutral,
        "4" => FailureKind::Timeout,
        "8" => FailureKind::Throttled,
        "14" if matches!(pushback, Pushback::After(_)) => FailureKind::Throttled,
        "14" => FailureKind::Transient,
        _ => FailureKind::Permanent,
    };
    Outcome::Failure(Failure::new(kind).pushback(pushback))
}

/// The gRPC status of an answer that has none.
fn of_http(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

/// Says in this crate's words what a gRPC library says in its own: that the time was up, that no
/// connection stood.
///
/// Core knows no gRPC library, so its user names the two errors. Around tonic's `Channel`:
///
/// ```text
/// .map_err(grpc::translate::<tonic::TimeoutExpired, tonic::ConnectError>)
/// ```
///
/// Without it such a failure is one that nobody knows, hence permanent. tonic reads the
/// `grpc-timeout` that a deadline wrote, so that its timeouts come before the deadline's own.
pub fn translate<Timeout, Connect>(error: impl Into<BoxError>) -> BoxError
where
    Timeout: Error + 'static,
    Connect: Error + 'static,
{
    let error = error.into();
    if cause::<Timeout>(&*error).is_some() {
        return DeadlineExceeded::default().into();
    }
    if cause::<Connect>(&*error).is_some() {
        return NotConnected { source: error }.into();
    }
    error
}

/// No connection stood, so that nothing was sent; why is its cause.
///
/// ```
/// use aplomb_core::{BoxError, cause};
/// use aplomb_core::grpc::{NotConnected, translate};
///
/// // Around tonic: `translate::<tonic::TimeoutExpired, tonic::ConnectError>`.
/// type TimedOut = std::fmt::Error;
/// type Refused = std::io::Error;
/// let error: BoxError = translate::<TimedOut, Refused>(Refused::other("refused"));
/// assert!(cause::<NotConnected>(&*error).is_some());
/// ```
#[derive(Debug)]
pub struct NotConnected {
    source: BoxError,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not connected; nothing was sent")
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Marks the calls of these methods, `/package.Service/Method`, as [repeatable](Repeatable::Yes).
pub fn repeatable<B>(
    methods: &'static [&'static str],
) -> impl Fn(Request<B>) -> Request<B> + Clone + Send + Sync + 'static {
    move |mut request| {
        if methods.contains(&request.uri().path()) {
            request.extensions_mut().insert(Repeatable::Yes);
        }
        request
    }
}

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request as _, Safety};
    use http::{Method, Response};
    use std::time::Duration;

    #[test]
    fn every_status_has_its_meaning() {
        let permanent = Some(FailureKind::Permanent);
        let meanings = [
            None,
            None,
            permanent,
            None,
            Some(FailureKind::Timeout),
            None,
            None,
            None,
            Some(FailureKind::Throttled),
            None,
            None,
            None,
            permanent,
            permanent,
            Some(FailureKind::Transient),
            permanent,
            None,
        ];
        for (status, meaning) in meanings.into_iter().enumerate() {
            let outcome = seen(200, &[("grpc-status", &status.to_string())]);
            assert_eq!(outcome.failure().map(|failure| failure.kind), meaning, "{status}");
            assert_eq!(outcome == Outcome::Success, status == 0, "{status}");
        }
    }

    #[test]
    fn what_is_no_status_is_permanent() {
        for wrong in ["", "17", "014", "-1", "UNAVAILABLE", "14 "] {
            assert_eq!(
                kind(seen(200, &[("grpc-status", wrong)])),
                FailureKind::Permanent,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_pushback_is_obeyed() {
        for status in ["8", "14"] {
            let told = seen(200, &[("grpc-status", status), ("grpc-retry-pushback-ms", "250")]);
            assert_eq!(kind(told), FailureKind::Throttled);
            let after = Pushback::After(Duration::from_millis(250));
            assert_eq!(told.failure().unwrap().pushback, after);
        }
        let stop = seen(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")]);
        assert_eq!(stop.failure().unwrap().pushback, Pushback::Stop);
    }

    #[test]
    fn a_stream_is_a_success_until_it_ends() {
        assert_eq!(seen(200, &[("content-type", "application/grpc")]), Outcome::Success);
    }

    #[test]
    fn what_does_not_speak_grpc_is_read_by_its_http_status() {
        for status in [429, 502, 503, 504] {
            assert_eq!(kind(seen(status, &[])), FailureKind::Transient, "{status}");
        }
        assert_eq!(kind(seen(503, &[("retry-after", "1")])), FailureKind::Throttled);
        for status in [400, 404, 500, 302] {
            assert_eq!(kind(seen(status, &[])), FailureKind::Permanent, "{status}");
        }
        for status in [401, 403] {
            assert_eq!(seen(status, &[]), Outcome::Neutral, "{status}");
        }
    }

    #[test]
    fn a_status_of_grpc_outranks_that_of_http() {
        assert_eq!(seen(503, &[("grpc-status", "0")]), Outcome::Success);
    }

    #[test]
    fn only_the_methods_that_were_named_may_be_repeated() {
        let mark = repeatable(&["/stock.Stock/Look"]);
        for (path, safety) in [
            ("/stock.Stock/Look", Safety::Idempotent),
            ("/stock.Stock/LookAway", Safety::Unsafe),
            ("/stock.Stock", Safety::Unsafe),
        ] {
            let uri = format!("http://stock:7001{path}?x=1");
            let request = mark(Request::post(uri).body(()).unwrap());
            assert_eq!(request.call().safety, safety, "{path}");
        }
    }

    #[test]
    fn a_librarys_own_errors_are_translated() {
        fn translated(error: impl Into<BoxError>) -> BoxError {
            translate::<std::num::ParseIntError, std::fmt::Error>(error)
        }
        let late = translated("".parse::<u8>().unwrap_err());
        assert_eq!(failed(&*late), FailureKind::Timeout);
        assert!(cause::<DeadlineExceeded>(&*late).is_some());
        let apart = translated(std::fmt::Error);
        assert_eq!(failed(&*apart), FailureKind::Unsent);
        assert!(cause::<std::fmt::Error>(&*apart).is_some());
        assert_eq!(failed(&*translated("who knows")), FailureKind::Permanent);
    }

    fn failed(error: &(dyn Error + 'static)) -> FailureKind {
        let call = Call::of(&Method::POST, &HeaderMap::new());
        let result: Result<&Response<()>, _> = Err(error);
        kind(GrpcClassifier.classify(call, result))
    }

    fn kind(outcome: Outcome) -> FailureKind {
        outcome.failure().unwrap().kind
    }

    fn seen(status: u16, headers: &[(&'static str, &str)]) -> Outcome {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let response = builder.body(()).unwrap();
        let call = Call::of(&Method::POST, &HeaderMap::new());
        GrpcClassifier.classify(call, Ok(&response))
    }
}
