use aplomb_idempotency::StoreError;

/// What a failure before anything was committed means: the transaction is rolled back.
pub(crate) fn undone(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::corrupt(error),
        error => StoreError::unavailable(error),
    }
}

/// What a failure at the commit means: nobody knows, until the record is read again.
pub(crate) fn in_doubt(error: sqlx::Error) -> StoreError {
    StoreError::uncertain(error)
}
