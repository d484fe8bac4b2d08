//! What each path of the page does.

use aplomb_chaos::Knobs;
use aplomb_core::Problem;
use aplomb_inventory_service::{Refused, json, loopback_only};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::desk::Desk;
use super::scene::Scene;
use super::stories;

/// The routes. Whoever asks from elsewhere, or by another name of this machine, is refused.
pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", include_str!("page.html"))))
        .route("/page.css", get(async || file(CSS, include_str!("page.css"))))
        .route("/page.js", get(async || file(JS, include_str!("page.js"))))
        .route("/charts.js", get(async || file(JS, include_str!("charts.js"))))
        .route("/uplot.css", get(async || file(CSS, include_str!("vendor/uplot.css"))))
        .route("/uplot.js", get(async || file(JS, include_str!("vendor/uplot.js"))))
        .route("/events", get(events))
        .route("/knobs", put(turn))
        .route("/stories/{number}", post(play))
        .route_layer(from_fn(loopback_only))
        .with_state(desk)
}

/// A file that came with this program. Nothing but its own files may run in the page.
fn file(kind: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, content).into_response()
}

/// `GET /events`: server-sent, with ids: who comes back is sent what it missed.
async fn events(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let events = Sse::new(desk.feed.after(last)).keep_alive(KeepAlive::default());
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

/// What the page can set; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Orders a second, in each lane.
    rate: Option<u32>,
    /// Inventory's faults, all of them.
    chaos: Option<Knobs>,
}

/// `PUT /knobs`.
async fn turn(State(desk): State<Desk>, body: Bytes) -> Result<Response, Refused> {
    let scene = running(&desk)?;
    let settings: Settings = serde_json::from_slice(&body)
        .map_err(|error| bad_request(format!("{error}; send {{\"rate\", \"chaos\"}}")))?;
    if scene.telling().is_busy() {
        return Err(busy().into());
    }
    if let Some(rate) = settings.rate {
        if rate > RATE_MAX {
            let range = format!("rate is {rate}; give a whole number from 0 to {RATE_MAX}");
            return Err(bad_request(range).into());
        }
        scene.traffic.set_rate(rate);
    }
    if let Some(knobs) = settings.chaos {
        scene.turn(knobs).await.map_err(|trouble| unavailable(trouble.to_string()))?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /stories/{number}`.
async fn play(
    State(desk): State<Desk>,
    path: Result<Path<u8>, PathRejection>,
) -> Result<Response, Refused> {
    let story = path.ok().and_then(|Path(number)| stories::numbered(number));
    let story = story.ok_or_else(|| {
        Problem::new("/problems/unknown-story", "no such story", StatusCode::NOT_FOUND)
    })?;
    let scene = running(&desk)?;
    desk.play(scene, story).map_err(|_| busy())?;
    let begun = json!({ "story": story.number, "title": story.title });
    Ok(json(StatusCode::ACCEPTED, &begun).map(Body::from))
}

fn running(desk: &Desk) -> Result<Scene, Problem> {
    desk.scene().ok_or_else(|| unavailable("the services start or stop; try again".to_owned()))
}

fn busy() -> Problem {
    Problem::new("/problems/story-plays", "a story plays", StatusCode::CONFLICT)
        .detail("it ends by itself within a minute; try again then")
}

fn bad_request(detail: String) -> Problem {
    Problem::new("/problems/bad-request", "the request cannot be read", StatusCode::BAD_REQUEST)
        .detail(detail)
}

fn unavailable(detail: String) -> Problem {
    let title = "the demo cannot do that now";
    Problem::new("/problems/unavailable", title, StatusCode::SERVICE_UNAVAILABLE).detail(detail)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
/// Three lanes of so many orders a second keep one core of a laptop busy.
const RATE_MAX: u32 = 50;
