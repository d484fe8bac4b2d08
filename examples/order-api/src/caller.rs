//! Who asks, as far as it goes along with what is asked of others for it.

use std::convert::Infallible;

use aplomb_core::Deadline;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use tower_http::request_id::RequestId;

/// Until when somebody waits, and the name of his request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) deadline: Option<Deadline>,
    name: Option<HeaderValue>,
}

impl Caller {
    /// The same, who waits no longer than this.
    pub(crate) fn until(self, deadline: Deadline) -> Self {
        let least = self.deadline.map_or(deadline, |inherited| inherited.min(deadline));
        Self { deadline: Some(least), ..self }
    }

    /// Writes on a request what whoever answers it must know of the caller.
    pub(crate) fn speaks<B>(&self, request: &mut Request<B>) {
        if let Some(deadline) = self.deadline {
            request.extensions_mut().insert(deadline);
        }
        if let Some(name) = &self.name {
            request.headers_mut().insert(REQUEST_ID, name.clone());
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let name = parts.extensions.get::<RequestId>();
        let name = name.map(|name| name.header_value().clone());
        Ok(Self { deadline: parts.extensions.get().copied(), name })
    }
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
