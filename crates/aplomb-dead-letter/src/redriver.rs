use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, HttpClassifier, Observe, Withdraw};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::event::DeadLetterEvent;
use crate::machine::Step;
use crate::operator::{AuditEntry, Listing, Note};
use crate::redriven::RedriveError;
use crate::schedule::{Rounds, Schedule, SharedSchedule};
use crate::sink::{Sink, SinkError, StepError};
use crate::{LetterId, Record};

/// The request that a [`Redriver`] sends.
pub type RedriveRequest = Request<Full<Bytes>>;

/// An operator's desk: lists dead letters, sends them again, discards them.
///
/// The service is the client that the requests failed on, *inside* its dead-letter layer, with
/// whatever authenticates it. The budget is that of its retries: a redrive is paid for like a retry,
/// so that a thousand letters cannot finish off a dependency that is coming back.
///
/// ```
/// use aplomb_dead_letter::{MemorySink, Note, RedriveError, Redriver, Refused};
/// use aplomb_retry::Budget;
/// use std::sync::Arc;
/// use tower::service_fn;
/// # use aplomb_dead_letter::RedriveRequest;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = service_fn(|_: RedriveRequest| async {
/// #     Ok::<_, std::convert::Infallible>(http::Response::new(()))
/// # });
///
/// let redriver = Redriver::new(Arc::new(MemorySink::new()), client, Budget::percent(20));
/// let note = Note::new("erin", "the warehouse is back");
/// let unknown = "00112233445566778899aabbccddeeff".parse()?;
/// match redriver.redrive(unknown, &note).await {
///     Err(RedriveError::Refused(Refused::Unknown)) => {}
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// | what | default |
/// |---|---|
/// | [spread](Self::spread): each send waits anything up to it | 1 s |
/// | [lease](Self::lease): for how long nobody else may send the letter | 60 s, of which three quarters to send |
/// | [redrives](Self::redrives_max) of a letter in all | 10 |
/// | [schedule](Self::schedule): how long a letter that failed again is left alone | half a minute to a minute, doubling up to 4 h |
///
/// # Cancellation
///
/// A redrive that is dropped before it sends gives its withdrawal back; one that is dropped later may
/// have been carried out. Either way the letter is another operator's when the lease ends, with the
/// same key.
#[derive(Clone, Debug)]
#[must_use]
pub struct Redriver<K, S, W, C = HttpClassifier, O = ()> {
    pub(crate) sink: K,
    pub(crate) service: S,
    pub(crate) budget: W,
    pub(crate) terms: Terms,
    pub(crate) classify: C,
    pub(crate) observer: O,
}

#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) spread: Duration,
    pub(crate) lease: Duration,
    pub(crate) redrives_max: u32,
    pub(crate) schedule: SharedSchedule,
    pub(crate) dice: Dice,
}

impl<K: Sink, S, W: Withdraw> Redriver<K, S, W> {
    /// Sends what lies in `sink` through `service`, and pays from `budget`.
    pub fn new(sink: K, service: S, budget: W) -> Self {
        let terms = Terms {
            spread: Duration::from_secs(1),
            lease: Duration::from_secs(60),
            redrives_max: 10,
            schedule: SharedSchedule(Arc::new(Rounds::default())),
            dice: Dice::from_entropy(),
        };
        Self { sink, service, budget, terms, classify: HttpClassifier, observer: () }
    }
}

impl<K, S, W, C, O> Redriver<K, S, W, C, O> {
    /// Waits anything up to this before each send, so that operators of several processes and the
    /// letters of one do not come at once.
    pub fn spread(mut self, spread: Duration) -> Self {
        self.terms.spread = spread;
        self
    }

    /// For how long nobody else may send a letter that is being sent. Three quarters of it are for
    /// the spread, for readiness and for the send itself; what takes longer is given up, and its
    /// outcome is unknown.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.terms.lease = lease;
        self
    }

    /// How often a letter may be redriven in all.
    pub fn redrives_max(mut self, redrives: u32) -> Self {
        self.terms.redrives_max = redrives;
        self
    }

    /// How long a letter that failed again is left alone.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.terms.schedule = SharedSchedule(Arc::new(schedule));
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.terms.dice = dice;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> Redriver<K, S, W, C, P> {
        let Self { sink, service, budget, terms, classify, .. } = self;
        Redriver { sink, service, budget, terms, classify, observer }
    }

    /// Lets `classify` decide what an answer means: the value that the other layers have too.
    pub fn classify<D>(self, classify: D) -> Redriver<K, S, W, D, O> {
        let Self { sink, service, budget, terms, observer, .. } = self;
        Redriver { sink, service, budget, terms, classify, observer }
    }
}

impl<K: Sink, S, W, C, O: Observe<DeadLetterEvent>> Redriver<K, S, W, C, O> {
    /// Letters in the order of their ids.
    ///
    /// # Errors
    ///
    /// When the sink fails.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        self.sink.list(listing).await
    }

    /// The letter of this id.
    ///
    /// # Errors
    ///
    /// When the sink fails.
    pub async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        self.sink.get(id).await
    }

    /// What was done, newest first: to one letter, or to all.
    ///
    /// # Errors
    ///
    /// When the sink fails.
    pub async fn audit(
        &self,
        of: Option<LetterId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, SinkError> {
        self.sink.audit(of, most).await
    }

    /// Decides that a letter need not arrive.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::Refused) for a letter that is not there, has ended or is being sent; or the sink's own.
    pub async fn discard(&self, id: LetterId, note: &Note) -> Result<Record, StepError> {
        let record = self.sink.step(id, &Step::Discard { note: note.clone() }).await?;
        self.observer.observe(&DeadLetterEvent::Discarded);
        Ok(record)
    }

    pub(crate) fn refuse(&self, error: StepError) -> RedriveError {
        if let StepError::Refused(why) = error {
            self.observer.observe(&DeadLetterEvent::Refused { why });
        }
        error.into()
    }
}
