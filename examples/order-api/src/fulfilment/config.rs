use std::num::NonZeroUsize;
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_dead_letter::Rounds;
use aplomb_inventory_service::Place;
use http::Uri;

/// How orders are fulfilled: the same for the Order API and its workers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FulfilmentConfig {
    /// Where the Warehouse is.
    pub warehouse: Uri,
    /// Who hears of confirmed orders, as `PUT {analytics}/analytics/orders/{id}`: nobody.
    pub analytics: Option<Uri>,
    /// How long the Warehouse has for one answer: 500 ms.
    pub attempt: Duration,
    /// How long one round may take, a retry and the wait before it included: 2 s.
    pub round: Duration,
    /// For how long a shipment is tried before it is a dead letter, from when its order is
    /// confirmed: 24 h.
    pub horizon: Duration,
    /// How long a task waits after each round that failed, and a letter after each redrive: half a
    /// minute to a minute, doubling up to 4 h.
    pub rounds: Rounds,
}

impl FulfilmentConfig {
    /// By this Warehouse.
    pub fn new(warehouse: Uri) -> Self {
        Self {
            warehouse,
            analytics: None,
            attempt: Duration::from_millis(500),
            round: Duration::from_secs(2),
            horizon: Duration::from_secs(24 * 3600),
            rounds: Rounds::default(),
        }
    }
}

impl Default for FulfilmentConfig {
    /// By the demo's Warehouse on its usual port.
    fn default() -> Self {
        Self::new(Uri::from_static("http://127.0.0.1:7002"))
    }
}

/// How a worker in a process of its own is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where the orders lie: the Order API's own place.
    pub place: Place,
    /// How orders are fulfilled.
    pub fulfilment: FulfilmentConfig,
    /// Its name in the outbox, for people.
    pub name: String,
    /// How many shipments it asks for at once: 8.
    pub slots: NonZeroUsize,
    /// For how long a task is its own: 10 s, which outlasts two rounds.
    pub lease: Duration,
    /// What jitter is rolled with.
    pub dice: Dice,
}

impl WorkerConfig {
    /// The demo's settings, on the orders at this place.
    pub fn new(place: Place, fulfilment: FulfilmentConfig) -> Self {
        Self {
            place,
            fulfilment,
            name: format!("worker-{}", std::process::id()),
            slots: SLOTS,
            lease: LEASE,
            dice: Dice::from_entropy(),
        }
    }
}

pub(crate) const SLOTS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
/// A round takes 2 s at most, and the look at the Warehouse after it 2 s more.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
