//! Futures that are dropped: the common path of a deadline or a hang-up.

use std::pin::Pin;
use std::task::Poll;

use aplomb_core::BoxError;
use tower::ServiceExt;
use tower_service::Service;

use crate::act::Act;
use crate::trial::{Inside, PATIENCE, Stage, Trial, Verdict, ensure, settle};

pub(crate) async fn before_the_first_poll(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Limit(1));
    for _ in 0..TIMES {
        drop_after(&mut stage, 0).await?;
        nothing_is_left(&stage, "a future was dropped before its first poll").await?;
    }
    stage.call_once_more("after futures were dropped before their first poll").await
}

pub(crate) async fn while_pending(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Limit(1));
    let detached = trial.contract.detached;
    for _ in 0..TIMES {
        if detached {
            // Work that is finished in any case must be able to finish.
            stage.probe.steps(STEPS);
        } else {
            stage.probe.next([Act::Hang]);
        }
        let calls = stage.probe.calls();
        hang_up_inside(&mut stage).await?;
        ensure(stage.probe.calls() == calls + 1, || {
            "the call never reached the inner service".into()
        })?;
        nothing_is_left(&stage, "a future was dropped while the inner one was pending").await?;
    }
    stage.call_once_more("after futures were dropped while pending").await
}

pub(crate) async fn at_every_poll(trial: &Trial<'_>) -> Verdict {
    for polls in 0..POLLS_MAX {
        // A new layer each time, so that no budget or breaker changes the path.
        let mut stage = trial.stage(Inside::Limit(1));
        stage.probe.steps(STEPS);
        stage.probe.readiness_polls(1);
        stage.probe.next([Act::UNAVAILABLE]);
        let has_ended = drop_after(&mut stage, polls).await?;
        nothing_is_left(&stage, &format!("a future was dropped after {polls} polls")).await?;
        let after = format!("after a future was dropped after {polls} polls");
        stage.probe.next([Act::UNAVAILABLE]);
        stage.call_once_more(&after).await?;
        if has_ended {
            return Ok(());
        }
    }
    Err(format!("a call had not ended after {POLLS_MAX} polls"))
}

pub(crate) async fn of_unread_responses(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Limit(1));
    for _ in 0..TIMES {
        drop_after(&mut stage, POLLS_MAX).await?;
        nothing_is_left(&stage, "a response was dropped unread").await?;
    }
    stage.call_once_more("after responses were dropped unread").await
}

/// Makes a call and drops its future after so many polls, and whether it had ended by then.
async fn drop_after(stage: &mut Stage<'_>, polls: u32) -> Result<bool, String> {
    let mut call = begin(stage).await?;
    let mut left = polls;
    let polled = std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match call.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    });
    let polled = tokio::time::timeout(PATIENCE, polled).await;
    polled.map_err(|_| "a call waited for something that never comes".into())
}

/// Makes a call and drops its future once the inner service was called.
async fn hang_up_inside(stage: &mut Stage<'_>) -> Verdict {
    let (probe, live) = (stage.probe.clone(), stage.probe.counts().live);
    let mut call = begin(stage).await?;
    let reached = std::future::poll_fn(|cx| {
        let polled = call.as_mut().poll(cx);
        if polled.is_ready() || probe.counts().live > live {
            return Poll::Ready(());
        }
        Poll::Pending
    });
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached.map_err(|_| "the call never reached the inner service".into())
}

type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

async fn begin(stage: &mut Stage<'_>) -> Result<Call, String> {
    let request = stage.contract.request();
    let ready = tokio::time::timeout(PATIENCE, stage.service.ready()).await;
    match ready {
        Ok(Ok(service)) => {
            let call = service.call(request);
            Ok(Box::pin(async move { call.await.map(drop) }))
        }
        Ok(Err(error)) => Err(format!("readiness failed: {error}")),
        Err(_) => Err("`poll_ready` stayed pending: what a dropped future held is lost".into()),
    }
}

/// The inner futures are gone; where the work is detached, those that had begun have ended.
async fn nothing_is_left(stage: &Stage<'_>, after: &str) -> Verdict {
    settle().await;
    let counts = stage.probe.counts();
    ensure(counts.live == 0, || format!("{after}, and {} inner futures live on", counts.live))?;
    let must_end = stage.contract.detached;
    ensure(!must_end || counts.interrupted == 0, || {
        format!("{after}, and the work inside was dropped instead of finished")
    })
}

/// How many futures are dropped one after the other: a layer with a few spare permits runs out.
const TIMES: u32 = 64;
/// A call that takes more polls than this does not end.
const POLLS_MAX: u32 = 128;
/// How many times an inner future is pending.
const STEPS: u32 = 3;
