//! Layers that honour the contract pass, or the kit would be of no use.

use aplomb_core::BoxError;
use aplomb_testkit::{Act, Applied, Breach, Clause, Contract, Inner, Probe, ProbeError, Request};
use http_body_util::Full;
use tower::ServiceExt;
use tower::layer::layer_fn;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};

mod common;

#[test]
fn a_layer_that_does_nothing_passes() {
    Contract::new("nothing", || layer_fn(|inner: Inner| inner)).check();
}

#[test]
fn towers_concurrency_limit_passes() {
    Contract::new("limit", || ConcurrencyLimitLayer::new(100)).check();
}

#[test]
fn a_careful_second_attempt_passes() {
    Contract::new("twice", common::twice).check();
}

#[test]
fn work_that_is_detached_passes_when_it_says_so() {
    detached().detached().check();
}

#[test]
fn work_that_is_detached_does_not_pass_as_work_that_is_not() {
    let breach = detached().judge(Clause::DropsWhilePending).unwrap_err();
    assert_eq!(breach.clause, Clause::DropsWhilePending);
}

#[test]
fn work_that_is_not_detached_does_not_pass_as_detached() {
    let contract = Contract::new("nothing", || layer_fn(|inner: Inner| inner)).detached();
    let breach = contract.judge(Clause::DropsWhilePending).unwrap_err();
    assert_eq!(breach.clause, Clause::DropsWhilePending);
}

#[test]
fn a_layer_that_answers_errors_passes_when_it_says_so() {
    answering().answers_errors().check();
}

#[test]
fn a_layer_that_answers_errors_does_not_pass_as_one_that_does_not() {
    let breaches = answering().breaches();
    let broken: Vec<_> = breaches.iter().map(|breach| breach.clause).collect();
    let errors = [Clause::ReadinessErrorsPassUp, Clause::ErrorsKeepTheirCause];
    assert_eq!(broken, errors);
}

#[test]
fn state_that_is_shared_is_seen_to_be() {
    Contract::new("global limit", || GlobalConcurrencyLimitLayer::new(100))
        .shares_state(one_hundred_permits)
        .check();
}

#[test]
fn state_that_every_application_makes_anew_is_seen_not_to_be_shared() {
    // tower's own per-service limit: right by its documentation, wrong under a router.
    let breach = Contract::new("limit", || ConcurrencyLimitLayer::new(100))
        .shares_state(one_hundred_permits)
        .judge(Clause::StateIsShared)
        .unwrap_err();
    assert_eq!(
        breach.seen,
        "among applications of one layer value: the hundred-and-first call had a permit"
    );
}

#[test]
fn a_proof_that_looks_at_one_service_alone_proves_nothing() {
    let contract = Contract::new("nothing", || layer_fn(|inner: Inner| inner)).shares_state(
        |applied: Applied| async move {
            applied.call().await?;
            Ok(())
        },
    );
    let seen = contract.judge(Clause::StateIsShared).unwrap_err().seen;
    assert!(seen.ends_with("it needs 2"), "{seen}");
}

#[test]
fn an_exception_must_have_a_reason_to_be_there() {
    let contract = Contract::new("nothing", || layer_fn(|inner: Inner| inner))
        .except(Clause::ResponsesPass, "it does not change any");
    let complaint = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| contract.check()));
    let complaint = *complaint.unwrap_err().downcast::<String>().unwrap();
    assert!(complaint.contains("remove the exception"), "{complaint}");
}

#[test]
fn errors_of_the_inner_service_come_through_a_router_with_their_type() {
    let contract = Contract::new("nothing", || layer_fn(|inner: Inner| inner)).shares_state(
        |applied: Applied| async move {
            applied.probe().usually(Act::Fail);
            for _ in 0..2 {
                let error = applied.call().await.expect_err("as scripted");
                assert!(aplomb_core::cause::<ProbeError>(&*error).is_some());
            }
            Ok(())
        },
    );
    assert_eq!(contract.judge(Clause::StateIsShared), Ok(()));
}

#[test]
fn a_breach_names_layer_clause_and_what_was_seen() {
    let breach: Breach = detached().judge(Clause::DropsWhilePending).unwrap_err();
    let text = breach.to_string();
    assert!(
        text.starts_with("the layer `detached` breaks DropsWhilePending: dropped while pending"),
        "{text}"
    );
}

#[tokio::test]
async fn a_probe_never_forgives_a_call_on_a_clone_that_is_not_ready() {
    use tower::Service;
    let probe = Probe::new();
    let mut service = probe.service();
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert!(clone.call(Request::default()).await.is_err());
    assert!(service.call(Request::default()).await.is_ok());
    assert!(service.call(Request::default()).await.is_err());
    assert_eq!(probe.violations().len(), 2);
    assert_eq!(probe.counts().clones, 1);
}

/// Runs the work in a task of its own, which nobody cancels.
fn detached() -> Contract {
    Contract::new("detached", || {
        layer_fn(|inner: Inner| {
            inner.map_future(|work| async {
                match tokio::spawn(work).await {
                    Ok(result) => result,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            })
        })
    })
}

/// Answers 502 to errors, and knows no others.
fn answering() -> Contract {
    Contract::new("answering", common::answering)
        .requests(|number| Request::new(Full::from(format!("body {number}"))))
}

async fn one_hundred_permits(applied: Applied) -> Result<(), BoxError> {
    applied.probe().usually(Act::Hang);
    let calls = || {
        let (service, request) = (applied.next(), applied.request());
        service.oneshot(request)
    };
    let crowd: Vec<_> = (0..100).map(|_| tokio::spawn(calls())).collect();
    let more = tokio::spawn(calls());
    tokio::task::yield_now().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let went_in = applied.probe().calls();
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    more.abort();
    if went_in == 100 {
        return Ok(());
    }
    Err("the hundred-and-first call had a permit".into())
}
