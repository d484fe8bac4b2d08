//! What is shown of circuits, however many there are.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use aplomb_circuit_breaker::{CircuitBreakerLayer, Handle, PerAuthority};
use aplomb_telemetry::{CIRCUITS_MAX, DependencyMetrics, Metrics};
use common::{inventory, metrics, value};

#[test]
fn a_circuit_is_in_one_state_at_a_time() {
    let (metrics, breaker) = (metrics(), CircuitBreakerLayer::default());
    let handle = breaker.observe(inventory(&metrics)).handle();
    handle.force_open();
    assert_eq!(shown(&metrics, "all"), ["open 1"]);
    handle.force_closed();
    assert_eq!(shown(&metrics, "all"), ["closed 1"]);
    assert_eq!(value(&metrics, "circuit_breaker_open_total", "").to_string(), "1");
}

#[test]
fn a_circuit_that_rejects_nothing_is_not_shown_as_open() {
    let (metrics, breaker) = (metrics(), CircuitBreakerLayer::default().observe_only());
    let handle = breaker.observe(inventory(&metrics)).handle();
    handle.force_open();
    assert_eq!(shown(&metrics, "all"), ["would_be_open 1"]);
    assert_eq!(value(&metrics, "circuit_breaker_open_total", "").to_string(), "0");
    let would = r#"decision="open",dependency="inventory",layer="circuit_breaker""#;
    assert_eq!(value(&metrics, "would_have_total", would).to_string(), "1");
}

#[test]
fn circuits_beyond_the_bound_are_counted_together_while_they_are_not_closed() {
    let metrics = metrics();
    let handle = keyed(inventory(&metrics));
    for shard in 0..CIRCUITS_MAX + 3 {
        handle.of(shard.to_string()).force_open();
    }
    assert_eq!(shown(&metrics, "other"), ["open 3"]);
    assert_eq!(series(&metrics), (CIRCUITS_MAX) * 4 + 1);
    handle.of(CIRCUITS_MAX.to_string()).force_closed();
    assert_eq!(shown(&metrics, "other"), ["open 2"]);
    for shard in 0..CIRCUITS_MAX + 3 {
        handle.of(shard.to_string()).force_closed();
    }
    assert_eq!(shown(&metrics, "other"), [""; 0], "nobody is left there");
}

#[test]
fn a_closed_circuit_gives_way_to_one_that_opens() {
    let metrics = metrics();
    let handle = keyed(inventory(&metrics));
    for shard in 0..CIRCUITS_MAX {
        handle.of(shard.to_string()).force_open();
    }
    handle.of("7").force_closed();
    handle.of("newcomer").force_open();
    assert_eq!(shown(&metrics, "newcomer"), ["open 1"]);
    assert_eq!(shown(&metrics, "7"), [""; 0]);
}

#[test]
fn a_circuit_that_is_forgotten_has_no_series() {
    let metrics = metrics();
    let breaker = CircuitBreakerLayer::default().per_authority().keys_max(1);
    let handle = breaker.observe(inventory(&metrics)).handle();
    handle.of("first").force_open();
    handle.of("second").force_open();
    assert_eq!(handle.keys().len(), 1, "the bound of the breaker");
    let left: Vec<_> = ["first", "second"].map(|of| shown(&metrics, of).len()).to_vec();
    assert_eq!(left.iter().sum::<usize>(), handle.keys().len(), "{left:?}");
}

#[test]
fn a_key_that_is_longer_than_a_name_has_no_series_of_its_own() {
    let metrics = metrics();
    keyed(inventory(&metrics)).of("k".repeat(1_000)).force_open();
    assert_eq!(shown(&metrics, "other"), ["open 1"]);
    assert_eq!(series(&metrics), 1);
}

fn keyed(look_up: DependencyMetrics) -> Handle {
    let layer: CircuitBreakerLayer<PerAuthority> = CircuitBreakerLayer::default().per_authority();
    layer.observe(look_up).handle()
}

/// The states of a circuit that are not zero.
fn shown(metrics: &Metrics, circuit: &str) -> Vec<String> {
    let (page, circuit) = (metrics.encode().unwrap(), format!(r#"{{circuit="{circuit}""#));
    let lines = page.lines().filter(|line| line.starts_with("circuit_breaker_state{"));
    let states = lines.filter(|line| line.contains(&circuit)).map(|line| {
        let (_, state) = line.split_once(r#"state=""#).unwrap();
        state.replace("\"}", "")
    });
    states.filter(|state| !state.ends_with(" 0")).collect()
}

fn series(metrics: &Metrics) -> usize {
    let page = metrics.encode().unwrap();
    page.lines().filter(|line| line.starts_with("circuit_breaker_state{")).count()
}
