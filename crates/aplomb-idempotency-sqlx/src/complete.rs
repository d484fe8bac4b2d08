use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{Claim, CompleteError, Held, Keep, Recorded, StoreError, StoredAnswer};
use bytes::Bytes;
use http::Response;
use sqlx::{Database, Transaction};

use crate::columns::{number, span};
use crate::error::in_doubt;

/// A connection whose database holds idempotency records.
///
/// Implemented for the connections of the databases that this crate has stores for. For another
/// driver it is a few lines: execute the database's statement
#[cfg_attr(feature = "postgres", doc = "([`postgres::COMPLETE`](crate::postgres::COMPLETE))")]
#[cfg_attr(feature = "sqlite", doc = "([`sqlite::COMPLETE`](crate::sqlite::COMPLETE))")]
/// with what [`Completion`] says, and look whether it changed a row. With tokio-postgres:
///
/// ```
/// use aplomb_idempotency::{Held, Keep, StoreError, StoredAnswer};
/// use aplomb_idempotency_sqlx::{Completion, Recording, postgres};
///
/// struct Tx<'a>(tokio_postgres::Transaction<'a>);
///
/// impl Recording for Tx<'_> {
///     async fn record(
///         &mut self,
///         held: Held,
///         answer: &StoredAnswer,
///         keep: Keep,
///     ) -> Result<bool, StoreError> {
///         let Completion { id, fence, status, headers, body, answer, key } =
///             Completion::new(&held, answer, keep);
///         let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
///             [&id, &fence, &status, &headers, &body, &answer, &key];
///         let changed = self.0.execute(postgres::COMPLETE, &parameters).await;
///         Ok(changed.map_err(StoreError::unavailable)? == 1)
///     }
/// }
/// ```
pub trait Recording: Send {
    /// Writes the outcome of a claim, unless the claim was lost: then `false`.
    fn record(
        &mut self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The parameters of the statement that completes a record, in their order.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it has what the statement has")]
pub struct Completion<'a> {
    /// `$1`: where the record lies.
    pub id: &'a [u8],
    /// `$2`: which claim completes it.
    pub fence: i64,
    /// `$3`: the answer's status.
    pub status: i64,
    /// `$4`: its headers, in one column.
    pub headers: Vec<u8>,
    /// `$5`: its body, unless that is not kept.
    pub body: Option<&'a [u8]>,
    /// `$6`: for how many milliseconds it is replayed.
    pub answer: i64,
    /// `$7`: for how many milliseconds after that the key is refused.
    pub key: i64,
}

impl<'a> Completion<'a> {
    /// What completes this claim with this answer.
    pub fn new(held: &'a Held, answer: &'a StoredAnswer, keep: Keep) -> Self {
        Self {
            id: held.id.as_bytes(),
            fence: number(held.fence),
            status: answer.status().as_u16().into(),
            headers: answer.headers_to_bytes(),
            body: answer.body().map(|body| &body[..]),
            answer: span(keep.answer),
            key: span(keep.key),
        }
    }
}

/// Records the answer to `claim` in a transaction that the caller then commits.
///
/// Call it last, with `&mut *transaction`, and answer with what it returns once the commit has
/// succeeded. If the commit fails, answer with an error: the layer reads what became of the record
/// and, should it be there after all, answers with it.
///
/// # Errors
///
/// [`CompleteError::Lost`] when another claim has the key; nothing was written. (In a Postgres
/// transaction above READ COMMITTED, also when a renewal came between: then the key runs again.)
/// [`CompleteError::Store`] when the database failed. Roll back after both, which dropping the
/// transaction does.
///
/// # Cancellation
///
/// A dropped future leaves the transaction to its owner, whose drop rolls it back.
pub async fn complete_in<C: Recording + ?Sized>(
    claim: &Claim,
    transaction: &mut C,
    response: Response<Bytes>,
) -> Result<Recorded, CompleteError> {
    write(claim, transaction, &response).await?;
    Ok(recorded(claim, response, Commit::Pending))
}

/// Records the answer to `claim` in `transaction` and commits it.
///
/// It takes a transaction that a pool has begun. One within another is a savepoint, which commits
/// nothing for good: complete in it with [`complete_in`], and commit the outer one.
///
/// ```
/// # use aplomb_idempotency::{Claim, Recorded};
/// # use aplomb_idempotency_sqlx::{Recording, complete_in};
/// # use sqlx::{Connection, Database, Pool};
/// async fn work<D: Database<Connection: Recording>>(
///     claim: &Claim,
///     pool: Pool<D>,
/// ) -> Result<Recorded, Box<dyn std::error::Error>> {
///     let mut outer = pool.begin().await?;
///     let mut savepoint = outer.begin().await?;
///     let recorded = complete_in(claim, &mut *savepoint, http::Response::default()).await?;
///     savepoint.commit().await?;
///     outer.commit().await?;
///     Ok(recorded)
/// }
/// ```
///
/// ```compile_fail,E0597
/// # use aplomb_idempotency::{Claim, Recorded};
/// # use aplomb_idempotency_sqlx::{Recording, complete_and_commit};
/// # use sqlx::{Connection, Database, Pool};
/// async fn work<D: Database<Connection: Recording>>(
///     claim: &Claim,
///     pool: Pool<D>,
/// ) -> Result<Recorded, Box<dyn std::error::Error>> {
///     let mut outer = pool.begin().await?;
///     let savepoint = outer.begin().await?;
///     Ok(complete_and_commit(claim, savepoint, http::Response::default()).await?)
/// }
/// ```
///
/// # Errors
///
/// [`CompleteError::Lost`] when another claim has the key, [`CompleteError::Store`] when the
/// database failed. The transaction was rolled back, or, when the commit itself failed, is in
/// doubt: the layer reads the record again and answers with what became of it.
///
/// # Cancellation
///
/// A future that is dropped before the commit rolls back; one that is dropped during it leaves it
/// in doubt. The layer's handlers are not cancelled.
pub async fn complete_and_commit<D>(
    claim: &Claim,
    mut transaction: Transaction<'static, D>,
    response: Response<Bytes>,
) -> Result<Recorded, CompleteError>
where
    D: Database,
    D::Connection: Recording,
{
    write(claim, &mut *transaction, &response).await?;
    let committed = transaction.commit().await;
    committed.map_err(|error| CompleteError::Store(in_doubt(error)))?;
    Ok(recorded(claim, response, Commit::Done))
}

async fn write<C: Recording + ?Sized>(
    claim: &Claim,
    transaction: &mut C,
    response: &Response<Bytes>,
) -> Result<(), CompleteError> {
    let (answer, keep) = (claim.stored(response), claim.terms().keep);
    match transaction.record(claim.held(), &answer, keep).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CompleteError::Lost),
        Err(error) => Err(CompleteError::Store(error)),
    }
}
