use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::{IdempotencyLayer, Store};
use aplomb_inventory_service::database::{Database, Tables};
use aplomb_inventory_service::serve::{self, Limits};
use aplomb_inventory_service::shell;
use aplomb_inventory_service::{Keys, Place, Records};
use aplomb_telemetry::{Feed, Metrics, OperationMetrics};
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::Listener;
use http::HeaderValue;
use hyper_util::client::legacy::connect::Connect;
use prometheus::Registry;

use crate::admission::{Doors, Places};
use crate::chronicle::Chronicle;
use crate::circuit::CircuitWatch;
use crate::desk::Desk;
use crate::fulfilment::{self, Fulfilment, FulfilmentTally, Told, Worker};
use crate::inventory::Inventory;
use crate::orders::{Orders, Tally};
use crate::policy::INVENTORY;
use crate::reconciler::Reconciler;
use crate::returns::{self, Returns};
use crate::upload::{self, BODY_MAX};
use crate::wire::Wire;
use crate::{Config, StartError, openapi, routes};

/// The Order API, its database open. Clones share everything.
#[derive(Clone)]
pub struct OrderApi {
    app: Arc<App>,
    orders_keys: Keyed,
    returns_keys: Keyed,
    doors: Doors,
    store: Arc<Records>,
    limits: Limits,
    beside: Router,
}

type Keyed = IdempotencyLayer<Arc<Records>, OperationMetrics>;

