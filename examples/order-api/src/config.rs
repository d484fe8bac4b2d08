use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, time};
use aplomb_inventory_service::Place;
use aplomb_inventory_service::serve::Limits;
use axum::Router;
use http::Uri;

use crate::desk::Clock;
use crate::fulfilment::FulfilmentConfig;
use crate::journal::Journal;
use crate::policy::Policies;
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
    /// What everything may cost that is asked of others: the demo's own policies.
    pub policies: Policies,
    /// How confirmed orders are shipped.
    pub fulfilment: FulfilmentConfig,
    /// What jitter and order names are rolled with.
    pub dice: Dice,
    /// What says when an order is due.
    pub clock: Clock,
    /// What hears of every attempt.
    pub journal: Journal,
    /// How long a claim on a key holds unless it is renewed: 2 s.
    pub lease: Duration,
    /// How long a key is kept: 24 h.
    pub keep: Duration,
    /// What it takes on at once, and how long it takes to stop.
    pub limits: Limits,
    /// Routes that are served beside its own, named and traced as those are: none.
    ///
    /// They must not be its own paths, and have no fallback; `/` is free. What they stream as
    /// `text/event-stream` is never compressed.
    pub beside: Router,
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
            policies: Policies::default(),
            lease: Duration::from_secs(2),
            keep: Duration::from_secs(24 * 3600),
            limits: Limits::default(),
            beside: Router::new(),
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
