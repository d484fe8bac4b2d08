//! Clients that send each request once.
//!
//! A client that retries by itself, or follows a redirect, sends requests that no budget paid for
//! and no policy allowed: two layers that retry multiply, and a 307 repeats a POST somewhere else.
//! Under our layers the transport sends what it is given, once, and says what came of it.

/// A reqwest client under construction: no retries, no redirects of its own.
///
/// The hyper client inside reqwest still sends again what a closed connection gave back before a
/// byte of it was written, and reqwest has no setter for that. It is safe, since nothing was sent;
/// only no budget pays for it.
///
/// ```
/// let client = aplomb_core::transport::reqwest().build()?;
/// # Ok::<(), reqwest::Error>(())
/// ```
#[cfg(feature = "reqwest")]
pub fn reqwest() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
}

/// A hyper client under construction: it does not send again what a closed connection gave back.
///
/// The classifier knows such a request as provably unsent; its first retry is immediate and free.
///
/// ```
/// use aplomb_core::transport;
/// use http_body_util::Full;
/// use hyper_util::client::legacy::{Client, connect::HttpConnector};
/// use hyper_util::rt::TokioExecutor;
///
/// let client: Client<HttpConnector, Full<bytes::Bytes>> =
///     transport::hyper(TokioExecutor::new()).build_http();
/// # let _ = client;
/// ```
#[cfg(feature = "hyper")]
#[must_use]
pub fn hyper<E>(executor: E) -> hyper_util::client::legacy::Builder
where
    E: hyper::rt::Executor<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>
        + Send
        + Sync
        + Clone
        + 'static,
{
    let mut builder = hyper_util::client::legacy::Client::builder(executor);
    builder.retry_canceled_requests(false);
    builder
}
