use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use aplomb_core::{BoxError, time};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::Semaphore;
use tower_service::Service;

use crate::error::Nothing;
use crate::last_good::directives::Directives;
use crate::last_good::freshness::Judged;
use crate::last_good::key::Target;
use crate::last_good::refreshed::flights::{Flight, Flights, Joined};
use crate::last_good::store::{Kept, Key};
use crate::last_good::watch::came_with;
use crate::last_good::{LastGood, keep};
use crate::missed::Missed;
use crate::ready::{Told, is_failure};

/// The answer of a [`Refreshed`](crate::Refreshed).
pub struct RefreshedFuture {
    inner: Pin<Box<dyn Future<Output = Answered> + Send>>,
}

type Answered = Result<Response<Full<Bytes>>, BoxError>;

impl RefreshedFuture {
    pub(crate) fn new(inner: impl Future<Output = Answered> + Send + 'static) -> Self {
        Self { inner: Box::pin(inner) }
    }
}

impl Future for RefreshedFuture {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for RefreshedFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshedFuture").finish_non_exhaustive()
    }
}

/// On which those who wait hear what came of it.
pub(crate) struct Line {
    landed: OnceLock<Landed>,
    // Closed when the flight is over: everybody wakes.
    over: Semaphore,
}

impl Line {
    fn new() -> Self {
        Self { landed: OnceLock::new(), over: Semaphore::new(0) }
    }
}

/// What came of a flight, for all.
#[derive(Clone)]
enum Landed {
    Kept(Arc<Kept>),
    // It was good, and for its caller alone.
    Alone,
    Failed,
}

/// The one who asks. Dropped, it wakes those who wait, whatever came of it.
struct Leader {
    flight: Option<Flight<Key, Line>>,
    line: Arc<Line>,
}

impl Drop for Leader {
    fn drop(&mut self) {
        // Out of the way first: whoever wakes finds no flight, and may lead the next.
        self.flight = None;
        self.line.over.close();
    }
}

/// Answers with what is fresh, else with what the source says, else with what is stale where old is
/// safe.
pub(crate) async fn refresh<S, B>(
    last_good: LastGood,
    source: S,
    flights: Arc<Flights<Key, Line>>,
    request: Request<Missed>,
) -> Answered
where
    S: Service<Request<Missed>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !keep::is_asked_for(&request) {
        return Err(Nothing.into());
    }
    let key = last_good.store.place(&Target::of(&request), last_good.variant(&request));
    let landed = loop {
        if let Some(fresh) = fresh(&last_good, &request) {
            return Ok(fresh);
        }
        match flights.join(&key, Line::new) {
            Joined::Leads(flight) => {
                let line = Arc::clone(&flight.line);
                let leader = Leader { flight: Some(flight), line };
                // Another flight may have landed between the look and the join.
                if let Some(fresh) = fresh(&last_good, &request) {
                    return Ok(fresh);
                }
                let asked = ask(&last_good, source, &request, key).await;
                let landed = asked.as_ref().map_or(Landed::Failed, Asked::landed);
                let _ = leader.line.landed.set(landed.clone());
                match asked {
                    Ok(asked) => return answered(&last_good, asked, &request),
                    Err(_) => break landed,
                }
            }
            Joined::Follows(line) => {
                // It is closed and lends nothing: the error is the news.
                let _ = line.over.acquire().await;
                match line.landed.get() {
                    // Whoever asked has gone.
                    None => {}
                    Some(Landed::Alone) => {
                        let asked = ask(&last_good, source, &request, key).await?;
                        return answered(&last_good, asked, &request);
                    }
                    Some(landed) => break landed.clone(),
                }
            }
        }
    };
    match landed {
        Landed::Kept(answer) => serve(&last_good, answer, &request),
        _ => stale(&last_good, &request).ok_or_else(|| Nothing.into()),
    }
}

/// What a source answered.
enum Asked {
    Kept(Arc<Kept>),
    Alone(Response<Full<Bytes>>),
}

impl Asked {
    fn landed(&self) -> Landed {
        match self {
            Self::Kept(answer) => Landed::Kept(Arc::clone(answer)),
            Self::Alone(_) => Landed::Alone,
        }
    }
}

async fn ask<S, B>(
    last_good: &LastGood,
    mut source: S,
    request: &Request<Missed>,
    key: Key,
) -> Result<Asked, BoxError>
where
    S: Service<Request<Missed>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    poll_fn(|cx| source.poll_ready(cx)).await.map_err(Into::into)?;
    let sent = time::now();
    let response = source.call(request.clone()).await.map_err(Into::into)?;
    if is_failure(&response) {
        return Err(Nothing.into());
    }
    let (mut parts, body) = response.into_parts();
    let body = pin!(Limited::new(body, last_good.settings.body_cap));
    let body = body.collect().await?.to_bytes();
    let (origin, settings) = (Directives::of(&parts.headers), &last_good.settings);
    let names_a_caller = key.names_a_caller();
    if !keep::may_be_kept(parts.status, &parts.headers, &origin, &settings.headers, names_a_caller)
    {
        let told = Told { kind: None, source: "refresh", age: None, is_cached: false };
        parts.extensions.insert(told);
        return Ok(Asked::Alone(Response::from_parts(parts, Full::new(body))));
    }
    let kept = Kept {
        status: parts.status,
        came_with: came_with(&parts.headers),
        headers: keep::kept_headers(&parts.headers),
        body,
        sent,
        rule: settings.rule.shortened_by(&origin),
    };
    let kept = Arc::new(kept);
    last_good.store.put(key, sent, Some(Arc::clone(&kept)));
    Ok(Asked::Kept(kept))
}

/// What the source said to this very request, which may have come with an age of its own.
fn answered(last_good: &LastGood, asked: Asked, request: &Request<Missed>) -> Answered {
    match asked {
        Asked::Alone(response) => Ok(response),
        Asked::Kept(answer) => {
            let found = last_good.by_its_age(answer, time::now(), request).ok_or(Nothing)?;
            Ok(last_good.serve(&found, *request.body()))
        }
    }
}

/// What the source said just now to another one.
fn serve(last_good: &LastGood, answer: Arc<Kept>, request: &Request<Missed>) -> Answered {
    let found = last_good.by_the_rule(answer, time::now(), request).ok_or(Nothing)?;
    Ok(last_good.serve(&found, *request.body()))
}

fn fresh(last_good: &LastGood, request: &Request<Missed>) -> Option<Response<Full<Bytes>>> {
    let found = last_good.found(request, time::now())?;
    (found.judged == Judged::Fresh).then(|| last_good.serve(&found, *request.body()))
}

fn stale(last_good: &LastGood, request: &Request<Missed>) -> Option<Response<Full<Bytes>>> {
    let found = last_good.found(request, time::now())?;
    Some(last_good.serve(&found, *request.body()))
}
