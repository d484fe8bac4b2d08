//! Records as rows: what a database's columns mean, whichever database it is.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aplomb_core::BoxError;
use aplomb_idempotency::operator::{Action, AuditEntry, Note};
use aplomb_idempotency::record::millis;
use aplomb_idempotency::{
    Fence, Fingerprint, Identity, Key, Lapsed, Record, RecordId, Scope, Started, State,
    StoredAnswer, Ticket, Timestamp,
};
use bytes::Bytes;
use http::Method;
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::steps::{Due, Found, Standing};

/// A row of either database.
pub(crate) trait Columns {
    fn int(&self, column: &'static str) -> sqlx::Result<i64>;
    fn int_or_null(&self, column: &'static str) -> sqlx::Result<Option<i64>>;
    fn flag(&self, column: &'static str) -> sqlx::Result<bool>;
    fn text(&self, column: &'static str) -> sqlx::Result<&str>;
    fn bytes(&self, column: &'static str) -> sqlx::Result<Option<&[u8]>>;
}

impl<R> Columns for R
where
    R: Row,
    for<'c> &'c str: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r str: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    fn int_or_null(&self, column: &'static str) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }

    fn int(&self, column: &'static str) -> sqlx::Result<i64> {
        self.try_get(column)
    }

    fn flag(&self, column: &'static str) -> sqlx::Result<bool> {
        self.try_get(column)
    }

    fn text(&self, column: &'static str) -> sqlx::Result<&str> {
        self.try_get(column)
    }

    fn bytes(&self, column: &'static str) -> sqlx::Result<Option<&[u8]>> {
        self.try_get(column)
    }
}

/// The store's clock, as a row tells it.
pub(crate) fn now(row: &impl Columns) -> sqlx::Result<Timestamp> {
    time(row, "now")
}

/// What is known of a key whose identity is known already.
pub(crate) struct Kept {
    fingerprint: Fingerprint,
    created: Timestamp,
    pub(crate) state: State,
}

impl Kept {
    /// The record of the key with this identity.
    pub(crate) fn of(self, identity: &Identity) -> Record {
        Record::new(identity.clone(), self.fingerprint, self.created, self.state)
    }
}

/// What a row that was joined to the clock keeps of a key, if anything, and the time.
pub(crate) fn found(row: &impl Columns) -> sqlx::Result<Found> {
    let kept = row.bytes("id")?.is_some().then(|| named(row, || kept(row))).transpose()?;
    Ok((kept, now(row)?))
}

/// The record in a row.
pub(crate) fn record(row: &impl Columns) -> sqlx::Result<Record> {
    named(row, || Ok(kept(row)?.of(&identity(row)?)))
}

/// Where records lie and stand, of those that can be read, and the time: a record that cannot be
/// read must not keep a sweep from the others.
pub(crate) fn readable(rows: &[impl Columns]) -> sqlx::Result<Due> {
    let read = rows.iter().map(standing);
    let report = |error: &sqlx::Error| tracing::error!(%error, "a record is not swept");
    let readable = read.filter_map(|standing| standing.inspect_err(report).ok());
    Ok((readable.collect(), since(rows)?))
}

/// Where records lie and stand, and the time.
pub(crate) fn standings(rows: &[impl Columns]) -> sqlx::Result<Due> {
    let standings = rows.iter().map(standing).collect::<sqlx::Result<_>>()?;
    Ok((standings, since(rows)?))
}

/// The columns of a state in which no claim runs.
pub(crate) struct Ended<'a> {
    pub(crate) status: Option<i64>,
    pub(crate) headers: Option<Vec<u8>>,
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) retired_until: Option<i64>,
    pub(crate) since: Option<i64>,
}

impl<'a> Ended<'a> {
    pub(crate) fn of(state: &'a State) -> Self {
        debug_assert!(!matches!(state, State::Started(_)), "a claim is not ended");
        let mut ended = Self {
            status: None,
            headers: None,
            body: None,
            expires_at: state.expires().map(moment),
            retired_until: None,
            since: None,
        };
        match state {
            State::Completed { answer, expires, retired_until, .. } => {
                ended.status = Some(answer.status().as_u16().into());
                ended.headers = Some(answer.headers_to_bytes());
                ended.body = answer.body().map(|body| &body[..]);
                ended.expires_at = Some(moment(*expires));
                ended.retired_until = Some(moment(*retired_until));
            }
            State::Unknown { since, .. } => ended.since = Some(moment(*since)),
            State::Started(_) | State::Released { .. } | State::Tombstone { .. } => {}
        }
        ended
    }
}

/// A line of the audit.
pub(crate) fn audited(row: &impl Columns) -> sqlx::Result<AuditEntry> {
    named(row, || {
        Ok(AuditEntry {
            at: time(row, "at")?,
            note: Note { by: row.text("operator")?.into(), why: row.text("reason")?.into() },
            action: Action::from_word(row.text("action")?).ok_or_else(|| bad("action"))?,
            id: id(row)?,
            fence: fence(row.int("fence")?)?,
        })
    })
}

/// The fence of a number.
pub(crate) fn fence(number: i64) -> sqlx::Result<Fence> {
    u64::try_from(number).ok().and_then(Fence::new).ok_or_else(|| bad("fence"))
}

/// The number of a fence: it fits a signed column by construction.
pub(crate) fn number(fence: Fence) -> i64 {
    i64::try_from(fence.get()).unwrap_or(i64::MAX)
}

/// A time as a column keeps it: a database adds to it without looking, so the end of time is
/// kept at a distance.
pub(crate) fn moment(time: Timestamp) -> i64 {
    time.as_millis().min(MOMENT_MAX)
}

/// A duration as a statement adds it to the database's clock.
pub(crate) fn span(time: Duration) -> i64 {
    millis(time).min(SPAN_MAX)
}

/// Where a record lies and stands. The rest of its row may be missing.
fn standing(row: &impl Columns) -> sqlx::Result<Standing> {
    named(row, || Ok((id(row)?, state(row)?)))
}

/// The time that rows were read at. Without rows there is nothing that it matters to.
fn since(rows: &[impl Columns]) -> sqlx::Result<Timestamp> {
    rows.first().map_or(Ok(Timestamp::from_millis(0)), now)
}

fn id(row: &impl Columns) -> sqlx::Result<RecordId> {
    let bytes = bytes(row, "id")?.try_into().map_err(|_| bad("id"))?;
    Ok(RecordId::from_bytes(bytes))
}

fn kept(row: &impl Columns) -> sqlx::Result<Kept> {
    let fingerprint = Fingerprint::from_bytes(bytes(row, "fingerprint")?);
    Ok(Kept {
        fingerprint: fingerprint.ok_or_else(|| bad("fingerprint"))?,
        created: time(row, "created_at")?,
        state: state(row)?,
    })
}

fn identity(row: &impl Columns) -> sqlx::Result<Identity> {
    let scope = Scope::from_parts(row.text("scope")?, row.text("caller")?);
    let method = Method::from_bytes(row.text("method")?.as_bytes());
    let key = Key::try_from(row.text("key")?);
    Ok(Identity::new(
        scope.ok_or_else(|| bad("scope"))?,
        method.map_err(|_| bad("method"))?,
        row.text("route")?,
        key.map_err(|_| bad("key"))?,
    ))
}

fn state(row: &impl Columns) -> sqlx::Result<State> {
    let fence = fence(row.int("fence")?)?;
    let attempt = u32::try_from(row.int("attempt")?).map_err(|_| bad("attempt"))?;
    let time = |column| time(row, column);
    Ok(match row.text("state")? {
        "started" => State::Started(started(row, fence, attempt)?),
        "completed" => State::Completed {
            fence,
            answer: answer(row)?,
            expires: time("expires_at")?,
            // A process of the version before writes none, and refuses no key after its answer.
            retired_until: match row.int_or_null("retired_until")? {
                Some(until) => Timestamp::from_millis(until),
                None => time("expires_at")?,
            },
        },
        "unknown" => State::Unknown { fence, attempt, since: time("since")? },
        "released" => State::Released { fence, attempt, expires: time("expires_at")? },
        "tombstone" => State::Tombstone { fence, expires: time("expires_at")? },
        _ => return Err(bad("state")),
    })
}

fn started(row: &impl Columns, fence: Fence, attempt: u32) -> sqlx::Result<Started> {
    let ticket = bytes(row, "ticket")?.try_into().map_err(|_| bad("ticket"))?;
    Ok(Started {
        fence,
        attempt,
        lease_until: time(row, "lease_until")?,
        ticket: Ticket::from_bytes(ticket),
        lapsed: Lapsed::from_word(row.text("lapsed")?).ok_or_else(|| bad("lapsed"))?,
        after_lapse: row.flag("after_lapse")?,
    })
}

fn answer(row: &impl Columns) -> sqlx::Result<StoredAnswer> {
    let status = u16::try_from(row.int("status")?).map_err(|_| bad("status"))?;
    let body = row.bytes("body")?.map(Bytes::copy_from_slice);
    StoredAnswer::from_columns(status, bytes(row, "headers")?, body)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

fn time(row: &impl Columns, column: &'static str) -> sqlx::Result<Timestamp> {
    row.int(column).map(Timestamp::from_millis)
}

fn bytes<'r>(row: &'r impl Columns, column: &'static str) -> sqlx::Result<&'r [u8]> {
    row.bytes(column)?.ok_or_else(|| bad(column))
}

fn bad(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(BoxError::from(format!("nothing this version writes is in {column}")))
}

/// Whatever cannot be read in a row says in which.
fn named<T>(row: &impl Columns, read: impl FnOnce() -> sqlx::Result<T>) -> sqlx::Result<T> {
    read().map_err(|source| sqlx::Error::Decode(Box::new(Unreadable { id: id(row).ok(), source })))
}

/// Which record cannot be read.
#[derive(Debug)]
struct Unreadable {
    id: Option<RecordId>,
    source: sqlx::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "record {id}: {}; mend or delete its row", self.source),
            None => write!(f, "a record without an id: {}", self.source),
        }
    }
}

impl Error for Unreadable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

const SPAN_MAX: i64 = 1 << 60;
const MOMENT_MAX: i64 = 1 << 62;
