//! What is wrong with policies that can be built: the numbers, and the mend.
//!
//! Each finding is a pure function in a file of its own.

mod attempt_never_runs;
mod breaker_unreachable;
mod breaker_window;
mod cap_too_small;
mod fallback_loop;
mod finding;
mod key_too_short;
mod layer_order;
mod no_jitter;
mod over_utilised;
mod sends_per_call;
mod site;
mod stored_fuel;
mod text;
mod time_over_total;
mod two_owners;
mod worst;
mod write_without_key;

pub use finding::{Code, Finding, Severity};
pub(crate) use site::short;
pub(crate) use text::wrapped;
pub use text::{WIDTH, human};
pub use worst::Worst;
pub(crate) use worst::{calls_per_second, stored_per_call};

use super::dependency::Dependency;
use super::file::PolicyFile;
use site::Site;

/// Everything that is wrong with these policies, in the order of the file.
///
/// What the file does not declare is not reckoned with: without `calls_per_second` and
/// `capacity_per_second` nothing is said about load, nor about a breaker that is never reached.
#[must_use]
pub fn lint(file: &PolicyFile) -> Vec<Finding> {
    let mut findings = layer_order::of_service(file);
    // Counted once, and not once more for each of ten thousand operations.
    let fallbacks = fallback_loop::all(file);
    for dependency in file.dependencies() {
        let store = worst::stored_per_call(file, dependency);
        findings.extend(OF_DEPENDENCY.iter().filter_map(|check| check(file, dependency)));
        for operation in dependency.operations() {
            let site = Site { file, dependency, operation, store, fallbacks: &fallbacks };
            findings.extend(OF_OPERATION.iter().filter_map(|check| check(&site)));
        }
    }
    findings.sort_by_key(|finding| (finding.at, finding.code));
    findings
}

type OfDependency = fn(&PolicyFile, &Dependency) -> Option<Finding>;
type OfOperation = fn(&Site<'_>) -> Option<Finding>;

const OF_DEPENDENCY: &[OfDependency] = &[
    breaker_unreachable::check,
    breaker_window::check,
    layer_order::check,
    over_utilised::check,
    stored_fuel::check,
];

const OF_OPERATION: &[OfOperation] = &[
    attempt_never_runs::check,
    cap_too_small::check,
    fallback_loop::check,
    key_too_short::check,
    no_jitter::check,
    sends_per_call::check,
    time_over_total::check,
    two_owners::check,
    write_without_key::check,
];
