//! Notes replays beside the effects that they repeat.

use std::sync::Arc;

use aplomb_core::Principal;
use aplomb_idempotency::{Bare, Key, problems::REPLAYED};
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::inventory::App;
use crate::ledger;
use crate::points::Point;

/// Goes around the idempotency layer. A replay whose note cannot be written is answered all the
/// same: its effect was noted when it was made.
pub(crate) async fn note(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    next: Next,
) -> Response {
    let key = Key::of(request.headers(), Bare::Taken).ok().flatten();
    let headers = request.headers().clone();
    let response = next.run(request).await;
    app.points.reach(Point::BeforeResponse, &headers);
    if !response.headers().contains_key(REPLAYED) {
        return response;
    }
    if let Some(key) = key {
        let noted = app.note_replay(principal.as_str(), key.as_str()).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a replay could not be noted");
        }
    }
    response
}

impl App {
    async fn note_replay(&self, caller: &str, key: &str) -> sqlx::Result<()> {
        let mut writer = self.shell.database().writer().await?;
        ledger::note_replay(writer.at(), caller, key).await
    }
}
