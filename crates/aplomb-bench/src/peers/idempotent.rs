//! axum-idempotent, which keeps its keys by session.

use std::sync::Arc;

use axum::Router;
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, SessionLayer};
use tower_cookies::CookieManagerLayer;

/// Its layer with the session it needs, on a store in memory.
pub(crate) fn around(routes: Router) -> Router {
    with(routes, |options| options.use_idempotency_key_header(None, false))
}

/// The same, with what is changed about its options.
pub fn with(routes: Router, change: impl FnOnce(IdempotentOptions) -> IdempotentOptions) -> Router {
    let cookie = CookieOptions::build().name("session").max_age(86_400).path("/");
    let sessions = SessionLayer::new(Arc::new(MokaStore::builder().build()));
    routes
        .layer(IdempotentLayer::<MokaStore>::new(change(IdempotentOptions::new(DAY))))
        .layer(sessions.with_cookie_options(cookie))
        .layer(CookieManagerLayer::new())
}

const DAY: i64 = 86_400;
/// The session that every caller is in.
pub const COOKIE: &str = "session=AAAAAAAAAAAAAAAAAAAAAA";
