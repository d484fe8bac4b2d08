use aplomb_core::BoxError;
use reqwest::{Client as Plain, ClientBuilder, Request, Response, redirect, retry};
use tower_layer::Layer;
use tower_service::Service;

use super::client::{Client, One};
use super::error::Result;
use crate::stack::{Around, Attempt, ClientStack, ObserveCalls, Observers, Operation, Stack};

impl<K, W, A, T> ClientStack<K, W, A, T>
where
    K: Clone + Send + Sync + 'static,
    W: Observers,
    T: Layer<Attempt<Plain, W::Observer>> + Clone + Send + Sync + 'static,
    A: Around<Operation<T::Service, K, W::Observer>, W::Observer> + Send + Sync + 'static,
    A::Service: Service<Request, Response = Response, Error = BoxError>,
    A::Service: Clone + Send + Sync + 'static,
    <A::Service as Service<Request>>::Future: Send + 'static,
{
    /// The client, around reqwest's, which is built without retries and redirects of its own.
    ///
    /// # Errors
    ///
    /// When reqwest's client cannot be built.
    pub fn reqwest(self, builder: ClientBuilder) -> Result<Client> {
        let plain = once(builder)?;
        let client = self.service(plain.clone());
        let handle = client.handle();
        Ok(Client::of(plain, client).with(handle))
    }
}

impl<K, O, A, T> Stack<K, O, A, T>
where
    K: Clone,
    O: ObserveCalls,
    T: Layer<Attempt<Plain, O>>,
    A: Around<Operation<T::Service, K, O>, O>,
    A::Service: Service<Request, Response = Response, Error = BoxError>,
    A::Service: Clone + Send + Sync + 'static,
    <A::Service as Service<Request>>::Future: Send + 'static,
{
    /// A client whose every call goes by this policy, around reqwest's, which is built without
    /// retries and redirects of its own.
    ///
    /// # Errors
    ///
    /// When reqwest's client cannot be built.
    pub fn reqwest(self, builder: ClientBuilder) -> Result<Client> {
        let plain = once(builder)?;
        let calls = One(self.layer(plain.clone()));
        Ok(Client::of(plain, calls))
    }
}

/// A transport sends what it is given, once.
fn once(builder: ClientBuilder) -> Result<Plain> {
    Ok(builder.retry(retry::never()).redirect(redirect::Policy::none()).build()?)
}
