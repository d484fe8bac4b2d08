//! Bearer tokens in, principals out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aplomb_core::{Principal, Problem};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::Tokens;
use crate::answer::{Answer, Refused};

/// Lets known callers through, each with its [`Principal`].
pub(crate) async fn authenticate(
    State(tokens): State<Arc<Tokens>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return challenge("Bearer realm=\"inventory\"", "send Authorization: Bearer <token>");
    };
    let Some(principal) = tokens.principal(token) else {
        let challenged = "Bearer realm=\"inventory\", error=\"invalid_token\"";
        return challenge(challenged, "the token is not known here");
    };
    request.extensions_mut().insert(principal.clone());
    next.run(request).await
}

/// Refuses everyone but the back office.
pub(crate) fn backoffice_only(principal: &Principal) -> Result<(), Refused> {
    if is_backoffice(principal) {
        return Ok(());
    }
    let problem = Problem::new("/problems/forbidden", "not yours to do", StatusCode::FORBIDDEN);
    Err(problem.detail("only the back office sets stock").into())
}

pub(crate) fn is_backoffice(principal: &Principal) -> bool {
    principal.as_str() == "backoffice"
}

/// Lets only this machine through: its address, and the names by which browsers reach it, so that
/// no web page can turn the knobs by a name of its own that points here.
///
/// A middleware for whoever is served by [`serve`](crate::serve::serve), which says who asks.
///
/// # Errors
///
/// A problem for everybody else.
pub async fn loopback_only(request: Request, next: Next) -> Answer {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let near = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    if near && names_loopback(request.headers()) {
        return Ok(next.run(request).await);
    }
    let problem =
        Problem::new("/problems/loopback-only", "only from this machine", StatusCode::FORBIDDEN);
    Err(problem.detail("ask by way of localhost, 127.0.0.1 or [::1]").into())
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        None => true,
        Some(origin) => {
            origin.ok().and_then(|origin| origin.strip_prefix("http://")).is_some_and(is_loopback)
        }
    };
    host.is_some_and(is_loopback) && origin
}

fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

fn challenge(with: &'static str, detail: &str) -> Response {
    let problem = Problem::new("/problems/unauthorized", "who are you?", StatusCode::UNAUTHORIZED);
    let mut response = Refused(problem.detail(detail)).into_response();
    response.headers_mut().insert(CHALLENGE, HeaderValue::from_static(with));
    response
}

const SCHEME: &[u8] = b"Bearer ";
const CHALLENGE: HeaderName = header::WWW_AUTHENTICATE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for near in ["localhost", "LOCALHOST:7001", "127.0.0.1", "127.8.0.1:80", "[::1]:7001"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["", "example.org", "localhost.example.org", "10.0.0.1", "[::2]", "a b"] {
            assert!(!is_loopback(far), "{far}");
        }
    }

    #[test]
    fn a_token_comes_after_its_scheme_in_any_case() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), token.map(str::as_bytes), "{value}");
        }
    }
}
