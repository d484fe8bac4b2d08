//! What the calls of one dependency share, kept under its name.

use std::collections::BTreeMap;

use aplomb_admission::{AdmissionLayer, Outbound};
use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_circuit_breaker::{CircuitBreakerLayer, Trip};
use aplomb_core::OperationClass;
use aplomb_retry::Budget;

use crate::policy::{BreakerTerms, BudgetTerms, InFlight, Mode, Policy};

/// Budgets, breaker, bulkhead and pace of one dependency.
///
/// Operations that only observe share one of their own: what they would have done must neither be
/// done to the others, nor be paid by them.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    budgets: BTreeMap<OperationClass, (BudgetTerms, Budget)>,
    breaker: Option<(BreakerTerms, CircuitBreakerLayer)>,
    in_flight: Option<(InFlight, AdmissionLayer<Outbound>)>,
    pace: BackoffLayer,
    mode: Mode,
}

impl Shared {
    pub(crate) fn new(mode: Mode) -> Self {
        let pace = BackoffLayer::new(Backoff::interactive());
        let pace = if mode == Mode::Observe { pace.observe_only() } else { pace };
        Self { budgets: BTreeMap::new(), breaker: None, in_flight: None, pace, mode }
    }

    /// Goes by these terms from now on, and keeps what it knows: only a breaker whose window has
    /// another length begins anew.
    pub(crate) fn tune(&mut self, breaker: Option<BreakerTerms>, in_flight: Option<InFlight>) {
        let only_observes = self.mode == Mode::Observe;
        self.breaker = breaker.map(|terms| {
            let known = self.breaker.take().filter(|(known, _)| known.window == terms.window);
            let layer = match known {
                Some((_, layer)) => layer.trip(trip(&terms)),
                None => CircuitBreakerLayer::new(trip(&terms)),
            };
            let (first, longest) = terms.open_for;
            let layer = layer.open_for(Backoff::equal(first, longest));
            (terms, if only_observes { layer.observe_only() } else { layer })
        });
        self.in_flight = in_flight.map(|terms| {
            let InFlight { limit, wait, .. } = terms;
            let layer = match self.in_flight.take() {
                Some((_, layer)) => {
                    layer.handle().set_limit(limit.get());
                    layer
                }
                None => AdmissionLayer::outbound(limit.get()),
            };
            let layer = layer.longest_wait(wait);
            (terms, if only_observes { layer.observe_only() } else { layer })
        });
    }

    /// Pays the retries of this policy's class on its terms; what was earned on others is kept.
    pub(crate) fn pay(&mut self, policy: &Policy) {
        let Some(terms) = policy.budget() else { return };
        let budget = match self.budgets.get(&policy.class()) {
            Some((known, budget)) if *known == terms => budget.clone(),
            Some((_, budget)) => budget.on(terms.terms()),
            None => Budget::new(terms.terms()),
        };
        self.budgets.insert(policy.class(), (terms, budget));
    }

    pub(crate) fn budget(&self, class: OperationClass) -> Option<&Budget> {
        self.budgets.get(&class).map(|(_, budget)| budget)
    }

    pub(crate) fn breaker(&self) -> Option<&CircuitBreakerLayer> {
        self.breaker.as_ref().map(|(_, layer)| layer)
    }

    pub(crate) fn in_flight(&self) -> Option<&AdmissionLayer<Outbound>> {
        self.in_flight.as_ref().map(|(_, layer)| layer)
    }

    pub(crate) fn breaker_terms(&self) -> Option<BreakerTerms> {
        self.breaker.as_ref().map(|(terms, _)| *terms)
    }

    pub(crate) fn limit(&self) -> Option<InFlight> {
        self.in_flight.as_ref().map(|(terms, _)| *terms)
    }

    pub(crate) fn pace(&self) -> &BackoffLayer {
        &self.pace
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.mode == Mode::Observe
    }
}

fn trip(terms: &BreakerTerms) -> Trip {
    let trip = Trip::failure_ratio(terms.failure_ratio)
        .at_least(terms.minimum_calls.get())
        .over(terms.window)
        .unsent_in_a_row(terms.unsent_in_a_row.get())
        .failures_in_a_row(terms.failures_in_a_row.get());
    let trip = terms.slow_after.map_or(trip, |time| trip.slow_after(time));
    terms.slow_ratio.map_or(trip, |ratio| trip.slow_ratio(ratio))
}
