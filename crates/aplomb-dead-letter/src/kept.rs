//! What of a request is kept: enough to send it again, and no secret.

use std::fmt;
use std::str::FromStr;

use aplomb_core::{BoxError, IDEMPOTENCY_KEY};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

/// A request at rest. It never holds what authenticates its sender: whoever sends it again does so
/// under its own name.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct KeptRequest {
    /// Its method.
    pub method: Method,
    /// Its target, without credentials.
    pub uri: Uri,
    /// Those of its headers that are kept.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl KeptRequest {
    /// Keeps a request: of its headers the usual ones and those that are `also` allowed.
    pub fn of(parts: &Parts, body: Bytes, also: &[HeaderName]) -> Self {
        let (method, uri) = (parts.method.clone(), without_credentials(&parts.uri));
        Self { method, uri, headers: allowed(&parts.headers, also), body }
    }

    /// The request to send again.
    pub fn to_request<B: From<Bytes>>(&self) -> Request<B> {
        let mut request = Request::new(self.body.clone().into());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// For stores: its headers as one text, a JSON array of pairs. Bytes that are no ASCII are
    /// written as the Latin-1 characters of the same number.
    pub fn headers_to_text(&self) -> String {
        let pairs = pairs(&self.headers).map(|(name, value)| vec![name, value]);
        pairs.collect::<serde_json::Value>().to_string()
    }

    /// For stores: a request from its columns.
    ///
    /// # Errors
    ///
    /// When one of them is nothing that this version writes.
    pub fn from_columns(
        method: &str,
        uri: &str,
        headers: &str,
        body: Bytes,
    ) -> Result<Self, BoxError> {
        let pairs: Vec<(String, String)> = serde_json::from_str(headers)?;
        Self::from_pairs(method, uri, &pairs, body)
    }

    pub(crate) fn from_pairs(
        method: &str,
        uri: &str,
        pairs: &[(String, String)],
        body: Bytes,
    ) -> Result<Self, BoxError> {
        let mut headers = HeaderMap::with_capacity(pairs.len());
        for (name, value) in pairs {
            headers.append(HeaderName::from_str(name)?, value_of(value)?);
        }
        let (method, uri) = (Method::from_bytes(method.as_bytes())?, uri.parse()?);
        Ok(Self { method, uri, headers, body })
    }

    pub(crate) fn header_pairs(&self) -> Vec<(String, String)> {
        pairs(&self.headers).collect()
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        self.body.len() + headers.sum::<usize>() + self.uri.path().len()
    }
}

/// A body may say too much in a log.
impl fmt::Debug for KeptRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRequest")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The headers that are kept.
fn allowed(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
    let is_kept = |name: &HeaderName, value: &HeaderValue| {
        let is_allowed = USUAL.contains(name) || also.contains(name);
        is_allowed && !SECRET.contains(name) && !value.is_sensitive()
    };
    let kept = headers.iter().filter(|(name, value)| is_kept(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn without_credentials(uri: &Uri) -> Uri {
    let Some((_, host)) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@'))
    else {
        return uri.clone();
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = host.parse().ok();
    Uri::from_parts(parts).unwrap_or_default()
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().map(|(name, value)| {
        let value = value.as_bytes().iter().map(|&byte| char::from(byte)).collect();
        (name.as_str().to_owned(), value)
    })
}

fn value_of(text: &str) -> Result<HeaderValue, BoxError> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    Ok(HeaderValue::from_bytes(&bytes?)?)
}

/// Headers that say what the body is, what is asked for and which call it was.
static USUAL: [HeaderName; 13] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::TE,
    IDEMPOTENCY_KEY,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];
/// Headers that are never kept, whoever asks for them.
static SECRET: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::SET_COOKIE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authenticates_is_never_kept() {
        let mut secret = HeaderValue::from_static("hush");
        secret.set_sensitive(true);
        let request = Request::post("http://me:pw@ships:7002/shipments?a=b")
            .header("authorization", "Bearer secret")
            .header("cookie", "session")
            .header("x-api-key", secret)
            .header("x-tenant", "shop")
            .header("x-unknown", "?")
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let also = ["authorization", "cookie", "x-api-key", "x-tenant"];
        let also: Vec<_> = also.into_iter().map(HeaderName::from_static).collect();
        let kept = KeptRequest::of(&parts, Bytes::new(), &also);
        let mut names: Vec<_> = kept.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "idempotency-key", "x-tenant"]);
        assert_eq!(kept.uri, "http://ships:7002/shipments?a=b");
    }

    #[test]
    fn headers_come_back_byte_for_byte() {
        let mut request = Request::post("/shipments").body(()).unwrap();
        for value in [&b"one"[..], b"two", b"caf\xe9 \xff"] {
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().append("accept", value);
        }
        let (parts, ()) = request.into_parts();
        let kept = KeptRequest::of(&parts, Bytes::from_static(b"\0\xff"), &[]);
        let text = kept.headers_to_text();
        let again =
            KeptRequest::from_columns("POST", "/shipments", &text, kept.body.clone()).unwrap();
        assert_eq!(again, kept);
        let sent: Request<Bytes> = again.to_request();
        assert_eq!(sent.headers().get_all("accept").iter().count(), 3);
    }
}
