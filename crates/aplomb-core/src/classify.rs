use std::error::Error;
use std::io;

use http::{HeaderMap, StatusCode};

use crate::cause::chain;
use crate::grpc::NotConnected;
use crate::{
    Answer, Call, DeadlineExceeded, Failure, FailureKind, NotBefore, Outcome, Pushback, Saturated,
    cause, retry_after,
};

/// Decides what an answer means.
///
/// The same value feeds retry, budget, breaker, fallback and metrics, so that the rule "which 5xx
/// counts" is written once.
///
/// A rule of one's own states the exception and leaves the rest to [`HttpClassifier`]:
///
/// ```
/// use std::error::Error;
/// use aplomb_core::{Answer, Call, Classify, Failure, FailureKind, HttpClassifier, Outcome};
///
/// struct NotFoundIsLag;
///
/// impl<R: Answer> Classify<R> for NotFoundIsLag {
///     fn classify(&self, call: Call, result: Result<&R, &(dyn Error + 'static)>) -> Outcome {
///         match result {
///             Ok(answer) if answer.status() == 404 => {
///                 Outcome::Failure(Failure::new(FailureKind::Transient))
///             }
///             _ => HttpClassifier.classify(call, result),
///         }
///     }
/// }
/// ```
pub trait Classify<R> {
    /// What this answer to that call means.
    fn classify(&self, call: Call, result: Result<&R, &(dyn Error + 'static)>) -> Outcome;
}

/// The meaning of HTTP's own status codes and of a transport's errors (RFC 9110, section 15).
///
/// | answer | outcome |
/// |---|---|
/// | 1xx, 2xx, 3xx | success |
/// | 408, 425, 500, 502, 503, 504, other 5xx, reset | transient failure |
/// | 429, 503 with `Retry-After` | throttled |
/// | 409 with `Retry-After`, to a request with a key | pending |
/// | 501, 505, TLS, protocol, errors we do not know | permanent |
/// | other 4xx, and what our own limit did not let out ([`Saturated`]) | neutral |
/// | connection refused or not made in time, no such host, `REFUSED_STREAM`, `GOAWAY` below our stream | unsent |
/// | no answer in time | timeout |
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct HttpClassifier;

impl<R: Answer> Classify<R> for HttpClassifier {
    fn classify(&self, call: Call, result: Result<&R, &(dyn Error + 'static)>) -> Outcome {
        match result {
            Ok(response) => of_response(call, response.status(), response.headers()),
            Err(error) => of_error(error),
        }
    }
}

#[inline]
fn of_response(call: Call, status: StatusCode, headers: &HeaderMap) -> Outcome {
    if !status.is_client_error() && !status.is_server_error() {
        return Outcome::Success;
    }
    let pushback = retry_after::pushback(headers);
    let waits = matches!(pushback, Pushback::After(_));
    let kind = match status.as_u16() {
        409 if call.keyed && waits => FailureKind::Pending,
        429 => FailureKind::Throttled,
        503 if waits => FailureKind::Throttled,
        501 | 505 => FailureKind::Permanent,
        // A 5xx we do not know is treated as a 500 (RFC 9110, section 15).
        408 | 425 | 500..=599 => FailureKind::Transient,
        _ => return Outcome::Neutral,
    };
    Outcome::Failure(Failure::new(kind).pushback(pushback))
}

pub(crate) fn of_error(error: &(dyn Error + 'static)) -> Outcome {
    // A call that we never let out has no vote on whoever would have answered it.
    if cause::<Saturated>(error).is_some() {
        return Outcome::Neutral;
    }
    Outcome::Failure(failure(error))
}

/// The first error of the chain that says something decides, outermost first.
fn failure(error: &(dyn Error + 'static)) -> Failure {
    if chain(error).find_map(is_connecting).unwrap_or(false) {
        let protocol = chain(error).any(is_protocol);
        return Failure::new(if protocol { FailureKind::Permanent } else { FailureKind::Unsent });
    }
    chain(error).find_map(meaning).unwrap_or(Failure::new(FailureKind::Permanent))
}

fn meaning(error: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = error.downcast_ref::<DeadlineExceeded>() {
        return Some(if error.unsent {
            Failure::held_back()
        } else {
            Failure::new(FailureKind::Timeout)
        });
    }
    if let Some(error) = error.downcast_ref::<NotBefore>() {
        let wait = Pushback::After(error.retry_after);
        return Some(Failure::held_back().pushback(wait));
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(Failure::new(FailureKind::Timeout));
    }
    #[cfg(feature = "h2")]
    if let Some(failure) = error.downcast_ref().and_then(of_h2) {
        return Some(failure);
    }
    #[cfg(feature = "hyper")]
    if let Some(failure) = error.downcast_ref().and_then(of_hyper) {
        return Some(failure);
    }
    #[cfg(feature = "reqwest")]
    if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) {
        return Some(Failure::new(FailureKind::Timeout));
    }
    error.downcast_ref().and_then(of_io).map(Failure::new)
}

/// Whether the connection was never made, so that nothing can have been sent on it. A client that
/// knows is believed: below its error may stand that of a body which was relayed from elsewhere.
fn is_connecting(error: &(dyn Error + 'static)) -> Option<bool> {
    #[cfg(feature = "hyper")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return Some(error.is_connect());
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return Some(error.is_connect());
    }
    if error.is::<NotConnected>() {
        return Some(true);
    }
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    error.downcast_ref().is_some_and(refused).then_some(true)
}

/// rustls hands a bad certificate or handshake up as `InvalidData`: the next try meets it too.
fn is_protocol(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::InvalidData)
}

fn of_io(error: &io::Error) -> Option<FailureKind> {
    use io::ErrorKind as Io;
    Some(match error.kind() {
        Io::ConnectionRefused => FailureKind::Unsent,
        Io::TimedOut => FailureKind::Timeout,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::NotConnected
        | Io::UnexpectedEof
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::NetworkDown => FailureKind::Transient,
        Io::InvalidData => FailureKind::Permanent,
        // What it carries may say more.
        _ => return None,
    })
}

#[cfg(feature = "hyper")]
fn of_hyper(error: &hyper::Error) -> Option<Failure> {
    if error.is_timeout() {
        return Some(Failure::new(FailureKind::Timeout));
    }
    // The connection closed while the request was under way: the server may have acted (measured:
    // a server that commits, then cuts the connection, yields exactly this).
    if error.is_incomplete_message() || error.is_closed() {
        return Some(Failure::new(FailureKind::Transient));
    }
    // hyper cancels a request whose connection closed before a byte of it was written.
    if error.is_canceled() {
        return Some(Failure::stale());
    }
    // The request's own body failed on its way: why, says nothing about this connection.
    error.is_user().then_some(Failure::new(FailureKind::Permanent))
}

#[cfg(feature = "h2")]
fn of_h2(error: &h2::Error) -> Option<Failure> {
    use h2::Reason;
    // h2 ends with the server's GOAWAY only the streams above the last one that it names, which the
    // server never looked at (RFC 9113, section 6.8); those below go on.
    if error.is_go_away() && error.is_remote() {
        return Some(Failure::stale());
    }
    Some(match error.reason() {
        // The stream was refused before the server looked at it (RFC 9113, section 8.7).
        Some(Reason::REFUSED_STREAM) => Failure::stale(),
        Some(Reason::NO_ERROR | Reason::INTERNAL_ERROR | Reason::CANCEL) => {
            Failure::new(FailureKind::Transient)
        }
        Some(Reason::ENHANCE_YOUR_CALM) => Failure::new(FailureKind::Throttled),
        Some(_) => Failure::new(FailureKind::Permanent),
        // h2 does not name the error of its connection as a cause.
        None => return error.get_io().and_then(of_io).map(Failure::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxError;
    use http::Response;

    #[test]
    fn what_our_own_limit_did_not_let_out_has_no_vote() {
        let call = Call::of(&http::Method::GET, &HeaderMap::new());
        let saturated = io::Error::other(Saturated::new(std::time::Duration::from_secs(1)));
        let result: Result<&http::Response<()>, _> = Err(&saturated as &(dyn Error + 'static));
        assert_eq!(HttpClassifier.classify(call, result), Outcome::Neutral);
        assert_eq!(crate::GrpcClassifier.classify(call, result), Outcome::Neutral);
    }

    #[test]
    fn every_status_has_its_meaning() {
        for (status, meaning) in [
            (200, None),
            (204, None),
            (304, None),
            (408, Some(FailureKind::Transient)),
            (425, Some(FailureKind::Transient)),
            (429, Some(FailureKind::Throttled)),
            (500, Some(FailureKind::Transient)),
            (501, Some(FailureKind::Permanent)),
            (502, Some(FailureKind::Transient)),
            (503, Some(FailureKind::Transient)),
            (504, Some(FailureKind::Transient)),
            (505, Some(FailureKind::Permanent)),
            (529, Some(FailureKind::Transient)),
        ] {
            let outcome = HttpClassifier.classify(unkeyed(), Ok(&response(status, None)));
            assert_eq!(outcome.failure().map(|failure| failure.kind), meaning, "{status}");
        }
    }

    #[test]
    fn a_callers_own_mistake_is_nobodys_failure() {
        for status in [400, 401, 403, 404, 409, 410, 413, 422] {
            let outcome = HttpClassifier.classify(keyed(), Ok(&response(status, None)));
            assert_eq!(outcome, Outcome::Neutral, "{status}");
        }
    }

    #[test]
    fn a_503_that_says_when_to_come_back_is_throttling() {
        let outcome = HttpClassifier.classify(unkeyed(), Ok(&response(503, Some("2"))));
        let failure = outcome.failure().unwrap();
        assert_eq!(failure.kind, FailureKind::Throttled);
        assert_eq!(failure.pushback, Pushback::After(std::time::Duration::from_secs(2)));
    }

    #[test]
    fn a_409_is_pending_only_for_a_keyed_request_that_is_told_when() {
        let busy = response(409, Some("1"));
        let outcome = HttpClassifier.classify(keyed(), Ok(&busy));
        assert_eq!(outcome.failure().unwrap().kind, FailureKind::Pending);
        assert_eq!(HttpClassifier.classify(unkeyed(), Ok(&busy)), Outcome::Neutral);
    }

    #[test]
    fn an_attempt_that_ran_out_of_time_may_have_acted() {
        assert_eq!(kind(DeadlineExceeded::default()), FailureKind::Timeout);
        assert_eq!(kind(DeadlineExceeded::UNSENT), FailureKind::Unsent);
    }

    #[test]
    fn a_reset_may_have_acted_but_a_refused_connection_never_did() {
        assert_eq!(kind(io::Error::from(io::ErrorKind::ConnectionReset)), FailureKind::Transient);
        assert_eq!(kind(io::Error::from(io::ErrorKind::ConnectionRefused)), FailureKind::Unsent);
    }

    #[test]
    fn what_never_left_the_process_says_nothing_about_the_dependency() {
        let failed = |error: BoxError| {
            let result: Result<&Response<()>, _> = Err(&*error as &(dyn Error + 'static));
            HttpClassifier.classify(unkeyed(), result).failure().unwrap()
        };
        let wait = std::time::Duration::from_secs(2);
        let paused = failed(NotBefore::new(wait).into());
        assert_eq!(paused, Failure::held_back().pushback(Pushback::After(wait)));
        assert!(failed(DeadlineExceeded::UNSENT.into()).held_back);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!failed(refused.into()).held_back, "that was the network's answer");
    }

    #[test]
    fn an_error_nobody_knows_is_permanent() {
        assert_eq!(kind("who knows"), FailureKind::Permanent);
    }

    fn kind(error: impl Into<BoxError>) -> FailureKind {
        let error = error.into();
        let result: Result<&Response<()>, _> = Err(&*error as &(dyn Error + 'static));
        HttpClassifier.classify(keyed(), result).failure().unwrap().kind
    }

    fn response(status: u16, retry_after: Option<&str>) -> Response<()> {
        let mut builder = Response::builder().status(status);
        if let Some(value) = retry_after {
            builder = builder.header("retry-after", value);
        }
        builder.body(()).unwrap()
    }

    fn unkeyed() -> Call {
        Call::of(&http::Method::POST, &HeaderMap::new())
    }

    fn keyed() -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(crate::IDEMPOTENCY_KEY, "k".parse().unwrap());
        Call::of(&http::Method::POST, &headers)
    }
}
