use std::fmt;

use crate::Key;

/// Says under which key a request goes out.
///
/// ```
/// use aplomb_idempotency::{Derived, Key, KeyLayer, MakeKey, Random};
///
/// let random: KeyLayer<Random> = KeyLayer::random();
/// let derived: KeyLayer<Derived<_>> =
///     KeyLayer::derived(|request: &http::Request<()>| Key::derived([request.uri().path()]).ok());
///
/// struct Fixed;
/// impl<R> MakeKey<R> for Fixed {
///     fn key(&self, _: &R) -> Option<Key> {
///         Key::try_from("the_one_order").ok()
///     }
/// }
/// let own = KeyLayer::new(Fixed);
/// # let _ = (random, derived, own);
/// ```
pub trait MakeKey<Req> {
    /// Its key, or none: then it goes out without one, and may not be repeated.
    fn key(&self, request: &Req) -> Option<Key>;
}

/// A key of its own for each call: what [`KeyLayer::random`](super::KeyLayer::random) gives.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Random;

impl<Req> MakeKey<Req> for Random {
    fn key(&self, _: &Req) -> Option<Key> {
        Some(Key::random())
    }
}

/// A key that the request itself tells: what [`KeyLayer::derived`](super::KeyLayer::derived) gives.
#[derive(Clone)]
pub struct Derived<F>(pub(super) F);

impl<Req, F: Fn(&Req) -> Option<Key>> MakeKey<Req> for Derived<F> {
    fn key(&self, request: &Req) -> Option<Key> {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for Derived<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(..)")
    }
}
