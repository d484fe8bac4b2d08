//! The machine: whether a fallback may answer instead.

use std::error::Error;

use aplomb_core::{
    Call, Condition, Failure, FailureKind, NotBefore, NotRetried, OperationClass, Outcome, Reason,
    Request, Safety, Saturated, cause,
};
use http::Extensions;

use crate::conditions::Conditions;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a request reads or it writes")]
pub enum Intent {
    /// Nothing is changed by it: GET, HEAD, OPTIONS, TRACE, or what names itself
    /// [`OperationClass::Read`] in its extensions.
    Read,
    /// Something may be.
    Write {
        /// Whether a retry may have sent it again after a send that may have been acted on: it is
        /// idempotent, or has a key.
        repeats: bool,
    },
}

impl Intent {
    /// Reads a request's method, class and key.
    pub fn of(request: &impl Request) -> Self {
        Self::of_call(request, request.call())
    }

    /// The same for a request whose method and key were read before.
    #[inline]
    pub(crate) fn of_call(request: &impl Request, call: Call) -> Self {
        let named = request.extensions().and_then(|all| all.get::<OperationClass>());
        // A class that was worked out from the method says the same of PUT, which is no read.
        if request.method().is_safe() || named == Some(&OperationClass::Read) {
            return Self::Read;
        }
        let Call { safety, keyed, .. } = call;
        Self::Write { repeats: keyed || safety == Safety::Idempotent }
    }
}

/// What the layers inside left beside an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signs {
    /// Our own limit of calls in flight was used up.
    pub is_saturated: bool,
    /// The dependency is left alone: an open circuit, or a pause.
    pub is_left_alone: bool,
    /// Why the retrying ended.
    pub ended: Option<NotRetried>,
}

