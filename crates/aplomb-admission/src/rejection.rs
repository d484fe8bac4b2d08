use std::fmt;
use std::time::Duration;

use aplomb_core::OperationClass;

/// A call that is not taken on.
///
/// ```
/// use aplomb_admission::Rejection;
///
/// fn why<B>(response: &http::Response<B>) -> Option<String> {
///     let rejection = response.extensions().get::<Rejection>()?;
///     Some(format!("{} after {:?}", rejection.reason, rejection.wait))
/// }
///
/// assert_eq!(why(&http::Response::new(())), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Why.
    pub reason: RejectReason,
    /// The class of the call.
    pub class: OperationClass,
    /// How long it had waited.
    pub wait: Duration,
    /// Whether its caller has leave to send it once more.
    pub may_retry: bool,
}

impl Rejection {
    /// A call whose deadline leaves no time for the work. Its caller does not read the answer, so it
    /// needs no leave to come again.
    pub const fn expired(class: OperationClass, wait: Duration) -> Self {
        Self { reason: RejectReason::Expired, class, wait, may_retry: false }
    }
}

/// Why a call is not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// As many calls wait as may.
    QueueFull,
    /// It waited as long as a call may.
    WaitedTooLong,
    /// Its deadline passed, or left too little time for the work.
    Expired,
    /// It is a re-attempt, and under overload first attempts go before it.
    Reattempt,
    /// Under overload a more important class goes before it.
    Class,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: &[Self] =
        &[Self::QueueFull, Self::WaitedTooLong, Self::Expired, Self::Reattempt, Self::Class];

    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
            Self::Expired => "expired",
            Self::Reattempt => "reattempt",
            Self::Class => "class",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "too many calls wait already",
            Self::WaitedTooLong => "no place became free in time",
            Self::Expired => "its deadline left no time for the work",
            Self::Reattempt => "first attempts go before re-attempts",
            Self::Class => "more important calls go before it",
        })
    }
}
