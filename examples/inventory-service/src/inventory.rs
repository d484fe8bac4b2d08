use std::future::Future;
use std::sync::Arc;

use aplomb_admission::{AdmissionLayer, Inbound};
use aplomb_chaos::{Chaos, Event};
use aplomb_core::BoxError;
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::{Claim, IdempotencyLayer, ServerErrors};
use aplomb_telemetry::OperationMetrics;
use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post, put};
use axum::serve::Listener;
use http::Request;
use tower::Service;
use tower::util::option_layer;

use crate::database::Tables;
use crate::records::Records;
use crate::routes::{audit, legacy, products, reservations};
use crate::shell::{Opening, Shell};
use crate::{Config, Points, StartError, Tokens, auth, openapi, replays};

/// The Inventory Service, its database open. Clones share everything.
#[derive(Clone, Debug)]
pub struct Inventory {
    app: Arc<App>,
    keys: IdempotencyLayer<Arc<Records>, OperationMetrics>,
    doors: Option<AdmissionLayer<Inbound, OperationMetrics>>,
    transactional: bool,
    legacy: bool,
}

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) shell: Shell,
    pub(crate) points: Points,
    tokens: Arc<Tokens>,
}

impl Inventory {
    /// Opens the database, making it when it is missing.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, the database is in use elsewhere,
    /// damaged or out of reach, or the store of keys cannot be used; it says what to do.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let opening = Opening {
            place: &config.place,
            tables: &TABLES,
            keys: &config.keys,
            chaos_seed: config.chaos_seed,
            limits: config.limits,
        };
        let shell = Shell::open(opening).await?;
        let keys = shell.keys("reserve", config.lease, config.keep);
        let doors = config.doors.map(|doors| doors.layer(shell.any_operation()));
        let (transactional, legacy) = (config.keys.are_transactional(), config.legacy);
        let app = App { shell, points: config.points, tokens: Arc::new(config.tokens) };
        Ok(Self { app: Arc::new(app), keys, doors, transactional, legacy })
    }

    /// Its faults: another handle on the knobs of `/chaos`.
    pub fn chaos(&self) -> &Chaos<fn(&Event)> {
        self.app.shell.chaos()
    }

    /// Its routes, without the stations that cut connections, which a router cannot do.
    pub fn router(&self) -> Router {
        let Self { app, doors, .. } = self;
        let noted = from_fn_with_state(Arc::clone(app), replays::note);
        let naive = Router::new().route("/legacy/reservations", post(legacy::reserve));
        let faulty = if self.legacy { naive } else { Router::new() };
        let faulty = faulty
            .route("/products/{sku}", put(products::put))
            .route("/products/{sku}/availability", get(products::availability))
            .route("/inventory/reservations", self.reserve().route_layer(noted))
            .route(
                "/inventory/reservations/{id}",
                get(reservations::get).delete(reservations::release),
            )
            .route_layer(option_layer(doors.clone()))
            .route_layer(app.shell.chaos().errors());
        let guarded = faulty
            .route("/inventory/audit", get(audit::figures))
            .route("/inventory/audit/events", get(audit::events))
            .route_layer(DeadlineLayer::inherit().observe(app.shell.any_operation()))
            .route_layer(from_fn_with_state(Arc::clone(&app.tokens), auth::authenticate));
        let own = guarded.with_state(Arc::clone(app)).merge(openapi::route(self.legacy));
        app.shell.router(own)
    }

    /// The route that reserves. A record beside the rows commits with them; one elsewhere may be
    /// missing for what was done, and then the rows are asked.
    fn reserve(&self) -> MethodRouter<Arc<App>> {
        if self.transactional {
            return self.keys.clone().transactional().post(reservations::reserve);
        }
        let app = Arc::clone(&self.app);
        let keys = self.keys.clone().server_errors(ServerErrors::Unknown);
        let recovered = keys.recover(move |claim: Claim| {
            let app = Arc::clone(&app);
            async move { reservations::recover(&app, claim.caller(), claim.key()).await }
        });
        post(reservations::reserve_apart).route_layer(recovered)
    }

    /// The whole service: an error it answers means that the connection is to be cut.
    pub fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static {
        self.app.shell.service(self.router(), is_faulty)
    }

    /// Serves until `shutdown` completes, finishes what is in flight, then closes the database: see
    /// [`Shell::serve`].
    pub async fn serve<L>(self, listener: L, shutdown: impl Future<Output = ()>)
    where
        L: Listener<Addr: Clone + Sync + 'static>,
    {
        let (service, handlers) = (self.service(), self.keys.drain());
        self.app.shell.serve(listener, service, &handlers, shutdown).await;
    }

    /// How many handlers hold a key now, their callers waiting or gone.
    pub fn running(&self) -> usize {
        self.keys.drain().running()
    }

    /// Closes the database once its connections are given back. Calls made later are answered 503.
    pub async fn close(&self) {
        self.app.shell.close().await;
    }
}

/// Products and reservations: what chaos may touch.
fn is_faulty(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    ["/products/", "/inventory/reservations", "/legacy/"].iter().any(|of| path.starts_with(of))
}

static TABLES: Tables = Tables {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
