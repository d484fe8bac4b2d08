//! Which answers are kept.

use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};

use crate::last_good::directives::Directives;
use crate::last_good::key::CREDENTIALS;

/// Whether an answer to this request may be kept at all: it is a read of the whole, and its caller
/// does not forbid it.
pub(crate) fn is_asked_for<T>(request: &Request<T>) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers();
    is_read && !headers.contains_key(header::RANGE) && !Directives::of(headers).no_store
}

/// Whether a good answer may be kept under a key of which `chosen` are the headers, and which names
/// its caller or does not (RFC 9111, section 3).
pub(crate) fn may_be_kept(
    status: StatusCode,
    headers: &HeaderMap,
    origin: &Directives,
    chosen: &[HeaderName],
    names_a_caller: bool,
) -> bool {
    // A part says nothing about the whole.
    let is_whole = status.is_success() && status != StatusCode::PARTIAL_CONTENT;
    // `no-cache` asks for a check before each use, which a dependency that fails cannot make.
    let is_forbidden = origin.no_store || origin.no_cache;
    let is_anothers = origin.private && !names_a_caller;
    // A cookie is given to one caller, once.
    let gives_a_cookie = headers.contains_key(header::SET_COOKIE);
    is_whole
        && !is_forbidden
        && !is_anothers
        && !gives_a_cookie
        && varies_by(headers, chosen, names_a_caller)
}

/// Whether the key tells apart what the answer depends on.
fn varies_by(headers: &HeaderMap, chosen: &[HeaderName], names_a_caller: bool) -> bool {
    let is_known = |name: &str| {
        chosen.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
            || names_a_caller
                && CREDENTIALS.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
    };
    headers.get_all(header::VARY).iter().all(|value| {
        let names = value.to_str().unwrap_or("*").split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).all(is_known)
    })
}

/// The headers of an answer that are kept: those that belong to the connection it came by are not.
pub(crate) fn kept_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for value in headers.get_all(header::CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            kept.remove(name.trim());
        }
    }
    for name in CONNECTIONS {
        kept.remove(name);
    }
    kept
}

/// RFC 9110, section 7.6.1. The age is told anew each time.
const CONNECTIONS: [&str; 9] = [
    "age",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_kept_or_not_for_a_reason() {
        let chosen = [header::ACCEPT];
        // Headers · kept for nobody in particular · kept for a caller.
        for (name, value, shared, own) in [
            ("x-plain", "1", true, true),
            ("cache-control", "max-age=0", true, true),
            ("cache-control", "no-store", false, false),
            ("cache-control", "no-cache", false, false),
            ("cache-control", "private", false, true),
            ("set-cookie", "a=b", false, false),
            ("vary", "Accept", true, true),
            ("vary", "accept, accept-language", false, false),
            ("vary", "*", false, false),
            ("vary", "Authorization", false, true),
            ("vary", "", true, true),
        ] {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )]);
            let kept = |names_a_caller| {
                let origin = Directives::of(&headers);
                may_be_kept(StatusCode::OK, &headers, &origin, &chosen, names_a_caller)
            };
            assert_eq!((kept(false), kept(true)), (shared, own), "{name}: {value}");
        }
    }

    #[test]
    fn only_a_whole_success_is_kept() {
        let (headers, origin) = (HeaderMap::new(), Directives::default());
        for (status, kept) in [(200, true), (204, true), (206, false), (304, false), (404, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(may_be_kept(status, &headers, &origin, &[], true), kept, "{status}");
        }
    }

    #[test]
    fn a_part_a_write_and_what_its_caller_forbids_are_not_asked_for() {
        let asked = |method: Method, name: &'static str, value: &'static str| {
            let request = Request::builder().method(method).header(name, value).body(());
            is_asked_for(&request.unwrap())
        };
        assert!(asked(Method::GET, "x", "1") && asked(Method::HEAD, "x", "1"));
        assert!(!asked(Method::POST, "x", "1") && !asked(Method::OPTIONS, "x", "1"));
        assert!(!asked(Method::GET, "range", "bytes=0-1"));
        assert!(!asked(Method::GET, "cache-control", "no-store"));
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for name in ["connection", "x-hop", "transfer-encoding", "etag", "age"] {
            headers.insert(name, http::HeaderValue::from_static("x-hop"));
        }
        let kept = kept_headers(&headers);
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }
}
