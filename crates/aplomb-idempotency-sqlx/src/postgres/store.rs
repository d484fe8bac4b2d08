use std::time::Duration;

use aplomb_idempotency::machine::{self, Step};
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, Record, RecordId, Settled, State, Store, StoreError, StoredAnswer,
    Timestamp,
};
use sqlx::{Connection, PgPool};

use super::lent::{Lent, answer};
use super::pools::own;
use super::row;
use crate::error::{in_doubt, undone};
use crate::migrate::{MigrateError, missing};
use crate::steps;

/// Records in a Postgres database, in that of the tables that keyed work changes.
///
/// It works on connections of its own, up to as many as the application's pool may have, so that
/// handlers that use up that pool keep nobody from claiming a key. Renewals have two more to
/// themselves: nothing else can starve them. All wait for locks, answers and each other within
/// bounds, the longest of which is fifteen seconds for a server that does not answer at all.
///
/// Handlers' transactions are best left at READ COMMITTED. Above it, one that outlives a renewal
/// of its own lease cannot complete, and its key runs again.
///
/// A pooler between the two must give a session to each connection, not to each transaction.
/// Records that have expired stay until somebody calls [`sweep`](Store::sweep).
#[derive(Clone, Debug)]
pub struct PostgresStore {
    application: PgPool,
    records: PgPool,
    renewals: PgPool,
}

impl PostgresStore {
    /// A store in the database that `application` connects to. It is not connected to before it is
    /// used.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(application: PgPool) -> Self {
        let options = application.connect_options();
        let most = application.options().get_max_connections();
        let records = own(&options, most, "5s");
        // One that waits behind its handler's own transaction keeps others from theirs.
        let renewals = own(&options, RENEWALS_MAX, "1s");
        Self { application, records, renewals }
    }

    /// Makes the tables, or brings them up to date, and checks that commits are durable. Several
    /// processes may do so at once.
    ///
    /// # Errors
    ///
    /// [`MigrateError`] when the database cannot be changed, was changed by a later version, or
    /// when its user's commits are not durable.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let mut tx = self.application.begin().await?;
        sqlx::query(MIGRATE_ALONE).execute(&mut *tx).await?;
        let made: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *tx).await?;
        let applied: i64 =
            if made { sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await? } else { 0 };
        for migration in missing(&MIGRATIONS, applied)? {
            sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        }
        let commits: String =
            sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *tx).await?;
        if commits == "off" {
            return Err(MigrateError::new(
                "commits can be lost in a crash; set synchronous_commit to on for this user",
            ));
        }
        Ok(tx.commit().await?)
    }

    /// Closes the connections that are the store's own, within some seconds. The application's are
    /// its owner's to close.
    pub async fn close(&self) {
        crate::pools::close([&self.records, &self.renewals]).await;
    }

    /// Changes a record as `step` says.
    async fn change(
        &self,
        held: Held,
        step: impl FnOnce(Option<&State>, Timestamp) -> Step + Send,
    ) -> Result<Settled, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let mut tx = answer(lent.begin(), undone).await?;
        let settled = answer(steps::change(&mut *tx, held.id, step), undone).await?;
        answer(tx.commit(), in_doubt).await?;
        lent.give_back();
        Ok(settled)
    }

    /// Asks for a key whose record must change, or has come or gone in the meantime.
    async fn begin_held(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let mut tx = answer(lent.begin(), undone).await?;
        answer(row::hold(&mut tx, begin.identity.id()), undone).await?;
        let begun = answer(steps::begin(&mut *tx, begin), undone).await?;
        answer(tx.commit(), in_doubt).await?;
        lent.give_back();
        Ok(begun)
    }
}

impl Store for PostgresStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let begun = answer(row::begin(&mut lent, begin), in_doubt).await?;
        lent.give_back();
        match begun {
            Some(begun) => Ok(begun),
            None => self.begin_held(begin).await,
        }
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        let mut lent = Lent::from(&self.renewals).await?;
        let renewed = answer(row::renew(&mut lent, held, lease), in_doubt).await?;
        lent.give_back();
        Ok(if renewed { Settled::Done } else { Settled::Lost })
    }

    async fn complete(
        &self,
        held: Held,
        stored: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let completed = answer(row::complete(&mut lent, held, stored, keep), in_doubt).await?;
        lent.give_back();
        if completed {
            return Ok(Settled::Done);
        }
        let stored = stored.clone();
        let step = move |state: Option<&State>, now| {
            machine::complete(state, held.fence, stored, keep, now)
        };
        self.change(held, step).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::abandon(state, held.fence, keep, now);
        self.change(held, step).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        let step = move |state: Option<&State>, now| machine::mark_unknown(state, held.fence, now);
        self.change(held, step).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let record = answer(row::get(&mut lent, id), undone).await?;
        lent.give_back();
        Ok(record)
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let mut tx = answer(lent.begin(), undone).await?;
        let swept = answer(steps::sweep(&mut *tx, most), undone).await?;
        answer(tx.commit(), in_doubt).await?;
        lent.give_back();
        Ok(swept)
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let records = answer(row::list(&mut lent, listing), undone).await?;
        lent.give_back();
        Ok(records)
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let mut tx = answer(lent.begin(), undone).await?;
        let step = steps::resolve(&mut *tx, held, resolution, note);
        let settled = answer(step, undone).await?;
        answer(tx.commit(), in_doubt).await?;
        lent.give_back();
        Ok(settled)
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let mut tx = answer(lent.begin(), undone).await?;
        let purged = answer(steps::purge(&mut *tx, purge, note, most), undone).await?;
        answer(tx.commit(), in_doubt).await?;
        lent.give_back();
        Ok(purged)
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut lent = Lent::from(&self.records).await?;
        let entries = answer(row::audit(&mut lent, of, most), undone).await?;
        lent.give_back();
        Ok(entries)
    }
}

/// The tables, for those who make them by hand: each migration once, in this order.
pub const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/postgres/0001_records.sql")];

const RENEWALS_MAX: u32 = 2;

/// Held until the transaction ends. The number is `aplomb` in bytes.
const MIGRATE_ALONE: &str = "SELECT pg_advisory_xact_lock(x'61706c6f6d62'::BIGINT)";
const HAS_SCHEMA: &str = "SELECT to_regclass('aplomb_idempotency_schema') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0)::BIGINT FROM aplomb_idempotency_schema";
