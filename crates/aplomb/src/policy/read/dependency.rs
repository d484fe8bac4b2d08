//! A dependency of a policy file.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::super::answers::BudgetTerms;
use super::super::dependency::{BreakerTerms, Dependency, DependencyTerms, InFlight};
use super::exhausted::Fallback;
use super::hops::{hops, layers};
use super::operation::{Around, operation};
use super::reader::Reader;
use super::scalar::{label, told};
use super::section::Section;

/// A dependency, and where it stands.
pub(crate) type Read = (Dependency, Range<usize>);

pub(crate) fn dependency(
    reader: &mut Reader<'_>,
    me: &str,
    name: &str,
    mut section: Section<'_>,
    fallbacks: &mut Vec<Fallback>,
) -> Option<Read> {
    let at = section.at.clone();
    let is_named = label(reader, &at, "a dependency", name);
    let mut dependency = Dependency::new(name, terms(reader, &mut section));
    let budget = dependency.terms.budget;
    let around = Around {
        me,
        dependency: &section.name.clone(),
        budget,
        budget_is_wrong: budget.is_none() && section.has("budget"),
    };
    for (name, section) in section.named(reader, "operation") {
        reader.operations += 1;
        let place = section.span_of("match");
        let read = operation(reader, &around, &name, section, fallbacks);
        let added = read.map(|operation| dependency.add(operation));
        if let Some(Err(conflict)) = added {
            reader.refuse(&place, conflict.to_string(), conflict.mend());
        }
    }
    dependency.marks = section.end(reader);
    is_named.then_some((dependency, at))
}

fn terms(reader: &mut Reader<'_>, section: &mut Section<'_>) -> DependencyTerms {
    DependencyTerms {
        authority: authority(reader, section),
        budget: budget(reader, section),
        breaker: breaker(reader, section),
        in_flight: in_flight(reader, section),
        capacity_per_second: section.rate(reader, "capacity_per_second"),
        calls_per_second: section.rate(reader, "calls_per_second"),
        hops: hops(reader, section),
        layers: layers(reader, section),
    }
}

fn authority(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Arc<str>> {
    let value = section.get(reader, "authority")?;
    let mend = "write host and port as requests have them, such as \"inventory.internal:7001\"";
    let DeValue::String(text) = value.get_ref() else {
        let what = format!("`{}` cannot be {}", section.below("authority"), told(value));
        reader.refuse(&value.span(), what, mend);
        return None;
    };
    let is_plain = !text.contains('@');
    match text.parse::<http::uri::Authority>() {
        Ok(authority) if is_plain => Some(Arc::from(authority.as_str())),
        _ => {
            let what = format!("`{}` is no authority: {}", section.below("authority"), told(value));
            reader.refuse(&value.span(), what, mend);
            None
        }
    }
}

fn budget(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<BudgetTerms> {
    let mut own = section.table(reader, "budget")?;
    let ratio = own.share(reader, "ratio");
    if ratio.is_none() && !own.has("ratio") {
        let at = own.at.clone();
        let mend = "write `ratio`: 0.2 earns a retry with each five calls that succeed";
        reader.refuse(&at, format!("`{}` does not say what it earns", own.name), mend);
    }
    let cap = own.whole(reader, "cap", 1..=BudgetTerms::CAP_MAX);
    let initial = own.whole(reader, "initial", 0..=BudgetTerms::CAP_MAX);
    let mut terms = BudgetTerms::earning(ratio.unwrap_or_default());
    if let Some(cap) = cap {
        terms = terms.cap(cap);
    }
    if let Some(initial) = initial {
        if initial > terms.held_at_most() {
            let what = format!("{initial} retries at the start are more than the cap holds");
            let mend = format!("give at most {}, or a higher `cap`", terms.held_at_most());
            let at = own.at.clone();
            reader.refuse(&at, what, mend);
        }
        terms = terms.initial(initial);
    }
    own.end(reader);
    ratio.map(|_| terms)
}

fn breaker(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<BreakerTerms> {
    let mut own = section.table(reader, "breaker")?;
    let mut terms = BreakerTerms::default();
    let ratio = own.share(reader, "failure_ratio");
    terms.failure_ratio = ratio.unwrap_or(terms.failure_ratio);
    terms.window = own.time(reader, "window").unwrap_or(terms.window);
    for (key, field) in [
        ("minimum_calls", &mut terms.minimum_calls),
        ("unsent_in_a_row", &mut terms.unsent_in_a_row),
        ("failures_in_a_row", &mut terms.failures_in_a_row),
    ] {
        *field = own.count(reader, key, CALLS_MAX).unwrap_or(*field);
    }
    terms.slow_after = own.time(reader, "slow_after");
    terms.slow_ratio = own.share(reader, "slow_ratio");
    if terms.slow_ratio.is_some() && terms.slow_after.is_none() && !own.has("slow_after") {
        let at = own.at.clone();
        let mend = "write `slow_after`: from which time on a call is slow";
        reader.refuse(&at, "the breaker counts slow calls and knows none", mend);
    }
    let (least, most) = terms.open_for;
    let least = own.time(reader, "open_for").unwrap_or(least);
    let most = own.time(reader, "open_for_at_most").unwrap_or(most.max(least));
    if least > most {
        let at = own.at.clone();
        let mend = "give `open_for_at_most` at least as long as `open_for`";
        reader.refuse(&at, "the breaker's longest open time is shorter than its first", mend);
    }
    terms.open_for = (least, most);
    own.end(reader);
    Some(terms)
}

fn in_flight(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<InFlight> {
    let mut own = section.table(reader, "in_flight")?;
    let limit = own.count(reader, "limit", CALLS_MAX);
    let wait = own.time(reader, "wait");
    let missing = [("limit", limit.is_none()), ("wait", wait.is_none())];
    for (key, is_missing) in missing {
        if is_missing && !own.has(key) {
            let at = own.at.clone();
            let mend = "write both: limit = 64, wait = \"50ms\"";
            reader.refuse(&at, format!("`{}` has no `{key}`", own.name), mend);
        }
    }
    own.end(reader);
    Some(InFlight::new(limit?, wait?))
}

const CALLS_MAX: u32 = 1_000_000;