/// What handlers share.
pub(crate) struct App {
    pub(crate) desk: Desk,
    pub(crate) metrics: Metrics,
    feed: Feed,
    /// How many times faster than its policy says a shipment comes back.
    pub(crate) haste: u32,
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
        let (database, store) = open_database(&config.place).await?;
        let (feed, metrics) = (Feed::new(EVENTS_KEPT), Metrics::register(&Registry::new(), None));
        let metrics = metrics
            .map_err(|error| StartError::setting("the metrics", METRICS_MEND, error))?
            .feeding(&feed);
        let keys = |scope, operation| {
            IdempotencyLayer::new(Arc::clone(&store))
                .global_scope(scope)
                .lease(config.lease)
                .keep(config.keep)
                // The rows remember their keys for ever.
                .retire(Duration::ZERO)
                .body_cap(BODY_MAX)
                .dice(config.dice.clone())
                .observe(metrics.operation(operation))
        };
        let (orders_keys, returns_keys) = (keys(ORDERS, "place"), keys(RETURNS, "return"));
        let doors = Doors::new(&config.dice, &metrics);
        let (orders, returns) = (Orders::new(database.clone()), Returns::new(database));
        let (settings, dice) = (&config.fulfilment, &config.dice);
        let to = settings.addresses(Some(config.inventory));
        let wire = Wire::open(&config.policies, to, connector, dice, &metrics)?;
        let (database, dice) = (orders.database(), dice.clone());
        let fulfilment = Fulfilment::open(settings, database, wire.clone(), dice, &metrics).await?;
        let chronicle = Chronicle::new(Arc::clone(&config.clock), config.journal);
        let inventory = Inventory::new(wire, token, Arc::new(chronicle.clone()));
        let haste = config.fulfilment.haste.get();
        let Config { dice, clock, lease, .. } = config;
        let desk = Desk { orders, returns, inventory, fulfilment, chronicle, dice, clock, lease };
        let app = App { desk, metrics, feed, haste, stopping: AtomicBool::new(false) };
        Ok(Self {
            app: Arc::new(app),
            orders_keys,
            returns_keys,
            doors,
            store,
            limits: config.limits,
            beside: config.beside,
        })
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let doors = &self.doors;
        let place = self.orders_keys.clone().transactional().post(routes::place);
        let place = place.route_layer(from_fn(upload::count_lines));
        let give_back = self.returns_keys.clone().transactional().post(returns::give_back);
        let router = Router::new()
            .route("/orders", place.route_layer(doors.orders.clone()))
            .route("/returns", give_back.route_layer(doors.returns.clone()))
            .route("/orders/{id}", get(routes::show).route_layer(doors.reads.clone()))
            .route("/orders/{id}/timeline", get(routes::timeline).route_layer(doors.reads.clone()))
            .route(
                "/products/{sku}/availability",
                get(routes::availability).route_layer(doors.looks.clone()),
            )
            .route_layer(DeadlineLayer::inherit())
            .merge(fulfilment::routes())
            .route("/healthz", get(routes::healthz))
            .route("/readyz", get(routes::readyz))
            .route("/metrics", get(routes::metrics))
            .route("/policies", get(routes::policies))
            .route("/openapi.json", get(openapi::document))
            .with_state(Arc::clone(&self.app))
            .merge(self.beside.clone())
            .fallback(routes::nowhere)
            .method_not_allowed_fallback(routes::not_so);
        shell::wear(router, self.app.metrics.operation("any"))
    }

    /// What finds out how orders ended that were left on the way. [`serve`](Self::serve) runs one.
    pub fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.app.desk.clone())
    }

    /// A worker of this name that ships what is confirmed, on the database of this API. Any number
    /// may [run](Worker::run), here and in other processes.
    pub fn worker(&self, name: &str) -> Worker {
        let Desk { fulfilment, inventory, .. } = &self.app.desk;
        Worker::new(fulfilment.clone(), inventory.wire().in_force().clone(), name)
    }

    /// How many orders there are, by how they are fulfilled.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn fulfilment(&self) -> Result<FulfilmentTally, sqlx::Error> {
        self.app.desk.fulfilment.tally().await
    }

    /// How many confirmed orders analytics was told of.
    pub fn analytics(&self) -> Told {
        self.app.desk.fulfilment.told()
    }

    /// The circuit that reservations go through, whoever makes them, with everything else that is
    /// asked of Inventory.
    pub fn reservations(&self) -> CircuitWatch {
        self.app.desk.wire().inventory()
    }

    /// What the layers around its calls and its routes do, live.
    pub fn feed(&self) -> &Feed {
        &self.app.feed
    }

    /// Follows the file of its [policies](Config::policies) for ever; [`serve`](Self::serve) does so.
    pub async fn follow_policies(&self) -> Infallible {
        self.app.desk.wire().in_force().follow().await
    }

    /// How full it is, and the means to make room.
    pub fn places(&self) -> Places {
        self.doors.places(self.app.desk.wire().in_force().places(INVENTORY))
    }

    /// How many orders there are, by how they stand.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn tally(&self) -> Result<Tally, sqlx::Error> {
        self.app.desk.orders.tally().await
    }

    /// Serves, reconciles and follows its policies, until `shutdown` completes; finishes what is in flight, then closes
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
            never = self.follow_policies() => match never {},
        }
        let (orders, returns) = (self.orders_keys.drain(), self.returns_keys.drain());
        let bound = self.limits.drain;
        let (orders, returns) = tokio::join!(orders.wait(bound), returns.wait(bound));
        let left = orders + returns;
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
async fn sweep(store: &Records) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = store.sweep(SWEEP_MOST).await {
            tracing::warn!(%error, "expired keys could not be swept");
        }
    }
}

async fn open_database(place: &Place) -> Result<(Database, Arc<Records>), StartError> {
    let database = Database::open(place, &TABLES).await?;
    let store = Records::open(&Keys::Database, &database).await?;
    Ok((database, Arc::new(store)))
}

/// The file in the data directory that holds orders and the records of their keys.
pub const DATABASE: &str = "orders.db";

/// One scope for the keys of all callers: whoever can reach this API may place orders, and may learn
/// what became of an order whose key they know.
const ORDERS: &str = "orders";
/// The same for returns. A key of an order may be used for a return.
const RETURNS: &str = "returns";
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Few enough that a sweep holds the writer for milliseconds.
const SWEEP_MOST: usize = 500;
/// What a dashboard that is slow may be behind.
const EVENTS_KEPT: usize = 1_024;
const METRICS_MEND: &str = "report this, it is a bug";
const TOKEN_MEND: &str = "use printable characters only";

pub(crate) static TABLES: Tables = Tables {
    sqlite: sqlx::migrate!("migrations/sqlite"),
    postgres: sqlx::migrate!("migrations/postgres"),
};
