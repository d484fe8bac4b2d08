use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::machine::Step;
use crate::operator::{AuditEntry, Listing};
use crate::shelf::{Clock, Plan, Room, Shelf};
use crate::sink::{Sink, SinkError, StepError, Stored};
use crate::{Letter, LetterId, Record};

/// Letters in this process's memory: they are gone when it ends.
///
/// It is bounded in letters and in bytes. At a bound it forgets letters that have ended, the oldest
/// first, and nothing else; then it is full, and callers keep their requests.
pub struct MemorySink {
    shelf: Mutex<Shelf>,
    clock: Clock,
}

impl MemorySink {
    /// Up to [`LETTERS_MAX`] letters and [`BYTES_MAX`] bytes.
    pub fn new() -> Self {
        Self::bounded(LETTERS_MAX, BYTES_MAX)
    }

    /// Up to so many letters, which take up to about so many bytes.
    pub fn bounded(letters: usize, bytes: usize) -> Self {
        let shelf = Mutex::new(Shelf::new(Room { letters, bytes }));
        Self { shelf, clock: Clock::start() }
    }

    /// How many letters it holds, those that have ended included.
    pub fn len(&self) -> usize {
        self.shelf().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A change of the shelf cannot panic halfway: what is planned always fits.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        let mut shelf = self.shelf();
        let Some(plan) = shelf.store(letter, self.clock.now())? else {
            return Ok(Stored::There);
        };
        shelf.change(plan);
        Ok(Stored::New)
    }

    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        let mut shelf = self.shelf();
        let (record, plan) = shelf.step(id, step, self.clock.now())?;
        shelf.change(plan.unwrap_or_default());
        Ok(record)
    }

    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        Ok(self.shelf().get(id))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        Ok(self.shelf().list(listing))
    }

    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        Ok(self.shelf().audit(of, most))
    }

    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        let mut shelf = self.shelf();
        let forget = shelf.sweep(keep, most, self.clock.now());
        let swept = forget.len();
        shelf.change(Plan { forget, ..Plan::default() });
        Ok(swept)
    }
}

impl Default for MemorySink {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink").field("letters", &self.len()).finish_non_exhaustive()
    }
}

/// How many letters a sink in this process holds, unless told otherwise.
pub const LETTERS_MAX: usize = 10_000;
/// How many bytes of letters a sink in this process holds, unless told otherwise.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
