//! The service whose policies these are.

use std::sync::Arc;

use super::layers::ServerLayer;
use super::position::Marks;

/// The service that makes the calls.
#[derive(Clone, Debug)]
pub struct Service {
    pub(super) name: Arc<str>,
    pub(super) fleet: u32,
    pub(super) calls_per_second: Option<f64>,
    pub(super) layers: Option<Vec<ServerLayer>>,
    pub(super) marks: Marks,
}

impl Service {
    /// A service of this name: one process, of which nobody knows how much it does.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            fleet: 1,
            calls_per_second: None,
            layers: None,
            marks: Marks::default(),
        }
    }

    /// Running as so many processes, at least one.
    #[must_use]
    pub fn fleet(mut self, processes: u32) -> Self {
        self.fleet = processes.max(1);
        self
    }

    /// Taking so many calls a second, all processes together.
    #[must_use]
    pub const fn calls_per_second(mut self, calls: f64) -> Self {
        self.calls_per_second = Some(calls);
        self
    }

    /// Its name: the owner of the retries it makes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many processes it is; the lint multiplies by it.
    pub const fn processes(&self) -> u32 {
        self.fleet
    }

    /// The calls a second that it takes, if that was said.
    pub const fn declared_calls_per_second(&self) -> Option<f64> {
        self.calls_per_second
    }

    /// The layers of its server, outermost first, where the file names them.
    pub fn layers(&self) -> Option<&[ServerLayer]> {
        self.layers.as_deref()
    }

    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.fleet == other.fleet
            && self.calls_per_second == other.calls_per_second
            && self.layers == other.layers
    }
}
