//! Many calls at once, where permits and places are few.

use tokio::task::JoinSet;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;

use crate::act::Act;
use crate::apply::Outer;
use crate::trial::{Ended, Inside, Stage, Trial, Verdict, ensure, send};

pub(crate) async fn around_a_limit(trial: &Trial<'_>) -> Verdict {
    for permits in FEW {
        let stage = trial.stage(Inside::Limit(permits));
        let service = stage.service.clone();
        all_end(&stage, service).await?;
    }
    Ok(())
}

pub(crate) async fn inside_a_limit(trial: &Trial<'_>) -> Verdict {
    for permits in FEW {
        let stage = trial.stage(Inside::Bare);
        let service = ConcurrencyLimit::new(stage.service.clone(), permits);
        all_end(&stage, Outer::new(service)).await?;
    }
    Ok(())
}

pub(crate) async fn around_a_buffer(trial: &Trial<'_>) -> Verdict {
    for places in FEW {
        let stage = trial.stage(Inside::Buffer(places));
        let service = stage.service.clone();
        all_end(&stage, service).await?;
    }
    Ok(())
}

pub(crate) async fn inside_a_buffer(trial: &Trial<'_>) -> Verdict {
    for places in FEW {
        let stage = trial.stage(Inside::Bare);
        let service = Buffer::new(stage.service.clone(), places);
        all_end(&stage, Outer::new(service)).await?;
    }
    Ok(())
}

/// A crowd of callers, each with a clone that it keeps: all of their calls end, and so does one
/// that comes after them.
async fn all_end(stage: &Stage<'_>, service: Outer) -> Verdict {
    stage.probe.steps(2);
    stage.probe.readiness_polls(1);
    // A third fails in a way that provokes another attempt.
    stage.probe.every(3, Act::UNAVAILABLE);
    let mut crowd = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut service, request) = (service.clone(), stage.contract.request());
        crowd.spawn(async move {
            let ended = send(&mut service, request).await;
            (ended, service)
        });
    }
    let (mut kept, mut answered) = (Vec::new(), 0);
    while let Some(caller) = crowd.join_next().await {
        let (ended, service) = caller.map_err(|error| format!("a caller's task ended: {error}"))?;
        allowed(&ended, "one of many calls")?;
        answered += u32::from(matches!(ended, Ended::Answered(_)));
        kept.push(service);
    }
    ensure(answered > 0, || format!("none of {CALLERS} calls was answered"))?;
    let mut service = service;
    let ended = send(&mut service, stage.contract.request()).await;
    allowed(&ended, "the call after many")
}

/// A refusal or a failure is an end; waiting for ever is none.
fn allowed(ended: &Ended, call: &str) -> Verdict {
    ensure(!matches!(ended, Ended::Stuck | Ended::Panicked(_)), || format!("{call} {ended}"))
}

/// How many call at once.
const CALLERS: u32 = 100;
/// How many permits or places there are.
const FEW: [usize; 2] = [1, 3];
