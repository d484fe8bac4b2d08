use axum::handler::Handler;

use crate::Accounted;

/// An axum handler of a transactional route: it answers `Result<Recorded, Refusal>`.
///
/// Implemented for the functions that axum takes as handlers and that answer so. Nobody else can
/// implement it.
///
/// ```
/// use aplomb_core::problem::Problem;
/// use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, RecordingHandler, Refusal, Recorded};
///
/// async fn reserve(_claim: Claim) -> Result<Recorded, Refusal> {
///     Err(Problem::new("/problems/sold-out", "sold out", http::StatusCode::CONFLICT).into())
/// }
///
/// fn is_handler<T, S, H: RecordingHandler<T, S>>(_: &H) {}
/// is_handler::<_, (), _>(&reserve);
/// let route = IdempotencyLayer::new(MemoryStore::new()).transactional().post(reserve);
/// let app: axum::Router = axum::Router::new().route("/reservations", route);
/// # let _ = app;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of a transactional route",
    note = "it must be a handler of axum's that answers `Result<Recorded, Refusal>`, so that no \
            success goes out unrecorded; `#[axum::debug_handler]` says whether it is the former"
)]
pub trait RecordingHandler<T, S>: Handler<T, S> + sealed::Sealed<T, S> {}

mod sealed {
    pub trait Sealed<T, S> {}
}

macro_rules! handlers {
    ($($argument:ident)+) => {
        impl<F, Fut, A, M, S, $($argument),+> RecordingHandler<(M, $($argument,)+), S> for F
        where
            F: FnOnce($($argument),+) -> Fut + Handler<(M, $($argument,)+), S>,
            Fut: Future<Output = A>,
            A: Accounted,
        {
        }

        impl<F, Fut, A, M, S, $($argument),+> sealed::Sealed<(M, $($argument,)+), S> for F
        where
            F: FnOnce($($argument),+) -> Fut + Handler<(M, $($argument,)+), S>,
            Fut: Future<Output = A>,
            A: Accounted,
        {
        }
    };
}

// As many as axum has. A handler without arguments has no claim, so it can record nothing.
handlers!(A1);
handlers!(A1 A2);
handlers!(A1 A2 A3);
handlers!(A1 A2 A3 A4);
handlers!(A1 A2 A3 A4 A5);
handlers!(A1 A2 A3 A4 A5 A6);
handlers!(A1 A2 A3 A4 A5 A6 A7);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
handlers!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);
