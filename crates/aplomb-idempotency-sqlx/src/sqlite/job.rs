//! What callers ask of the one writer, and how they are told.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aplomb_idempotency::machine::Step;
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, RecordId, Settled, State, StoreError, StoredAnswer, Timestamp,
};
use tokio::sync::oneshot;

/// A step, and who waits for it.
#[derive(Debug)]
pub(super) enum Job {
    Begin(Asked<Begin, Begun>),
    Complete(Asked<(Held, StoredAnswer, Keep), Settled>),
    Change(Asked<(RecordId, Change), Settled>),
}

pub(super) struct Asked<Q, A> {
    pub(super) question: Q,
    pub(super) answer: Option<A>,
    caller: oneshot::Sender<Result<A, StoreError>>,
}

impl Job {
    /// Tells the caller what the step came to, if its transaction was committed.
    pub(super) fn tell(self, committed: Result<(), StoreError>) {
        match self {
            Self::Begin(asked) => asked.tell(committed),
            Self::Complete(asked) => asked.tell(committed),
            Self::Change(asked) => asked.tell(committed),
        }
    }

    /// Whether its caller has gone: then what it asked may be done or not.
    pub(super) fn is_moot(&self) -> bool {
        match self {
            Self::Begin(asked) => asked.caller.is_closed(),
            Self::Complete(asked) => asked.caller.is_closed(),
            Self::Change(asked) => asked.caller.is_closed(),
        }
    }
}

impl<Q, A> Asked<Q, A> {
    /// The question of a caller, and where its answer comes.
    pub(super) fn new(question: Q) -> (Self, Answer<A>) {
        let (caller, answer) = oneshot::channel();
        (Self { question, answer: None, caller }, answer)
    }

    fn tell(self, committed: Result<(), StoreError>) {
        let answer = committed.and_then(|()| {
            self.answer.ok_or_else(|| StoreError::uncertain("committed without an answer"))
        });
        // The caller may be gone, and then nobody wants to know.
        let _ = self.caller.send(answer);
    }
}

impl<Q, A> fmt::Debug for Asked<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// What becomes of a record, said again whenever it is asked.
pub(super) type Change = Box<dyn Fn(Option<&State>, Timestamp) -> Step + Send + Sync>;

/// Where a caller is told. An error means that nobody will.
pub(super) type Answer<A> = oneshot::Receiver<Result<A, StoreError>>;

/// The failure of a transaction, as each of its callers is told.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<StoreError>);

impl Shared {
    pub(super) fn new(error: StoreError) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Shared> for StoreError {
    fn from(shared: Shared) -> Self {
        match Arc::try_unwrap(shared.0) {
            Ok(alone) => alone,
            Err(shared) if shared.is_uncertain() => Self::uncertain(Shared(shared)),
            Err(shared) => Self::unavailable(Shared(shared)),
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction that was shared with others failed")
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
