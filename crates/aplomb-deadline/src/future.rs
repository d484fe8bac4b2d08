use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Deadline, DeadlineExceeded, Observe, Problem};
use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};

use crate::event::DeadlineEvent;
use crate::layer::EXPIRED;

pin_project! {
    /// The answer of a [`WithDeadline`](crate::WithDeadline).
    pub struct ResponseFuture<F, O> {
        #[pin]
        bounded: Bounded<F>,
        observer: O,
    }
}

impl<F, O> ResponseFuture<F, O> {
    #[inline]
    pub(crate) fn new(inner: F, deadline: Deadline, observer: O) -> Self {
        Self { bounded: Bounded::until(inner, deadline), observer }
    }

    pub(crate) fn unsent(observer: O) -> Self {
        Self { bounded: Bounded::Over, observer }
    }

    pub(crate) fn watched(inner: F, deadline: Deadline, observer: O) -> Self {
        let sleep = Some(sleep_until(deadline.instant()));
        Self { bounded: Bounded::Watched { inner, sleep }, observer }
    }

    pub(crate) fn free(inner: F, observer: O) -> Self {
        Self { bounded: Bounded::Free { inner }, observer }
    }
}

impl<F, R, E, O> Future for ResponseFuture<F, O>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
    O: Observe<DeadlineEvent>,
{
    type Output = Result<R, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let observer = this.observer;
        if this.bounded.as_mut().rings(cx) {
            observer.observe(&DeadlineEvent::WouldHaveExceeded);
        }
        this.bounded.poll_then(cx, |ended| match ended {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(error.into()),
            Err(exceeded) => {
                observer.observe(&event(exceeded));
                Err(exceeded.into())
            }
        })
    }
}

pin_project! {
    /// The answer of an [`Inherit`](crate::Inherit).
    pub struct InheritFuture<F, O> {
        #[pin]
        bounded: Bounded<F>,
        observer: Option<O>,
    }
}

impl<F, O> InheritFuture<F, O> {
    pub(crate) fn new(inner: F, deadline: Deadline, observer: O) -> Self {
        Self { bounded: Bounded::until(inner, deadline), observer: Some(observer) }
    }

    pub(crate) fn unlimited(inner: F) -> Self {
        Self { bounded: Bounded::Free { inner }, observer: None }
    }

    pub(crate) fn late(observer: O) -> Self {
        Self { bounded: Bounded::Over, observer: Some(observer) }
    }
}

impl<F, R, E, O> Future for InheritFuture<F, O>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<Bytes>,
    O: Observe<DeadlineEvent>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let observer = this.observer;
        this.bounded.poll_then(cx, |ended| match ended {
            Ok(result) => result,
            Err(exceeded) => {
                if let Some(observer) = observer {
                    observer.observe(&event(exceeded));
                }
                Ok(expired(exceeded))
            }
        })
    }
}

pin_project! {
    /// An inner future, bounded or not.
    #[project = BoundedProj]
    enum Bounded<F> {
        Free { #[pin] inner: F },
        Until { #[pin] inner: F, #[pin] sleep: Sleep, deadline: Deadline },
        // The bell is gone once it has rung.
        Watched { #[pin] inner: F, #[pin] sleep: Option<Sleep> },
        Over,
    }
}

impl<F> Bounded<F> {
    #[inline]
    fn until(inner: F, deadline: Deadline) -> Self {
        Self::Until { inner, sleep: sleep_until(deadline.instant()), deadline }
    }
}

impl<F> Bounded<F> {
    /// Whether the time of a call that is only watched is up now: once.
    #[inline]
    fn rings(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let BoundedProj::Watched { mut sleep, .. } = self.project() else { return false };
        let rings = sleep.as_mut().as_pin_mut().is_some_and(|bell| bell.poll(cx).is_ready());
        if rings {
            sleep.set(None);
        }
        rings
    }
}

impl<F: Future> Bounded<F> {
    /// Polls the future, and makes of its end what the caller answers.
    ///
    /// The answer is handed to `then` where it is found: each time that a response is moved costs as
    /// much as half of this layer.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of its cost would be the answer's way out")]
    fn poll_then<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        then: impl FnOnce(Result<F::Output, DeadlineExceeded>) -> T,
    ) -> Poll<T> {
        match self.as_mut().project() {
            BoundedProj::Free { inner } | BoundedProj::Watched { inner, .. } => {
                Poll::Ready(then(Ok(ready!(inner.poll(cx)))))
            }
            BoundedProj::Over => Poll::Ready(then(Err(DeadlineExceeded::UNSENT))),
            BoundedProj::Until { inner, sleep, deadline } => {
                let scope = deadline.enter();
                // An answer that is there counts, even when it came with the bell.
                match inner.poll(cx) {
                    Poll::Ready(answer) => return Poll::Ready(then(Ok(answer))),
                    Poll::Pending => drop(scope),
                }
                ready!(sleep.poll(cx));
                // The work ends now, not when somebody drops this future.
                self.set(Self::Over);
                Poll::Ready(then(Err(DeadlineExceeded::default())))
            }
        }
    }
}

impl<F, O> fmt::Debug for ResponseFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, O> fmt::Debug for InheritFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InheritFuture").finish_non_exhaustive()
    }
}

fn event(exceeded: DeadlineExceeded) -> DeadlineEvent {
    if exceeded.unsent { DeadlineEvent::Unsent } else { DeadlineEvent::Exceeded }
}

fn expired<R: From<Bytes>>(exceeded: DeadlineExceeded) -> Response<R> {
    let problem = Problem::new(EXPIRED, "deadline exceeded", StatusCode::GATEWAY_TIMEOUT);
    let detail = if exceeded.unsent {
        "the caller's time was up before the request was looked at; nothing was done"
    } else {
        "the caller's time was up before the work was done; its outcome is unknown"
    };
    problem.detail(detail).into_response()
}
