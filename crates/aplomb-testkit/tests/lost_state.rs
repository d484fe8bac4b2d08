//! Layers that lose their state in one way each: the kit names the way.

use std::sync::Arc;
use std::task::Context;

use aplomb_core::BoxError;
use aplomb_testkit::{Applied, Clause, Contract, Inner, Request};
use tokio::sync::Semaphore;
use tower::layer::layer_fn;
use tower::{Layer, Service};

mod common;
use common::{Work, Written, calls, passed, written};

#[test]
fn state_made_in_layer_is_caught() {
    let layer = || layer_fn(|inner: Inner| counted(&inner, Arc::new(Semaphore::new(3))));
    loses_state(layer, "among applications of one layer value");
}

#[test]
fn state_that_the_layers_clone_makes_anew_is_caught() {
    loses_state(Forgetful::default, "among applications of clones");
}

#[test]
fn state_of_a_service_that_its_clone_makes_anew_is_caught() {
    let layer = || layer_fn(|inner: Inner| ForgetfulService(counted(&inner, three())));
    loses_state(layer, "among clones of one service");
}

#[test]
fn state_in_the_layer_value_is_shared_however_it_is_applied() {
    let layer = || {
        let permits = three();
        layer_fn(move |inner: Inner| counted(&inner, Arc::clone(&permits)))
    };
    let contract = Contract::new("three calls", layer).shares_state(three_calls);
    assert_eq!(contract.judge(Clause::StateIsShared), Ok(()));
}

fn loses_state<L, S>(layer: impl Fn() -> L + 'static, way: &str)
where
    L: Layer<Inner, Service = S> + Clone + Send + Sync + 'static,
    S: Service<Request, Response = aplomb_testkit::Response, Error = BoxError>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let contract = Contract::new("three calls", layer).shares_state(three_calls);
    let judged = contract.judge(Clause::StateIsShared);
    let breach = judged.expect_err("the layer is wrong on purpose");
    assert_eq!(breach.clause, Clause::StateIsShared);
    assert!(breach.seen.starts_with(way), "{breach}");
}

/// Three calls are allowed in all, and the fourth fails.
async fn three_calls(applied: Applied) -> Result<(), BoxError> {
    for _ in 0..3 {
        applied.call().await?;
    }
    match applied.call().await {
        Ok(_) => Err("a fourth call was allowed".into()),
        Err(_) => Ok(()),
    }
}

fn three() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(3))
}

fn counted(inner: &Inner, permits: Arc<Semaphore>) -> Written {
    let mut service = written(passed, |service, request| {
        match service.permits.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => return Box::pin(async { Err("no call is left".into()) }) as Work,
        }
        calls(service, request)
    })
    .layer(inner.clone());
    service.permits = permits;
    service
}

struct Forgetful(Arc<Semaphore>);

impl Default for Forgetful {
    fn default() -> Self {
        Self(three())
    }
}

impl Clone for Forgetful {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Layer<Inner> for Forgetful {
    type Service = Written;

    fn layer(&self, inner: Inner) -> Written {
        counted(&inner, Arc::clone(&self.0))
    }
}

struct ForgetfulService(Written);

impl Clone for ForgetfulService {
    fn clone(&self) -> Self {
        Self(counted(&self.0.inner, three()))
    }
}

impl Service<Request> for ForgetfulService {
    type Response = aplomb_testkit::Response;
    type Error = BoxError;
    type Future = Work;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> common::Ready {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Work {
        self.0.call(request)
    }
}
