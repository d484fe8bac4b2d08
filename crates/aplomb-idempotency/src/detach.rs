use std::future::poll_fn;
use std::panic;
use std::task::Poll;

use tracing::Instrument;

use crate::future::Work;

/// Does work to its end, whether or not the caller stays to hear of it.
///
/// It is polled once where it stands: work that is done by then, a replay out of memory above all,
/// needs no task. Everything else moves into one before the caller has a chance to go.
pub(crate) async fn run<T: Send + 'static>(mut work: Work<T>) -> T {
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return done;
    }
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            // Tasks are cancelled when their runtime ends, and this one with them.
            Err(_) => std::future::pending().await,
        },
    }
}
