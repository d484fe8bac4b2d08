//! Layers whose readiness is wrong in one way each: the kit names the way.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aplomb_testkit::{Clause, Contract, Inner, Request};
use http::Method;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt};

mod common;
use common::{Written, breaks, calls, passed, taken, written};

#[test]
fn ready_without_asking_is_caught() {
    let layer = || written(|_, _| Poll::Ready(Ok(())), calls);
    breaks(Clause::ReadinessIsPassedUp, layer);
}

#[test]
fn a_waker_that_is_lost_is_caught() {
    let layer =
        || written(|service, _| passed(service, &mut Context::from_waker(Waker::noop())), calls);
    let breach = breaks(Clause::ReadinessIsPassedUp, layer);
    assert!(breach.seen.contains("nobody was woken"), "{breach}");
}

#[test]
fn a_readiness_error_that_is_swallowed_is_caught() {
    let layer = || written(|service, cx| passed(service, cx).map(|_| Ok(())), calls);
    breaks(Clause::ReadinessErrorsPassUp, layer);
}

#[test]
fn a_readiness_error_that_becomes_a_wait_is_caught() {
    let layer = || {
        written(
            |service, cx| match passed(service, cx) {
                Poll::Ready(Err(_)) => Poll::Pending,
                ready => ready,
            },
            calls,
        )
    };
    breaks(Clause::ReadinessErrorsPassUp, layer);
}

#[test]
fn a_readiness_error_between_attempts_that_becomes_a_wait_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let mut inner = taken(service);
            Box::pin(async move {
                let response = inner.call(request.clone()).await?;
                if !response.status().is_server_error() {
                    return Ok(response);
                }
                if inner.ready().await.is_err() {
                    std::future::pending::<()>().await;
                }
                inner.call(request).await
            })
        })
    };
    let breach = breaks(Clause::ReadinessErrorsPassUp, layer);
    assert!(breach.seen.contains("second attempt"), "{breach}");
}

#[test]
fn readiness_that_outlives_a_call_is_caught() {
    breaks(Clause::ReadinessIsSpentByACall, || written(once, calls));
}

#[test]
fn readiness_that_is_cloned_is_caught() {
    let layer = || {
        written(once, |service, request| {
            service.flag = false;
            calls(service, request)
        })
    };
    breaks(Clause::ReadinessIsNotCloned, layer);
}

#[test]
fn a_reservation_that_is_never_given_back_is_caught() {
    let layer = || {
        written(
            |service, cx| {
                if !service.flag {
                    let Ok(permit) = service.permits.try_acquire() else {
                        return Poll::Pending;
                    };
                    permit.forget();
                    service.flag = true;
                }
                passed(service, cx)
            },
            |service, request| {
                service.flag = false;
                service.permits.add_permits(1);
                calls(service, request)
            },
        )
    };
    breaks(Clause::ReadinessIsGivenBack, layer);
}

#[test]
fn a_refusal_that_keeps_the_ready_service_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            if request.method() == Method::DELETE {
                return Box::pin(async { Ok(common::bad_gateway()) });
            }
            calls(service, request)
        })
    };
    let contract = Contract::new("refusing", layer).refuses(|_| deletion());
    let breach = contract.judge(Clause::RefusalsHoldNothing).unwrap_err();
    assert_eq!(breach.clause, Clause::RefusalsHoldNothing);
    assert!(breach.seen.contains("never ended"), "{breach}");
}

#[test]
fn a_refusal_that_lets_the_ready_service_go_passes() {
    let layer = || {
        written(passed, |service, request| {
            let mut inner = taken(service);
            if request.method() == Method::DELETE {
                return Box::pin(async { Ok(common::bad_gateway()) });
            }
            inner.call(request)
        })
    };
    Contract::new("refusing", layer).refuses(|_| deletion()).check();
}

#[test]
fn a_refusal_that_is_none_is_caught() {
    let contract = Contract::new("meek", || written(passed, calls)).refuses(|_| deletion());
    let breach = contract.judge(Clause::RefusalsHoldNothing).unwrap_err();
    assert!(breach.seen.contains("reached the inner service"), "{breach}");
}

#[test]
fn calling_a_fresh_clone_is_caught() {
    breaks(Clause::OnlyTheReadyAreCalled, fresh_clone);
}

#[test]
fn calling_a_fresh_clone_is_caught_whichever_clause_is_judged() {
    let contract = Contract::new("fresh clone", fresh_clone);
    for clause in [Clause::ResponsesPass, Clause::ClonesStandAlone] {
        let breach = contract.judge(clause).unwrap_err();
        assert_eq!(breach.clause, Clause::OnlyTheReadyAreCalled);
    }
}

#[test]
fn a_second_attempt_that_does_not_ask_again_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let mut inner = taken(service);
            Box::pin(async move {
                let response = inner.call(request.clone()).await?;
                if !response.status().is_server_error() {
                    return Ok(response);
                }
                inner.call(request).await
            })
        })
    };
    breaks(Clause::OnlyTheReadyAreCalled, layer);
    let contract = Contract::new("careless", layer);
    assert_eq!(contract.judge(Clause::ClonesStandAlone), Ok(()));
}

#[test]
fn a_ready_service_that_is_kept_while_its_clone_is_called_is_caught() {
    let layer = || {
        written(passed, |service, request| {
            let mut clone = service.inner.clone();
            Box::pin(async move { clone.ready().await?.call(request).await })
        })
    };
    for clause in
        [Clause::ReadinessIsSpentByACall, Clause::WorksAroundALimit, Clause::WorksAroundABuffer]
    {
        breaks(clause, layer);
    }
}

#[test]
fn calling_a_fresh_clone_of_a_limit_or_a_buffer_is_caught() {
    breaks(Clause::WorksAroundALimit, fresh_clone);
    breaks(Clause::WorksAroundABuffer, fresh_clone);
}

#[test]
fn a_crowd_that_waits_for_permits_that_never_come_is_caught() {
    for clause in [Clause::WorksInsideALimit, Clause::WorksInsideABuffer] {
        breaks(clause, || {
            written(passed, |service, request| {
                let (permits, work) = (Arc::clone(&service.permits), calls(service, request));
                Box::pin(async move {
                    permits.acquire().await?.forget();
                    work.await
                })
            })
        });
    }
}

#[test]
fn clones_that_wait_for_each_other_are_caught() {
    let layer = || {
        layer_fn(|inner: Inner| {
            let one = Arc::new(tokio::sync::Mutex::new(inner));
            tower::service_fn(move |request| {
                let one = Arc::clone(&one);
                async move { one.lock().await.ready().await?.call(request).await }
            })
        })
    };
    breaks(Clause::ClonesStandAlone, layer);
}

fn deletion() -> Request {
    let mut request = Request::default();
    *request.method_mut() = Method::DELETE;
    request
}

/// Remembers that it was ready, and forgets to forget.
fn once(service: &mut Written, cx: &mut Context<'_>) -> common::Ready {
    if service.flag {
        return Poll::Ready(Ok(()));
    }
    let ready = passed(service, cx);
    service.flag = ready.is_ready();
    ready
}

/// What tower's own documentation warns of.
fn fresh_clone() -> impl Layer<Inner, Service = Written> + Clone + Send + Sync + 'static {
    written(passed, |service, request| {
        let mut inner = service.inner.clone();
        Box::pin(async move { inner.call(request).await })
    })
}
