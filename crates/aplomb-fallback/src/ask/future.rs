use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use aplomb_core::{BoxError, Condition, Deadline, cause};
use bytes::Bytes;
use http::{Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tower_service::Service;

use crate::error::Nothing;
use crate::event::Unanswered;
use crate::missed::Missed;

/// A fallback is being asked.
pub(crate) struct Asking<R> {
    pub(crate) answer: Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send>>,
    pub(crate) bell: Pin<Box<Sleep>>,
    pub(crate) until: Deadline,
    pub(crate) condition: Condition,
    pub(crate) original: Result<R, BoxError>,
    pub(crate) uri: Uri,
    // Given back when this is dropped, whatever came of it.
    pub(crate) _place: OwnedSemaphorePermit,
}

impl<R> Asking<R> {
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Bytes>, Unanswered>> {
        let _scope = self.until.enter();
        // An answer that is there counts, even when it came with the bell: a caller whose time is up
        // as the call fails may still be given what costs none.
        match self.answer.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
            Poll::Ready(Err(error)) if cause::<Nothing>(&*error).is_some() => {
                Poll::Ready(Err(Unanswered::Nothing))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Unanswered::Failed)),
            Poll::Pending => {
                ready!(self.bell.as_mut().poll(cx));
                Poll::Ready(Err(Unanswered::Late))
            }
        }
    }
}

/// A fallback's whole answer, its body included.
pub(crate) async fn whole<F, B>(
    mut fallback: F,
    request: http::Request<Missed>,
    cap: usize,
) -> Result<Response<Bytes>, BoxError>
where
    F: Service<http::Request<Missed>, Response = Response<B>>,
    F::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    poll_fn(|cx| fallback.poll_ready(cx)).await.map_err(Into::into)?;
    let response = fallback.call(request).await.map_err(Into::into)?;
    let (parts, body) = response.into_parts();
    let body = pin!(Limited::new(body, cap));
    let bytes = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, bytes))
}
