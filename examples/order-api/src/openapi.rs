//! `GET /openapi.json`: what may be asked, in a form that machines read.

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::OpenApi;

use crate::{fulfilment, returns, routes};

pub(crate) use aplomb_inventory_service::shell::ProblemDetails;

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "this document", body = Object))
)]
pub(crate) async fn document() -> Response {
    let json = Document::openapi().to_json().expect("a document is strings all through");
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Order API",
        description = "Orders whose outcome is told truthfully. What places or returns something \
            carries an `Idempotency-Key`; what nobody knows yet is answered `pending`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        routes::place,
        routes::show,
        routes::timeline,
        routes::availability,
        routes::healthz,
        routes::readyz,
        routes::metrics,
        routes::policies,
        returns::route::give_back,
        fulfilment::routes::list,
        fulfilment::routes::show,
        fulfilment::routes::redrive,
        document,
    ),
    components(schemas(ProblemDetails))
)]
struct Document;
