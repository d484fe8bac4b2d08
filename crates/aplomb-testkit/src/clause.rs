use std::error::Error;
use std::fmt;

use crate::trial::{Trial, Verdict};
use crate::{cancel, crowd, panics, paths, readiness, sharing};

/// A clause of the contract between a layer, its caller and the service inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clause {
    /// The service is ready only when the one inside is, and wakes its caller then.
    ReadinessIsPassedUp,
    /// An error of readiness reaches the caller, from `poll_ready` or from a later attempt.
    ReadinessErrorsPassUp,
    /// Ready stays ready until a call, and is spent by it.
    ReadinessIsSpentByACall,
    /// A clone is not ready because its original is.
    ReadinessIsNotCloned,
    /// A service that is dropped ready, without a call, gives back what it had reserved.
    ReadinessIsGivenBack,
    /// A service that answers a call itself does not keep what the inner one had reserved for it.
    RefusalsHoldNothing,
    /// Every call, first or repeated, goes to a service that was polled ready for it.
    OnlyTheReadyAreCalled,
    /// A future that has ended is polled no more.
    EndedFuturesRest,
    /// Many calls through a layer around a concurrency limit all end.
    WorksAroundALimit,
    /// Many calls through a layer inside a concurrency limit all end.
    WorksInsideALimit,
    /// Many calls through a layer around a buffer all end.
    WorksAroundABuffer,
    /// Many calls through a layer inside a buffer all end.
    WorksInsideABuffer,
    /// A clone works while its original waits, and after its original is gone.
    ClonesStandAlone,
    /// A future that is dropped before its first poll leaves nothing behind.
    DropsBeforeTheFirstPoll,
    /// A future that is dropped while the inner one hangs takes it along and gives everything back.
    DropsWhilePending,
    /// The same, wherever it is dropped.
    DropsAtEveryPoll,
    /// A response whose body nobody reads gives everything back.
    DropsOfUnreadResponses,
    /// A panic in the inner `call` reaches the caller and harms no other call.
    PanicsInCall,
    /// A panic in the inner future reaches the caller and harms no other call.
    PanicsInFutures,
    /// An inner error is found by type in the outer one.
    ErrorsKeepTheirCause,
    /// Status, headers and body of an inner response reach the caller as they were.
    ResponsesPass,
    /// Method, URI, headers and body of a request arrive inside as they were.
    RequestsPass,
    /// All applications of one layer value share its state, however a router applies it.
    StateIsShared,
}

impl Clause {
    /// Every clause, in the order in which they are judged.
    pub const ALL: [Self; 23] = [
        Self::ReadinessIsPassedUp,
        Self::ReadinessErrorsPassUp,
        Self::ReadinessIsSpentByACall,
        Self::ReadinessIsNotCloned,
        Self::ReadinessIsGivenBack,
        Self::RefusalsHoldNothing,
        Self::OnlyTheReadyAreCalled,
        Self::EndedFuturesRest,
        Self::WorksAroundALimit,
        Self::WorksInsideALimit,
        Self::WorksAroundABuffer,
        Self::WorksInsideABuffer,
        Self::ClonesStandAlone,
        Self::DropsBeforeTheFirstPoll,
        Self::DropsWhilePending,
        Self::DropsAtEveryPoll,
        Self::DropsOfUnreadResponses,
        Self::PanicsInCall,
        Self::PanicsInFutures,
        Self::ErrorsKeepTheirCause,
        Self::ResponsesPass,
        Self::RequestsPass,
        Self::StateIsShared,
    ];

