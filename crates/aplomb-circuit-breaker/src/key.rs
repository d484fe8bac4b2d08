//! What calls share a circuit.

use std::borrow::Cow;

use aplomb_core::Request;

/// Tells which circuit a request belongs to.
///
/// A closure does: `|request: &http::Request<Body>| Cow::Borrowed(request.uri().path())`. What
/// strangers choose (a path with ids in it) makes a circuit for each of them; prefer a route, a
/// shard, an authority.
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
