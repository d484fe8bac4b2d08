//! The operations of a policy file, each with its layers around the transport.

use std::collections::BTreeMap;
use std::sync::Arc;

use aplomb_core::Request;

use super::shared::Shared;
use crate::policy::{Dependency, Mode, Operation, OperationName, PolicyFile};

/// What is in force: a policy file, and what was built of it.
pub(crate) struct Table<Svc> {
    pub(crate) file: Arc<PolicyFile>,
    services: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Svc>>,
}

/// What is kept of each dependency, by its name and by whether it acts.
pub(crate) type States = BTreeMap<(Arc<str>, bool), Shared>;

impl<Svc> Table<Svc> {
    /// Builds every operation of a file, on what is known of its dependencies.
    pub(crate) fn build(
        file: Arc<PolicyFile>,
        states: &mut States,
        mut make: impl FnMut(&Dependency, &Operation, &Shared) -> Svc,
    ) -> Self {
        states.retain(|(name, _), _| file.dependency(name).is_some());
        let mut services = BTreeMap::new();
        for dependency in file.dependencies() {
            let of_dependency: &mut BTreeMap<_, _> =
                services.entry(Arc::from(dependency.name())).or_default();
            tune(states, dependency);
            for operation in dependency.operations() {
                let mode = operation.policy().mode();
                if let Some(shared) = states.get(&place(dependency, mode)) {
                    let service = make(dependency, operation, shared);
                    of_dependency.insert(Arc::from(operation.name()), service);
                }
            }
        }
        Self { file, services }
    }

    /// The service of the operation that a request is part of.
    pub(crate) fn find(
        &self,
        named: Option<&OperationName>,
        request: &impl Request,
    ) -> Option<&Svc> {
        let (dependency, operation) = self.file.route(named, request)?;
        self.services.get(dependency.name())?.get(operation.name())
    }
}

/// Brings what is kept of a dependency to its terms, before any of its operations is built.
fn tune(states: &mut States, dependency: &Dependency) {
    let terms = dependency.terms();
    for operation in dependency.operations() {
        let policy = operation.policy();
        let place = place(dependency, policy.mode());
        let shared = states.entry(place).or_insert_with(|| Shared::new(policy.mode()));
        shared.tune(terms.breaker, terms.in_flight);
        shared.pay(policy);
    }
}

pub(crate) fn place(dependency: &Dependency, mode: Mode) -> (Arc<str>, bool) {
    (Arc::from(dependency.name()), mode == Mode::Enforce)
}
