//! What is done to letters, each in a transaction that holds what it has read.

use aplomb_dead_letter::machine::{self, Change, Filing, Refused, Step};
use aplomb_dead_letter::{Letter, LetterId, Record, Stored};

use crate::rows::Rows;

/// Stores a letter.
pub(crate) async fn store<C: Rows + ?Sized>(rows: &mut C, letter: &Letter) -> sqlx::Result<Stored> {
    // A letter that is in the way may be forgotten before it can be looked at.
    for _ in 0..STORES_MAX {
        if let Filing::New(record) = machine::store(None, letter, rows.now().await?)
            && rows.insert(&record).await?
        {
            return Ok(Stored::New);
        }
        let Some(existing) = rows.load(letter.id).await? else { continue };
        // The clock is read when the letter is held.
        return match machine::store(Some(&existing), letter, rows.now().await?) {
            Filing::Reopened(change) => {
                write(rows, &change).await?;
                Ok(Stored::New)
            }
            Filing::There | Filing::New(_) => Ok(Stored::There),
        };
    }
    Err(sqlx::Error::RowNotFound)
}

/// Takes a step.
pub(crate) async fn step<C: Rows + ?Sized>(
    rows: &mut C,
    id: LetterId,
    step: &Step,
) -> sqlx::Result<Result<Record, Refused>> {
    let Some(record) = rows.load(id).await? else { return Ok(Err(Refused::Unknown)) };
    let now = rows.now().await?;
    // Drawn while the letter is held: of two numbers drawn early, the later could be used first.
    let fence = if step.draws_fence() { rows.next_fence().await? } else { 0 };
    match machine::apply(&record, step, fence, now) {
        Err(refused) => Ok(Err(refused)),
        Ok(change) => {
            write(rows, &change).await?;
            Ok(Ok(change.record))
        }
    }
}

async fn write<C: Rows + ?Sized>(rows: &mut C, change: &Change) -> sqlx::Result<()> {
    let Some(entry) = &change.entry else { return Ok(()) };
    rows.update(&change.record).await?;
    rows.note(entry).await
}

const STORES_MAX: u32 = 10;
