use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use aplomb_core::Dice;
use aplomb_inventory_service::Place;
use http::Uri;

use crate::policy::Policies;
use crate::wire::Addresses;

/// How orders are fulfilled: the same for the Order API and its workers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FulfilmentConfig {
    /// Where the Warehouse is.
    pub warehouse: Uri,
    /// Who hears of confirmed orders, as `PUT {analytics}/analytics/orders/{id}`: nobody.
    pub analytics: Option<Uri>,
    /// How many times faster than its policy says a shipment comes back, and is given up: 1. Where
    /// somebody watches, minutes may pass like seconds.
    pub haste: NonZeroU32,
}

impl FulfilmentConfig {
    /// By this Warehouse.
    pub fn new(warehouse: Uri) -> Self {
        Self { warehouse, analytics: None, haste: NonZeroU32::MIN }
    }

    /// Where everybody is, with Inventory there.
    pub(crate) fn addresses(&self, inventory: Option<Uri>) -> Addresses {
        let (warehouse, analytics) = (self.warehouse.clone(), self.analytics.clone());
        Addresses { inventory, warehouse, analytics }
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
    /// What everything may cost that is asked of others: the demo's own policies.
    pub policies: Policies,
    /// Its name in the outbox, for people.
    pub name: String,
    /// How many shipments it asks for at once: 8.
    pub slots: NonZeroUsize,
    /// For how long a task is its own: long enough for a send and a look after it, as their policies
    /// say.
    pub lease: Option<Duration>,
    /// What jitter is rolled with.
    pub dice: Dice,
}

impl WorkerConfig {
    /// The demo's settings, on the orders at this place.
    pub fn new(place: Place, fulfilment: FulfilmentConfig) -> Self {
        Self {
            place,
            fulfilment,
            policies: Policies::default(),
            name: format!("worker-{}", std::process::id()),
            slots: SLOTS,
            lease: None,
            dice: Dice::from_entropy(),
        }
    }
}

pub(crate) const SLOTS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
