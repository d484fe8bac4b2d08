use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, time};
use aplomb_inventory_service::Place;
use aplomb_inventory_service::serve::Limits;
use http::Uri;

use crate::desk::Clock;
use crate::fulfilment::FulfilmentConfig;
use crate::journal::Journal;
use crate::service::DATABASE;

/// How an Order API is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where orders and the records of their keys lie.
    pub place: Place,
    /// Where Inventory is.
    pub inventory: Uri,
    /// The bearer token that Inventory knows it by.
    pub token: String,
    /// How confirmed orders are shipped.
    pub fulfilment: FulfilmentConfig,
    /// What jitter and order names are rolled with.
    pub dice: Dice,
    /// What says when an order is due.
    pub clock: Clock,
    /// What hears of every attempt.
    pub journal: Journal,
    /// How long a number of stock that Inventory told is as good as new: 2 s.
    pub fresh_for: Duration,
    /// How long a claim on a key holds unless it is renewed: 2 s.
    pub lease: Duration,
    /// How long a key is kept: 24 h.
    pub keep: Duration,
    /// What it takes on at once, and how long it takes to stop.
    pub limits: Limits,
}

impl Config {
    /// The demo's settings, with this data directory and this Inventory Service.
    pub fn new(data: impl Into<PathBuf>, inventory: Uri) -> Self {
        Self {
            place: Place::File(data.into().join(DATABASE)),
            inventory,
            token: "demo-order-api".to_owned(),
            fulfilment: FulfilmentConfig::default(),
            dice: Dice::from_entropy(),
            clock: Arc::new(time::wall),
            journal: Arc::new(()),
            fresh_for: Duration::from_secs(2),
            lease: Duration::from_secs(2),
            keep: Duration::from_secs(24 * 3600),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("place", &self.place)
            .field("inventory", &self.inventory)
            .finish_non_exhaustive()
    }
}
