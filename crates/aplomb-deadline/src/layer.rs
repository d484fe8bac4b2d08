use std::time::Duration;

use tower_layer::Layer;

use crate::service::{Inherit, WithDeadline};

/// Bounds the time of a client's call.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct DeadlineLayer<O = ()> {
    time: Duration,
    tell: bool,
    only_observes: bool,
    observer: O,
}

impl DeadlineLayer {
    /// Bounds the whole call. Goes outside the retries, which see it and start no attempt that
    /// could not finish.
    pub const fn total(time: Duration) -> Self {
        Self { time, tell: false, only_observes: false, observer: () }
    }

    /// Bounds one attempt by `time` or by what is left of the call, whichever is less. Goes inside
    /// the retries. Tells the next hop.
    pub const fn attempt(time: Duration) -> Self {
        Self { time, tell: true, only_observes: false, observer: () }
    }

    /// Reads the deadline of whoever called this server. Goes outside the work.
    pub const fn inherit() -> InheritLayer {
        InheritLayer { observer: () }
    }

    /// Decides and tells: a call whose time is up goes on, and nobody inside or behind it is told of
    /// this deadline.
    pub fn observe_only(mut self) -> Self {
        self.only_observes = true;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> DeadlineLayer<P> {
        let Self { time, tell, only_observes, .. } = self;
        DeadlineLayer { time, tell, only_observes, observer }
    }
}

impl<S, O: Clone> Layer<S> for DeadlineLayer<O> {
    type Service = WithDeadline<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { time, tell, only_observes, ref observer } = *self;
        WithDeadline { inner, time, tell, only_observes, observer: observer.clone() }
    }
}

/// Lets a server's work end when its caller stops waiting.
///
/// ```
/// use aplomb_deadline::{DeadlineEvent, DeadlineLayer, InheritLayer};
///
/// let layer: InheritLayer = DeadlineLayer::inherit();
/// let told = layer.observe(|event: &DeadlineEvent| println!("{event:?}"));
/// # let _ = told;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct InheritLayer<O = ()> {
    observer: O,
}

impl InheritLayer {
    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> InheritLayer<P> {
        InheritLayer { observer }
    }
}

impl<S, O: Clone> Layer<S> for InheritLayer<O> {
    type Service = Inherit<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Inherit { inner, observer: self.observer.clone() }
    }
}

/// The problem type of a request whose caller no longer waits.
pub const EXPIRED: &str = "/problems/deadline-exceeded";
