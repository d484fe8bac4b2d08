//! Where a dead request goes: into a sink, or to whoever keeps the queue.

use std::sync::Arc;

use crate::fate::Fate;
use crate::machine::{Refused, Step};
use crate::operator::Note;
use crate::sink::{Sink, SinkError, StepError};
use crate::{Letter, LetterId};

/// Takes the letters of a [`DeadLetterLayer`](crate::DeadLetterLayer). Every [`Sink`] does.
///
/// ```
/// use aplomb_dead_letter::{Bury, DeadLetterLayer, HandOver, JsonLines, SinkError};
///
/// # async fn f() -> Result<(), SinkError> {
/// // Every sink takes letters itself; a worker with a queue is handed them.
/// let kept = DeadLetterLayer::new(JsonLines::open("letters.jsonl").await?);
/// let handed: DeadLetterLayer<HandOver> = DeadLetterLayer::hand_over();
/// fn takes<B: Bury>(_: &B) {}
/// takes(&HandOver::default());
/// # let _ = (kept, handed);
/// # Ok(()) }
/// ```
pub trait Bury: Send + Sync + 'static {
    /// Takes a letter. When it fails, the caller keeps the request.
    fn bury(&self, letter: Letter) -> impl Future<Output = Result<Fate, SinkError>> + Send;

    /// A job that may have a letter was done from its queue. Answers whether it had one.
    fn retract(&self, id: LetterId) -> impl Future<Output = Result<bool, SinkError>> + Send;
}

impl<K: Sink> Bury for K {
    async fn bury(&self, letter: Letter) -> Result<Fate, SinkError> {
        match self.store(&letter).await {
            // The same letter is stored once, however often it is asked for.
            Err(error) if error.is_uncertain() => self.store(&letter).await?,
            stored => stored?,
        };
        Ok(Fate::Buried(letter.id))
    }

    async fn retract(&self, id: LetterId) -> Result<bool, SinkError> {
        let note = Note::new("aplomb-dead-letter", "its work was done from its queue");
        match self.step(id, &Step::Retract { note }).await {
            Ok(_) => Ok(true),
            Err(StepError::Refused(Refused::Unknown)) => Ok(false),
            Err(StepError::Refused(refused)) => Err(SinkError::corrupt(refused)),
            Err(StepError::Sink(error)) => Err(error),
        }
    }
}

/// Letters are handed to whoever keeps the queue, which stores the letter and removes its job in
/// one step: see [`DeadLetterLayer::hand_over`](crate::DeadLetterLayer::hand_over).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct HandOver;

impl Bury for HandOver {
    async fn bury(&self, letter: Letter) -> Result<Fate, SinkError> {
        Ok(Fate::HandedOver(Arc::new(letter)))
    }

    /// Whose queue and letters change in one step has no letter of a job that is in the queue.
    async fn retract(&self, _: LetterId) -> Result<bool, SinkError> {
        Ok(false)
    }
}
