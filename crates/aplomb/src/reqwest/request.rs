use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use reqwest::{Body, Request, Response};

use super::client::Client;
use super::error::Result;
use crate::policy::OperationName;

/// A request under construction: reqwest's builder, which sends through the layers.
///
/// ```
/// use aplomb::policy::PolicyFile;
/// use aplomb::reqwest::{Client, RequestBuilder};
///
/// let text = "version = 1\n[service]\nname = 'shop'\n[dependency.stock.operation.look]\nclass = 'read'";
/// let client = Client::new(PolicyFile::parse("aplomb.toml", text)?)?;
/// // No pattern matches it, so the caller says which operation it is.
/// let look: RequestBuilder = client.get("http://stock:7001/mug").operation("stock.look");
/// let request = look.build()?;
/// assert_eq!(request.method(), "GET");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    plain: reqwest::RequestBuilder,
    named: Option<OperationName>,
}

impl RequestBuilder {
    pub(super) const fn new(client: Client, plain: reqwest::RequestBuilder) -> Self {
        Self { client, plain, named: None }
    }

    /// Names the operation that it is part of, such as `inventory.reserve`, where its URL does not
    /// tell.
    pub fn operation(mut self, name: impl Into<std::sync::Arc<str>>) -> Self {
        self.named = Some(OperationName::new(name));
        self
    }

    /// Anything else that reqwest's builder can do.
    pub fn with(
        mut self,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Self {
        self.plain = change(self.plain);
        self
    }

    /// Adds a header.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.with(|plain| plain.header(name, value))
    }

    /// Sets these headers.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.with(|plain| plain.headers(headers))
    }

    /// Authenticates by name and password.
    pub fn basic_auth(self, name: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        self.with(|plain| plain.basic_auth(name, password))
    }

    /// Authenticates by a token.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.with(|plain| plain.bearer_auth(token))
    }

    /// Sets the body. One that is a stream can be sent again while all of it was kept.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|plain| plain.body(body))
    }

    /// Adds to the query.
    pub fn query<T: serde::Serialize + ?Sized>(self, query: &T) -> Self {
        self.with(|plain| plain.query(query))
    }

    /// Sets the body to a form.
    pub fn form<T: serde::Serialize + ?Sized>(self, form: &T) -> Self {
        self.with(|plain| plain.form(form))
    }

    /// Sets the body to JSON.
    pub fn json<T: serde::Serialize + ?Sized>(self, json: &T) -> Self {
        self.with(|plain| plain.json(json))
    }

    /// Ends each attempt after this time, its body included: reqwest's own timeout, inside the
    /// policy's.
    pub fn timeout(self, time: Duration) -> Self {
        self.with(|plain| plain.timeout(time))
    }

    /// Sets the version of HTTP.
    pub fn version(self, version: Version) -> Self {
        self.with(|plain| plain.version(version))
    }

    /// The request, for [`Client::execute`].
    ///
    /// # Errors
    ///
    /// When something that it was given cannot stand in a request.
    pub fn build(self) -> Result<Request> {
        Ok(self.plain.build()?)
    }

    /// Sends it by the policy of its operation.
    ///
    /// # Errors
    ///
    /// When it cannot be built; else as the layers and reqwest say.
    pub async fn send(self) -> Result<Response> {
        let request = self.plain.build()?;
        self.client.send(self.named.as_ref(), request).await
    }

    /// The same once more, unless its body is a stream.
    pub fn try_clone(&self) -> Option<Self> {
        let (client, named) = (self.client.clone(), self.named.clone());
        Some(Self { client, plain: self.plain.try_clone()?, named })
    }
}