    /// What a layer owes by it.
    pub fn promise(self) -> &'static str {
        match self {
            Self::ReadinessIsPassedUp => "ready only when the inner service is",
            Self::ReadinessErrorsPassUp => "an error of readiness reaches the caller",
            Self::ReadinessIsSpentByACall => "ready until a call, and for that call alone",
            Self::ReadinessIsNotCloned => "a clone is not ready because its original is",
            Self::ReadinessIsGivenBack => "dropped ready, it gives back what it reserved",
            Self::RefusalsHoldNothing => "a call that it answers itself reserves nothing inside",
            Self::OnlyTheReadyAreCalled => "every call goes to a service polled ready for it",
            Self::EndedFuturesRest => "a future that has ended is polled no more",
            Self::WorksAroundALimit => "many calls around a concurrency limit all end",
            Self::WorksInsideALimit => "many calls inside a concurrency limit all end",
            Self::WorksAroundABuffer => "many calls around a buffer all end",
            Self::WorksInsideABuffer => "many calls inside a buffer all end",
            Self::ClonesStandAlone => "a clone works without its original",
            Self::DropsBeforeTheFirstPoll => {
                "dropped before its first poll, nothing is left behind"
            }
            Self::DropsWhilePending => "dropped while pending, everything is given back",
            Self::DropsAtEveryPoll => "dropped at any poll, everything is given back",
            Self::DropsOfUnreadResponses => "a response that nobody reads holds nothing back",
            Self::PanicsInCall => "a panic in the inner call reaches the caller and harms no other",
            Self::PanicsInFutures => {
                "a panic in the inner future reaches the caller and harms no other"
            }
            Self::ErrorsKeepTheirCause => "an inner error is found by type in the outer one",
            Self::ResponsesPass => "a response passes unchanged",
            Self::RequestsPass => "a request arrives unchanged",
            Self::StateIsShared => "all applications of one layer value share its state",
        }
    }

    pub(crate) async fn examine(self, trial: &Trial<'_>) -> Verdict {
        match self {
            Self::ReadinessIsPassedUp => readiness::is_passed_up(trial).await,
            Self::ReadinessErrorsPassUp => readiness::errors_pass_up(trial).await,
            Self::ReadinessIsSpentByACall => readiness::is_spent_by_a_call(trial).await,
            Self::ReadinessIsNotCloned => readiness::is_not_cloned(trial).await,
            Self::ReadinessIsGivenBack => readiness::is_given_back(trial).await,
            Self::RefusalsHoldNothing => readiness::refusals_hold_nothing(trial).await,
            Self::OnlyTheReadyAreCalled => readiness::only_the_ready_are_called(trial).await,
            Self::EndedFuturesRest => paths::ended_futures_rest(trial).await,
            Self::WorksAroundALimit => crowd::around_a_limit(trial).await,
            Self::WorksInsideALimit => crowd::inside_a_limit(trial).await,
            Self::WorksAroundABuffer => crowd::around_a_buffer(trial).await,
            Self::WorksInsideABuffer => crowd::inside_a_buffer(trial).await,
            Self::ClonesStandAlone => paths::clones_stand_alone(trial).await,
            Self::DropsBeforeTheFirstPoll => cancel::before_the_first_poll(trial).await,
            Self::DropsWhilePending => cancel::while_pending(trial).await,
            Self::DropsAtEveryPoll => cancel::at_every_poll(trial).await,
            Self::DropsOfUnreadResponses => cancel::of_unread_responses(trial).await,
            Self::PanicsInCall => panics::in_call(trial).await,
            Self::PanicsInFutures => panics::in_futures(trial).await,
            Self::ErrorsKeepTheirCause => paths::errors_keep_their_cause(trial).await,
            Self::ResponsesPass => paths::responses_pass(trial).await,
            Self::RequestsPass => paths::requests_pass(trial).await,
            Self::StateIsShared => sharing::state_is_shared(trial).await,
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}: {}", self.promise())
    }
}

/// A layer broke a clause.
///
/// ```
/// use aplomb_testkit::{Breach, Contract};
///
/// fn table(contract: &Contract) -> Vec<String> {
///     let breaches: Vec<Breach> = contract.breaches();
///     breaches.iter().map(|breach| format!("{}: {}", breach.layer, breach.seen)).collect()
/// }
/// # let _ = table;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// The layer's name.
    pub layer: String,
    /// The clause that it broke. When one clause is judged, this may be another one that was seen
    /// broken on the way.
    pub clause: Clause,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, clause, seen } = self;
        write!(f, "the layer `{layer}` breaks {clause}\n  seen: {seen}")
    }
}

impl Error for Breach {}
