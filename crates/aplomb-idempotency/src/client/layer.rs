use std::sync::Arc;

use http::Method;
use tower_layer::Layer;

use super::{Derived, Keyed, Random};
use crate::Key;

/// Gives each call that needs one an `Idempotency-Key`, once, so that all its sends have the same.
///
/// Put it *outside* retries: inside, each attempt would be new work to the server.
///
/// ```
/// use aplomb_idempotency::{Key, KeyLayer};
/// use aplomb_retry::{Budget, RetryLayer};
/// use tower::ServiceBuilder;
///
/// # #[derive(Clone)] struct Line { order: u64, line: u32 }
/// # fn client<S>(transport: S) {
/// let keys = KeyLayer::derived(|request: &http::Request<String>| {
///     let Line { order, line } = request.extensions().get()?;
///     Key::derived(("order", order, "line", line, "reservation")).ok()
/// });
/// let client = ServiceBuilder::new()
///     .layer(keys)
///     .layer(RetryLayer::new(Budget::percent(20)).honours_keys())
///     .service(transport);
/// # let _ = client;
/// # }
/// ```
///
/// A key that is on the request already is left as it is: whoever wrote it knows the work better.
/// POST and PATCH alone need keys. A request is [`http::Request`] of any body, or with the feature
/// `reqwest` of `aplomb-core` a `reqwest::Request`.
#[derive(Clone, Debug)]
pub struct KeyLayer<K> {
    make: K,
    methods: Arc<[Method]>,
}

impl KeyLayer<Random> {
    /// A key of its own for each call.
    ///
    /// It holds for the retries of one call. What must survive this process, or a person who tries
    /// again, needs a key that is [derived](Self::derived) or was written down before.
    pub fn random() -> Self {
        Self::new(Random)
    }
}

impl<F> KeyLayer<Derived<F>> {
    /// The key that `key` reads out of the request. A request for which it answers none goes out
    /// without one.
    pub fn derived<Req>(key: F) -> Self
    where
        F: Fn(&Req) -> Option<Key>,
    {
        Self::new(Derived(key))
    }
}

impl<K> KeyLayer<K> {
    /// The key that `make` says.
    pub fn new(make: K) -> Self {
        Self { make, methods: Arc::new([Method::POST, Method::PATCH]) }
    }

    /// The methods that need keys, instead of POST and PATCH.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }
}

impl<S, K: Clone> Layer<S> for KeyLayer<K> {
    type Service = Keyed<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Keyed::new(inner, self.make.clone(), Arc::clone(&self.methods))
    }
}
