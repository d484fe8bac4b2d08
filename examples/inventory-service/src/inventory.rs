use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aplomb_chaos::{Chaos, Event};
use aplomb_core::BoxError;
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::IdempotencyLayer;
use aplomb_idempotency_sqlx::SqliteStore;
use aplomb_idempotency_sqlx::sqlite::Pools;
use aplomb_telemetry::OperationMetrics;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::serve::Listener;
use http::Request;
use sqlx::{Sqlite, Transaction};
use tower::{Layer, Service};

use crate::metrics::Metrics;
use crate::routes::{BODY_MAX, audit, operations, products, reservations};
use crate::serve::{self, Limits};
use crate::{Config, StartError, Tokens, auth, database, replays};

/// The Inventory Service, its database open. Clones share everything.
#[derive(Clone, Debug)]
pub struct Inventory {
    app: Arc<App>,
    keys: IdempotencyLayer<SqliteStore, OperationMetrics>,
    limits: Limits,
}

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) pools: Pools,
    store: SqliteStore,
    pub(crate) chaos: Chaos<Told>,
    pub(crate) metrics: Metrics,
    tokens: Arc<Tokens>,
    stopping: AtomicBool,
}

/// Hears of injected faults.
type Told = fn(&Event);

impl Inventory {
    /// Opens the database, making it when it is missing.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory cannot be written to, or the database is in use elsewhere
    /// or damaged; it says what to do.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let (pools, store) = database::open(&config.data).await?;
        let metrics = Metrics::new();
        let keys = IdempotencyLayer::new(store.clone())
            .transactional()
            .lease(config.lease)
            .keep(config.keep)
            .body_cap(BODY_MAX)
            .observe(metrics.reservations());
        let chaos = config.chaos_seed.map_or_else(Chaos::new, Chaos::seeded);
        let app = App {
            pools,
            store,
            chaos: chaos.observe(tell as Told),
            metrics,
            tokens: Arc::new(config.tokens),
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
        let noted = from_fn_with_state(Arc::clone(app), replays::note);
        let reserve = post(reservations::reserve).route_layer(self.keys.clone()).route_layer(noted);
        let faulty = Router::new()
            .route("/products/{sku}", put(products::put))
            .route("/products/{sku}/availability", get(products::availability))
            .route("/inventory/reservations", reserve)
            .route(
                "/inventory/reservations/{id}",
                get(reservations::get).delete(reservations::release),
            )
            .route_layer(app.chaos.errors());
        let guarded = faulty
            .route("/inventory/audit", get(audit::figures))
            .route("/inventory/audit/events", get(audit::events))
            .route_layer(DeadlineLayer::inherit())
            .route_layer(from_fn_with_state(Arc::clone(&app.tokens), auth::authenticate));
        let near = Router::new()
            .route("/chaos", get(operations::knobs).put(operations::turn))
            .route_layer(from_fn(auth::loopback_only));
        guarded
            .merge(near)
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
    /// [`Limits::drain`](serve::Limits::drain) each. Dropping the future cuts every connection;
    /// handlers that hold a key run on.
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
            never = database::sweep(&self.app.store) => match never {},
        }
        let left = self.keys.drain().wait(self.limits.drain).await;
        if left > 0 {
            tracing::warn!(left, "handlers still run; their keys are free when their leases end");
        }
        self.close().await;
    }

    /// How many handlers hold a key now, their callers waiting or gone.
    pub fn running(&self) -> usize {
        self.keys.drain().running()
    }

    /// Closes the database once its connections are given back. Calls made later are answered 503.
    pub async fn close(&self) {
        self.app.store.close().await;
        self.app.pools.writer.close().await;
        self.app.pools.reader.close().await;
    }
}

/// Products and reservations: what chaos may touch.
fn is_faulty(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    path.starts_with("/products/") || path.starts_with("/inventory/reservations")
}

fn tell(event: &Event) {
    tracing::debug!(?event, "chaos");
}

impl App {
    /// A transaction that may write from its first statement on: it never has to be upgraded, so
    /// it never meets another writer half-way.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.pools.writer.begin_with("BEGIN IMMEDIATE").await
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
