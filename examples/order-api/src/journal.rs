//! What went over the wire for an order, told as it happens.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{BoxError, Call, Classify, FailureKind, HttpClassifier, Observe, Reason};
use aplomb_idempotency::problems::REPLAYED;
use aplomb_retry::RetryEvent;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use tokio::task_local;

use crate::order::OrderId;

/// One thing that happened on the way to Inventory for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The order.
    pub order: OrderId,
    /// Its line, from 1; 0 for the whole order.
    pub line: u32,
    /// What was asked for: `reserve` or `release`; `place` for the whole order.
    pub operation: &'static str,
    /// What happened.
    pub step: Step,
}

impl Entry {
    /// This happened to that line.
    pub const fn new(order: OrderId, line: u32, operation: &'static str, step: Step) -> Self {
        Self { order, line, operation, step }
    }
}

impl Entry {
    /// What it is about, unless that is the whole order.
    pub(crate) fn subject(&self) -> Option<(u32, &'static str)> {
        (self.line > 0).then_some((self.line, self.operation))
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// An attempt ended in an answer.
    Answered {
        /// Its status.
        status: StatusCode,
        /// Whether Inventory had answered the key before, and said the same again.
        replayed: bool,
    },
    /// An attempt ended without an answer.
    Unanswered(Silence),
    /// It will be tried again after this wait.
    Waiting(Duration),
    /// It will not be tried again now.
    GivenUp(Reason),
    /// The customer was told that the outcome is not known yet.
    Pending,
}

/// How an attempt can end without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Silence {
    /// The connection broke after the request was sent: Inventory may have acted.
    Lost,
    /// Its time was up: Inventory may have acted.
    Late,
    /// It was never sent.
    Unsent,
    /// It could not be understood.
    Garbled,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, replayed } if *replayed => {
                write!(f, "replayed {}", status.as_u16())
            }
            Self::Answered { status, .. } => write!(f, "{}", status.as_u16()),
            Self::Unanswered(silence) => silence.fmt(f),
            Self::Waiting(wait) => write!(f, "waited {} ms", wait.as_millis()),
            Self::GivenUp(reason) => write!(f, "given up: {reason}"),
            Self::Pending => f.write_str("answered pending"),
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "response lost",
            Self::Late => "no answer in time",
            Self::Unsent => "not sent",
            Self::Garbled => "answer garbled",
        })
    }
}

/// Hears every [`Entry`].
pub type Journal = Arc<dyn Observe<Entry> + Send + Sync>;

/// Writes into the journal for one call.
#[derive(Clone)]
pub(crate) struct Scribe {
    page: Option<Page>,
}

#[derive(Clone)]
struct Page {
    order: OrderId,
    line: u32,
    operation: &'static str,
    journal: Journal,
}

impl Scribe {
    /// Writes what happens to this line.
    pub(crate) fn new(
        journal: &Journal,
        order: OrderId,
        line: u32,
        operation: &'static str,
    ) -> Self {
        let journal = Arc::clone(journal);
        Self { page: Some(Page { order, line, operation, journal }) }
    }

    /// Writes nothing: the call belongs to no order.
    pub(crate) const fn silent() -> Self {
        Self { page: None }
    }

    /// Writes about the call that `work` makes.
    pub(crate) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Lets whoever writes about the call that is under way here be told.
    pub(crate) fn current(tell: impl FnOnce(&Self)) {
        // What runs in no call of ours is nobody's to write down.
        let _ = CURRENT.try_with(tell);
    }

    fn write(&self, step: Step) {
        let Some(Page { order, line, operation, journal }) = &self.page else {
            return;
        };
        journal.observe(&Entry::new(*order, *line, operation, step));
    }
}

/// An attempt of the call that is under way ended like this.
pub(crate) fn attempted(
    result: Result<Response<Full<Bytes>>, BoxError>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let step = match &result {
        Ok(response) => Step::Answered {
            status: response.status(),
            replayed: response.headers().contains_key(REPLAYED),
        },
        Err(error) => Step::Unanswered(Silence::of(&**error)),
    };
    Scribe::current(|scribe| scribe.write(step));
    result
}

impl Observe<RetryEvent> for Scribe {
    fn observe(&self, event: &RetryEvent) {
        match *event {
            RetryEvent::Waiting { wait, .. } => self.write(Step::Waiting(wait)),
            RetryEvent::Refused { reason, .. } => self.write(Step::GivenUp(reason)),
            _ => {}
        }
    }
}

impl Silence {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let call = Call::of(&Method::POST, &HeaderMap::new());
        let result: Result<&Response<()>, _> = Err(error);
        match HttpClassifier.classify(call, result).failure() {
            Some(failure) if failure.kind == FailureKind::Unsent => Self::Unsent,
            Some(failure) if failure.kind == FailureKind::Timeout => Self::Late,
            Some(failure) if failure.kind == FailureKind::Transient => Self::Lost,
            _ => Self::Garbled,
        }
    }
}

// The layers are an operation's and know nothing of orders; all of a call runs in one task.
task_local! {
    static CURRENT: Scribe;
}
