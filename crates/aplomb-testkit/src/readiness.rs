//! Readiness: who is ready, for whom, and for how long.

use std::task::Poll;

use aplomb_core::{BoxError, cause};
use futures_util::FutureExt;
use tower_service::Service;

use crate::act::{Act, ProbeError, Readiness};
use crate::apply::Outer;
use crate::trial::{Ended, Inside, Trial, Verdict, Woken, ensure, poll_ready, read, send, settle};

pub(crate) async fn is_passed_up(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    stage.probe.readiness(Readiness::Pending);
    let woken = Woken::new();
    let ready = poll_ready(&mut stage.service, &woken);
    ensure(ready.is_pending(), || {
        format!("`poll_ready` answered {ready:?} while the inner service was pending")
    })?;
    settle().await;
    ensure(stage.probe.calls() == 0, || {
        "a call went in while the inner service was pending".into()
    })?;

    stage.probe.readiness(Readiness::Ready);
    settle().await;
    ensure(woken.is_woken(), || "the inner service became ready and nobody was woken".into())?;
    stage.call_once_more("once the inner service was ready").await
}

pub(crate) async fn errors_pass_up(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    stage.probe.readiness(Readiness::Fails);
    let answers_errors = trial.contract.answers_errors;
    let ready = becomes_ready(&mut stage.service).await;
    ensure(answers_errors || !matches!(ready, Some(Ok(()))), || {
        "the inner `poll_ready` failed and the outer one says that all is well".into()
    })?;
    let ended = match ready {
        None => Ended::Stuck,
        Some(Err(error)) => Ended::Failed(error),
        Some(Ok(())) => stage.call().await,
    };
    ensure(is_readiness_error(&ended, answers_errors), || {
        format!("the inner `poll_ready` failed and the call {ended}")
    })?;
    ensure(stage.probe.calls() == 0, || "a service whose readiness had failed was called".into())?;

    // The same before another attempt, where there is one.
    let mut stage = trial.stage(Inside::Bare);
    let (probe, request) = (stage.probe.clone(), trial.contract.request());
    probe.usually(Act::UNAVAILABLE);
    let ready = poll_ready(&mut stage.service, &Woken::new());
    ensure(is_ready(&ready), || {
        format!("`poll_ready` answered {ready:?} while the inner service was ready")
    })?;
    let call = stage.service.call(request);
    probe.readiness(Readiness::Fails);
    let ended = crate::trial::end(async { read(call.await?).await }).await;
    ensure(ended.is_server_error() || is_readiness_error(&ended, answers_errors), || {
        format!("readiness failed before a second attempt and the call {ended}")
    })
}

fn is_readiness_error(ended: &Ended, answers_errors: bool) -> bool {
    match ended {
        Ended::Failed(error) => cause(&**error) == Some(&ProbeError::Readiness),
        ended => answers_errors && ended.is_server_error(),
    }
}

pub(crate) async fn is_spent_by_a_call(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    let woken = Woken::new();
    for poll in 1..=3 {
        let ready = poll_ready(&mut stage.service, &woken);
        ensure(is_ready(&ready), || {
            format!("poll {poll} of readiness, without a call in between, answered {ready:?}")
        })?;
    }
    let call = stage.service.call(trial.contract.request());
    stage.probe.readiness(Readiness::Pending);
    let ready = poll_ready(&mut stage.service, &woken);
    ensure(ready.is_pending(), || {
        format!("after a call `poll_ready` answered {ready:?} though the inner service is pending")
    })?;
    let ended = crate::trial::end(async { read(call.await?).await }).await;
    ensure(matches!(ended, Ended::Answered(_)), || {
        format!("a call on a service that was ready {ended}")
    })?;

    stage.probe.readiness(Readiness::Ready);
    stage.call_once_more("after a call").await?;
    let calls = stage.probe.calls();
    ensure(calls == 2, || format!("2 calls became {calls} calls inside"))
}

pub(crate) async fn is_not_cloned(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    let ready = poll_ready(&mut stage.service, &Woken::new());
    ensure(is_ready(&ready), || {
        format!("`poll_ready` answered {ready:?} while the inner service was ready")
    })?;
    let mut clone = stage.service.clone();
    stage.probe.readiness(Readiness::Pending);
    let ready = poll_ready(&mut clone, &Woken::new());
    ensure(ready.is_pending(), || {
        format!("a clone of a ready service answered {ready:?} though the inner one is pending")
    })?;

    stage.probe.readiness(Readiness::Ready);
    let ended = send(&mut clone, trial.contract.request()).await;
    ensure(matches!(ended, Ended::Answered(_)), || {
        format!("a call on the clone of a ready service {ended}")
    })?;
    // Asked before its clone's call, and not again.
    let call = stage.service.call(trial.contract.request());
    let ended = crate::trial::end(async { read(call.await?).await }).await;
    ensure(matches!(ended, Ended::Answered(_)), || {
        format!("a call on a service that was cloned while it was ready {ended}")
    })
}

pub(crate) async fn is_given_back(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Limit(1));
    for _ in 0..RESERVATIONS {
        let mut other = stage.service.clone();
        let ready = becomes_ready(&mut other).await;
        ensure(matches!(ready, Some(Ok(()))), || {
            format!("after services were dropped ready, `poll_ready` answered {ready:?}")
        })?;
        drop(other);
    }
    stage.call_once_more("after services were dropped ready").await
}

pub(crate) async fn refusals_hold_nothing(trial: &Trial<'_>) -> Verdict {
    for inside in [Inside::Limit(1), Inside::Buffer(1)] {
        let mut stage = trial.stage(inside);
        // Kept, as a server keeps the service of a connection that is idle now.
        let mut kept = stage.service.clone();
        for _ in 0..RESERVATIONS {
            let Some(request) = trial.contract.refused() else {
                return Ok(());
            };
            let ended = send(&mut kept, request).await;
            ensure(!matches!(ended, Ended::Stuck | Ended::Panicked(_)), || {
                format!("a call to be refused {ended}")
            })?;
            ensure(stage.probe.calls() == 0, || {
                "a call to be refused reached the inner service".into()
            })?;
        }
        stage.call_once_more("while a service that refused its calls is kept").await?;
    }
    Ok(())
}

pub(crate) async fn only_the_ready_are_called(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    stage.probe.readiness_polls(2);
    stage.probe.steps(1);
    stage.probe.every(2, Act::UNAVAILABLE);
    stage.probe.next([Act::UNAVAILABLE, Act::Fail, Act::Reset, Act::Reset]);
    for call in 1..=CALLS {
        let ended = stage.call().await;
        ensure(!matches!(ended, Ended::Stuck | Ended::Panicked(_)), || {
            format!("call {call} {ended}")
        })?;
    }
    ensure(stage.probe.calls() > 0, || "no call reached the inner service at all".into())
}

/// What readiness becomes, or nothing when it stays pending.
async fn becomes_ready(service: &mut Outer) -> Option<Result<(), BoxError>> {
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx));
    let ready = std::panic::AssertUnwindSafe(ready).catch_unwind();
    match tokio::time::timeout(crate::trial::PATIENCE, ready).await {
        Ok(Ok(ready)) => Some(ready),
        Ok(Err(panic)) => Some(Err(crate::trial::text(&*panic).into())),
        Err(_) => None,
    }
}

fn is_ready(ready: &Poll<Result<(), BoxError>>) -> bool {
    matches!(ready, Poll::Ready(Ok(())))
}

/// How many services are dropped ready.
const RESERVATIONS: u32 = 8;
/// How many calls are made, every second of which provokes another attempt.
const CALLS: u32 = 12;
