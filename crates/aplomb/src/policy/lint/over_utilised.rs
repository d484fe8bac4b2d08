use super::super::dependency::Dependency;
use super::super::file::PolicyFile;
use super::super::operation::Operation;
use super::finding::{Code, Finding, Severity};
use super::site::{about, short};
use super::worst::{Worst, calls_per_second, stored_per_call};

/// More load than 1/A of the capacity, where A is the sends per call when nothing succeeds.
///
/// Above it a dependency that has stopped is sent more than it can serve, and stays down when the
/// cause is gone.
pub(crate) fn check(file: &PolicyFile, dependency: &Dependency) -> Option<Finding> {
    let rate = calls_per_second(file, dependency)?;
    let capacity = dependency.terms().capacity_per_second?;
    let store = stored_per_call(file, dependency);
    let worst = |operation: &Operation| Worst::with_store(store, dependency, operation);
    let worst = dependency
        .operations()
        .map(worst)
        .max_by(|a, b| a.sends_when_nothing_succeeds.total_cmp(&b.sends_when_nothing_succeeds))?;
    let (load, safe) = (rate / capacity, worst.safe_utilisation());
    if load <= safe {
        return None;
    }
    let sends = worst.sends_when_nothing_succeeds;
    let share = format!(
        "{} calls a second are {} % of the capacity of {}",
        short(rate),
        short(load * 100.0),
        short(capacity),
    );
    let room = short((rate / safe).ceil());
    let (what, mend) = if load > 1.0 {
        (
            format!("{share}: it cannot serve them even when all is well"),
            format!(
                "have a capacity of {room}, or say with calls_per_second in [dependency.{}] how \
                 many of the service's calls go there",
                dependency.name(),
            ),
        )
    } else {
        (
            format!(
                "{share}; with {} sends per call when nothing succeeds, it recovers by itself \
                 only below {} %",
                short(sends),
                short(safe * 100.0),
            ),
            format!(
                "send less when nothing succeeds (fewer hops that retry), or have a capacity of \
                 {room}"
            ),
        )
    };
    let code = (Code::OverUtilised, Severity::Error);
    Some(about(file, dependency, code, "capacity_per_second", what, mend).numbers([
        ("utilisation", load),
        ("safe_utilisation", safe),
        ("sends_when_nothing_succeeds", sends),
    ]))
}
