//! Claims and answers in axum's words.

mod handler;
mod route;

use aplomb_core::Problem;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::{Claim, Recorded, Refusal, problems};

pub use handler::RecordingHandler;

impl<S: Sync> FromRequestParts<S> for Claim {
    type Rejection = Response;

    /// # Errors
    ///
    /// A 500 on a route that the layer does not guard, or for a method that needs no key.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let claim = parts.extensions.get::<Self>().cloned();
        claim.ok_or_else(|| {
            let problem =
                Problem::new(problems::NO_CLAIM, "no claim", StatusCode::INTERNAL_SERVER_ERROR);
            let detail = "put the IdempotencyLayer on this route, which must be POST or PATCH";
            problem.detail(detail).into_response::<Body>()
        })
    }
}

impl IntoResponse for Recorded {
    fn into_response(self) -> Response {
        self.into_response::<Body>()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_response::<Body>()
    }
}
