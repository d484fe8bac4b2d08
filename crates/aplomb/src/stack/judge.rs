//! What an answer means, as a policy's `transient` says.

use std::error::Error;

use aplomb_core::{
    Answer, Call, Classify, Failure, FailureKind, GrpcClassifier, HttpClassifier, Outcome,
};

use crate::policy::Transient;

/// The classifier of a policy's `transient`.
///
/// ```
/// use aplomb::core::Classify;
/// use aplomb::stack::Judge;
///
/// // What layers of one's own are given, so that they mean by failure what the stack means.
/// fn is_classifier<R, C: Classify<R>>() {}
/// is_classifier::<http::Response<()>, Judge>();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    transient: Transient,
    of_retries: bool,
}

impl Judge {
    /// For the layers that look after the dependency: what failed, failed.
    pub(crate) const fn of_health(transient: Transient) -> Self {
        Self { transient, of_retries: false }
    }

    /// For the retries: what does not count as transient is final.
    pub(crate) const fn of_retries(transient: Transient) -> Self {
        Self { transient, of_retries: true }
    }
}

impl<R: Answer> Classify<R> for Judge {
    #[inline]
    fn classify(&self, call: Call, result: Result<&R, &(dyn Error + 'static)>) -> Outcome {
        match self.transient {
            Transient::Grpc => GrpcClassifier.classify(call, result),
            Transient::Unsent if self.of_retries => {
                only_unsent(HttpClassifier.classify(call, result))
            }
            _ => HttpClassifier.classify(call, result),
        }
    }
}

fn only_unsent(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failure(failure) if failure.kind != FailureKind::Unsent => {
            Outcome::Failure(Failure::new(FailureKind::Permanent).pushback(failure.pushback))
        }
        outcome => outcome,
    }
}
