//! What the figures say, in words.

use crate::report::{Outcome, short};
use crate::statistic::Statistic;
use crate::units::seconds;
use crate::words::{Fault, Start};

/// What the cases of one variant say together.
pub(crate) fn together(outcomes: &[&Outcome]) -> String {
    if outcomes.iter().all(|outcome| outcome.model().fault == Fault::None) {
        return without_fault(outcomes);
    }
    let (mut well, mut never): (Vec<(f64, &str)>, Vec<&str>) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome.figure("time_to_recover").mean {
            Some(time) => well.push((time, outcome.policy())),
            None if outcome.is_complete() => never.push(outcome.policy()),
            None => {}
        }
    }
    well.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    let horizon = outcomes.first().map_or(0, |outcome| outcome.model().horizon);
    let mut text = String::new();
    if !well.is_empty() {
        let list: Vec<String> =
            well.iter().map(|(time, name)| format!("{name} ({} s)", short(*time))).collect();
        text = format!("Well again after the fault, soonest first: {}.", list.join(", "));
    }
    if !never.is_empty() {
        let horizon = short(seconds(horizon));
        let list = never.join(", ");
        text = format!("{text} Never within the {horizon} seconds of every run: {list}.");
    }
    text.trim().to_owned()
}

fn without_fault(outcomes: &[&Outcome]) -> String {
    let best = |figure: &str, sign: f64| {
        let known =
            outcomes.iter().filter_map(|o| Some((sign * o.figure(figure).mean?, o.policy())));
        let mut known: Vec<(f64, &str)> = known.collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Where all are alike, none is the best.
        let (first, last) = (known.first()?, known.last()?);
        (short(first.0) != short(last.0)).then_some((sign * first.0, first.1))
    };
    let mut parts = Vec::new();
    if let Some((value, name)) = best("success_ratio", -1.0) {
        parts.push(format!("Most calls succeed with {name} ({} %).", short(100.0 * value)));
    }
    if let Some((value, name)) = best("sends_per_call", 1.0) {
        parts.push(format!("Fewest sends for each call with {name} ({}).", short(value)));
    }
    if let Some((value, name)) = best("p99", 1.0) {
        parts.push(format!("Shortest p99 with {name} ({} s).", short(value)));
    }
    parts.join(" ")
}

/// What one case's figures say: A, the utilisation that it leaves, the peak, and the recovery.
pub(crate) fn of(outcome: &Outcome) -> String {
    let mut sentences = vec![amplification(outcome)];
    sentences.push(peak(outcome));
    if outcome.model().fault != Fault::None {
        sentences.push(recovery(outcome));
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

fn amplification(outcome: &Outcome) -> String {
    let during = outcome.figure("amplification_during");
    let (figure, when) = match during.mean {
        Some(_) => (during, "in the fault"),
        None => (outcome.figure("sends_per_call"), "in all"),
    };
    let Some(a) = figure.mean else { return String::new() };
    let mut text = format!("{} sends for each call {when} (A)", spread(&figure));
    if a > 1.0 {
        text = format!("{text}: safe up to {:.0} % of the capacity (1/A)", 100.0 / a);
    }
    let Some(capacity) = outcome.model().capacity_per_second() else { return format!("{text}.") };
    if outcome.model().start == Start::Together {
        return format!("{text}.");
    }
    let load = 100.0 * outcome.model().arrivals_per_second / capacity;
    format!("{text}; the load is {load:.0} %.")
}

fn peak(outcome: &Outcome) -> String {
    let figure = outcome.figure("peak_attempts_per_second");
    let Some(peak) = figure.mean else { return String::new() };
    let of_capacity = outcome.model().capacity_per_second().map_or(String::new(), |capacity| {
        format!(", {:.0} % of the capacity", 100.0 * peak / capacity)
    });
    format!("Busiest second: {} sends{of_capacity}.", spread(&figure))
}

fn recovery(outcome: &Outcome) -> String {
    let figure = outcome.figure("time_to_recover");
    let horizon = short(seconds(outcome.model().horizon));
    let never = figure.per_seed.iter().filter(|value| value.is_none()).count();
    match (figure.mean, never, outcome.is_complete()) {
        (Some(0.0), ..) => "Well again at once.".to_owned(),
        (Some(_), ..) => format!("Well again after {} s.", spread(&figure)),
        (None, _, false) => "The run was ended before it could tell about recovery.".to_owned(),
        (None, never, true) if never < figure.per_seed.len() => {
            format!(
                "In {never} of {} runs never well again within {horizon} s.",
                figure.per_seed.len()
            )
        }
        (None, ..) => format!("Never well again within {horizon} s, in any run."),
    }
}

fn spread(figure: &Statistic) -> String {
    match (figure.mean, figure.ci95) {
        (Some(mean), Some(ci95)) if ci95 > 0.0 => format!("{} ± {}", short(mean), short(ci95)),
        (Some(mean), _) => short(mean),
        _ => String::new(),
    }
}
