use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http_body::Body;
use tokio::time::{Sleep, sleep};

use crate::answer::StandIn;

/// The fallback answered; what is left of the response that it stands in for is read to its end, so that
/// its connection can be used again. The original is whole until then, in case it is needed.
pub(crate) struct Draining<R: StandIn> {
    rest: Pin<Box<R::Rest>>,
    drained: usize,
    time: Duration,
    // Set when there is something to wait for: most rests are there.
    bell: Option<Pin<Box<Sleep>>>,
    answer: Option<R::Output>,
}

impl<R: StandIn> Draining<R> {
    pub(crate) fn new(response: R, time: Duration, answer: R::Output) -> Self {
        let rest = Box::pin(response.into_rest());
        Self { rest, drained: 0, time, bell: None, answer: Some(answer) }
    }

    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<R::Output> {
        while self.drained < DRAIN_MAX {
            match self.rest.as_mut().poll_frame(cx) {
                // An empty frame counts too, or a stream of them were read for ever.
                Poll::Ready(Some(Ok(frame))) => {
                    self.drained += frame.data_ref().map_or(1, |data| data.remaining().max(1));
                }
                Poll::Ready(Some(Err(_)) | None) => break,
                Poll::Pending => {
                    let bell = self.bell.get_or_insert_with(|| Box::pin(sleep(self.time)));
                    ready!(bell.as_mut().poll(cx));
                    break;
                }
            }
        }
        Poll::Ready(self.answer.take().expect("a call is polled no more after it ended"))
    }
}

/// More than this many bytes of an unwanted response are not worth a connection.
const DRAIN_MAX: usize = 64 * 1024;
