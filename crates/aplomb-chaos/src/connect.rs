use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::{BoxError, Observe};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Event, Everything, Matches, Refused, Station, StationLayer};

/// Refuses connections. See [`Chaos::connect`](crate::Chaos::connect).
///
/// It belongs around a client's connector, such as hyper-util's `HttpConnector`: there a refusal
/// proves that nothing was sent. Around a whole client it refuses calls whose connection stands.
pub type ConnectLayer<P = Everything, O = ()> = StationLayer<AtConnect, P, O>;

/// A connector that may be refused.
pub type Connect<S, P = Everything, O = ()> = Station<AtConnect, S, P, O>;

/// Names the station of a [`ConnectLayer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AtConnect;

impl<S, R, P, O> Service<R> for Connect<S, P, O>
where
    S: Service<R> + Clone,
    S::Error: Into<BoxError>,
    P: Matches<R>,
    O: Observe<Event>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ConnectFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut ready = self.take();
        let touched = self.layer.only.matches(&request);
        let state = match touched.then(|| self.layer.chaos.refuses()).flatten() {
            Some(refused) => State::Refused { refused },
            None => State::Connects { connection: ready.call(request) },
        };
        ConnectFuture { state }
    }
}

pin_project! {
    /// The connection, unless it is refused.
    pub struct ConnectFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProject]
    enum State<F> {
        Refused { refused: Refused },
        Connects { #[pin] connection: F },
    }
}

impl<F, T, E> Future for ConnectFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProject::Refused { refused } => Poll::Ready(Err(refused.of_connection())),
            StateProject::Connects { connection } => connection.poll(context).map_err(Into::into),
        }
    }
}

impl<F> fmt::Debug for ConnectFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectFuture").finish_non_exhaustive()
    }
}
