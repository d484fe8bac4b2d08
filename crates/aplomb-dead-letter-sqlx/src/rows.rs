//! What a database must know of letters and jobs.

use aplomb_dead_letter::{AuditEntry, LetterId, Listing, Record, Reschedule, Timestamp};
use std::time::Duration;

use crate::outgoing::Outgoing;
use crate::task::{Depth, Held, Taken};

/// A connection of a database that holds letters and jobs.
pub trait Rows: Send {
    /// The database's time, read now.
    fn now(&mut self) -> impl Future<Output = sqlx::Result<Timestamp>> + Send;

    /// The number of a new claim.
    fn next_fence(&mut self) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// A letter, held until the transaction ends.
    fn load(&mut self, id: LetterId) -> impl Future<Output = sqlx::Result<Option<Record>>> + Send;

    /// A letter, to look at.
    fn get(&mut self, id: LetterId) -> impl Future<Output = sqlx::Result<Option<Record>>> + Send;

    /// Writes a new letter; `false` when there is one of this id.
    fn insert(&mut self, record: &Record) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Writes a letter over the one that is held.
    fn update(&mut self, record: &Record) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Writes a line of the audit.
    fn note(&mut self, entry: &AuditEntry) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Letters in the order of their ids.
    fn list(&mut self, of: &Listing) -> impl Future<Output = sqlx::Result<Vec<Record>>> + Send;

    /// Lines of the audit, newest first.
    fn audit(
        &mut self,
        of: Option<LetterId>,
        most: usize,
    ) -> impl Future<Output = sqlx::Result<Vec<AuditEntry>>> + Send;

    /// Removes letters that ended long ago.
    fn sweep(
        &mut self,
        keep: Duration,
        most: usize,
    ) -> impl Future<Output = sqlx::Result<usize>> + Send;

    /// Writes a new job; `false` when there is one of this id.
    fn enqueue(&mut self, job: &Outgoing) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Whether a job is due.
    fn any_due(&mut self) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Takes jobs that are due, each under a number of its own.
    fn claim(
        &mut self,
        worker: &str,
        most: usize,
        lease: Duration,
    ) -> impl Future<Output = sqlx::Result<Vec<Taken>>> + Send;

    /// Holds a job for longer; `false` when it is not held under this number.
    fn renew(
        &mut self,
        held: Held,
        lease: Duration,
    ) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Puts a job back; `false` when it is not held under this number.
    fn reschedule(
        &mut self,
        held: Held,
        later: &Reschedule,
    ) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Removes a job; `false` when it is not held under this number.
    fn remove(&mut self, held: Held) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// How many jobs there are.
    fn depth(&mut self) -> impl Future<Output = sqlx::Result<Depth>> + Send;
}

