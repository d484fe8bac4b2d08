use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aplomb_core::{IDEMPOTENCY_KEY, Problem};
use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::problems;

/// The answer of a unit of work, as it is kept and replayed.
///
/// Headers that belong to one connection or one moment are left out; duplicates and bytes that are
/// not text stay as they were. A body that was too long to keep, or a stream, is missing: then the
/// replay has the status and headers of the original, and a problem that says so for a body.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAnswer {
    status: StatusCode,
    // Shared, since it is copied into the store and out of it more often than it is made.
    headers: Arc<HeaderMap>,
    body: Option<Bytes>,
    /// The headers of a sealed answer, whose `headers` are empty and whose body is sealed too.
    sealed: Option<Bytes>,
}

impl StoredAnswer {
    /// What is kept of an answer; a body over `cap` bytes is not.
    pub fn new(status: StatusCode, headers: &HeaderMap, body: Option<Bytes>, cap: usize) -> Self {
        let (headers, body) = (Arc::new(kept(headers)), body.filter(|body| body.len() <= cap));
        Self { status, headers, body, sealed: None }
    }

    /// The same, sealed.
    pub(crate) fn sealed(status: StatusCode, head: Bytes, body: Option<Bytes>) -> Self {
        Self { status, headers: Arc::default(), body, sealed: Some(head) }
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers; none while it is [sealed](Self::is_sealed).
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its body, unless that was not kept; unreadable while it is [sealed](Self::is_sealed).
    pub const fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Whether only a [`Seal`](crate::Seal) can read its headers and body.
    pub const fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    pub(crate) const fn sealed_head(&self) -> Option<&Bytes> {
        self.sealed.as_ref()
    }

    /// Drops its body, for a store that has no room for it.
    pub fn drop_body(&mut self) {
        self.body = None;
    }

    /// How many bytes of memory it takes, about.
    pub fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let sealed = self.sealed.as_ref().map_or(0, Bytes::len);
        headers + sealed + self.body.as_ref().map_or(0, Bytes::len)
    }

    /// The answer once more. One that is still sealed is a problem instead.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        if self.is_sealed() {
            return problems::record_unreadable(None).into_response();
        }
        let Some(body) = self.body else {
            return not_retained(self.status, Arc::unwrap_or_clone(self.headers));
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = copy(&self.headers);
        response
    }

    /// Its headers in one column, byte for byte and in order, or sealed.
    pub fn headers_to_bytes(&self) -> Vec<u8> {
        if let Some(head) = &self.sealed {
            return [&[SEALED], &head[..]].concat();
        }
        let mut bytes = vec![VERSION];
        for (name, value) in &*self.headers {
            put(&mut bytes, name.as_str().as_bytes());
            put(&mut bytes, value.as_bytes());
        }
        bytes
    }

    /// The answer that a store wrote in columns.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when they were not written by [`headers_to_bytes`](Self::headers_to_bytes)
    /// of this or an earlier version.
    pub fn from_columns(
        status: u16,
        headers: &[u8],
        body: Option<Bytes>,
    ) -> Result<Self, Unreadable> {
        let status = StatusCode::from_u16(status).map_err(|_| Unreadable)?;
        if let Some(head) = headers.strip_prefix(&[SEALED]) {
            return Ok(Self::sealed(status, Bytes::copy_from_slice(head), body));
        }
        let headers = Arc::new(headers_from(headers).ok_or(Unreadable)?);
        Ok(Self { status, headers, body, sealed: None })
    }
}

/// A stored answer that this version cannot read.
///
/// ```
/// use aplomb_idempotency::{StoredAnswer, Unreadable};
///
/// let torn: Result<StoredAnswer, Unreadable> = StoredAnswer::from_columns(201, b"\xff\xff", None);
/// assert!(torn.is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored answer was written by another version; read it with that one")
    }
}

impl Error for Unreadable {}

