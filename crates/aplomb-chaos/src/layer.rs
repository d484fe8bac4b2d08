use std::mem;

use tower_layer::Layer;

use crate::{Chaos, Everything};

/// A station of [`Chaos`] as a layer; `At` says which. See [`EdgeLayer`](crate::EdgeLayer) and the
/// others.
///
/// ```
/// use aplomb_chaos::{
///     AtBody, AtConnect, AtDelay, AtEdge, AtErrors, Chaos, Everything, Station, StationLayer,
/// };
/// use tower::Layer;
///
/// let chaos = Chaos::seeded(7);
/// let edge: StationLayer<AtEdge> = chaos.edge();
/// let body: StationLayer<AtBody> = chaos.body();
/// let errors: StationLayer<AtErrors> = chaos.errors();
/// let delay: StationLayer<AtDelay> = chaos.delay();
/// let connect: StationLayer<AtConnect> = chaos.connect();
/// // Only writes are troubled here.
/// let writes = chaos.edge().only(|request: &http::Request<()>| request.method() == "POST");
/// # fn wrapped<S>(layer: &StationLayer<AtEdge, Everything>, inner: S) -> Station<AtEdge, S> {
/// #     layer.layer(inner)
/// # }
/// # let _ = (wrapped(&edge, ()), body, errors, delay, connect, writes);
/// ```
#[derive(Clone, Debug)]
pub struct StationLayer<At, P = Everything, O = ()> {
    pub(crate) chaos: Chaos<O>,
    pub(crate) only: P,
    at: At,
}

impl<At, O> StationLayer<At, Everything, O> {
    pub(crate) fn new(chaos: Chaos<O>, at: At) -> Self {
        Self { chaos, only: Everything, at }
    }
}

impl<At, P, O> StationLayer<At, P, O> {
    /// Touches only the requests for which `only` says yes.
    #[must_use]
    pub fn only<R, F: Fn(&R) -> bool>(self, only: F) -> StationLayer<At, F, O> {
        StationLayer { chaos: self.chaos, only, at: self.at }
    }
}

impl<S, At: Clone, P: Clone, O: Clone> Layer<S> for StationLayer<At, P, O> {
    type Service = Station<At, S, P, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Station { inner, layer: self.clone() }
    }
}

/// A service with a station of [`Chaos`] before it.
#[derive(Clone, Debug)]
pub struct Station<At, S, P = Everything, O = ()> {
    pub(crate) inner: S,
    pub(crate) layer: StationLayer<At, P, O>,
}

impl<At, S: Clone, P, O> Station<At, S, P, O> {
    /// The service that is ready. Taken also for a call that never reaches it: what it holds is given
    /// back at once.
    pub(crate) fn take(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}
