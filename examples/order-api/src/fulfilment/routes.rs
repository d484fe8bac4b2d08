//! Dead letters, for operators on this machine.

use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Problem, retry_after};
use aplomb_dead_letter::{
    LetterId, Listing, Note, Record, RedriveError, Redriven, Refused as Refusal, State as Standing,
    Timestamp,
};
use aplomb_inventory_service::{Refused, json, loopback_only};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::bad_request;
use crate::openapi::ProblemDetails;
use crate::service::App;

/// Nobody is asked for a password here, so nobody from elsewhere is let in.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/dead-letters", get(list))
        .route("/dead-letters/{id}", get(show))
        .route("/dead-letters/{id}/redrive", post(redrive))
        .route_layer(from_fn(loopback_only))
}

#[derive(Deserialize)]
pub(crate) struct Page {
    after: Option<String>,
}

/// `GET /dead-letters?after=`: a page of those that somebody has to look at.
#[utoipa::path(
    get,
    path = "/dead-letters",
    params(("after" = Option<String>, Query, description = "the last letter of the page before")),
    responses(
        (status = 200, description = "what somebody has to look at", body = Object),
        (status = 400, description = "no name of a letter", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, description = "not from this machine", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Page { after }) = page.map_err(|wrong| bad_request(wrong.body_text()))?;
    let after = after.map(|after| after.parse::<LetterId>()).transpose();
    let after = after.map_err(|wrong| bad_request(wrong.to_string()))?;
    let listing = Listing { after, ..Listing::dead(PAGE) };
    let found = app.desk.fulfilment.redriver.list(&listing).await;
    let found = found.map_err(|error| unavailable(&error))?;
    let next = (found.len() == PAGE).then(|| found.last().map(|last| last.letter.id));
    let letters: Vec<_> = found.iter().map(document).collect();
    let body = json!({ "letters": letters, "next": next.flatten() });
    Ok(json(StatusCode::OK, &body).map(Body::from))
}

/// `GET /dead-letters/{id}`: a letter, ended or not, and what was done about it, newest first.
#[utoipa::path(
    get,
    path = "/dead-letters/{id}",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "the letter, and what was done about it", body = Object),
        (status = 403, description = "not from this machine", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such letter", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let id = named(path)?;
    let redriver = &app.desk.fulfilment.redriver;
    let record = redriver.get(id).await.map_err(|error| unavailable(&error))?;
    let record = record.ok_or_else(unknown)?;
    let audit = redriver.audit(Some(id), AUDIT_MOST).await;
    let audit = audit.map_err(|error| unavailable(&error))?;
    let audit = audit.iter().map(|entry| {
        json!({
            "at_ms": entry.at.as_millis(),
            "by": entry.note.by,
            "why": entry.note.why,
            "action": entry.action.as_str(),
            "outcome": entry.outcome,
        })
    });
    let mut body = document(&record);
    body["audit"] = audit.collect();
    Ok(json(StatusCode::OK, &body).map(Body::from))
}

/// Who redrives, and why.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Reason {
    by: Option<String>,
    why: Option<String>,
}

