use std::fmt;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::{IdempotencyLayer, Store};
use aplomb_idempotency_sqlx::SqliteStore;
use aplomb_idempotency_sqlx::sqlite::{self, Pools};
use aplomb_inventory_service::serve::{self, Limits};
use aplomb_telemetry::{Metrics, OperationMetrics};
use axum::Router;
use axum::routing::{get, post};
use axum::serve::Listener;
use http::HeaderValue;
use hyper_util::client::legacy::connect::Connect;
use prometheus::Registry;

use crate::desk::Desk;
use crate::inventory::Inventory;
use crate::orders::{Orders, Tally};
use crate::reconciler::Reconciler;
use crate::{Config, StartError, routes};

/// The Order API, its database open. Clones share everything.
#[derive(Clone)]
pub struct OrderApi {
    app: Arc<App>,
    keys: IdempotencyLayer<SqliteStore, OperationMetrics>,
    store: SqliteStore,
    limits: Limits,
}

/// What handlers share.
pub(crate) struct App {
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    stopping: AtomicBool,
}

impl OrderApi {
    /// Opens the database, making it when it is missing, and prepares to reach Inventory through
    /// `connector`.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, the database is in use elsewhere or
    /// damaged, or the token cannot be sent; it says what to do.
    pub async fn open<C>(config: Config, connector: C) -> Result<Self, StartError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let mut token = HeaderValue::try_from(format!("Bearer {}", config.token))
            .map_err(|error| StartError::setting("the token for inventory", TOKEN_MEND, error))?;
        token.set_sensitive(true);
        let (orders, store) = open_database(&config.data).await?;
        let metrics = Metrics::register(&Registry::new(), None)
            .map_err(|error| StartError::setting("the metrics", METRICS_MEND, error))?;
        let keys = IdempotencyLayer::new(store.clone())
            .transactional()
            .global_scope(SCOPE)
            .lease(config.lease)
            .keep(config.keep)
            .body_cap(BODY_MAX)
            .dice(config.dice.clone())
            .observe(metrics.operation("place"));
        let (base, journal) = (&config.inventory, config.journal);
        let desk = Desk {
            orders,
            inventory: Inventory::new(base, token, connector, journal, &config.dice, &metrics),
            dice: config.dice,
            clock: config.clock,
            lease: config.lease,
        };
        let app = App { desk, metrics, stopping: AtomicBool::new(false) };
        Ok(Self { app: Arc::new(app), keys, store, limits: config.limits })
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let place = post(routes::place).route_layer(self.keys.clone());
        Router::new()
            .route("/orders", place)
            .route("/orders/{id}", get(routes::show))
            .route("/products/{sku}/availability", get(routes::availability))
            .route_layer(DeadlineLayer::inherit())
            .route("/healthz", get(routes::healthz))
            .route("/readyz", get(routes::readyz))
            .route("/metrics", get(routes::metrics))
            .fallback(routes::nowhere)
            .method_not_allowed_fallback(routes::not_so)
            .with_state(Arc::clone(&self.app))
    }

    /// What finds out how orders ended that were left on the way. [`serve`](Self::serve) runs one.
    pub fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.app.desk.clone())
    }

    /// How many orders there are, by how they stand.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn tally(&self) -> Result<Tally, sqlx::Error> {
        self.app.desk.orders.tally().await
    }

    /// Serves, and reconciles, until `shutdown` completes; finishes what is in flight, then closes
    /// the database.
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
        // Stopped in the middle of an order, the reconciler leaves it to the next start.
        tokio::select! {
            _ = serve::serve(listener, self.router(), self.limits, stop) => {}
            () = self.reconciler().run() => {}
            () = sweep(&self.store) => {}
        }
        let left = self.keys.drain().wait(self.limits.drain).await;
        if left > 0 {
            tracing::warn!(left, "handlers still run; their keys are free when their leases end");
        }
        self.store.close().await;
        self.app.desk.orders.close().await;
    }
}

impl App {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl fmt::Debug for OrderApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderApi").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Forgets expired keys, for ever.
async fn sweep(store: &SqliteStore) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = store.sweep(SWEEP_MOST).await {
            tracing::warn!(%error, "expired keys could not be swept");
        }
    }
}

async fn open_database(data: &Path) -> Result<(Orders, SqliteStore), StartError> {
    fs::create_dir_all(data).map_err(|error| StartError::directory(data, error))?;
    let path = data.join(DATABASE);
    let broken = |error| StartError::database(&path, error);
    let pools: Pools = sqlite::connect(&path).await.map_err(broken)?;
    let store = SqliteStore::new(pools.writer.clone());
    store.migrate().await.map_err(|error| StartError::database(&path, error))?;
    let orders = Orders::open(pools).await.map_err(broken)?;
    Ok((orders, store))
}

/// The file in the data directory that holds orders and the records of their keys.
pub const DATABASE: &str = "orders.db";

/// The one scope of keys: whoever can reach this API may place orders, and may learn what became
/// of an order whose key they know.
const SCOPE: &str = "orders";
/// Bodies up to 64 KiB.
const BODY_MAX: usize = 64 * 1024;
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Few enough that a sweep holds the writer for milliseconds.
const SWEEP_MOST: usize = 500;
const METRICS_MEND: &str = "report this, it is a bug";
const TOKEN_MEND: &str = "use printable characters only";
