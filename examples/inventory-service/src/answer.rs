//! What handlers answer, and what they refuse.

use aplomb_core::Problem;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::domain::Wanted;

/// What a handler answers.
pub type Answer = Result<Response, Refused>;

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
///
/// # Panics
///
/// As [`json`].
pub fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value).map(Body::from)
}

pub(crate) fn unknown_sku(sku: &str) -> Problem {
    Problem::new("/problems/unknown-sku", "no such product", StatusCode::NOT_FOUND)
        .detail("put the product first")
        .with("sku", sku)
}

pub(crate) fn out_of_stock(wanted: &Wanted, available: i64) -> Problem {
    Problem::new("/problems/out-of-stock", "out of stock", StatusCode::CONFLICT)
        .detail(format!("{available} of {} are left", wanted.sku))
        .with("sku", wanted.sku.as_str())
        .with("available", available)
}

pub(crate) fn unknown_reservation() -> Problem {
    Problem::new(
        "/problems/unknown-reservation",
        "no such reservation of yours",
        StatusCode::NOT_FOUND,
    )
}

/// A request that cannot be read, and why.
pub fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new("/problems/bad-request", "the request cannot be read", StatusCode::BAD_REQUEST)
        .detail(detail)
}

/// A field that is missing or wrong, and what would mend it.
pub(crate) fn bad_field(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new("/problems/bad-field", "a field is missing or wrong", StatusCode::BAD_REQUEST)
        .detail(detail)
        .with("field", field)
}

/// A body that arrived whole.
pub(crate) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|wrong| match wrong.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            "/problems/body-too-large",
            "the body is too large",
            StatusCode::PAYLOAD_TOO_LARGE,
        )
        .detail(format!("send {BODY_MAX} bytes at most")),
        _ => bad_request("the body broke off; send it again"),
    })
}

/// How long a body may be: 64 KiB.
pub const BODY_MAX: usize = 64 * 1024;