/// `POST /dead-letters/{id}/redrive`, with who and why if they care to say: sends the letter again
/// under its own key, and answers with what came of it.
#[utoipa::path(
    post,
    path = "/dead-letters/{id}/redrive",
    params(("id" = String, Path)),
    request_body = Option<Reason>,
    responses(
        (status = 200, description = "what came of it", body = Object),
        (status = 400, description = "no reason that can be read", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, description = "not from this machine", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such letter", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "shipped, discarded, or not now", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "the budget is empty; see Retry-After", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn redrive(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = named(path)?;
    let note = note(&body)?;
    let redriver = app.desk.fulfilment.redriver.clone();
    let record = redriver.get(id).await.map_err(|error| unavailable(&error))?;
    if record.is_some_and(|record| is_too_old(&app, &record)) {
        return Err(too_old().into());
    }
    // Whoever pressed may go away: what was begun is written down all the same.
    let redriven = tokio::spawn(async move { redriver.redrive(id, &note).await });
    let redriven = redriven.await.map_err(|error| unavailable(&error))?;
    match redriven {
        Ok(redriven) => Ok(json(StatusCode::OK, &outcome(id, &redriven)).map(Body::from)),
        Err(RedriveError::Refused(why)) => Ok(refused(&app, why)),
        Err(error @ RedriveError::BudgetEmpty) => {
            Ok(later(&app, unavailable(&error), Duration::from_secs(1)))
        }
        Err(error) => Err(unavailable(&error).into()),
    }
}

/// Whether the Warehouse may have forgotten its key: sent again, it might ship once more.
fn is_too_old(app: &App, record: &Record) -> bool {
    let now = Timestamp::from(aplomb_core::time::wall());
    let allowed = app.desk.fulfilment.shipping.redriven_for();
    record.state == Standing::Stored && now.since(record.stored_at) > allowed
}

fn too_old() -> Problem {
    Problem::new("/problems/letter-too-old", "the letter is not redriven", StatusCode::CONFLICT)
        .detail("its key may be forgotten by now; find out by hand whether it was shipped")
}

/// A name that is no letter's id is no letter's name either.
fn named(path: Result<Path<String>, PathRejection>) -> Result<LetterId, Problem> {
    let id = path.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(unknown)
}

fn note(body: &[u8]) -> Result<Note, Problem> {
    if body.is_empty() {
        return Ok(Note::new(NOBODY, ""));
    }
    let reason: Reason = serde_json::from_slice(body)
        .map_err(|error| bad_request(format!("{error}; send {{\"by\", \"why\"}} or nothing")))?;
    Ok(Note::new(reason.by.as_deref().unwrap_or(NOBODY), &reason.why.unwrap_or_default()))
}

fn document(record: &Record) -> Value {
    let letter = &record.letter;
    json!({
        "id": letter.id,
        "order_id": super::shipping::order_of(&letter.key).map(|order| order.to_string()),
        "key": letter.key,
        "state": record.state.as_str(),
        "cause": letter.cause.as_str(),
        "attempts": letter.attempts,
        "rounds": letter.rounds,
        "redrives": record.redrives,
        "last_failure": letter.last_failure.to_string(),
        "first_failed_at_ms": letter.first_failed_at.as_millis(),
        "last_failed_at_ms": letter.last_failed_at.as_millis(),
        "not_before_ms": letter.not_before.as_millis(),
        "stored_at_ms": record.stored_at.as_millis(),
    })
}

fn outcome(id: LetterId, redriven: &Redriven) -> Value {
    match redriven {
        Redriven::StoredAgain { failure, wait } => json!({
            "id": id,
            "outcome": "stored",
            "last_failure": failure.to_string(),
            "wait_ms": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        }),
        _ => json!({ "id": id, "outcome": "shipped" }),
    }
}

fn refused(app: &App, why: Refusal) -> Response {
    let (kind, wait) = match why {
        Refusal::Unknown => return unknown().into_response(),
        Refusal::Delivered { .. } => ("/problems/letter-shipped", None),
        Refusal::Discarded { .. } => ("/problems/letter-discarded", None),
        Refusal::TooOften { .. } => ("/problems/letter-redriven-too-often", None),
        Refusal::Redriving { until } => ("/problems/letter-redriving", Some(left(until))),
        Refusal::TooEarly { not_before } => ("/problems/letter-too-early", Some(left(not_before))),
        _ => ("/problems/letter-redriving", Some(Duration::from_secs(1))),
    };
    let problem = Problem::new(kind, "the letter is not redriven", StatusCode::CONFLICT);
    let problem = problem.detail(why.to_string());
    match wait {
        None => problem.into_response(),
        Some(wait) => later(app, problem, wait),
    }
}

/// For people, and on this process's clock: the database judges.
fn left(until: Timestamp) -> Duration {
    until.since(aplomb_core::time::wall().into())
}

fn later(app: &App, problem: Problem, wait: Duration) -> Response {
    let mut response: Response = problem.into_response();
    retry_after::write(response.headers_mut(), wait, &mut app.desk.dice.roll());
    response
}

fn unknown() -> Problem {
    Problem::new("/problems/unknown-letter", "no such dead letter", StatusCode::NOT_FOUND)
}

fn unavailable(error: &dyn std::error::Error) -> Problem {
    Problem::new("/problems/redrive", "not redriven", StatusCode::SERVICE_UNAVAILABLE)
        .detail(error.to_string())
}

/// Who acts when nobody says so.
const NOBODY: &str = "operator";
const PAGE: usize = 100;
const AUDIT_MOST: usize = 100;
