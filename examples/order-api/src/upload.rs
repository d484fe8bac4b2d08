//! Orders that are longer than any order may be.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};

use crate::answer;
use crate::ask::Ask;

/// The longest body that is taken on: 64 KiB.
pub(crate) const BODY_MAX: usize = 64 * 1024;

/// Goes around the idempotency layer, which answers 413 to a body over the cap. An order of ten
/// thousand lines is told that it has too many of them instead: its sender counts lines, not bytes.
pub(crate) async fn count_lines(request: Request, next: Next) -> Response {
    if !is_over_the_cap(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LOOK_MAX).await else {
        return answer::bad_request("the body broke off; send it whole").into_response();
    };
    match Ask::too_many_lines(&body) {
        Some(bad) => answer::bad_request(bad.to_string()).into_response(),
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

/// A body that does not say how long it is, is read no further than the cap.
fn is_over_the_cap(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| length > BODY_MAX && length <= LOOK_MAX)
}

/// Far more than ten thousand lines take.
const LOOK_MAX: usize = 1024 * 1024;
