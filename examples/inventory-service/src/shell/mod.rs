//! What every service of the demo stands on: a database, the records of its keys, faults, figures,
//! a way to stop.
//!
//! A service adds its own routes. Outermost first a request passes: chaos that cuts connections or
//! bodies, what names it for the log, compression, the count of problem answers, the service's own
//! layers.

mod outside;
mod routes;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aplomb_chaos::{Chaos, CutBody, Event};
use aplomb_core::BoxError;
use aplomb_idempotency::{Drain, IdempotencyLayer, Sweep};
use aplomb_telemetry::{Metrics, OperationMetrics};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::serve::Listener;
use http::Request;
use prometheus::Registry;
use tower::{Service, ServiceBuilder};

use crate::answer::BODY_MAX;
use crate::database::{Database, Tables};
use crate::serve::{self, Limits};
use crate::{Keys, Place, Records, StartError};

pub use outside::wear;
pub use routes::{ProblemDetails, document};

/// What a service stands on. Clones share everything.
#[derive(Clone, Debug)]
pub struct Shell {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    store: Arc<Records>,
    chaos: Chaos<Told>,
    metrics: Metrics,
    limits: Limits,
    stopping: AtomicBool,
}

/// Hears of injected faults.
pub type Told = fn(&Event);

/// What a service is opened with.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "all that opening needs")]
pub struct Opening<'a> {
    /// Where its rows lie.
    pub place: &'a Place,
    /// Its tables.
    pub tables: &'a Tables,
    /// Where the records of its keys lie.
    pub keys: &'a Keys,
    /// Seeds the dice of its injected faults.
    pub chaos_seed: Option<u64>,
    /// What it takes on at once, and how long it takes to stop.
    pub limits: Limits,
}

impl Shell {
    /// Opens the database, making it when it is missing, and the store of keys.
    ///
    /// # Errors
    ///
    /// [`StartError`] when either cannot be used; it says what to do.
    pub async fn open(opening: Opening<'_>) -> Result<Self, StartError> {
        let Opening { place, tables, keys, chaos_seed, limits } = opening;
        let database = Database::open(place, tables).await?;
        let store = Arc::new(Records::open(keys, &database).await?);
        let metrics = Metrics::register(&Registry::new(), None)
            .map_err(|error| StartError::setting("the metrics", METRICS_MEND, error))?;
        let chaos = chaos_seed.map_or_else(Chaos::new, Chaos::seeded).observe(tell as Told);
        let stopping = AtomicBool::new(false);
        let shared = Shared { database, store, chaos, metrics, limits, stopping };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Its faults: another handle on the knobs of `/chaos`.
    pub fn chaos(&self) -> &Chaos<Told> {
        &self.shared.chaos
    }

    /// What it counts, in a registry of its own.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Hears what concerns all operations alike.
    pub fn any_operation(&self) -> OperationMetrics {
        self.shared.metrics.operation("any")
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    /// Runs each key of an operation once. The rows remember a key for ever: they answer when its
    /// record has been forgotten.
    pub fn keys(
        &self,
        operation: &str,
        lease: Duration,
        keep: Duration,
    ) -> IdempotencyLayer<Arc<Records>, OperationMetrics> {
        IdempotencyLayer::new(Arc::clone(&self.shared.store))
            .lease(lease)
            .keep(keep)
            .retire(Duration::ZERO)
            .body_cap(BODY_MAX)
            .observe(self.shared.metrics.operation(operation))
    }

    /// A service's own routes, with those that every service has: `/healthz`, `/readyz`, `/metrics`
    /// and, for this machine alone, `/chaos`.
    pub fn router(&self, own: Router) -> Router {
        outside::wear(routes::add(self, own), self.any_operation())
    }

    /// The whole service, whose faults are for the requests that `is_faulty` names: an error it
    /// answers means that the connection is to be cut.
    pub fn service(
        &self,
        router: Router,
        is_faulty: fn(&Request<Body>) -> bool,
    ) -> impl Service<Request<Body>, Response = Response, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static {
        let chaos = &self.shared.chaos;
        ServiceBuilder::new()
            .layer(chaos.edge().only(is_faulty))
            .map_response(|response: http::Response<CutBody<Body>>| response.map(Body::new))
            .layer(chaos.body().only(is_faulty))
            .service(router)
    }

    /// Serves until `shutdown` completes, finishes what is in flight, then closes the database.
    ///
    /// Handlers whose callers have gone are waited for as long as connections are:
    /// [`Limits::drain`] each. Dropping the future cuts every connection; handlers that hold a key
    /// run on.
    pub async fn serve<L, S>(
        &self,
        listener: L,
        service: S,
        handlers: &Drain,
        shutdown: impl Future<Output = ()>,
    ) where
        L: Listener<Addr: Clone + Sync + 'static>,
        S: Service<Request<Body>, Response = Response, Error = BoxError, Future: Send>,
        S: Clone + Send + 'static,
    {
        let limits = self.shared.limits;
        let stop = async {
            shutdown.await;
            self.shared.stopping.store(true, Ordering::Release);
        };
        tokio::select! {
            _ = serve::serve(listener, service, limits, stop) => {}
            never = Sweep::new(Arc::clone(&self.shared.store)).every(SWEEP_EVERY).run() => {
                match never {}
            }
        }
        let left = handlers.wait(limits.drain).await;
        if left > 0 {
            tracing::warn!(left, "handlers still run; their keys are free when their leases end");
        }
        self.close().await;
    }

    /// Closes the database once its connections are given back. Calls made later are answered 503.
    pub async fn close(&self) {
        self.shared.store.close().await;
        self.shared.database.close().await;
    }
}

fn tell(event: &Event) {
    tracing::debug!(?event, "chaos");
}

/// Expired keys are forgotten this often.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const METRICS_MEND: &str = "report this, it is a bug";