/// The caller learns that its work was done, and what its result was called (`Location`), but not
/// the body. The status stays: to answer an error for work that was done would be a lie, and a
/// 5xx would be retried for ever.
fn not_retained<B: From<Bytes>>(status: StatusCode, mut headers: HeaderMap) -> Response<B> {
    if matches!(status.as_u16(), 204 | 205 | 304) {
        // These have no body to speak of (RFC 9110, section 15).
        let mut response = Response::new(Bytes::new().into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        return response;
    }
    let problem = Problem::new(problems::RESULT_NOT_RETAINED, "result not retained", status)
        .detail("the work was done once and is not repeated; its body was too long to keep");
    let mut response = problem.into_response();
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::ETAG] {
        headers.remove(name);
    }
    headers.remove(header::CACHE_CONTROL);
    for (name, value) in &headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// A copy with room for what else an answer is given on its way out: that it is a replay, its length,
/// its date. A copy of the usual kind would have to move for that, which costs more than making it.
fn copy(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(headers.len() + ADDED);
    for (name, value) in headers {
        copy.append(name.clone(), value.clone());
    }
    copy
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !NOT_KEPT.contains(name) && !named.contains(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// `Connection` names more headers that end with it (RFC 9110, section 7.6.1).
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    // Headers come from memory that no one fills with four gigabytes.
    bytes.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(part);
}

fn headers_from(bytes: &[u8]) -> Option<HeaderMap> {
    let (&VERSION, mut bytes) = bytes.split_first()? else {
        return None;
    };
    let mut headers = HeaderMap::new();
    while bytes.has_remaining() {
        let name = HeaderName::from_bytes(take(&mut bytes)?).ok()?;
        let value = HeaderValue::from_bytes(take(&mut bytes)?).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = bytes.try_get_u32().ok()? as usize;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

/// How many headers an answer is given on its way out.
const ADDED: usize = 4;
const VERSION: u8 = 1;
/// Stands where a version does. What is sealed has its own version inside.
const SEALED: u8 = 0x5e;

/// What belongs to one connection (RFC 9110, section 7.6.1), one message's framing, one moment or
/// one session.
static NOT_KEPT: [HeaderName; 18] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("authentication-info"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::DATE,
    header::AGE,
    HeaderName::from_static("server-timing"),
    header::SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    IDEMPOTENCY_KEY,
    problems::REPLAYED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_connection_or_a_moment_are_not_kept() {
        let headers = headers(&[
            ("connection", b"close, X-Hop"),
            ("x-hop", b"1"),
            ("date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
            ("set-cookie", b"session=1"),
            ("content-length", b"2"),
            ("transfer-encoding", b"chunked"),
            ("location", b"/orders/1"),
        ]);
        let answer = StoredAnswer::new(StatusCode::CREATED, &headers, None, 0);
        assert_eq!(answer.headers().keys().collect::<Vec<_>>(), ["location"]);
    }

    #[test]
    fn duplicates_and_raw_bytes_are_kept_through_a_column() {
        let headers = headers(&[("x-a", b"1"), ("x-b", b"\xff\xfe"), ("x-a", b"2"), ("x-c", b"")]);
        let body = Some(Bytes::from_static(b"\0body"));
        let answer = StoredAnswer::new(StatusCode::OK, &headers, body.clone(), 5);
        let read = StoredAnswer::from_columns(200, &answer.headers_to_bytes(), body).unwrap();
        assert_eq!(read, answer);
        assert_eq!(read.headers().get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn a_column_of_another_version_or_cut_short_is_not_guessed_at() {
        let answer = StoredAnswer::new(StatusCode::OK, &headers(&[("x-a", b"1")]), None, 0);
        let column = answer.headers_to_bytes();
        for length in 0..column.len() {
            let read = StoredAnswer::from_columns(200, &column[..length], None);
            assert_eq!(read.is_ok(), length == 1, "{length}");
        }
        assert!(StoredAnswer::from_columns(200, &[2], None).is_err());
        assert!(StoredAnswer::from_columns(99, &[1], None).is_err());
    }

    #[test]
    fn without_its_body_the_status_and_location_still_come_back() {
        let headers = headers(&[("location", b"/orders/1"), ("content-type", b"text/plain")]);
        let body = Some(Bytes::from_static(b"too long"));
        let response: Response<Bytes> =
            StoredAnswer::new(StatusCode::CREATED, &headers, body, 7).into_response();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["location"], "/orders/1");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.body().starts_with(b"{"));
    }

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }
}
