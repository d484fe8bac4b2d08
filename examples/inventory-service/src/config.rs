use std::path::PathBuf;
use std::time::Duration;

use crate::serve::Limits;
use crate::{Doors, Keys, Place, Points, Tokens, database};

/// How an Inventory Service is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where its rows lie.
    pub place: Place,
    /// Where its idempotency records lie: beside the rows.
    pub keys: Keys,
    /// Who may call it.
    pub tokens: Tokens,
    /// Seeds the dice of its injected faults; without one nobody can foretell them.
    pub chaos_seed: Option<u64>,
    /// How long a claim on a key holds unless it is renewed: 2 s.
    pub lease: Duration,
    /// How long a key is kept: 24 h.
    pub keep: Duration,
    /// Whether it also reserves without keys, at `POST /legacy/reservations`, for a demonstration of
    /// what they are for: no.
    pub legacy: bool,
    /// How much it lets in at a time; without doors it lets everything in.
    pub doors: Option<Doors>,
    /// What it takes on at once, and how long it takes to stop.
    pub limits: Limits,
    /// What happens at named points of a reservation: nothing.
    pub points: Points,
}

impl Config {
    /// The demo's settings, with this data directory and these callers.
    pub fn new(data: impl Into<PathBuf>, tokens: Tokens) -> Self {
        Self {
            place: Place::File(data.into().join(database::FILE)),
            keys: Keys::Database,
            tokens,
            chaos_seed: None,
            lease: Duration::from_secs(2),
            keep: Duration::from_secs(24 * 3600),
            legacy: false,
            doors: Some(Doors::default()),
            limits: Limits::default(),
            points: Points::default(),
        }
    }
}
