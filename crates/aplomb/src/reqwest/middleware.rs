use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::BoxError;
use aplomb_idempotency::{MakeKey, Random};
use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error as ChainError, Middleware, Next};
use tower_layer::Layer;
use tower_service::Service;

use super::error::Error;
use crate::policy::OperationName;
use crate::stack::{Built, ClientStack, Handle, NoOperation, ObserveCalls, Observers, Stack};

/// The layers of one policy as a link in a chain of `reqwest-middleware`.
///
/// Whatever stands behind it in the chain runs once for each attempt, with a copy of the chain's
/// extensions of its own; what stands before it runs once for each call. Build the client below by
/// [`transport::reqwest`](aplomb_core::transport::reqwest), or it retries too.
///
/// ```
/// use aplomb::core::{OperationClass, transport};
/// use aplomb::policy::Policy;
/// use aplomb::stack::Stack;
/// use reqwest_middleware::ClientBuilder;
///
/// let look = Stack::new(Policy::preset(OperationClass::Read).build()?);
/// let client = ClientBuilder::new(transport::reqwest().build()?).with(look.middleware()).build();
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its error is the chain's, around an [`Error`](super::Error): [`cause`](aplomb_core::cause) looks
/// into it. Each call applies the layers anew, which shares their state and costs some allocations
/// beside the chain's own.
#[derive(Clone)]
pub struct StackMiddleware<K = Random, O = ()> {
    stack: Stack<K, O>,
}

impl<K, O> Stack<K, O> {
    /// A link in a chain of `reqwest-middleware`.
    pub const fn middleware(self) -> StackMiddleware<K, O> {
        StackMiddleware { stack: self }
    }
}

#[async_trait]
impl<K, O> Middleware for StackMiddleware<K, O>
where
    K: MakeKey<Request> + Clone + Send + Sync + 'static,
    O: ObserveCalls,
{
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, ChainError> {
        let rest = Rest { next, extensions: extensions.clone() };
        // The layers of an operation are ready whenever they are asked.
        let answer = self.stack.layer(rest).call(request).await;
        answer.map_err(|error| ChainError::middleware(Error::from(error)))
    }
}

/// The layers of every operation of a policy file as a link in a chain of `reqwest-middleware`.
///
/// A request is part of an operation by its URL, or by an [`OperationName`] in the chain's extensions
/// (`with_extension`). It is a [`StackMiddleware`] otherwise; clones share everything.
///
/// ```
/// use aplomb::policy::PolicyFile;
/// use aplomb::core::transport;
/// use aplomb::stack;
/// use reqwest_middleware::ClientBuilder;
///
/// # fn build(policies: PolicyFile) -> Result<(), Box<dyn std::error::Error>> {
/// let policies = stack::client(policies).middleware();
/// let handle = policies.handle();
/// let client = ClientBuilder::new(transport::reqwest().build()?).with(policies).build();
/// # let _ = (client, handle);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PolicyMiddleware<K = Random, O = ()> {
    built: Arc<Built<Stack<K, O>>>,
    otherwise: Option<Stack<K, O>>,
}

impl<K, W> ClientStack<K, W>
where
    K: Clone + Send + Sync + 'static,
    W: Observers,
{
    /// A link in a chain of `reqwest-middleware`.
    pub fn middleware(self) -> PolicyMiddleware<K, W::Observer> {
        let (built, otherwise) = self.stacks();
        PolicyMiddleware { built: Arc::new(built), otherwise }
    }
}

impl<K: Send + Sync + 'static, O: ObserveCalls> PolicyMiddleware<K, O> {
    /// Looks at what its dependencies share, and changes its policies.
    pub fn handle(&self) -> Handle {
        Handle::new(self.built.clone())
    }
}

#[async_trait]
impl<K, O> Middleware for PolicyMiddleware<K, O>
where
    K: MakeKey<Request> + Clone + Send + Sync + 'static,
    O: ObserveCalls,
{
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, ChainError> {
        let found = {
            let (table, named) = (self.built.table(), extensions.get::<OperationName>());
            table.find(named, &request).or(self.otherwise.as_ref()).cloned()
        };
        let Some(stack) = found else {
            let refused: BoxError = NoOperation::of(&request).into();
            return Err(ChainError::middleware(Error::from(refused)));
        };
        stack.middleware().handle(request, extensions, next).await
    }
}

/// What stands behind in the chain.
#[derive(Clone)]
struct Rest<'a> {
    next: Next<'a>,
    extensions: Extensions,
}

impl<'a> Service<Request> for Rest<'a> {
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { next, mut extensions } = self.clone();
        Box::pin(async move {
            let answer = next.run(request, &mut extensions).await;
            answer.map_err(|error| match error {
                // In the chain's own error, reqwest's would not be found.
                ChainError::Reqwest(error) => error.into(),
                ChainError::Middleware(error) => error.into(),
            })
        })
    }
}

impl<K, O> fmt::Debug for PolicyMiddleware<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyMiddleware")
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}

impl<K, O> fmt::Debug for StackMiddleware<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackMiddleware").field("stack", &self.stack).finish()
    }
}
