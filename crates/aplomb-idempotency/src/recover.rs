use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;

use crate::Claim;

/// What a [`recover`](crate::IdempotencyLayer::recover) hook found out about an effect that may
/// have happened.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it happened, it did not, or nobody knows")]
pub enum Recovered {
    /// It happened. This answer is recorded and given as a replay.
    Applied(Response<Bytes>),
    /// It did not: the handler runs, or the key is given back if it has just run.
    NotApplied,
    /// The outcome is unknown, for a person to resolve.
    DontKnow,
}

/// A hook, whatever it consists of.
#[derive(Clone)]
pub(crate) struct Recover(Arc<Hook>);

type Hook = dyn Fn(Claim) -> Finding + Send + Sync;
type Finding = Pin<Box<dyn Future<Output = Recovered> + Send>>;

impl Recover {
    pub(crate) fn new<F, Fut>(hook: F) -> Self
    where
        F: Fn(Claim) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Recovered> + Send + 'static,
    {
        Self(Arc::new(move |claim| Box::pin(hook(claim))))
    }

    /// A hook that panics does not know, and neither does one that takes longer than
    /// [`RECOVER_MAX`].
    pub(crate) async fn ask(&self, claim: Claim) -> Recovered {
        let id = claim.id();
        let asked = AssertUnwindSafe(async { (self.0)(claim).await }).catch_unwind();
        match tokio::time::timeout(RECOVER_MAX, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => {
                tracing::error!(%id, "the recover hook panicked");
                Recovered::DontKnow
            }
            Err(_) => {
                tracing::error!(%id, "the recover hook did not answer within {RECOVER_MAX:?}");
                Recovered::DontKnow
            }
        }
    }
}

impl fmt::Debug for Recover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recover(..)")
    }
}

/// How long a [`recover`](crate::IdempotencyLayer::recover) hook may take; after that it does not
/// know. Its lease is renewed meanwhile, so a hook that hangs would keep its key for ever.
pub const RECOVER_MAX: Duration = Duration::from_secs(30);
