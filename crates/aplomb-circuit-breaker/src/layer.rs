use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::{Dice, HttpClassifier, Observe, time};
use tower_layer::Layer;

use crate::circuits::{Circuits, Terms, Whole};
use crate::event::BreakerEvent;
use crate::guard::Shared;
use crate::handle::Handle;
use crate::key::{PerAuthority, Together};
use crate::service::CircuitBreaker;
use crate::settings::Settings;
use crate::trip::Trip;

/// Stops calling what keeps failing, until a probe succeeds.
///
/// The state lies in this value: everything made from it or from its clones shares it, however often
/// a router applies it.
///
/// # Errors
///
/// The service fails with [`CircuitOpen`](crate::CircuitOpen), and sends nothing, while the circuit
/// is open. All other errors are the inner service's own.
///
/// # Cancellation
///
/// Dropping a response future drops the call inside. Its permit is given back; it has failed when it
/// ran for longer than [`Trip::slow_after`], else it has no vote.
#[derive(Clone, Debug)]
#[must_use]
pub struct CircuitBreakerLayer<K = Together, C = HttpClassifier, O = ()> {
    circuits: Arc<Circuits>,
    options: Options,
    key: K,
    classify: C,
    observer: O,
    dice: Dice,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    settings: Settings,
    is_keyed: bool,
    has_parent: bool,
    keys_max: usize,
}

impl CircuitBreakerLayer {
    /// One circuit for all calls, which opens by these rules.
    pub fn new(trip: Trip) -> Self {
        let settings = Settings { trip, ..Settings::default() };
        Self {
            circuits: Arc::new(Circuits::new(time::now())),
            options: Options { settings, is_keyed: false, has_parent: false, keys_max: KEYS_MAX },
            key: Together,
            classify: HttpClassifier,
            observer: (),
            dice: Dice::from_entropy(),
        }
    }
}

impl Default for CircuitBreakerLayer {
    fn default() -> Self {
        Self::new(Trip::default())
    }
}

impl<K, C, O> CircuitBreakerLayer<K, C, O> {
    /// Opens by these rules from now on, for policies that change at run time: what is made of this
    /// value from here on goes by them, and shares the circuits with what was made before.
    ///
    /// The window stays: one of another length counts in other buckets, and needs a new layer.
    pub fn trip(mut self, trip: Trip) -> Self {
        let window = self.options.settings.trip.window();
        self.options.settings.trip = trip.over(window);
        self
    }

    /// How long it stays open: the first delay of `backoff` at first, the next one each time that a
    /// probe fails (equal jitter, 1 s doubling to 10 s by default).
    ///
    /// What it learnt is forgotten step by step, one for each window without an outage.
    pub fn open_for(mut self, backoff: Backoff) -> Self {
        self.options.settings.open_for = backoff;
        self
    }

    /// A pushback of the failure that opens the circuit lengthens the open time, by no more than
    /// this (60 s by default).
    pub fn longest_pushback(mut self, pushback: Duration) -> Self {
        self.options.settings.longest_pushback = pushback;
        self
    }

    /// Half-open, a call that has not ended after this time (10 s by default) no longer keeps the
    /// next one from going out. Its vote, when it comes, counts all the same.
    pub fn lease(mut self, time: Duration) -> Self {
        self.options.settings.lease = time;
        self
    }

    /// A circuit for each authority.
    pub fn per_authority(self) -> CircuitBreakerLayer<PerAuthority, C, O> {
        self.keyed(PerAuthority)
    }

