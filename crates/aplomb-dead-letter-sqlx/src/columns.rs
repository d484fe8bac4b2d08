//! Letters and jobs as rows: what a database's columns mean, whichever database it is.

use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_dead_letter::{
    Action, AuditEntry, Cause, KeptRequest, LastFailure, Letter, LetterId, Note, Record, State,
    Timestamp, millis,
};
use bytes::Bytes;
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::task::{Depth, Taken};

/// A row of either database.
pub(crate) trait Columns {
    fn int(&self, column: &'static str) -> sqlx::Result<Option<i64>>;
    fn text(&self, column: &'static str) -> sqlx::Result<Option<&str>>;
    fn bytes(&self, column: &'static str) -> sqlx::Result<&[u8]>;
}

impl<R> Columns for R
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r str: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    fn int(&self, column: &'static str) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }

    fn text(&self, column: &'static str) -> sqlx::Result<Option<&str>> {
        self.try_get(column)
    }

    fn bytes(&self, column: &'static str) -> sqlx::Result<&[u8]> {
        self.try_get(column)
    }
}

/// The letter in a row.
pub(crate) fn record(row: &impl Columns) -> sqlx::Result<Record> {
    let (first_failed_at, last_failed_at) =
        (time(row, "first_failed_at")?, time(row, "last_failed_at")?);
    let letter = Letter {
        id: id(row)?,
        request: request(row)?,
        key: text(row, "key")?.into(),
        cause: Cause::from_word(text(row, "cause")?).ok_or_else(|| bad("cause"))?,
        attempts: small(row, "attempts")?,
        rounds: small(row, "rounds")?,
        last_failure: failure(row)?,
        first_failed_at,
        last_failed_at,
        not_before: time(row, "not_before")?,
        horizon: row.int("horizon")?.map(Timestamp::from_millis),
    };
    let state_time = row.int("state_time")?.map(Timestamp::from_millis);
    let state = State::from_word(text(row, "state")?, state_time).ok_or_else(|| bad("state"))?;
    Ok(Record {
        letter,
        state,
        redrives: small(row, "redrives")?,
        fence: unsigned(int(row, "fence")?)?,
        stored_at: time(row, "stored_at")?,
    })
}

/// A line of the audit.
pub(crate) fn audited(row: &impl Columns) -> sqlx::Result<AuditEntry> {
    Ok(AuditEntry {
        at: time(row, "at")?,
        note: Note { by: text(row, "operator")?.into(), why: text(row, "reason")?.into() },
        action: Action::from_word(text(row, "action")?).ok_or_else(|| bad("action"))?,
        id: id(row)?,
        fence: unsigned(int(row, "fence")?)?,
        outcome: text(row, "outcome")?.into(),
    })
}

/// A job that was taken.
pub(crate) fn taken(row: &impl Columns) -> sqlx::Result<Taken> {
    let left = u64::try_from(int(row, "time_left")?).unwrap_or_default();
    Ok(Taken {
        id: id(row)?,
        fence: unsigned(int(row, "fence")?)?,
        key: text(row, "key")?.into(),
        request: request(row)?,
        left: Duration::from_millis(left),
        takes: small(row, "takes")?,
        attempts: small(row, "attempts")?,
        first_failed_at: row.int("first_failed_at")?.map(Timestamp::from_millis),
        queued_at: time(row, "queued_at")?,
        due_at: time(row, "due_at")?,
    })
}

/// How many jobs there are.
pub(crate) fn depth(row: &impl Columns) -> sqlx::Result<Depth> {
    let (jobs, taken) = (unsigned(int(row, "jobs")?)?, unsigned(int(row, "taken")?)?);
    Ok(Depth { jobs, taken, due: unsigned(int(row, "due")?)? })
}

/// A number of claims as a signed column holds it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that a signed column held.
pub(crate) fn unsigned(number: i64) -> sqlx::Result<u64> {
    u64::try_from(number).map_err(|_| bad("a count"))
}

/// How many rows a statement may give at most.
pub(crate) fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// A duration as a statement adds it to the database's clock, which does so without looking.
pub(crate) fn span(time: Duration) -> i64 {
    millis(time).min(SPAN_MAX)
}

fn request(row: &impl Columns) -> sqlx::Result<KeptRequest> {
    let body = Bytes::copy_from_slice(row.bytes("body")?);
    let (method, uri) = (text(row, "method")?, text(row, "uri")?);
    KeptRequest::from_columns(method, uri, text(row, "headers")?, body).map_err(sqlx::Error::Decode)
}

fn failure(row: &impl Columns) -> sqlx::Result<LastFailure> {
    let status = row.int("status")?.map(u16::try_from).transpose().map_err(|_| bad("status"))?;
    let (word, reason) = (text(row, "failure")?, row.text("reason")?);
    LastFailure::from_words(word, status, reason, text(row, "detail")?)
        .ok_or_else(|| bad("failure"))
}

fn id(row: &impl Columns) -> sqlx::Result<LetterId> {
    text(row, "id")?.parse().map_err(|_| bad("id"))
}

fn time(row: &impl Columns, column: &'static str) -> sqlx::Result<Timestamp> {
    int(row, column).map(Timestamp::from_millis)
}

fn small(row: &impl Columns, column: &'static str) -> sqlx::Result<u32> {
    u32::try_from(int(row, column)?).map_err(|_| bad(column))
}

fn int(row: &impl Columns, column: &'static str) -> sqlx::Result<i64> {
    row.int(column)?.ok_or_else(|| bad(column))
}

fn text<'r>(row: &'r impl Columns, column: &'static str) -> sqlx::Result<&'r str> {
    row.text(column)?.ok_or_else(|| bad(column))
}

fn bad(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(BoxError::from(format!("nothing this version writes is in {column}")))
}

const SPAN_MAX: i64 = 1 << 60;
