//! What every store of idempotency records must do, whatever it keeps them in.
//!
//! ```
//! use aplomb_idempotency::MemoryStore;
//! use aplomb_testkit::store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // As a test: `#[tokio::test] async fn my_store_passes_the_suite() { .. }`
//! store::check(|| async { MemoryStore::new() }).await;
//! # }
//! ```
//!
//! The suite waits for nothing: leases and keeps of zero stand for time that has passed, so that a
//! store whose clock is a server's need not be waited for. [`begin`], [`claim`] and the other words
//! it speaks are there for a store's own tests too.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a check fails by panicking")]

mod claims;
mod operators;
mod say;
mod times;

use std::future::Future;

use aplomb_idempotency::Store;

pub use say::{KEEP, LONG, NONE, answer, begin, claim, complete, fingerprint, started, state};

/// Checks everything, each part on a store of its own that `make` makes, empty.
///
/// # Panics
///
/// When the store breaks its contract: the message and the place name the clause.
pub async fn check<S: Store, F: Future<Output = S>>(make: impl Fn() -> F) {
    check_claims(&make).await;
    check_times(&make).await;
    check_operators(&make).await;
}

async fn check_claims<S: Store, F: Future<Output = S>>(make: &impl Fn() -> F) {
    claims::of_fifty_callers_one_gets_the_claim(&make().await).await;
    claims::another_payload_is_a_mismatch_in_flight_and_after(&make().await).await;
    claims::a_completed_record_never_changes(&make().await).await;
    claims::a_lapsed_claim_runs_again_and_its_zombie_changes_nothing(&make().await).await;
    claims::a_lapsed_claim_is_unknown_unless_the_route_says_otherwise(&make().await).await;
    claims::a_lapsed_claim_outside_a_transaction_stays_in_doubt_on_a_transactional_route(
        &make().await,
    )
    .await;
    claims::a_lease_that_ended_is_no_loss_while_nobody_claims(&make().await).await;
    claims::a_call_with_the_same_ticket_is_given_the_same_claim(&make().await).await;
    claims::a_released_key_takes_another_payload(&make().await).await;
    claims::fences_grow_over_all_keys(&make().await).await;
    claims::what_was_written_is_read_back(&make().await).await;
}

async fn check_times<S: Store, F: Future<Output = S>>(make: &impl Fn() -> F) {
    times::what_expired_is_as_if_it_had_never_been(&make().await).await;
    times::a_sweep_takes_what_expired_and_nothing_else(&make().await).await;
    times::a_key_whose_answer_expired_is_gone_until_its_tombstone_is(&make().await).await;
}

async fn check_operators<S: Store, F: Future<Output = S>>(make: &impl Fn() -> F) {
    operators::what_is_stuck_is_listed_in_pages(&make().await).await;
    operators::a_callers_records_are_listed_and_nobody_elses(&make().await).await;
    operators::a_doubt_is_resolved_once_and_audited(&make().await).await;
    operators::what_was_not_applied_runs_again_and_its_zombie_changes_nothing(&make().await).await;
    operators::a_claim_is_resolved_after_its_lease_and_not_before(&make().await).await;
    operators::a_callers_answers_are_erased_and_its_keys_stay_used(&make().await).await;
}
