use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::log::Log;
use crate::machine::Step;
use crate::memory::{BYTES_MAX, LETTERS_MAX};
use crate::operator::{AuditEntry, Listing};
use crate::shelf::{Clock, Plan, Room, Shelf};
use crate::sink::{Sink, SinkError, StepError, Stored};
use crate::{Letter, LetterId, Record};

/// Letters in a file of JSON lines, for one process without a database.
///
/// Each change is one line, appended and synced before it counts. A last line that was torn by a
/// power cut is cut off when the file is opened: nobody was told that it is there. What happened
/// long ago is left out then too. Another process that opens the file is refused.
///
/// All letters are held in memory besides, within the bounds of a
/// [`MemorySink`](crate::MemorySink).
///
/// # Cancellation
///
/// A future that is dropped does not stop the write that it waits for.
pub struct JsonLines {
    book: Arc<Mutex<Book>>,
}

struct Book {
    shelf: Shelf,
    log: Log,
    clock: Clock,
}

impl JsonLines {
    /// Opens a file, or makes it. Two more lie beside it: `.lock`, and for a moment `.new`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, another process has it open, or it holds what this version cannot
    /// read.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        Self::open_bounded(path, LETTERS_MAX, BYTES_MAX).await
    }

    /// The same for up to so many letters, which take up to about so many bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_bounded(
        path: impl AsRef<Path>,
        letters: usize,
        bytes: usize,
    ) -> Result<Self, SinkError> {
        let path = path.as_ref().to_owned();
        let opening = move || {
            let mut shelf = Shelf::new(Room { letters, bytes });
            let log = Log::open(&path, &mut shelf)?;
            let book = Arc::new(Mutex::new(Book { shelf, log, clock: Clock::start() }));
            Ok(Self { book })
        };
        tokio::task::spawn_blocking(opening).await.map_err(SinkError::unavailable)?
    }

    /// Opens the book where it may wait for a disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> Result<T, SinkError> {
        let book = Arc::clone(&self.book);
        let working = move || work(&mut book.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(working).await.map_err(SinkError::uncertain)
    }
}

impl Book {
    /// Writes a plan down, then makes it true.
    fn change(&mut self, plan: Plan) -> Result<(), SinkError> {
        self.log.append(&plan)?;
        self.shelf.change(plan);
        Ok(())
    }
}

impl Sink for JsonLines {
    async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
        let letter = letter.clone();
        let store = move |book: &mut Book| {
            let Some(plan) = book.shelf.store(&letter, book.clock.now())? else {
                return Ok(Stored::There);
            };
            book.change(plan)?;
            Ok(Stored::New)
        };
        self.write(store).await?
    }

    async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
        let step = step.clone();
        let take = move |book: &mut Book| {
            let (record, plan) = book.shelf.step(id, &step, book.clock.now())?;
            if let Some(plan) = plan {
                book.change(plan)?;
            }
            Ok(record)
        };
        self.write(take).await?
    }

    async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
        self.write(move |book| book.shelf.get(id)).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
        let listing = *listing;
        self.write(move |book| book.shelf.list(&listing)).await
    }

    async fn audit(&self, of: Option<LetterId>, most: usize) -> Result<Vec<AuditEntry>, SinkError> {
        self.write(move |book| book.shelf.audit(of, most)).await
    }

    async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
        let sweep = move |book: &mut Book| {
            let forget = book.shelf.sweep(keep, most, book.clock.now());
            let swept = forget.len();
            if swept > 0 {
                book.change(Plan { forget, ..Plan::default() })?;
            }
            Ok(swept)
        };
        self.write(sweep).await?
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}
