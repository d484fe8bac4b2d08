//! Idempotency records on SQLite, committed in the caller's transaction.
