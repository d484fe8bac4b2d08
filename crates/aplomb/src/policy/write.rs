//! Writes policies as TOML: everything said, nothing left to presets.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::answers::{Repeat, WhenExhausted};
use super::dependency::{BreakerTerms, Dependency, DependencyTerms, Hop};
use super::duration::written;
use super::file::PolicyFile;
use super::operation::Operation;
use super::service::Service;

impl PolicyFile {
    /// The effective policies as a policy file: each answer written out, presets included. Parsed
    /// again, it says the same.
    pub fn to_toml(&self) -> String {
        let mut page = String::from("version = 1\n");
        // Writing to a string cannot fail.
        let _ = write(&mut page, self);
        page
    }
}

fn write(page: &mut String, file: &PolicyFile) -> fmt::Result {
    service(page, file.service())?;
    for dependency in file.dependencies() {
        writeln!(page, "\n[dependency.{}]", dependency.name())?;
        terms(page, dependency.terms(), dependency)?;
        for one in dependency.operations() {
            writeln!(page, "\n[dependency.{}.operation.{}]", dependency.name(), one.name())?;
            operation(page, one, file.service().name())?;
        }
    }
    Ok(())
}

fn service(page: &mut String, service: &Service) -> fmt::Result {
    writeln!(page, "\n[service]\nname = {}", quoted(service.name()))?;
    writeln!(page, "fleet = {}", service.processes())?;
    rate(page, "calls_per_second", service.declared_calls_per_second())?;
    layers(page, service.layers().map(|layers| layers.iter().map(|layer| layer.as_str())))
}

fn terms(page: &mut String, terms: &DependencyTerms, dependency: &Dependency) -> fmt::Result {
    if let Some(authority) = &terms.authority {
        writeln!(page, "authority = {}", quoted(authority))?;
    }
    // The budget that a preset brought along belongs to the dependency all the same.
    let preset = || dependency.operations().find_map(|operation| operation.policy().budget());
    if let Some(budget) = terms.budget.or_else(preset) {
        writeln!(
            page,
            "budget = {{ ratio = {}, cap = {}, initial = {} }}",
            decimal(budget.ratio()),
            budget.held_at_most(),
            budget.held_at_start()
        )?;
    }
    if let Some(breaker) = &terms.breaker {
        writeln!(page, "breaker = {}", breaker_table(breaker))?;
    }
    if let Some(in_flight) = terms.in_flight {
        let (limit, wait) = (in_flight.limit, time(in_flight.wait));
        writeln!(page, "in_flight = {{ limit = {limit}, wait = {wait} }}")?;
    }
    rate(page, "capacity_per_second", terms.capacity_per_second)?;
    rate(page, "calls_per_second", terms.calls_per_second)?;
    if !terms.hops.is_empty() {
        writeln!(page, "hops = [{}]", joined(terms.hops.iter().map(hop)))?;
    }
    layers(page, terms.layers.as_ref().map(|layers| layers.iter().map(|layer| layer.as_str())))
}

fn breaker_table(terms: &BreakerTerms) -> String {
    let mut keys = vec![
        format!("failure_ratio = {}", decimal(terms.failure_ratio)),
        format!("window = {}", time(terms.window)),
        format!("minimum_calls = {}", terms.minimum_calls),
        format!("unsent_in_a_row = {}", terms.unsent_in_a_row),
        format!("failures_in_a_row = {}", terms.failures_in_a_row),
        format!("open_for = {}", time(terms.open_for.0)),
        format!("open_for_at_most = {}", time(terms.open_for.1)),
    ];
    keys.extend(terms.slow_after.map(|slow| format!("slow_after = {}", time(slow))));
    keys.extend(terms.slow_ratio.map(|ratio| format!("slow_ratio = {}", decimal(ratio))));
    format!("{{ {} }}", keys.join(", "))
}

fn hop(hop: &Hop) -> String {
    let budget = hop.budget.map(|ratio| format!(", budget = {{ ratio = {} }}", decimal(ratio)));
    let (name, budget) = (quoted(&hop.name), budget.unwrap_or_default());
    format!("{{ name = {name}, attempts = {}{budget} }}", hop.attempts)
}

fn operation(page: &mut String, operation: &Operation, me: &str) -> fmt::Result {
    let policy = operation.policy();
    writeln!(page, "class = {}", quoted(policy.class().as_str()))?;
    if !operation.patterns().is_empty() {
        let patterns = operation.patterns().iter().map(|pattern| quoted(&pattern.to_string()));
        writeln!(page, "match = [{}]", joined(patterns))?;
    }
    rate(page, "calls_per_second", operation.calls_per_second())?;
    writeln!(page, "transient = {}", quoted(policy.transient().as_str()))?;
    match policy.repeat() {
        Repeat::WithKey(key) => {
            let (from, kept) = (quoted(key.from()), time(key.kept()));
            writeln!(page, "key = {{ from = {from}, kept = {kept} }}")?;
        }
        other => writeln!(page, "repeat = {}", quoted(other.as_str()))?,
    }
    writeln!(page, "owner = {}", quoted(policy.owner().name(me)))?;
    writeln!(page, "attempts = {}", policy.attempts().get())?;
    writeln!(page, "attempt_timeout = {}", time(policy.attempt_timeout()))?;
    writeln!(page, "total = {}", time(policy.total()))?;
    if let Some(waits) = policy.waits() {
        let (jitter, base, cap) = (quoted(waits.jitter_word()), waits.base(), waits.cap());
        let (base, cap) = (time(base), time(cap));
        writeln!(page, "backoff = {{ jitter = {jitter}, base = {base}, cap = {cap} }}")?;
    }
    writeln!(page, "when_paused = {}", quoted(policy.when_paused().as_str()))?;
    writeln!(page, "when_exhausted = {}", exhausted(policy.when_exhausted()))?;
    let alerts = policy.alerts().iter().map(|alert| quoted(alert.as_str()));
    writeln!(page, "observe = {{ alert = [{}] }}", joined(alerts))?;
    writeln!(page, "mode = {}", quoted(policy.mode().as_str()))
}

fn exhausted(then: &WhenExhausted) -> String {
    let answer = quoted(then.as_str());
    let more = match then {
        WhenExhausted::Pending { horizon } => format!("horizon = {}", time(*horizon)),
        WhenExhausted::DeadLetter { redrive } => format!("redrive = {}", time(*redrive)),
        WhenExhausted::LastGood { fresh_for, stale_for } => {
            format!("fresh_for = {}, stale_for = {}", time(*fresh_for), time(*stale_for))
        }
        WhenExhausted::Call { dependency, time: takes } => {
            format!("dependency = {}, time = {}", quoted(dependency), time(*takes))
        }
        _ => return answer,
    };
    format!("{{ answer = {answer}, {more} }}")
}

fn rate(page: &mut String, key: &str, rate: Option<f64>) -> fmt::Result {
    // The shortest digits that are read back as the same number, with the point that TOML asks for.
    rate.map_or(Ok(()), |rate| writeln!(page, "{key} = {rate:?}"))
}

fn layers<'a>(page: &mut String, layers: Option<impl Iterator<Item = &'a str>>) -> fmt::Result {
    layers.map_or(Ok(()), |layers| writeln!(page, "layers = [{}]", joined(layers.map(quoted))))
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn time(time: Duration) -> String {
    quoted(&written(time))
}

fn decimal(ratio: aplomb_core::Ratio) -> impl Display {
    format!("{:?}", ratio.as_f64())
}

/// A text between quotes, as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
