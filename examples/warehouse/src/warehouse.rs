use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aplomb_chaos::{Chaos, Event};
use aplomb_core::BoxError;
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::{IdempotencyLayer, Store};
use aplomb_inventory_service::database::{Database, Tables};
use aplomb_inventory_service::serve::{self, Limits};
use aplomb_inventory_service::{Keys, Records, StartError, loopback_only};
use aplomb_telemetry::{Metrics, OperationMetrics};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, put};
use axum::serve::Listener;
use http::Request;
use prometheus::Registry;
use tower::{Layer, Service};

use crate::{Config, operations, shipments};

/// The Warehouse, its database open. Clones share everything.
#[derive(Clone, Debug)]
pub struct Warehouse {
    app: Arc<App>,
    keys: IdempotencyLayer<Arc<Records>, OperationMetrics>,
    limits: Limits,
}

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) database: Database,
    store: Arc<Records>,
    pub(crate) chaos: Chaos<Told>,
    pub(crate) metrics: Metrics,
    stopping: AtomicBool,
}

/// Hears of injected faults.
type Told = fn(&Event);

impl Warehouse {
    /// Opens the database, making it when it is missing.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, or the database is in use elsewhere,
    /// damaged or out of reach; it says what to do.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let database = Database::open(&config.place, &TABLES).await?;
        let store = Arc::new(Records::open(&Keys::Database, &database).await?);
        let metrics = Metrics::register(&Registry::new(), None)
            .map_err(|error| StartError::setting("the metrics", METRICS_MEND, error))?;
        let keys = IdempotencyLayer::new(Arc::clone(&store))
            .global_scope(SCOPE)
            .lease(config.lease)
            .keep(config.keep)
            // The shipment's row remembers its key for ever.
            .retire(Duration::ZERO)
            .body_cap(BODY_MAX)
            .observe(metrics.operation("ship"));
        let chaos = config.chaos_seed.map_or_else(Chaos::new, Chaos::seeded);
        let app = App {
            database,
            store,
            chaos: chaos.observe(tell as Told),
            metrics,
            stopping: AtomicBool::new(false),
        };
        Ok(Self { app: Arc::new(app), keys, limits: config.limits })
    }

    /// Its faults: another handle on the knobs of `/chaos`.
    pub fn chaos(&self) -> &Chaos<fn(&Event)> {
        &self.app.chaos
    }

    /// Its routes, without the station that cuts connections, which a router cannot do.
    pub fn router(&self) -> Router {
        let app = &self.app;
        let ship = self.keys.clone().transactional().post(shipments::ship);
        let ship = ship.route_layer(from_fn_with_state(Arc::clone(app), shipments::gate));
        let faulty = Router::new()
            .route("/shipments", ship)
            .route("/shipments/{order_id}", get(shipments::show))
            .route_layer(app.chaos.errors())
            .route_layer(DeadlineLayer::inherit());
        let near = Router::new()
            .route("/chaos", get(operations::knobs).put(operations::turn))
            .route("/poison", get(operations::poisoned).put(operations::poison))
            .route_layer(from_fn(loopback_only));
        faulty
            .merge(near)
            .route("/audit", get(operations::audit))
            .route("/analytics", get(operations::analytics))
            .route("/analytics/orders/{order_id}", put(shipments::hear))
            .route("/healthz", get(operations::healthz))
            .route("/readyz", get(operations::readyz))
            .route("/metrics", get(operations::metrics))
            .fallback(operations::nowhere)
            .method_not_allowed_fallback(operations::not_so)
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(Arc::clone(app))
    }

    /// The whole service: an error it answers means that the connection is to be cut.
    pub fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static {
        self.app.chaos.edge().only(is_faulty).layer(self.router())
    }

    /// Serves until `shutdown` completes, finishes what is in flight, then closes the database.
    ///
    /// Handlers whose callers have gone are waited for as long as connections are:
    /// [`Limits::drain`] each. Dropping the future cuts every connection; handlers that hold a key
    /// run on.
    pub async fn serve<L>(self, listener: L, shutdown: impl Future<Output = ()>)
    where
        L: Listener<Addr: Clone + Sync + 'static>,
    {
        let stop = async {
            shutdown.await;
            self.app.stopping.store(true, Ordering::Release);
        };
        tokio::select! {
            _ = serve::serve(listener, self.service(), self.limits, stop) => {}
            never = sweep(&self.app.store) => match never {},
        }
        let left = self.keys.drain().wait(self.limits.drain).await;
        if left > 0 {
            tracing::warn!(left, "handlers still run; their keys are free when their leases end");
        }
        self.app.store.close().await;
        self.app.database.close().await;
    }
}

/// Shipments: what chaos may touch.
fn is_faulty(request: &Request<Body>) -> bool {
    request.uri().path().starts_with("/shipments")
}

/// Forgets expired keys, for ever.
async fn sweep(store: &Records) -> Infallible {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = store.sweep(SWEEP_MOST).await {
            tracing::warn!(%error, "expired keys could not be swept");
        }
    }
}

fn tell(event: &Event) {
    tracing::debug!(?event, "chaos");
}

impl App {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// The file in the data directory that holds shipments and the records of their keys.
pub const DATABASE: &str = "warehouse.db";

/// The one scope of keys: whoever can reach the Warehouse may have orders shipped.
const SCOPE: &str = "warehouse";
/// Bodies up to 64 KiB.
pub(crate) const BODY_MAX: usize = 64 * 1024;
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Few enough that a sweep holds the writer for milliseconds.
const SWEEP_MOST: usize = 500;
const METRICS_MEND: &str = "report this, it is a bug";

static TABLES: Tables = Tables {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