/// The same code for each database: its statements take the same parameters.
macro_rules! rows {
    ($connection:ty, $sql:expr, $fences:path) => {
        impl $crate::rows::Rows for $connection {
            async fn now(&mut self) -> sqlx::Result<Timestamp> {
                let now = sqlx::query_scalar($sql.now).fetch_one(self).await?;
                Ok(Timestamp::from_millis(now))
            }

            async fn next_fence(&mut self) -> sqlx::Result<u64> {
                columns::unsigned(sqlx::query_scalar($sql.next_fence).fetch_one(self).await?)
            }

            async fn load(&mut self, id: LetterId) -> sqlx::Result<Option<Record>> {
                let row = sqlx::query($sql.load).bind(id.to_string()).fetch_optional(self).await?;
                row.as_ref().map(columns::record).transpose()
            }

            async fn get(&mut self, id: LetterId) -> sqlx::Result<Option<Record>> {
                let row = sqlx::query($sql.get).bind(id.to_string()).fetch_optional(self).await?;
                row.as_ref().map(columns::record).transpose()
            }

            async fn insert(&mut self, record: &Record) -> sqlx::Result<bool> {
                let written = rows!(@bind sqlx::query($sql.insert), record);
                Ok(written.execute(self).await?.rows_affected() == 1)
            }

            async fn update(&mut self, record: &Record) -> sqlx::Result<()> {
                let written = rows!(@bind sqlx::query($sql.update), record);
                written.execute(self).await.map(|_| ())
            }

            async fn note(&mut self, entry: &AuditEntry) -> sqlx::Result<()> {
                let query = sqlx::query($sql.note)
                    .bind(entry.at.as_millis())
                    .bind(entry.id.to_string())
                    .bind(&*entry.note.by)
                    .bind(&*entry.note.why)
                    .bind(entry.action.as_str())
                    .bind(columns::signed(entry.fence))
                    .bind(&*entry.outcome);
                query.execute(self).await.map(|_| ())
            }

            async fn list(&mut self, of: &Listing) -> sqlx::Result<Vec<Record>> {
                let statement = match of.which {
                    Which::Dead => $sql.list_dead,
                    Which::Ended => $sql.list_ended,
                    Which::All => $sql.list_all,
                };
                let after = of.after.map(|id| id.to_string()).unwrap_or_default();
                let query = sqlx::query(statement).bind(after).bind(columns::count(of.most));
                query.fetch_all(self).await?.iter().map(columns::record).collect()
            }

            async fn audit(
                &mut self,
                of: Option<LetterId>,
                most: usize,
            ) -> sqlx::Result<Vec<AuditEntry>> {
                let most = columns::count(most);
                let query = match of {
                    None => sqlx::query($sql.audit).bind(most),
                    Some(id) => sqlx::query($sql.audit_of).bind(most).bind(id.to_string()),
                };
                query.fetch_all(self).await?.iter().map(columns::audited).collect()
            }

            async fn sweep(&mut self, keep: Duration, most: usize) -> sqlx::Result<usize> {
                let query = sqlx::query($sql.sweep).bind(columns::span(keep));
                let swept = query.bind(columns::count(most)).execute(self).await?.rows_affected();
                Ok(usize::try_from(swept).unwrap_or(usize::MAX))
            }

            async fn enqueue(&mut self, job: &Outgoing) -> sqlx::Result<bool> {
                let request = &job.request;
                let query = sqlx::query($sql.enqueue)
                    .bind(job.id.to_string())
                    .bind(&*job.key)
                    .bind(request.method.as_str())
                    .bind(request.uri.to_string())
                    .bind(request.headers_to_text())
                    .bind(&request.body[..])
                    .bind(columns::span(job.horizon))
                    .bind(columns::span(job.delay));
                Ok(query.execute(self).await?.rows_affected() == 1)
            }

            async fn any_due(&mut self) -> sqlx::Result<bool> {
                sqlx::query_scalar($sql.any_due).fetch_one(self).await
            }

            async fn claim(
                &mut self,
                worker: &str,
                most: usize,
                lease: Duration,
            ) -> sqlx::Result<Vec<Taken>> {
                let most = columns::count(most);
                $fences(self, most).await?;
                let query = sqlx::query($sql.claim).bind(most).bind(worker);
                let rows = query.bind(columns::span(lease)).fetch_all(self).await?;
                rows.iter().map(columns::taken).collect()
            }

            async fn renew(&mut self, held: Held, lease: Duration) -> sqlx::Result<bool> {
                let query = sqlx::query($sql.renew).bind(held.id.to_string());
                let query = query.bind(columns::signed(held.fence)).bind(columns::span(lease));
                Ok(query.execute(self).await?.rows_affected() == 1)
            }

            async fn reschedule(&mut self, held: Held, later: &Reschedule) -> sqlx::Result<bool> {
                let query = sqlx::query($sql.reschedule)
                    .bind(held.id.to_string())
                    .bind(columns::signed(held.fence))
                    .bind(columns::span(later.wait))
                    .bind(i64::from(later.attempts))
                    .bind(later.failed_at.as_millis())
                    .bind(later.failure.to_string());
                Ok(query.execute(self).await?.rows_affected() == 1)
            }

            async fn remove(&mut self, held: Held) -> sqlx::Result<bool> {
                let query = sqlx::query($sql.remove).bind(held.id.to_string());
                let query = query.bind(columns::signed(held.fence));
                Ok(query.execute(self).await?.rows_affected() == 1)
            }

            async fn depth(&mut self) -> sqlx::Result<Depth> {
                columns::depth(&sqlx::query($sql.depth).fetch_one(self).await?)
            }
        }
    };
    (@bind $query:expr, $record:ident) => {{
        let letter = &$record.letter;
        let (request, failure) = (&letter.request, &letter.last_failure);
        let state_time = $record.state.until().or($record.state.ended_at());
        $query
            .bind(letter.id.to_string())
            .bind(&*letter.key)
            .bind(letter.cause.as_str())
            .bind(request.method.as_str())
            .bind(request.uri.to_string())
            .bind(request.headers_to_text())
            .bind(&request.body[..])
            .bind(i64::from(letter.attempts))
            .bind(i64::from(letter.rounds))
            .bind(failure.word())
            .bind(failure.status.map(|status| i64::from(status.as_u16())))
            .bind(failure.reason.map(|reason| reason.as_str()))
            .bind(&*failure.detail)
            .bind(letter.first_failed_at.as_millis())
            .bind(letter.last_failed_at.as_millis())
            .bind(letter.not_before.as_millis())
            .bind(letter.horizon.map(Timestamp::as_millis))
            .bind($record.state.as_str())
            .bind(state_time.map(Timestamp::as_millis))
            .bind(i64::from($record.redrives))
            .bind(columns::signed($record.fence))
            .bind($record.stored_at.as_millis())
    }};
}

pub(crate) use rows;
