//! What handlers answer, and what they refuse.

use aplomb_core::Problem;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What a handler answers.
pub(crate) type Answer = Result<Response, Refused>;

/// A refusal on its way out, so that `?` works in handlers.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a problem on its way out")]
pub struct Refused(pub Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the database failed");
        Self(Problem::new(
            "/problems/database",
            "the database did not answer",
            StatusCode::SERVICE_UNAVAILABLE,
        ))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.into_response::<Body>()
    }
}

/// A body of JSON.
///
/// # Panics
///
/// When a map in it has keys that are no strings.
pub fn json(status: StatusCode, value: &impl Serialize) -> http::Response<Bytes> {
    let body = serde_json::to_vec(value).expect("what we answer has string keys and plain values");
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same, 200 and on its way out.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value).map(Body::from)
}

pub(crate) fn unknown_sku(sku: &str) -> Problem {
    Problem::new("/problems/unknown-sku", "no such product", StatusCode::NOT_FOUND)
        .detail("put the product first")
        .with("sku", sku)
}

pub(crate) fn unknown_reservation() -> Problem {
    Problem::new(
        "/problems/unknown-reservation",
        "no such reservation of yours",
        StatusCode::NOT_FOUND,
    )
}

pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new("/problems/bad-request", "the request cannot be read", StatusCode::BAD_REQUEST)
        .detail(detail)
}

/// A field that is missing or wrong, and what would mend it.
pub(crate) fn bad_field(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new("/problems/bad-field", "a field is missing or wrong", StatusCode::BAD_REQUEST)
        .detail(detail)
        .with("field", field)
}
