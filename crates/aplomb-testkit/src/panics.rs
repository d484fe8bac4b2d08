//! Panics of the inner service.

use crate::act::{Act, PANIC};
use crate::apply::Outer;
use crate::trial::{Ended, Inside, Trial, Verdict, ensure, send};

pub(crate) async fn in_call(trial: &Trial<'_>) -> Verdict {
    harm_no_other_call(trial, Act::PanicInCall).await
}

pub(crate) async fn in_futures(trial: &Trial<'_>) -> Verdict {
    harm_no_other_call(trial, Act::PanicInFuture).await
}

async fn harm_no_other_call(trial: &Trial<'_>, act: Act) -> Verdict {
    let mut stage = trial.stage(Inside::Limit(2));
    for _ in 0..TIMES {
        stage.probe.steps(STEPS);
        stage.probe.next([Act::OK, act]);
        let calls = stage.probe.calls();
        let other = waits(&stage.service, trial);
        // Its own task goes first, so that it is the one that is answered.
        let mut yields = 0..YIELDS_MAX;
        while stage.probe.calls() == calls && yields.next().is_some() {
            tokio::task::yield_now().await;
        }
        let ended = stage.call().await;
        ensure(is_reported(&ended, trial.contract.answers_panics), || {
            format!("the inner service panicked and the call {ended}")
        })?;
        let other = other.await.map_err(|error| error.to_string())?;
        ensure(matches!(other, Ended::Answered(_)), || {
            format!("while another call panicked, a call {other}")
        })?;
    }
    stage.call_once_more("after panics").await
}

fn waits(service: &Outer, trial: &Trial<'_>) -> tokio::task::JoinHandle<Ended> {
    let (mut service, request) = (service.clone(), trial.contract.request());
    tokio::spawn(async move { send(&mut service, request).await })
}

fn is_reported(ended: &Ended, answers_panics: bool) -> bool {
    match ended {
        Ended::Panicked(text) => !answers_panics && text.contains(PANIC),
        Ended::Failed(_) => answers_panics,
        ended => answers_panics && ended.is_server_error(),
    }
}

/// How many calls panic one after the other.
const TIMES: u32 = 16;
/// A call that reaches the inner service does so before its task was polled this often.
const YIELDS_MAX: u32 = 64;
/// How many times an inner future is pending: longer than another call takes to panic.
const STEPS: u32 = 16;