impl Signs {
    /// What an error's chain says.
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        Self {
            is_saturated: cause::<Saturated>(error).is_some(),
            is_left_alone: cause::<NotBefore>(error).is_some(),
            ended: cause(error).copied(),
        }
    }

    /// What a response's extensions say.
    pub fn of_response(extensions: &Extensions) -> Self {
        Self { ended: extensions.get().copied(), ..Self::default() }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what every verdict needs, and no more")]
pub struct Ended {
    /// What its answer means.
    pub outcome: Outcome,
    /// What lay beside it.
    pub signs: Signs,
}

impl Ended {
    /// The condition that it is an instance of. A good answer is none, nor is the caller's own
    /// mistake, nor a key that is in flight elsewhere, whose work goes on.
    pub fn condition(&self) -> Option<Condition> {
        let Signs { is_saturated, is_left_alone, ended } = self.signs;
        let failure = match self.outcome {
            Outcome::Success => return None,
            Outcome::Neutral => return is_saturated.then_some(Condition::Bulkhead),
            Outcome::Failure(failure) => failure,
        };
        let is_out_of_budget = ended.is_some_and(|ended| ended.reason == Reason::Budget);
        match failure.kind {
            FailureKind::Pending => None,
            _ if is_saturated => Some(Condition::Bulkhead),
            _ if is_left_alone => Some(Condition::Open),
            _ if is_out_of_budget => Some(Condition::Budget),
            FailureKind::Timeout => Some(Condition::Deadline),
            // What a layer of ours held back, and not for the dependency's sake, was too late.
            FailureKind::Unsent if failure.held_back => Some(Condition::Deadline),
            FailureKind::Throttled => Some(Condition::Throttled),
            _ => Some(Condition::Upstream),
        }
    }

    /// Whether the last send left the process.
    pub fn is_sent(&self) -> bool {
        let is_held_back = self.outcome.failure().is_some_and(|failure| failure.held_back);
        !is_held_back && !self.signs.is_saturated
    }

    /// Whether the request may have been acted on: everything but what provably was not.
    ///
    /// The last send must have been held back or not have arrived, and no other may have gone out
    /// before it. A request that has no key and is not idempotent is sent again only when that holds
    /// of every send before; of others the note of the retry that ended says which send the last one
    /// was. A call that a full bulkhead held back has no such note where no retry is inside, so one
    /// that may be repeated is taken for one that was.
    pub fn may_have_acted(&self, repeats: bool) -> bool {
        let never_arrived =
            matches!(self.outcome, Outcome::Failure(Failure { kind: FailureKind::Unsent, .. }));
        if !never_arrived && !self.signs.is_saturated {
            return true;
        }
        match self.signs.ended {
            Some(ended) => repeats && !ended.attempt.is_first(),
            None => repeats && self.signs.is_saturated,
        }
    }

    /// Whether a write that ended so may have changed what reads were told before: it was done, or
    /// nobody knows. A caller's own mistake changes nothing.
    pub fn may_have_changed(&self, repeats: bool) -> bool {
        let is_refused = self.outcome == Outcome::Neutral && !self.signs.is_saturated;
        !is_refused && self.may_have_acted(repeats)
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it passes, is kept for a reason, or is stood in for")]
pub enum Verdict {
    /// It is good, or none of the conditions.
    Passes,
    /// It belongs to a write that may have been acted on: no fallback may hide that.
    Keeps(Condition),
    /// The fallback is asked.
    Asks(Condition),
}

/// The rule.
///
/// `pending` says that the fallback answers writes, by promising that their outcome will be known
/// later. It has nothing to say to a read.
///
/// ```
/// use aplomb_core::{Failure, FailureKind, Outcome};
/// use aplomb_fallback::rules::{Ended, Intent, Signs, Verdict, judge};
/// use aplomb_fallback::Conditions;
///
/// let reset = Outcome::Failure(Failure::new(FailureKind::Transient));
/// let ended = Ended { outcome: reset, signs: Signs::default() };
/// let read = judge(Intent::Read, &ended, Conditions::default(), false);
/// assert!(matches!(read, Verdict::Asks(_)));
/// // Whether a write was carried out is unknown: its own answer stands.
/// let write = judge(Intent::Write { repeats: false }, &ended, Conditions::default(), false);
/// assert!(matches!(write, Verdict::Keeps(_)));
/// ```
pub fn judge(intent: Intent, ended: &Ended, conditions: Conditions, pending: bool) -> Verdict {
    let Some(condition) = ended.condition().filter(|&one| conditions.contains(one)) else {
        return Verdict::Passes;
    };
    match intent {
        Intent::Read if pending => Verdict::Passes,
        Intent::Write { repeats } if !pending && ended.may_have_acted(repeats) => {
            Verdict::Keeps(condition)
        }
        _ => Verdict::Asks(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::{Attempt, Pushback};
    use http::{HeaderValue, Method};

    const READ: Intent = Intent::Read;
    const POST: Intent = Intent::Write { repeats: false };
    const KEYED: Intent = Intent::Write { repeats: true };
    const PLAIN: Signs = Signs { is_saturated: false, is_left_alone: false, ended: None };
    const FULL: Signs = Signs { is_saturated: true, ..PLAIN };
    const ALONE: Signs = Signs { is_left_alone: true, ..PLAIN };

    #[test]
    fn every_end_has_its_verdict() {
        use Condition::{Deadline, Open, Throttled, Upstream};
        use FailureKind::{Pending, Permanent, Timeout, Transient, Unsent};
        use Verdict::{Asks, Keeps, Passes};
        let pause = Pushback::After(std::time::Duration::from_secs(1));
        let throttled = Failure::new(FailureKind::Throttled).pushback(pause);
        let held_back = Failure::held_back();
        // What came of the call · a read · any write.
        for (ended, read, write) in [
            (of(Outcome::Success, PLAIN), Passes, Passes),
            (of(Outcome::Neutral, PLAIN), Passes, Passes),
            (failed(Pending, PLAIN), Passes, Passes),
            (failed(Transient, PLAIN), Asks(Upstream), Keeps(Upstream)),
            (failed(Permanent, PLAIN), Asks(Upstream), Keeps(Upstream)),
            (failed(Timeout, PLAIN), Asks(Deadline), Keeps(Deadline)),
            (fail(throttled, PLAIN), Asks(Throttled), Keeps(Throttled)),
            (failed(Unsent, PLAIN), Asks(Upstream), Asks(Upstream)),
            (fail(Failure::stale(), PLAIN), Asks(Upstream), Asks(Upstream)),
            (fail(held_back, PLAIN), Asks(Deadline), Asks(Deadline)),
            (fail(held_back, ALONE), Asks(Open), Asks(Open)),
        ] {
            for (intent, verdict) in [(READ, read), (POST, write), (KEYED, write)] {
                is_judged(intent, &ended, verdict);
            }
        }
    }

    #[test]
    fn what_went_out_before_the_last_send_counts_where_it_may_have_been_acted_on() {
        use Condition::{Budget, Bulkhead, Open};
        use FailureKind::{Transient, Unsent};
        use Verdict::{Asks, Keeps};
        let (first, third) = (Attempt::FIRST, Attempt::FIRST.next().next());
        let after = |signs, reason, attempt| {
            let ended = Some(NotRetried::new(reason, attempt));
            Signs { ended, ..signs }
        };
        let (used, empty) = (Reason::Attempts, Reason::Budget);
        let (full, held_back) = (Outcome::Neutral, Outcome::Failure(Failure::held_back()));
        // What came of the call · a POST without a key · a write that may be repeated. A read is asked
        // for each time.
        for (ended, post, keyed) in [
            (of(full, FULL), Asks(Bulkhead), Keeps(Bulkhead)),
            (of(full, after(FULL, used, first)), Asks(Bulkhead), Asks(Bulkhead)),
            (of(full, after(FULL, used, third)), Asks(Bulkhead), Keeps(Bulkhead)),
            (of(held_back, after(ALONE, used, first)), Asks(Open), Asks(Open)),
            (of(held_back, after(ALONE, used, third)), Asks(Open), Keeps(Open)),
            (failed(Unsent, after(PLAIN, empty, first)), Asks(Budget), Asks(Budget)),
            (failed(Unsent, after(PLAIN, empty, third)), Asks(Budget), Keeps(Budget)),
            (failed(Transient, after(PLAIN, empty, first)), Keeps(Budget), Keeps(Budget)),
        ] {
            is_judged(POST, &ended, post);
            is_judged(KEYED, &ended, keyed);
            let condition = ended.condition().unwrap();
            is_judged(READ, &ended, Asks(condition));
        }
    }

    #[track_caller]
    fn is_judged(intent: Intent, ended: &Ended, verdict: Verdict) {
        let judged = judge(intent, ended, Conditions::ALL, false);
        assert_eq!(judged, verdict, "{intent:?} {ended:?}");
    }

    #[test]
    fn a_pending_fallback_answers_every_write_that_failed_and_no_read() {
        let unknown = failed(FailureKind::Timeout, PLAIN);
        let pending = |intent| judge(intent, &unknown, Conditions::ALL, true);
        assert_eq!(pending(KEYED), Verdict::Asks(Condition::Deadline));
        assert_eq!(pending(POST), Verdict::Asks(Condition::Deadline));
        assert_eq!(pending(READ), Verdict::Passes);
    }

    #[test]
    fn a_condition_that_nobody_chose_passes() {
        let throttled = failed(FailureKind::Throttled, PLAIN);
        let open = Conditions::from(Condition::Open);
        assert_eq!(judge(READ, &throttled, open, false), Verdict::Passes);
    }

    #[test]
    fn a_write_may_have_changed_something_unless_it_was_refused_or_never_arrived() {
        let none = PLAIN;
        for (ended, changed) in [
            (of(Outcome::Success, none), true),
            (failed(FailureKind::Timeout, none), true),
            (failed(FailureKind::Pending, none), true),
            (of(Outcome::Neutral, none), false),
            (failed(FailureKind::Unsent, none), false),
        ] {
            assert_eq!(ended.may_have_changed(true), changed, "{ended:?}");
        }
    }

    #[test]
    fn only_a_safe_method_or_a_name_makes_a_read() {
        let request = |method: Method| {
            let mut request = http::Request::new(());
            *request.method_mut() = method;
            request
        };
        for safe in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert_eq!(Intent::of(&request(safe)), READ);
        }
        for repeated in [Method::PUT, Method::DELETE] {
            assert_eq!(Intent::of(&request(repeated)), KEYED);
        }
        let mut search = request(Method::POST);
        assert_eq!(Intent::of(&search), POST);
        search.headers_mut().insert("idempotency-key", HeaderValue::from_static("k"));
        assert_eq!(Intent::of(&search), KEYED);
        search.extensions_mut().insert(OperationClass::Read);
        assert_eq!(Intent::of(&search), READ);
    }

    fn of(outcome: Outcome, signs: Signs) -> Ended {
        Ended { outcome, signs }
    }

    fn fail(failure: Failure, signs: Signs) -> Ended {
        of(Outcome::Failure(failure), signs)
    }

    fn failed(kind: FailureKind, signs: Signs) -> Ended {
        fail(Failure::new(kind), signs)
    }
}
