//! Runs each idempotency key once.
