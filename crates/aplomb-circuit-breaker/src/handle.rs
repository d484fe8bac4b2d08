//! What an operator holds in hand.

use std::fmt;
use std::sync::Arc;

use aplomb_core::time;

use crate::change::{Hold, Snapshot};
use crate::circuits::{Circuits, Hears, Terms};

/// Looks at a layer's circuits, and holds them open or closed. Cheap to clone.
///
/// It acts on all calls: on the only circuit, or on the one above the keys. [`of`](Self::of) makes
/// one for a key. The layer's observer hears of every change.
///
/// ```
/// use aplomb_circuit_breaker::{CircuitBreakerLayer, State, Trip};
///
/// let layer = CircuitBreakerLayer::new(Trip::default()).per_authority();
/// let handle = layer.handle();
///
/// let stock = handle.of("stock:7001");
/// stock.force_open();
/// assert_eq!(stock.snapshot().state, State::Open);
/// assert_eq!(handle.of("ships:7002").snapshot().state, State::Closed);
/// stock.automatic();
/// ```
#[derive(Clone)]
pub struct Handle {
    controls: Arc<dyn Controls>,
    key: Option<Arc<str>>,
}

impl Handle {
    pub(crate) fn new<O>(circuits: Arc<Circuits>, terms: &Terms, observer: O) -> Self
    where
        O: Hears + Send + Sync + 'static,
    {
        Self { controls: Arc::new(Panel { circuits, terms: *terms, observer }), key: None }
    }

    /// The same for the circuit of one key, which need not have been used yet.
    ///
    /// In a layer without keys it acts on nothing.
    #[must_use]
    pub fn of(&self, key: impl Into<Arc<str>>) -> Self {
        Self { controls: Arc::clone(&self.controls), key: Some(key.into()) }
    }

    /// The keys that have a circuit, in their order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.controls.keys()
    }

    /// How the circuit is now.
    pub fn snapshot(&self) -> Snapshot {
        self.controls.snapshot(self.key.as_deref())
    }

    /// Lets no call through until told otherwise. Above keys, none of any key.
    pub fn force_open(&self) {
        self.controls.hold(self.key.as_deref(), Hold::Open);
    }

    /// Lets every call through until told otherwise, and goes on counting. Above keys, every call of
    /// every key, of which then none is counted.
    pub fn force_closed(&self) {
        self.controls.hold(self.key.as_deref(), Hold::Closed);
    }

    /// Lets the circuit decide again. One that was held open begins with a probe, one that was held
    /// closed begins closed, with an empty window.
    pub fn automatic(&self) {
        self.controls.hold(self.key.as_deref(), Hold::Automatic);
    }

    /// Decides and tells, and rejects nothing; with `false` it enforces again. For all circuits of
    /// the layer, those that are held open included.
    pub fn observe_only(&self, only: bool) {
        self.controls.observe_only(only);
    }

    /// Whether nothing is rejected.
    pub fn is_observe_only(&self) -> bool {
        self.controls.is_observe_only()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("key", &self.key)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

/// The circuits of a layer, whatever its observer.
trait Controls: Send + Sync {
    fn keys(&self) -> Vec<Arc<str>>;
    fn snapshot(&self, key: Option<&str>) -> Snapshot;
    fn hold(&self, key: Option<&str>, hold: Hold);
    fn observe_only(&self, only: bool);
    fn is_observe_only(&self) -> bool;
}

struct Panel<O> {
    circuits: Arc<Circuits>,
    terms: Terms,
    observer: O,
}

impl<O: Hears + Send + Sync> Controls for Panel<O> {
    fn keys(&self) -> Vec<Arc<str>> {
        self.circuits.keys()
    }

    fn snapshot(&self, key: Option<&str>) -> Snapshot {
        self.circuits.snapshot(&self.terms, key, time::now())
    }

    fn hold(&self, key: Option<&str>, hold: Hold) {
        self.circuits.hold(&self.terms, key, hold, time::now(), &self.observer);
    }

    fn observe_only(&self, only: bool) {
        self.circuits.observe_only(only);
    }

    fn is_observe_only(&self) -> bool {
        self.circuits.is_observing()
    }
}
