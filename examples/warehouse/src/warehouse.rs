use std::future::Future;
use std::sync::Arc;

use aplomb_chaos::{Chaos, Event};
use aplomb_core::BoxError;
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::IdempotencyLayer;
use aplomb_inventory_service::database::Tables;
use aplomb_inventory_service::shell::{Opening, Shell};
use aplomb_inventory_service::{Keys, Records, StartError, loopback_only};
use aplomb_telemetry::OperationMetrics;
use axum::Router;
use axum::body::Body;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, put};
use axum::serve::Listener;
use http::Request;
use tower::Service;

use crate::{Config, operations, shipments};

/// The Warehouse, its database open. Clones share everything.
#[derive(Clone, Debug)]
pub struct Warehouse {
    shell: Shell,
    keys: IdempotencyLayer<Arc<Records>, OperationMetrics>,
}

impl Warehouse {
    /// Opens the database, making it when it is missing.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, or the database is in use elsewhere,
    /// damaged or out of reach; it says what to do.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let opening = Opening {
            place: &config.place,
            tables: &TABLES,
            keys: &Keys::Database,
            chaos_seed: config.chaos_seed,
            limits: config.limits,
        };
        let shell = Shell::open(opening).await?;
        let keys = shell.keys("ship", config.lease, config.keep).global_scope(SCOPE);
        Ok(Self { shell, keys })
    }

    /// Its faults: another handle on the knobs of `/chaos`.
    pub fn chaos(&self) -> &Chaos<fn(&Event)> {
        self.shell.chaos()
    }

    /// Its routes, without the stations that cut connections, which a router cannot do.
    pub fn router(&self) -> Router {
        let shell = &self.shell;
        let ship = self.keys.clone().transactional().post(shipments::ship);
        let ship = ship.route_layer(from_fn_with_state(shell.clone(), shipments::gate));
        let faulty = Router::new()
            .route("/shipments", ship)
            .route("/shipments/{order_id}", get(shipments::show))
            .route_layer(shell.chaos().errors())
            .route_layer(DeadlineLayer::inherit().observe(shell.any_operation()));
        let near = Router::new()
            .route("/poison", get(operations::poisoned).put(operations::poison))
            .route_layer(from_fn(loopback_only));
        let own = faulty
            .merge(near)
            .route("/audit", get(operations::audit))
            .route("/analytics", get(operations::analytics))
            .route("/analytics/orders/{order_id}", put(shipments::hear));
        shell.router(own.with_state(shell.clone()))
    }

    /// The whole service: an error it answers means that the connection is to be cut.
    pub fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static {
        self.shell.service(self.router(), is_faulty)
    }

    /// Serves until `shutdown` completes, finishes what is in flight, then closes the database: see
    /// [`Shell::serve`].
    pub async fn serve<L>(self, listener: L, shutdown: impl Future<Output = ()>)
    where
        L: Listener<Addr: Clone + Sync + 'static>,
    {
        self.shell.serve(listener, self.service(), &self.keys.drain(), shutdown).await;
    }
}

/// Shipments: what chaos may touch.
fn is_faulty(request: &Request<Body>) -> bool {
    request.uri().path().starts_with("/shipments")
}

/// The file in the data directory that holds shipments and the records of their keys.
pub const DATABASE: &str = "warehouse.db";

/// The one scope of keys: whoever can reach the Warehouse may have orders shipped.
const SCOPE: &str = "warehouse";

static TABLES: Tables = Tables {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
