//! Whether a job that failed waits, or is dead.

use std::time::Duration;

use aplomb_core::{FailureKind, NotRetried, Outcome, Pushback};
use http::{HeaderMap, StatusCode};

use crate::Cause;

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    /// It is tried again, not before the server allows.
    Again {
        asked: Option<Duration>,
    },
    Dead {
        cause: Cause,
        asked: Option<Duration>,
    },
}

/// What a request's answer means for its job, which has `left` until its horizon ends.
pub(crate) fn judge(outcome: Outcome, answer: Seen<'_>, left: Duration) -> Verdict {
    let asked = match outcome {
        Outcome::Success => return Verdict::Delivered,
        Outcome::Failure(failure) => match failure.pushback {
            Pushback::After(asked) => Some(asked.min(ASKED_MAX)),
            Pushback::None | Pushback::Stop => None,
        },
        Outcome::Neutral => None,
    };
    if will_not_pass(outcome, answer) {
        return Verdict::Dead { cause: Cause::Refused, asked: None };
    }
    if left.is_zero() {
        return Verdict::Dead { cause: Cause::Exhausted, asked };
    }
    Verdict::Again { asked }
}

/// How often a round sent its request.
pub(crate) fn sends(outcome: Outcome, why: Option<NotRetried>) -> u32 {
    match (why, outcome) {
        (Some(why), _) if !why.attempt.is_first() => why.attempt.number(),
        (_, Outcome::Failure(failure)) if failure.held_back => 0,
        _ => 1,
    }
}

/// What an answer says: its status and headers, or nothing when there was none.
pub(crate) type Seen<'a> = Option<(StatusCode, &'a HeaderMap)>;

/// Whether waiting would not help.
///
/// A server that says `x-should-retry: false` asks that this call be not repeated now. A job that
/// comes back after minutes is not such a repetition, so that counts as exhaustion.
fn will_not_pass(outcome: Outcome, answer: Seen<'_>) -> bool {
    match (outcome, answer) {
        (Outcome::Failure(failure), _) => failure.kind == FailureKind::Permanent,
        (Outcome::Neutral, Some((status, headers))) => !concerns_the_sender(status, headers),
        // A limit of our own kept it back, or somebody cancelled it.
        (Outcome::Neutral, None) | (Outcome::Success, _) => false,
    }
}

/// Whether the refusal is about who sent the request rather than about the request: a credential
/// that ran out is renewed, and must not turn a queue into dead letters.
fn concerns_the_sender(status: StatusCode, headers: &HeaderMap) -> bool {
    match status.as_u16() {
        401 | 403 | 407 => true,
        // gRPC says it here: CANCELLED, PERMISSION_DENIED, UNAUTHENTICATED.
        200 => headers
            .get("grpc-status")
            .is_some_and(|status| [&b"1"[..], b"7", b"16"].contains(&status.as_bytes())),
        _ => false,
    }
}

/// No server may keep a job from its next round for longer.
pub(crate) const ASKED_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::{Attempt, Failure, Reason};

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn until_the_horizon_ends_whatever_may_pass_waits() {
        for kind in [
            FailureKind::Unsent,
            FailureKind::Timeout,
            FailureKind::Transient,
            FailureKind::Throttled,
            FailureKind::Pending,
        ] {
            let outcome = Outcome::Failure(Failure::new(kind));
            assert_eq!(judge(outcome, None, HOUR), Verdict::Again { asked: None }, "{kind}");
            let dead = Verdict::Dead { cause: Cause::Exhausted, asked: None };
            assert_eq!(judge(outcome, None, Duration::ZERO), dead, "{kind}");
        }
    }

    #[test]
    fn what_will_not_pass_is_dead_at_once() {
        let dead = Verdict::Dead { cause: Cause::Refused, asked: None };
        let permanent = Outcome::Failure(Failure::new(FailureKind::Permanent));
        assert_eq!(judge(permanent, None, HOUR), dead);
        for status in [400, 404, 409, 410, 413, 422] {
            assert_eq!(refused(status, "3"), dead, "{status}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_sender_waits_for_somebody_to_mend_it() {
        for status in [401, 403, 407] {
            assert_eq!(refused(status, "3"), Verdict::Again { asked: None }, "{status}");
        }
        assert_eq!(refused(200, "16"), Verdict::Again { asked: None });
        assert_eq!(judge(Outcome::Neutral, None, HOUR), Verdict::Again { asked: None });
    }

    #[test]
    fn told_not_to_retry_now_is_told_to_come_back_later() {
        let told = Failure::new(FailureKind::Transient).pushback(Pushback::Stop);
        let verdict = judge(Outcome::Failure(told), None, HOUR);
        assert_eq!(verdict, Verdict::Again { asked: None });
    }

    #[test]
    fn a_server_cannot_ask_for_ever() {
        let told = Pushback::After(Duration::MAX);
        let told = Outcome::Failure(Failure::new(FailureKind::Throttled).pushback(told));
        assert_eq!(judge(told, None, HOUR), Verdict::Again { asked: Some(ASKED_MAX) });
    }

    #[test]
    fn the_retries_inside_say_how_often_it_was_sent() {
        let failed = Outcome::Failure(Failure::new(FailureKind::Timeout));
        let third = NotRetried::new(Reason::Attempts, Attempt::FIRST.next().next());
        assert_eq!(sends(failed, Some(third)), 3);
        assert_eq!(sends(failed, None), 1);
        let held_back = Outcome::Failure(Failure::held_back());
        assert_eq!(sends(held_back, None), 0);
        let first = NotRetried::new(Reason::Attempts, Attempt::FIRST);
        assert_eq!(sends(held_back, Some(first)), 0, "the first was never sent");
        assert_eq!(sends(failed, Some(first)), 1);
    }

    fn refused(status: u16, grpc: &'static str) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", http::HeaderValue::from_static(grpc));
        let status = StatusCode::from_u16(status).unwrap();
        judge(Outcome::Neutral, Some((status, &headers)), HOUR)
    }
}
