use http::StatusCode;

use crate::Lapsed;

/// What becomes of a key when its handler has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The answer is kept and replayed.
    Keep,
    /// Nothing happened: the key is free again.
    Release,
    /// The handler recorded the answer itself, in the transaction of its effect.
    Recorded,
    /// The handler promised to, and did not.
    Unrecorded,
    /// The answer says nothing about what happened.
    Doubt,
}

/// What a 5xx says that is not a 503.
///
/// ```
/// use aplomb_idempotency::{IdempotencyLayer, MemoryStore, ServerErrors};
///
/// // A 500 of this route may have had its effect: let an operator look.
/// let layer = IdempotencyLayer::new(MemoryStore::new()).server_errors(ServerErrors::Unknown);
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is the outcome or it is not")]
pub enum ServerErrors {
    /// The work was tried and this is its outcome: it is kept and replayed.
    #[default]
    Keep,
    /// Nothing about whether the effect happened: the caller gets it, and the key is in doubt as
    /// after a panic.
    Unknown,
}

/// Decides by the answer's status, by what the route declares, and by whether the handler recorded
/// the answer itself.
pub(crate) fn of(
    status: StatusCode,
    lapsed: Lapsed,
    errors: ServerErrors,
    recorded: bool,
) -> Disposition {
    if recorded {
        return Disposition::Recorded;
    }
    let transactional = lapsed == Lapsed::RunAgain;
    match status.as_u16() {
        // Not the outcome of the work, but of who asked, how, or when: the next try may differ.
        401 | 403 | 408 | 413 | 415 | 421 | 425 | 429 | 431 | 503 => Disposition::Release,
        // The transaction was rolled back, so nothing happened.
        500..=599 if transactional => Disposition::Release,
        500..=599 if errors == ServerErrors::Unknown => Disposition::Doubt,
        400..=599 => Disposition::Keep,
        _ if transactional => Disposition::Unrecorded,
        _ => Disposition::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Disposition::{Doubt, Keep, Recorded, Release, Unrecorded};

    #[test]
    fn every_status_has_its_disposition() {
        for (status, otherwise, transactional) in [
            (200, Keep, Unrecorded),
            (201, Keep, Unrecorded),
            (303, Keep, Unrecorded),
            (400, Keep, Keep),
            (401, Release, Release),
            (403, Release, Release),
            (404, Keep, Keep),
            (408, Release, Release),
            (409, Keep, Keep),
            (413, Release, Release),
            (415, Release, Release),
            (421, Release, Release),
            (422, Keep, Keep),
            (425, Release, Release),
            (429, Release, Release),
            (431, Release, Release),
            (500, Keep, Release),
            (502, Keep, Release),
            (503, Release, Release),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let of = |lapsed, recorded| of(status, lapsed, ServerErrors::Keep, recorded);
            assert_eq!(of(Lapsed::Unknown, false), otherwise, "{status}");
            assert_eq!(of(Lapsed::Recover, false), otherwise, "{status}");
            assert_eq!(of(Lapsed::AtLeastOnce, false), otherwise, "{status}");
            assert_eq!(of(Lapsed::RunAgain, false), transactional, "{status}");
            assert_eq!(of(Lapsed::RunAgain, true), Recorded, "{status}");
        }
    }

    #[test]
    fn an_error_of_the_server_is_no_outcome_where_the_route_says_so() {
        for (status, becomes) in [(500, Doubt), (502, Doubt), (503, Release), (404, Keep)] {
            let status = StatusCode::from_u16(status).unwrap();
            let of = |lapsed| of(status, lapsed, ServerErrors::Unknown, false);
            assert_eq!(of(Lapsed::Unknown), becomes, "{status}");
        }
    }
}
