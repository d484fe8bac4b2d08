//! What each path does.

pub(crate) mod audit;
pub(crate) mod operations;
pub(crate) mod products;
pub(crate) mod reservations;

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::{BytesRejection, PathRejection};
use http::StatusCode;

use aplomb_core::Problem;

use crate::answer::bad_request;

/// The one name in a path.
fn name(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    match path {
        Ok(Path(name)) => Ok(name),
        Err(wrong) => Err(bad_request(wrong.body_text())),
    }
}

/// A body that arrived whole.
fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
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
pub(crate) const BODY_MAX: usize = 64 * 1024;
