//! What a transactional layer goes around.

mod layer;
mod service;

use bytes::Bytes;
use http::Response;

use crate::{Recorded, Refusal};

pub use service::{Typed, TypedFuture};

/// A layer that goes around any service.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark on a type; it has no values")]
pub enum Plain {}

/// A layer that goes around services whose success is a [`Recorded`] alone.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark on a type; it has no values")]
pub enum Transactional {}

/// What a transactional handler may answer: `Result<Recorded, Refusal>`, or a [`Recorded`] if it
/// never refuses. Nobody else can implement it.
///
/// ```
/// use aplomb_idempotency::{Accounted, IdempotencyLayer, MemoryStore, Plain, Recorded, Refusal};
/// use aplomb_idempotency::Transactional;
///
/// fn is_answer<A: Accounted>() {}
/// is_answer::<Recorded>();
/// is_answer::<Result<Recorded, Refusal>>();
///
/// let plain: IdempotencyLayer<MemoryStore, (), Plain> = IdempotencyLayer::new(MemoryStore::new());
/// let strict: IdempotencyLayer<MemoryStore, (), Transactional> = plain.transactional();
/// # let _ = strict;
/// ```
#[diagnostic::on_unimplemented(
    message = "a transactional handler cannot answer `{Self}`",
    label = "a success that may not have been recorded",
    note = "answer `Result<Recorded, Refusal>`: a store's `complete_in` makes the `Recorded`, every \
            `Problem` is a `Refusal`"
)]
pub trait Accounted: sealed::Sealed + Send + 'static {
    /// The answer on the wire.
    fn into_response<B: From<Bytes>>(self) -> Response<B>;
}

impl Accounted for Recorded {
    fn into_response<B: From<Bytes>>(self) -> Response<B> {
        self.into()
    }
}

impl Accounted for Result<Recorded, Refusal> {
    fn into_response<B: From<Bytes>>(self) -> Response<B> {
        self.map_or_else(Refusal::into_response, Response::from)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::Recorded {}
    impl Sealed for Result<crate::Recorded, crate::Refusal> {}
}
