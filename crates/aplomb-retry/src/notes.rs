//! What is left beside the answer of a call that ended: why, at which attempt.

use std::mem;

use aplomb_core::{Answer, Attempt, BoxError, CallRecord, NotRetried, Reason, Saturated, cause};

use crate::running::Running;

impl<K, C, O> Running<K, C, O> {
    /// Leaves why there was no other attempt beside the answer.
    pub(crate) fn annotate<R: Answer>(
        &mut self,
        result: Result<R, BoxError>,
        reason: Reason,
    ) -> Result<R, BoxError> {
        // What a layer inside gave up for is the truer reason.
        let reason = exhausted_inside(&result).unwrap_or(reason);
        let why = NotRetried::new(reason, self.last());
        match result {
            Ok(mut response) => {
                response.extensions_mut().insert(why);
                if self.wants_record {
                    self.leave_record(&mut response);
                }
                Ok(response)
            }
            Err(error) => Err(self.wrap(error, why)),
        }
    }

    /// A full bulkhead is nobody's failure; which attempt it held back, a fallback must know.
    #[cold]
    pub(crate) fn say_saturated(&mut self, error: &mut BoxError) {
        if self.policy.settings.only_observes || cause::<Saturated>(&**error).is_none() {
            return;
        }
        let last = plus(self.last(), cause(&**error).copied().map_or(0, beneath));
        let why = NotRetried::new(Reason::Saturated, last);
        let first = mem::replace(error, why.into());
        *error = self.wrap(first, why);
    }

    #[cold]
    pub(crate) fn leave_record<R: Answer>(&mut self, response: &mut R) {
        response.extensions_mut().insert(self.record());
    }

    /// The attempt that was made last, counted over this layer and those inside.
    pub(crate) fn last(&self) -> Attempt {
        let beneath = self.failed.as_ref().map_or(0, |failed| failed.beneath);
        plus(self.attempt(), beneath)
    }

    fn wrap(&mut self, error: BoxError, why: NotRetried) -> BoxError {
        let record = self.wants_record.then(|| self.record());
        why.recorded(error, record)
    }

    fn record(&mut self) -> CallRecord {
        self.failed.as_mut().map(|failed| mem::take(&mut failed.record)).unwrap_or_default()
    }
}

/// Why a layer inside gave up, if one did.
pub(crate) fn exhausted_inside<R: Answer>(result: &Result<R, BoxError>) -> Option<Reason> {
    inside(result).map(|inner| inner.reason).filter(|reason| reason.is_exhaustion())
}

/// How often layers inside sent again what was one attempt here.
pub(crate) fn sent_beneath<R: Answer>(result: &Result<R, BoxError>) -> u32 {
    inside(result).map_or(0, beneath)
}

fn beneath(inner: NotRetried) -> u32 {
    inner.attempt.number() - 1
}

/// What a layer inside left beside its answer.
fn inside<R: Answer>(result: &Result<R, BoxError>) -> Option<NotRetried> {
    match result {
        Ok(response) => response.extensions().get().copied(),
        Err(error) => cause(&**error).copied(),
    }
}

/// The attempt that comes so many after this; counting stops at its end.
pub(crate) fn plus(attempt: Attempt, more: u32) -> Attempt {
    Attempt::numbered(attempt.number().saturating_add(more)).unwrap_or(attempt)
}
