use std::time::Duration;

use aplomb_core::OperationClass;

use crate::rejection::{RejectReason, Rejection};

/// What the admission of a call came to.
///
/// ```
/// use aplomb_admission::{AdmissionEvent, AdmissionLayer, RejectReason};
///
/// let layer = AdmissionLayer::new(64).observe(|event: &AdmissionEvent| match event {
///     AdmissionEvent::Rejected { reason: RejectReason::WaitedTooLong, wait, .. } => {
///         println!("turned away after {wait:?}");
///     }
///     AdmissionEvent::Admitted { wait } => println!("ran after {wait:?}"),
///     _ => {}
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdmissionEvent {
    /// A call runs.
    Admitted {
        /// After this long: nothing, when a place was free.
        wait: Duration,
    },
    /// A call does not run.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// Its class.
        class: OperationClass,
        /// How long it had waited.
        wait: Duration,
    },
    /// A call runs under no limit, since the layer only observes; else it would have waited.
    WouldHaveWaited {
        /// This long.
        wait: Duration,
    },
    /// A call runs under no limit, since the layer only observes; else it would have been rejected.
    WouldHaveRejected {
        /// Why.
        reason: RejectReason,
        /// Its class.
        class: OperationClass,
        /// How long it would have waited.
        wait: Duration,
    },
}

impl AdmissionEvent {
    pub(crate) const fn rejected(rejection: &Rejection) -> Self {
        let Rejection { reason, class, wait, .. } = *rejection;
        Self::Rejected { reason, class, wait }
    }

    pub(crate) const fn would_have_rejected(rejection: &Rejection) -> Self {
        let Rejection { reason, class, wait, .. } = *rejection;
        Self::WouldHaveRejected { reason, class, wait }
    }
}
