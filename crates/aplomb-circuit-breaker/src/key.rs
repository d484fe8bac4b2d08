//! What calls share a circuit.

use std::borrow::Cow;

use aplomb_core::Request;

/// Tells which circuit a request belongs to.
///
/// A closure does: `|request: &http::Request<Body>| Cow::Borrowed(request.uri().path())`. What
/// strangers choose (a path with ids in it) makes a circuit for each of them; prefer a route, a
/// shard, an authority.
///
/// ```
/// use std::borrow::Cow;
/// use aplomb_circuit_breaker::{CircuitBreakerLayer, Key, PerAuthority, Together};
///
/// fn by_shard(request: &http::Request<()>) -> Cow<'_, str> {
///     request.uri().path().into()
/// }
///
/// let look = http::Request::get("http://stock:7001/shard-3").body(()).unwrap();
/// assert_eq!(by_shard.key(&look).as_deref(), Some("/shard-3"));
/// assert_eq!(PerAuthority.key(&look).as_deref(), Some("stock:7001"));
/// assert_eq!(Together.key(&look), None);
/// let layer = CircuitBreakerLayer::default().key(by_shard);
/// # let _ = layer;
/// ```
pub trait Key<Req> {
    /// The request's key, borrowed from it where that is possible.
    fn key<'r>(&self, request: &'r Req) -> Option<Cow<'r, str>>;
}

/// All calls share one circuit.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct Together;

impl<Req> Key<Req> for Together {
    #[inline]
    fn key<'r>(&self, _: &'r Req) -> Option<Cow<'r, str>> {
        None
    }
}

/// A circuit for each host and port.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct PerAuthority;

impl<Req: Request> Key<Req> for PerAuthority {
    fn key<'r>(&self, request: &'r Req) -> Option<Cow<'r, str>> {
        Some(request.authority().unwrap_or_default().into())
    }
}

impl<Req, F> Key<Req> for F
where
    F: for<'r> Fn(&'r Req) -> Cow<'r, str>,
{
    fn key<'r>(&self, request: &'r Req) -> Option<Cow<'r, str>> {
        Some(self(request))
    }
}
