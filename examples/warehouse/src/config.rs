use std::path::PathBuf;
use std::time::Duration;

use aplomb_inventory_service::Place;
use aplomb_inventory_service::serve::Limits;

use crate::warehouse::DATABASE;

/// How a Warehouse is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where shipments and the records of their keys lie.
    pub place: Place,
    /// Seeds the dice of its injected faults; without one nobody can foretell them.
    pub chaos_seed: Option<u64>,
    /// How long a claim on a key holds unless it is renewed: 2 s.
    pub lease: Duration,
    /// How long a key is kept: 24 h.
    pub keep: Duration,
    /// What it takes on at once, and how long it takes to stop.
    pub limits: Limits,
}

impl Config {
    /// The demo's settings, with this data directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::File(data.into().join(DATABASE)),
            chaos_seed: None,
            lease: Duration::from_secs(2),
            keep: Duration::from_secs(24 * 3600),
            limits: Limits::default(),
        }
    }
}