    /// A circuit for each key that `key` gives: a shard, an operation, a tenant.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use aplomb_circuit_breaker::{CircuitBreakerLayer, Trip};
    ///
    /// fn shard(request: &http::Request<()>) -> Cow<'_, str> {
    ///     let shard = request.headers().get("x-shard").and_then(|shard| shard.to_str().ok());
    ///     Cow::Borrowed(shard.unwrap_or("0"))
    /// }
    ///
    /// let layer = CircuitBreakerLayer::new(Trip::default()).key(shard).with_parent();
    /// # let _ = layer;
    /// ```
    pub fn key<Req, F>(self, key: F) -> CircuitBreakerLayer<F, C, O>
    where
        F: for<'r> Fn(&'r Req) -> Cow<'r, str>,
    {
        self.keyed(key)
    }

    fn keyed<L>(self, key: L) -> CircuitBreakerLayer<L, C, O> {
        let Self { circuits, options, classify, observer, dice, .. } = self;
        let options = Options { is_keyed: true, ..options };
        CircuitBreakerLayer { circuits, options, key, classify, observer, dice }
    }

    /// At most so many keys have a circuit (1,024 by default, at least 1): those that were used least
    /// recently make room, an eighth of them at a time. Keys may be chosen by strangers, and a map
    /// that grows with them is a leak.
    pub fn keys_max(mut self, keys: usize) -> Self {
        self.options.keys_max = keys.max(1);
        self
    }

    /// Puts a circuit above those of the keys, which opens when nearly all of them fail.
    ///
    /// Its votes are the cells', not the calls': each cell has one for success and one for failure in
    /// every bucket of the window, and a call that a cell turns away is a failure. It opens when four
    /// fifths of at least twenty such votes are failures, and no cell alone has so many. So one dead
    /// shard of eight, however busy, is one vote of eight; a dependency that is gone whole is found
    /// by one probe instead of one for each shard. Without keys there is none.
    pub fn with_parent(mut self) -> Self {
        self.options.has_parent = true;
        self
    }

    /// Decides and tells, and rejects nothing. Calls that would have been rejected have no vote.
    pub fn observe_only(self) -> Self {
        self.circuits.observe_only(true);
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Tells `observer` what happens: an `Observe<BreakerEvent<'_>>`.
    pub fn observe<P>(self, observer: P) -> CircuitBreakerLayer<K, C, P> {
        let Self { circuits, options, key, classify, dice, .. } = self;
        CircuitBreakerLayer { circuits, options, key, classify, observer, dice }
    }

    /// Lets `classify` decide what an answer means.
    pub fn classify<D>(self, classify: D) -> CircuitBreakerLayer<K, D, O> {
        let Self { circuits, options, key, observer, dice, .. } = self;
        CircuitBreakerLayer { circuits, options, key, classify, observer, dice }
    }

    /// What an operator holds in hand. Ask for it when all options are set.
    pub fn handle(&self) -> Handle
    where
        O: for<'a> Observe<BreakerEvent<'a>> + Clone + Send + Sync + 'static,
    {
        Handle::new(Arc::clone(&self.circuits), &self.terms(), self.observer.clone())
    }

    fn terms(&self) -> Terms {
        let Options { settings, is_keyed, has_parent, keys_max } = self.options;
        let above = Settings { trip: settings.trip.of_parent(), ..settings };
        let whole = match (is_keyed, has_parent) {
            (false, _) => Whole::Only,
            (true, false) => Whole::Switch,
            (true, true) => Whole::Parent(above),
        };
        Terms { settings, whole, keys_max }
    }
}

impl<S, K, C, O> Layer<S> for CircuitBreakerLayer<K, C, O>
where
    K: Clone,
    C: Clone,
    O: for<'a> Observe<BreakerEvent<'a>> + Clone,
{
    type Service = CircuitBreaker<S, K, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        // A handle to the state, of which there is one. That each application has its own keeps two
        // of them on two cores from counting references in one cache line.
        let shared = Shared {
            circuits: Arc::clone(&self.circuits),
            terms: self.terms(),
            key: self.key.clone(),
            classify: self.classify.clone(),
            observer: self.observer.clone(),
            dice: self.dice.clone(),
            settle: Shared::settle,
        };
        CircuitBreaker { inner, shared: Arc::new(shared) }
    }
}

/// More dependencies than any service has, fewer than would hurt: about 1.5 KiB each.
const KEYS_MAX: usize = 1_024;
