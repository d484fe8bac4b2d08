//! Clients over real HTTP: hyper-util's own, the same with layers around it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aplomb::policy::Policy;
use aplomb::stack::Stack;
use aplomb_core::{BoxError, OperationClass, transport};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_service::Service;

use crate::peers::{resilience, tower as plain};

/// Makes one call, reads its answer to the end.
pub type Exchange =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> + Send + Sync>;

/// A client of this URL of each kind, the bare one first.
///
/// # Panics
///
/// When a preset is not sound.
pub fn clients(url: &str) -> Vec<(&'static str, Exchange)> {
    let bare = || transport::hyper(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let policy = Policy::preset(OperationClass::Read).build().expect("a preset is sound");
    let plain = ServiceBuilder::new().layer(plain::retry()).timeout(SECOND).service(bare());
    vec![
        ("bare", exchange(url, bare())),
        ("aplomb: a policy's whole stack", exchange(url, Stack::new(policy).layer(bare()))),
        ("tower: retry, timeout", exchange(url, plain)),
        (
            "tower-resilience: retry, breaker, time limit",
            exchange(url, resilience::client(bare(), &resilience::breaker().0)),
        ),
        (
            "tower-resilience: the same, a breaker of ten seconds",
            exchange(url, resilience::client(bare(), &resilience::timed_breaker())),
        ),
    ]
}

fn exchange<S, B>(url: &str, client: S) -> Exchange
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + Send,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
    B::Data: Send,
{
    let url: http::Uri = url.parse().expect("the server's own address is sound");
    Arc::new(move || {
        let (client, mut request) = (client.clone(), Request::new(Full::default()));
        *request.uri_mut() = url.clone();
        Box::pin(async move {
            let answer = client.oneshot(request).await.map_err(Into::into)?;
            if !answer.status().is_success() {
                return Err(format!("answered {}", answer.status()).into());
            }
            answer.into_body().collect().await.map(drop).map_err(Into::into)
        })
    })
}

const SECOND: Duration = Duration::from_secs(1);
