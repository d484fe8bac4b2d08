use std::collections::HashMap;
use std::sync::Arc;

use aplomb_core::{Principal, Problem};
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

use crate::answer::{Answer, bad_field, bad_request, ok, unknown_sku};
use crate::auth::is_backoffice;
use crate::domain::{Audit, Events};
use crate::inventory::App;
use crate::ledger;
use crate::shell::ProblemDetails;

/// `GET /inventory/audit?sku=`: the figures that must add up, by SQL from the rows.
#[utoipa::path(
    get,
    path = "/inventory/audit",
    params(("sku" = String, Query)),
    responses(
        (status = 200, description = "the figures that must add up", body = Audit),
        (status = 400, description = "no sku", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn figures(State(app): State<Arc<App>>, query: Asked) -> Answer {
    let query = asked(query)?;
    let Some(sku) = query.get("sku") else {
        return Err(bad_field("sku", "sku is missing; ask for ?sku=…").into());
    };
    let mut reader = app.shell.database().reader().await?;
    let found = ledger::audit(reader.at(), sku).await?;
    Ok(ok(&found.ok_or_else(|| unknown_sku(sku))?))
}

/// `GET /inventory/audit/events?key=`: what was done, oldest first. The back office sees what
/// everyone did, others what they did themselves.
#[utoipa::path(
    get,
    path = "/inventory/audit/events",
    params(("key" = Option<String>, Query, description = "of one key alone")),
    responses(
        (status = 200, description = "what was done, oldest first", body = Events),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    query: Asked,
) -> Answer {
    let query = asked(query)?;
    let key = query.get("key").map(String::as_str);
    let caller = (!is_backoffice(&principal)).then(|| principal.as_str());
    let mut reader = app.shell.database().reader().await?;
    let events = ledger::events(reader.at(), key, caller).await?;
    Ok(ok(&Events { events }))
}

type Asked = Result<Query<HashMap<String, String>>, QueryRejection>;

fn asked(query: Asked) -> Result<HashMap<String, String>, Problem> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(wrong) => Err(bad_request(wrong.body_text())),
    }
}
