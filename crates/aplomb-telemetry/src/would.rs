use crate::catalogue;
use crate::maker::Maker;
use crate::recorder::Series;

/// What a layer that only observes would have done.
///
/// Counted apart from what was done: an alert on an open circuit must not ring for one that rejects
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Would {
    Retry,
    End,
    Pace,
    Open,
    Reject,
    Wait,
    NotAdmit,
    Ask,
}

impl Would {
    pub(crate) const ALL: [Self; 8] = [
        Self::Retry,
        Self::End,
        Self::Pace,
        Self::Open,
        Self::Reject,
        Self::Wait,
        Self::NotAdmit,
        Self::Ask,
    ];

    pub(crate) fn series(self, maker: &Maker) -> Series {
        let (layer, decision) = match self {
            Self::Retry => ("retry", "retry"),
            Self::End => ("deadline", "end"),
            Self::Pace => ("backoff", "wait"),
            Self::Open => ("circuit_breaker", "open"),
            Self::Reject => ("circuit_breaker", "reject"),
            Self::Wait => ("admission", "wait"),
            Self::NotAdmit => ("admission", "reject"),
            Self::Ask => ("fallback", "ask"),
        };
        let labels = [&maker.dependency, &*maker.operation, layer, decision];
        maker.recorder.series(&catalogue::WOULD_HAVE, &labels)
    }
}
