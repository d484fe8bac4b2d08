use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::{IDEMPOTENCY_KEY, Request};
use http::Method;
use tower_service::Service;

use super::MakeKey;

/// A client whose requests have keys: see [`KeyLayer`](super::KeyLayer).
///
/// Its futures are those of the service inside; dropping one has the meaning that it has there.
#[derive(Clone, Debug)]
pub struct Keyed<S, K> {
    inner: S,
    make: K,
    methods: Arc<[Method]>,
}

impl<S, K> Keyed<S, K> {
    pub(crate) fn new(inner: S, make: K, methods: Arc<[Method]>) -> Self {
        Self { inner, make, methods }
    }
}

impl<S, K, Req> Service<Req> for Keyed<S, K>
where
    S: Service<Req>,
    K: MakeKey<Req>,
    Req: Request,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Req) -> S::Future {
        let needs = self.methods.contains(request.method());
        if needs && !request.headers().contains_key(IDEMPOTENCY_KEY) {
            if let Some(key) = self.make.key(&request) {
                request.headers_mut().insert(IDEMPOTENCY_KEY, key.header_value());
            }
        }
        self.inner.call(request)
    }
}
