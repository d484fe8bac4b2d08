use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aplomb_core::{BoxError, transport};
use http::Method;
use reqwest::{IntoUrl, Request, Response};
use tower_service::Service;

use super::error::Result;
use super::request::RequestBuilder;
use crate::policy::{OperationName, PolicyFile};
use crate::stack::{self, Handle};

/// reqwest's client, with every call going by its policy: see the [module](crate::reqwest).
///
/// Clones share everything.
#[derive(Clone)]
pub struct Client {
    pub(super) plain: reqwest::Client,
    calls: Arc<dyn Calls>,
    handle: Option<Handle>,
}

pub(super) type Answer =
    Pin<Box<dyn Future<Output = std::result::Result<Response, BoxError>> + Send>>;

/// The layers around reqwest, whatever they are.
pub(super) trait Calls: Send + Sync {
    fn call(&self, named: Option<&OperationName>, request: Request) -> Answer;
}

impl Client {
    /// A client of every operation of these policies, with reqwest's defaults.
    ///
    /// # Errors
    ///
    /// When reqwest has no TLS backend or resolver to start with.
    pub fn new(policies: impl Into<Arc<PolicyFile>>) -> Result<Self> {
        stack::client(policies).reqwest(transport::reqwest())
    }

    pub(super) fn of(plain: reqwest::Client, calls: impl Calls + 'static) -> Self {
        Self { plain, calls: Arc::new(calls), handle: None }
    }

    pub(super) fn with(mut self, handle: Handle) -> Self {
        self.handle = Some(handle);
        self
    }

    /// Looks at what its dependencies share, and changes its policies; none when it goes by one
    /// policy alone.
    pub fn handle(&self) -> Option<&Handle> {
        self.handle.as_ref()
    }

    /// A GET request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A HEAD request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A request of this method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), self.plain.request(method, url))
    }

    /// Sends a request that was built elsewhere.
    ///
    /// # Errors
    ///
    /// As the layers and reqwest say.
    pub async fn execute(&self, request: Request) -> Result<Response> {
        self.send(None, request).await
    }

    pub(super) async fn send(
        &self,
        named: Option<&OperationName>,
        request: Request,
    ) -> Result<Response> {
        Ok(self.calls.call(named, request).await?)
    }
}

impl<Svc> Calls for stack::Client<Svc>
where
    Svc: Service<Request, Response = Response, Error = BoxError> + Clone + Send + Sync,
    Svc::Future: Send + 'static,
{
    fn call(&self, named: Option<&OperationName>, request: Request) -> Answer {
        Box::pin(self.send(named, request))
    }
}

/// The layers of one policy.
pub(super) struct One<Svc>(pub(super) Svc);

impl<Svc> Calls for One<Svc>
where
    Svc: Service<Request, Response = Response, Error = BoxError> + Clone + Send + Sync,
    Svc::Future: Send + 'static,
{
    fn call(&self, _: Option<&OperationName>, request: Request) -> Answer {
        // The layers of an operation are ready whenever they are asked.
        Box::pin(self.0.clone().call(request))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("plain", &self.plain).finish_non_exhaustive()
    }
}
