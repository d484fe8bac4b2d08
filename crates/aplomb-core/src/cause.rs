use std::error::Error;
use std::iter;

use crate::refusal::Ended;

/// The error of every aplomb service that adds a way to fail.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Finds an error of type `E` in `error` or among its causes.
///
/// Layers wrap the errors of the layers inside them; what a caller wants to know is whether the
/// circuit was open or the deadline passed, wherever in the chain that stands.
///
/// ```
/// use aplomb_core::{BoxError, DeadlineExceeded, cause};
///
/// let error: BoxError = std::io::Error::other(DeadlineExceeded::default()).into();
/// assert!(cause::<DeadlineExceeded>(&*error).is_some());
/// ```
pub fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error)
        .find_map(|error| error.downcast_ref().or_else(|| error.downcast_ref::<Ended>()?.beside()))
}

/// `error` and its causes, outermost first.
///
/// An `io::Error` does not name the error it carries as its source but that error's source, so
/// what it carries is visited too.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match carried {
            Some(carried) => Some(carried as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
    .take(CAUSES_MAX)
}

/// A chain longer than this is a cycle or a mistake.
const CAUSES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_cause_is_found_through_an_io_error() {
        let inner = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let error: BoxError = io::Error::other(inner).into();
        let kinds =
            chain(&*error).filter_map(|e| e.downcast_ref::<io::Error>()).map(io::Error::kind);
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            [io::ErrorKind::Other, io::ErrorKind::ConnectionRefused]
        );
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let error: BoxError = "plain".into();
        assert!(cause::<io::Error>(&*error).is_none());
    }
}
