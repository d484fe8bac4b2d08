use aplomb_idempotency::store::{Commit, recorded};
use aplomb_idempotency::{Claim, CompleteError, Held, Recorded, StoredAnswer};
use bytes::Bytes;
use http::Response;
use sqlx::{Database, Transaction};
use std::time::Duration;

use crate::error::{in_doubt, undone};

/// A connection whose database holds idempotency records.
///
/// Implemented for the connections of the databases that this crate has stores for.
pub trait Recording: Send {
    /// Writes the outcome of a claim, unless the claim was lost: then `false`.
    fn record(
        &mut self,
        held: Held,
        answer: &StoredAnswer,
        keep: Duration,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

/// Records the answer to `claim` in a transaction that the caller then commits.
///
/// Call it last, with `&mut *transaction`, and answer with what it returns once the commit has
/// succeeded. If the commit fails, answer with an error: the layer reads what became of the record
/// and, should it be there after all, answers with it.
///
/// # Errors
///
/// [`CompleteError::Lost`] when another claim has the key; nothing was written.
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
    mut transaction: Transaction<'_, D>,
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
        Err(error) => Err(CompleteError::Store(undone(error))),
    }
}
