use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Request};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::handle::{Built, Handle};
use crate::policy::OperationName;

/// A client whose every request goes by the policy of its operation. Made by
/// [`ClientStack::service`](super::ClientStack::service).
///
/// Clones share everything. It is always ready: which operation is asked for, and so which limit
/// counts, is known once the request is there.
///
/// # Errors
///
/// [`NoOperation`] for a request that is part of no operation, which is not sent; everything else
/// as the layers and the transport say, to be found with [`cause`](aplomb_core::cause).
///
/// # Cancellation
///
/// Dropping the response future drops the attempt or the wait that it is in, and gives back what
/// was held for it.
pub struct Client<Svc> {
    built: Arc<Built<Svc>>,
    otherwise: Option<Arc<Svc>>,
}

impl<Svc: Send + Sync + 'static> Client<Svc> {
    pub(crate) fn new(built: Built<Svc>, otherwise: Option<Svc>) -> Self {
        Self { built: Arc::new(built), otherwise: otherwise.map(Arc::new) }
    }

    /// Looks at what its dependencies share, and changes its policies.
    pub fn handle(&self) -> Handle {
        Handle::new(self.built.clone())
    }
}

impl<Svc> Client<Svc> {
    /// Sends a request as part of the operation that is named, or else found.
    pub(crate) fn send<Req>(
        &self,
        named: Option<&OperationName>,
        request: Req,
    ) -> ResponseFuture<Svc::Future>
    where
        Svc: Service<Req, Error = BoxError> + Clone,
        Req: Request,
    {
        let table = self.built.table();
        // The layers of an operation are ready whenever they are asked: its transport is waited for
        // inside the call.
        match table.find(named, &request).or(self.otherwise.as_deref()) {
            Some(service) => ResponseFuture::sent(service.clone().call(request)),
            None => ResponseFuture::refused(NoOperation::of(&request)),
        }
    }
}

impl<Svc, Req> Service<Req> for Client<Svc>
where
    Svc: Service<Req, Error = BoxError> + Clone,
    Req: Request,
{
    type Response = Svc::Response;
    type Error = BoxError;
    type Future = ResponseFuture<Svc::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.send(None, request)
    }
}

pin_project! {
    /// The answer of a [`Client`].
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Sent { #[pin] answer: F },
        Refused { error: Option<NoOperation> },
    }
}

impl<F> ResponseFuture<F> {
    const fn sent(answer: F) -> Self {
        Self { state: State::Sent { answer } }
    }

    const fn refused(error: NoOperation) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, BoxError>>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Sent { answer } => answer.poll(cx),
            StateProj::Refused { error } => {
                let error = error.take().expect("a call is polled no more after it ended");
                Poll::Ready(Err(error.into()))
            }
        }
    }
}

/// A request is part of no operation of the policies. Nothing was sent.
///
/// ```
/// use aplomb::core::cause;
/// use aplomb::stack::NoOperation;
///
/// fn is_unnamed(error: &(dyn std::error::Error + 'static)) -> bool {
///     // Nothing was sent: the request matches no operation of the policies.
///     cause::<NoOperation>(error).is_some()
/// }
/// assert!(!is_unnamed(&std::fmt::Error));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOperation {
    asked: Box<str>,
}

impl NoOperation {
    pub(crate) fn of(request: &impl Request) -> Self {
        let (method, path) = (request.method(), request.path());
        // Without the query, which may say what is nobody's business.
        let asked = format!("{method} {}{path}", request.authority().unwrap_or_default());
        Self { asked: asked.into() }
    }
}

impl fmt::Display for NoOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked } = self;
        write!(
            f,
            "no policy for `{asked}`: match it with an operation, or name one; nothing was sent"
        )
    }
}

impl Error for NoOperation {}

impl<Svc> Clone for Client<Svc> {
    fn clone(&self) -> Self {
        Self { built: Arc::clone(&self.built), otherwise: self.otherwise.clone() }
    }
}

impl<Svc> fmt::Debug for Client<Svc> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("policies", &self.built.table().file.name())
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
