use super::super::dependency::Dependency;
use super::super::duration::shown;
use super::super::file::PolicyFile;
use super::finding::{Code, Finding, Severity};
use super::site::{about, short};
use super::worst::calls_per_second;

/// A breaker whose minimum of calls is unreachable at the declared rate.
///
/// Every process has a breaker of its own, which sees its own calls alone.
pub(crate) fn check(file: &PolicyFile, dependency: &Dependency) -> Option<Finding> {
    let breaker = dependency.terms().breaker?;
    let rate = calls_per_second(file, dependency)?;
    let fleet = f64::from(file.service().processes());
    let seen = rate / fleet * breaker.window.as_secs_f64();
    let minimum = f64::from(breaker.minimum_calls.get());
    if seen >= minimum {
        return None;
    }
    let what = format!(
        "{} calls a second over {} processes are {} calls in a window of {}; the breaker waits \
         for {}, so that its ratio never counts",
        short(rate),
        short(fleet),
        short(seen),
        shown(breaker.window),
        breaker.minimum_calls,
    );
    let window = std::time::Duration::try_from_secs_f64(minimum * fleet / rate);
    let window = window.map_or_else(
        |_| "a longer window".to_owned(),
        |window| format!("window = \"{}\"", shown(window)),
    );
    let mend = match seen {
        seen if seen >= 1.0 => {
            format!("give minimum_calls = {}, or {window}", short(seen.floor()))
        }
        _ => format!("give {window}, or rely on failures_in_a_row"),
    };
    let code = (Code::BreakerUnreachable, Severity::Warning);
    Some(about(file, dependency, code, "breaker", what, mend).numbers([
        ("calls_in_window", seen),
        ("minimum_calls", minimum),
        ("window_seconds", breaker.window.as_secs_f64()),
    ]))
}
