//! What goes in and what comes out.

use aplomb_core::cause;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;

use crate::act::{Act, CALL, ProbeError};
use crate::apply::Request;
use crate::trial::{Ended, Inside, Trial, Verdict, ensure, send};

pub(crate) async fn ended_futures_rest(trial: &Trial<'_>) -> Verdict {
    for act in [Act::OK, Act::UNAVAILABLE, Act::Fail, Act::Reset] {
        let mut stage = trial.stage(Inside::Bare);
        stage.probe.steps(1);
        stage.probe.usually(act);
        let ended = stage.call().await;
        ensure(!matches!(ended, Ended::Stuck | Ended::Panicked(_)), || {
            format!("with an inner service that does {act:?}, the call {ended}")
        })?;
    }
    Ok(())
}

pub(crate) async fn clones_stand_alone(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    stage.probe.next([Act::Hang]);
    let (mut original, first) = (stage.service.clone(), trial.contract.request());
    let hanging = tokio::spawn(async move { send(&mut original, first).await });
    tokio::task::yield_now().await;

    let mut clone = stage.service.clone();
    stage.call_once_more("while a call on a clone waits").await?;
    hanging.abort();
    drop(stage.service);
    let ended = send(&mut clone, trial.contract.request()).await;
    ensure(matches!(ended, Ended::Answered(_)), || {
        format!("after its original was dropped, a call on the clone {ended}")
    })
}

pub(crate) async fn errors_keep_their_cause(trial: &Trial<'_>) -> Verdict {
    for act in [Act::Fail, Act::Reset] {
        let mut stage = trial.stage(Inside::Bare);
        stage.probe.usually(act);
        let ended = stage.call().await;
        let found = match &ended {
            Ended::Failed(error) => cause(&**error) == Some(&ProbeError::Call),
            ended => trial.contract.answers_errors && ended.is_server_error(),
        };
        ensure(found, || format!("the inner error is not found by `cause`: the call {ended}"))?;
    }
    Ok(())
}

pub(crate) async fn responses_pass(trial: &Trial<'_>) -> Verdict {
    for status in STATUSES {
        let status = StatusCode::from_u16(status).expect("written below");
        let mut stage = trial.stage(Inside::Bare);
        stage.probe.usually(Act::Answer(status));
        let ended = stage.call().await;
        let Ended::Answered(response) = ended else {
            return Err(format!("with an inner answer of {status}, the call {ended}"));
        };
        let number = response.headers().get(CALL);
        let number = number.and_then(|value| value.to_str().ok()?.parse().ok());
        let Some(number) = number else {
            return Err(format!("the header `{CALL}` was lost from {response:?}"));
        };
        let (expected, _) = Act::answer(status, number).into_parts();
        let (came, body) = response.into_parts();
        ensure(came.status == status, || format!("{status} became {}", came.status))?;
        ensure(came.headers == expected.headers, || {
            format!("headers {:?} became {:?}", expected.headers, came.headers)
        })?;
        let text = format!("answer {number}");
        ensure(body == text, || format!("the body {text:?} became {body:?}"))?;
    }
    Ok(())
}

pub(crate) async fn requests_pass(trial: &Trial<'_>) -> Verdict {
    let mut stage = trial.stage(Inside::Bare);
    stage.probe.usually(Act::UNAVAILABLE);
    let mut request = trial.contract.request();
    let headers = request.headers_mut();
    for value in ["one", "two"] {
        headers.append("x-request", http::HeaderValue::from_static(value));
    }
    let sent = request.clone();
    send(&mut stage.service, request).await;
    // The last one, so that what further attempts carry is seen.
    let Some(came) = stage.probe.request() else {
        return Err("the request never arrived inside".into());
    };
    ensure(came.method() == sent.method(), || {
        format!("the method {} became {}", sent.method(), came.method())
    })?;
    ensure(came.uri() == sent.uri(), || format!("the URI {} became {}", sent.uri(), came.uri()))?;
    for name in sent.headers().keys() {
        let values = |request: &Request| {
            let values = request.headers().get_all(name).iter();
            values.cloned().collect::<Vec<_>>()
        };
        let (left, arrived) = (values(&sent), values(&came));
        ensure(left == arrived, || format!("the header `{name}` {left:?} became {arrived:?}"))?;
    }
    let (left, arrived) = (bytes(sent).await, bytes(came).await);
    ensure(left == arrived, || format!("the body {left:?} became {arrived:?}"))
}

async fn bytes(request: Request) -> Bytes {
    let body = request.into_body().collect().await;
    body.expect("a body in memory cannot fail").to_bytes()
}

const STATUSES: [u16; 8] = [200, 201, 302, 404, 409, 500, 502, 503];
