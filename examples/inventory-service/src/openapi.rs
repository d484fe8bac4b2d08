//! `GET /openapi.json`: what may be asked, in a form that machines read.

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use http::header;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::routes::{audit, legacy, products, reservations};
use crate::shell::{self, ProblemDetails};

/// The route that answers the document, which names the naive lane where there is one.
pub(crate) fn route(has_legacy: bool) -> Router {
    let mut document = Document::openapi();
    if has_legacy {
        document.merge(Naive::openapi());
    }
    document.merge(shell::document());
    let json = document.to_json().expect("a document is strings all through");
    let json = Bytes::from(json);
    let answer = move || async { ([(header::CONTENT_TYPE, "application/json")], json) };
    Router::new().route("/openapi.json", get(answer))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Inventory Service",
        description = "Stock that is reserved once per order line. A request to reserve carries an \
            `Idempotency-Key`; the same key is answered with the same answer.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        products::put,
        products::availability,
        reservations::reserve,
        reservations::get,
        reservations::release,
        audit::figures,
        audit::events,
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

#[derive(OpenApi)]
#[openapi(paths(legacy::reserve))]
struct Naive;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
    }
}
