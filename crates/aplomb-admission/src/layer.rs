use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aplomb_core::{Dice, Ratio};
use tower_layer::Layer;

use crate::desk::{Desk, State};
use crate::handle::AdmissionHandle;
use crate::limit::Limit;
use crate::line::Terms;
use crate::service::{Admission, Bulkhead, Shared};

/// The server's side: a call that is not taken on is answered. See
/// [`AdmissionLayer::new`].
///
/// ```
/// use aplomb_admission::{AdmissionLayer, Inbound, Outbound};
///
/// let server: AdmissionLayer<Inbound> = AdmissionLayer::new(64);
/// let client: AdmissionLayer<Outbound> = AdmissionLayer::outbound(16);
/// # let _ = (server, client);
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it only names a side")]
pub enum Inbound {}

/// The client's side: a call that is not let out fails. See [`AdmissionLayer::outbound`].
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "it only names a side")]
pub enum Outbound {}

/// Bounds how many calls run at a time and how long others wait for their turn: see the
/// [crate's documentation](crate).
///
/// Everything made from this value or its clones shares one limit and one queue, however often a
/// router applies it.
#[derive(Debug)]
#[must_use]
pub struct AdmissionLayer<Side = Inbound, O = ()> {
    state: Arc<State>,
    terms: Terms,
    retry_after: Duration,
    dice: Dice,
    observer: O,
    side: PhantomData<fn() -> Side>,
}

impl AdmissionLayer {
    /// Around a server's work: at most `limit` calls run at a time.
    ///
    /// # Panics
    ///
    /// When a plain number is 0.
    pub fn new(limit: impl Into<Limit>) -> Self {
        Self::with(limit.into())
    }

    /// Around a client of one dependency, as a bulkhead: at most `limit` of its calls are in flight
    /// at a time. Every dependency needs a layer value of its own.
    ///
    /// # Panics
    ///
    /// When a plain number is 0.
    pub fn outbound(limit: impl Into<Limit>) -> AdmissionLayer<Outbound> {
        AdmissionLayer::with(limit.into())
    }
}

impl<Side> AdmissionLayer<Side> {
    fn with(limit: Limit) -> Self {
        Self {
            state: State::new(limit),
            terms: Terms::DEFAULT,
            retry_after: RETRY_AFTER,
            dice: Dice::from_entropy(),
            observer: (),
            side: PhantomData,
        }
    }
}

impl<O> AdmissionLayer<Inbound, O> {
    /// The share of calls that have leave to be sent again when they are rejected (3 % by default).
    /// All others are told `x-should-retry: false`, so that the clients of an overloaded server send
    /// no more than one call and this share for each call, however many clients there are.
    pub fn retries(mut self, share: Ratio) -> Self {
        self.terms.retries = share;
        self
    }
}

impl<Side, O> AdmissionLayer<Side, O> {
    /// Nobody waits longer than this for a place (100 ms by default): well under the timeout of
    /// whoever calls, or the work is done for callers that have gone. To the millisecond.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.terms.longest_wait = wait;
        self
    }

    /// No more than so many calls wait at a time (1,024 by default), so that memory is bounded too.
    pub fn waiters_max(mut self, waiters: usize) -> Self {
        self.terms.waiters_max = waiters;
        self
    }

    /// A call whose deadline leaves less time than this is not begun (1 ms by default).
    pub fn least_useful(mut self, time: Duration) -> Self {
        self.terms.least_useful = time;
        self
    }

    /// When whoever is rejected is asked to come back, before jitter (1 s by default).
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Decides and tells the observer what it would have done, and lets every call run.
    pub fn observe_only(self) -> Self {
        self.state.only_observes.store(true, Ordering::Relaxed);
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> AdmissionLayer<Side, P> {
        let Self { state, terms, retry_after, dice, side, .. } = self;
        AdmissionLayer { state, terms, retry_after, dice, observer, side }
    }

    /// Looks at it while it works, and changes its limit. Taken after the options were set: it judges
    /// by the waits of this value.
    pub fn handle(&self) -> AdmissionHandle {
        AdmissionHandle { desk: self.desk() }
    }

    fn desk(&self) -> Arc<Desk> {
        Arc::new(Desk { state: Arc::clone(&self.state), terms: self.terms })
    }

    fn shared(&self) -> Arc<Shared<O>>
    where
        O: Clone,
    {
        let (dice, observer) = (self.dice.clone(), self.observer.clone());
        Arc::new(Shared { desk: self.desk(), retry_after: self.retry_after, dice, observer })
    }
}

impl<S, O: Clone> Layer<S> for AdmissionLayer<Inbound, O> {
    type Service = Admission<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Admission { inner, shared: self.shared() }
    }
}

impl<S, O: Clone> Layer<S> for AdmissionLayer<Outbound, O> {
    type Service = Bulkhead<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Bulkhead { inner, shared: self.shared() }
    }
}

impl<Side, O: Clone> Clone for AdmissionLayer<Side, O> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            terms: self.terms,
            retry_after: self.retry_after,
            dice: self.dice.clone(),
            observer: self.observer.clone(),
            side: PhantomData,
        }
    }
}

/// A second is the least that the header can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);
