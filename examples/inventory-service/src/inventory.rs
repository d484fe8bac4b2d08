use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aplomb_chaos::{Chaos, Event};
use aplomb_core::BoxError;
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::{Claim, IdempotencyLayer, ServerErrors, Store};
use aplomb_telemetry::OperationMetrics;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post, put};
use axum::serve::Listener;
use http::Request;
use tower::{Layer, Service};

use crate::database::{Database, Tables};
use crate::metrics::Metrics;
use crate::records::Records;
use crate::routes::{BODY_MAX, audit, operations, products, reservations};
use crate::serve::{self, Limits};
use crate::{Config, Points, StartError, Tokens, auth, replays};

/// The Inventory Service, its database open. Clones share everything.
#[derive(Clone, Debug)]
pub struct Inventory {
    app: Arc<App>,
    keys: IdempotencyLayer<Arc<Records>, OperationMetrics>,
    transactional: bool,
    limits: Limits,
}

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) database: Database,
    store: Arc<Records>,
    pub(crate) points: Points,
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
    /// [`StartError`] when the directory cannot be written to, the database is in use elsewhere,
    /// damaged or out of reach, or the store of keys cannot be used; it says what to do.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let database = Database::open(&config.place, &TABLES).await?;
        let store = Arc::new(Records::open(&config.keys, &database).await?);
        let metrics = Metrics::new();
        let keys = IdempotencyLayer::new(Arc::clone(&store))
            .lease(config.lease)
            .keep(config.keep)
            // The rows remember a key for ever: they answer when its record has been forgotten.
            .retire(Duration::ZERO)
            .body_cap(BODY_MAX)
            .observe(metrics.reservations());
        let chaos = config.chaos_seed.map_or_else(Chaos::new, Chaos::seeded);
        let app = App {
            database,
            store,
            points: config.points,
            chaos: chaos.observe(tell as Told),
            metrics,
            tokens: Arc::new(config.tokens),
            stopping: AtomicBool::new(false),
        };
        let transactional = config.keys.are_transactional();
        Ok(Self { app: Arc::new(app), keys, transactional, limits: config.limits })
    }

    /// Its faults: another handle on the knobs of `/chaos`.
    pub fn chaos(&self) -> &Chaos<fn(&Event)> {
        &self.app.chaos
    }

    /// Its routes, without the station that cuts connections, which a router cannot do.
    pub fn router(&self) -> Router {
        let app = &self.app;
        let noted = from_fn_with_state(Arc::clone(app), replays::note);
        let faulty = Router::new()
            .route("/products/{sku}", put(products::put))
            .route("/products/{sku}/availability", get(products::availability))
            .route("/inventory/reservations", self.reserve().route_layer(noted))
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
            never = sweep(&self.app.store) => match never {},
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
        self.app.database.close().await;
    }
}

/// Products and reservations: what chaos may touch.
fn is_faulty(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    path.starts_with("/products/") || path.starts_with("/inventory/reservations")
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

const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Few enough that a sweep holds the writer for milliseconds.
const SWEEP_MOST: usize = 500;

static TABLES: Tables = Tables {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
