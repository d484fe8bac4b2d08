use std::error::Error;
use std::fmt;

use aplomb_core::Problem;
use bytes::Bytes;
use http::{Response, StatusCode};

use crate::store::Commit;
use crate::{Fence, StoreError, problems};

/// An answer that was recorded in the same transaction as its effect.
///
/// Only a store can make one, from a claim that still held its key. A handler whose type is
/// `Result<Recorded, Refusal>` therefore cannot answer success without having recorded it.
#[derive(Debug)]
#[must_use = "answer with it: the caller waits for exactly this"]
pub struct Recorded {
    response: Response<Bytes>,
}

impl Recorded {
    pub(crate) fn new(mut response: Response<Bytes>, mark: Mark) -> Self {
        response.extensions_mut().insert(mark);
        Self { response }
    }

    /// The answer, marked for the layer.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        self.response.map(B::from)
    }
}

impl<B: From<Bytes>> From<Recorded> for Response<B> {
    fn from(recorded: Recorded) -> Self {
        recorded.into_response()
    }
}

/// Tells the layer that an answer is on record, and under which claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) fence: Fence,
    pub(crate) commit: Commit,
}

/// Tells the layer to say when it is worth coming back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComeBack;

/// A handler's answer that no effect stands behind: always a 4xx or 5xx.
///
/// ```
/// use aplomb_core::Problem;
/// use aplomb_idempotency::Refusal;
/// use http::StatusCode;
///
/// let gone = Problem::new("/problems/out-of-stock", "out of stock", StatusCode::CONFLICT);
/// let refusal = Refusal::from(gone);
/// assert_eq!(refusal.status(), StatusCode::CONFLICT);
/// ```
#[derive(Debug)]
#[must_use = "answer with it"]
pub struct Refusal {
    response: Response<Bytes>,
}

impl Refusal {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The answer.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        self.response.map(B::from)
    }
}

impl From<Problem> for Refusal {
    /// A problem that is no error says that its author mixed something up, and becomes a 500.
    fn from(problem: Problem) -> Self {
        Self::try_from(problem.into_response::<Bytes>()).unwrap_or_else(|response| {
            let problem = Problem::new(
                problems::NOT_RECORDED,
                "a refusal must be an error",
                StatusCode::INTERNAL_SERVER_ERROR,
            );
            let detail = format!("the handler refused with {}", response.status());
            Self { response: problem.detail(detail).into_response() }
        })
    }
}

impl TryFrom<Response<Bytes>> for Refusal {
    type Error = Response<Bytes>;

    /// Gives back a response that is not an error: success is for [`Recorded`] alone.
    fn try_from(response: Response<Bytes>) -> Result<Self, Response<Bytes>> {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            Ok(Self { response })
        } else {
            Err(response)
        }
    }
}

impl From<CompleteError> for Refusal {
    /// A 503, to which the layer adds a `Retry-After`, and which it replaces, when the claim was
    /// lost, by what the record says.
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Lost => Self::for_now(problems::store_unavailable(&error)),
            CompleteError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    /// A 503, to which the layer adds a `Retry-After`; a 500 for a record that cannot be read,
    /// since coming back does not mend it.
    fn from(error: StoreError) -> Self {
        if error.is_corrupt() {
            return problems::record_unreadable(None).into();
        }
        Self::for_now(problems::store_unavailable(&error))
    }
}

impl Refusal {
    /// What went wrong will pass.
    fn for_now(problem: Problem) -> Self {
        let mut refusal = Self::from(problem);
        refusal.response.extensions_mut().insert(ComeBack);
        refusal
    }
}

/// The answer could not be recorded in the caller's transaction: roll it back.
#[derive(Debug)]
#[non_exhaustive]
pub enum CompleteError {
    /// The claim's lease ended and another claim has the key. Nothing was written.
    Lost,
    /// The store failed. When it failed at the commit, the layer reads what became of it.
    Store(StoreError),
}

impl fmt::Display for CompleteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the claim was lost to another one; roll back",
            Self::Store(_) => "the answer could not be recorded; roll back",
        })
    }
}

impl Error for CompleteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lost => None,
            Self::Store(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_never_a_success() {
        let fine = Problem::new("/problems/fine", "fine", StatusCode::OK);
        assert_eq!(Refusal::from(fine).status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(Refusal::try_from(Response::new(Bytes::new())).is_err());
    }
}
