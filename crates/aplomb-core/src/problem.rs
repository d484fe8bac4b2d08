//! Problem details (RFC 9457): what every refusal of a server answers.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

/// A refusal, as `application/problem+json`.
///
/// ```
/// use aplomb_core::Problem;
/// use bytes::Bytes;
///
/// let problem = Problem::new("/problems/out-of-stock", "out of stock", http::StatusCode::CONFLICT)
///     .detail("0 of sku mug are left")
///     .with("sku", "mug");
/// let response: http::Response<Bytes> = problem.into_response();
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Problem {
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    status: StatusCode,
    more: Map<String, Value>,
}

impl Problem {
    /// A problem of a stable kind (its `type`, a URI reference) under a title for people.
    pub fn new(
        kind: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        status: StatusCode,
    ) -> Self {
        Self { kind: kind.into(), title: title.into(), status, more: Map::new() }
    }

    /// What is wrong this time, and what would mend it.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", detail.into())
    }

    /// A member of its own, beside the standard ones.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.more.insert(name.into(), value.into());
        self
    }

    /// Its stable kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to send.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut members = self.more;
        members.insert("type".into(), self.kind.into());
        members.insert("title".into(), self.title.into());
        members.insert("status".into(), self.status.as_u16().into());
        let mut response = Response::new(Bytes::from(Value::from(members).to_string()).into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // A refusal describes one moment; a cache that kept it would refuse for ever.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_members_cannot_be_overwritten() {
        let problem = Problem::new("/problems/x", "x", StatusCode::CONFLICT).with("status", 200);
        let response: Response<Bytes> = problem.into_response();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["status"], 409);
    }
}
