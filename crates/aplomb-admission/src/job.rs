use aplomb_core::time::Instant;
use aplomb_core::{Deadline, OperationClass, Request, owner};

/// What the queue must know of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// What kind of operation it is part of.
    pub class: OperationClass,
    /// Whether something was sent for the same call before.
    pub is_reattempt: bool,
    /// When nobody waits for its answer any more.
    pub deadline: Option<Deadline>,
}

impl Job {
    /// A first attempt without a deadline.
    pub const fn new(class: OperationClass) -> Self {
        Self { class, is_reattempt: false, deadline: None }
    }

    /// Reads a request.
    pub fn of(request: &impl Request, now: Instant) -> Self {
        Self {
            class: request.class(),
            is_reattempt: !owner::attempt(request.headers()).is_first(),
            deadline: Deadline::of(request, now),
        }
    }

    /// A re-attempt.
    #[must_use]
    pub const fn reattempt(mut self) -> Self {
        self.is_reattempt = true;
        self
    }

    /// With the end of its caller's patience.
    #[must_use]
    pub const fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn rank(&self) -> Rank {
        Rank { class: importance(self.class), is_reattempt: self.is_reattempt }
    }
}

/// Who goes before whom under overload: the lesser rank first. The class counts before the attempt,
/// or the second try of a reservation would make way for an analyst's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) class: u8,
    pub(crate) is_reattempt: bool,
}

impl Rank {
    /// The one that goes before all others.
    pub(crate) const FIRST: Self = Self { class: 0, is_reattempt: false };

    /// The next lower one.
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            Self { class, is_reattempt: false } => Some(Self { class, is_reattempt: true }),
            Self { class: LAST, .. } => None,
            Self { class, .. } => Some(Self { class: class + 1, is_reattempt: false }),
        }
    }
}

/// Writes that somebody waits for, then reads that somebody waits for, then the rest: what changes
/// the truth is the last to be shed (Stripe, *Scaling your API with rate limiters*, 2017).
fn importance(class: OperationClass) -> u8 {
    match class {
        OperationClass::KeyedWrite => 0,
        OperationClass::Confirm => 1,
        OperationClass::Read => 2,
        OperationClass::Deferred => 3,
        _ => LAST,
    }
}

const LAST: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_walked_from_the_first_to_the_last() {
        let ranks: Vec<_> = std::iter::successors(Some(Rank::FIRST), |rank| rank.next()).collect();
        assert!(ranks.is_sorted() && ranks.len() == 10);
        for &class in OperationClass::ALL {
            let job = Job::new(class);
            assert!(ranks.contains(&job.rank()) && ranks.contains(&job.reattempt().rank()));
        }
    }

    #[test]
    fn a_reservation_goes_before_analytics_even_when_it_is_tried_again() {
        let reservation = Job::new(OperationClass::KeyedWrite).reattempt();
        assert!(reservation.rank() < Job::new(OperationClass::BestEffort).rank());
    }

    #[test]
    fn a_request_tells_what_the_queue_must_know() {
        let now = aplomb_core::time::now();
        let deadline = Deadline::after(now, std::time::Duration::from_secs(1));
        let request = http::Request::post("/").header(owner::ATTEMPT_COUNT, 2).extension(deadline);
        let job = Job::of(&request.body(()).unwrap(), now);
        assert_eq!(job, Job::new(OperationClass::Confirm).reattempt().deadline(deadline));
    }
}
