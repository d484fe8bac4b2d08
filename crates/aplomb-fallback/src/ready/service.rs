use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use aplomb_core::{BoxError, DegradedKind};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

use crate::error::Nothing;
use crate::missed::Missed;
use crate::ready::Told;
use crate::ready::future::OrElseFuture;

/// The same answer every time.
///
/// ```
/// use aplomb_core::DegradedKind;
/// use aplomb_fallback::{FallbackLayer, Fixed};
///
/// let answer = http::Response::new("limited availability".into());
/// let layer = FallbackLayer::new(Fixed::new(DegradedKind::Approximate, answer));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct Fixed {
    kind: DegradedKind,
    answer: Response<Bytes>,
}

impl Fixed {
    /// This answer, which is less in the way of `kind`.
    pub const fn new(kind: DegradedKind, answer: Response<Bytes>) -> Self {
        Self { kind, answer }
    }
}

impl Service<Request<Missed>> for Fixed {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Missed>) -> Self::Future {
        let mut answer = self.answer.clone();
        answer.extensions_mut().insert(Told::made(self.kind, "fixed"));
        ready(Ok(answer.map(Full::new)))
    }
}

/// An answer worked out from what is at hand, without asking anybody.
///
/// The function may have [`Nothing`] to say. What takes time is a service of its own.
///
/// ```
/// use aplomb_core::DegradedKind;
/// use aplomb_fallback::{Computed, FallbackLayer, Missed};
///
/// let layer = FallbackLayer::new(Computed::new(
///     DegradedKind::Partial,
///     |request: &http::Request<Missed>| Ok(http::Response::new(request.uri().to_string().into())),
/// ));
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct Computed<W> {
    kind: DegradedKind,
    work: W,
}

impl<W> Computed<W>
where
    W: Fn(&Request<Missed>) -> Result<Response<Bytes>, Nothing>,
{
    /// What `work` makes of the request, which is less in the way of `kind`.
    pub const fn new(kind: DegradedKind, work: W) -> Self {
        Self { kind, work }
    }
}

impl<W> Service<Request<Missed>> for Computed<W>
where
    W: Fn(&Request<Missed>) -> Result<Response<Bytes>, Nothing>,
{
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Missed>) -> Self::Future {
        ready(match (self.work)(&request) {
            Ok(mut answer) => {
                answer.extensions_mut().insert(Told::made(self.kind, "computed"));
                Ok(answer.map(Full::new))
            }
            Err(nothing) => Err(nothing.into()),
        })
    }
}

impl<W> fmt::Debug for Computed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Asks a second fallback when the first one has no answer: it fails, or has
/// [`Nothing`](crate::Nothing) to say.
///
/// Both share one time slice. The error of the second is what is left.
#[derive(Clone, Debug)]
pub struct OrElse<A, B> {
    first: A,
    second: B,
    // Found when it was polled ready: then it must not be called.
    is_broken: bool,
}

impl<A, B> OrElse<A, B> {
    /// `first`, or else `second`.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second, is_broken: false }
    }
}

impl<A, B, T> Service<Request<Missed>> for OrElse<A, B>
where
    A: Service<Request<Missed>, Response = Response<T>>,
    B: Service<Request<Missed>, Response = Response<T>> + Clone,
    B::Error: Into<BoxError>,
{
    type Response = Response<T>;
    type Error = BoxError;
    type Future = OrElseFuture<A::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.first.poll_ready(cx).map(|ready| {
            // A first one that broke has no answer: the second is asked instead.
            self.is_broken = ready.is_err();
            Ok(())
        })
    }

    fn call(&mut self, request: Request<Missed>) -> Self::Future {
        if self.is_broken {
            return OrElseFuture::second(self.second.clone(), request);
        }
        let again = request.clone();
        OrElseFuture::new(self.first.call(request), self.second.clone(), again)
    }
}
