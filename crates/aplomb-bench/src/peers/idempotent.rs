use std::sync::Arc;

use axum::Router;
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, SessionLayer};
use tower_cookies::CookieManagerLayer;

/// Its layer with the session it needs, on a store in memory.
pub(crate) fn around(routes: Router) -> Router {
    let options = IdempotentOptions::new(DAY).use_idempotency_key_header(None, false);
    let cookie = CookieOptions::build().name("session").max_age(86_400).path("/");
    let sessions = SessionLayer::new(Arc::new(MokaStore::builder().build()));
    routes
        .layer(IdempotentLayer::<MokaStore>::new(options))
        .layer(sessions.with_cookie_options(cookie))
        .layer(CookieManagerLayer::new())
}

const DAY: i64 = 86_400;
/// The session that every caller is in.
pub(crate) const COOKIE: &str = "session=AAAAAAAAAAAAAAAAAAAAAA";
