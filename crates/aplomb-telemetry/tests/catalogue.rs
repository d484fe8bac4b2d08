//! The table in the documentation, the catalogue and what is served say the same.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::collections::BTreeSet;

use aplomb_telemetry::{METRICS, Metric};
use common::metrics;

#[test]
fn the_table_in_the_documentation_is_the_catalogue() {
    let documented: Vec<&str> = include_str!("../src/lib.rs")
        .lines()
        .skip_while(|line| *line != "//! | metric | type | labels | says | alert |")
        .skip(2)
        .take_while(|line| line.starts_with("//! |"))
        .collect();
    let rows: Vec<String> = METRICS.iter().map(|metric| row(metric)).collect();
    assert_eq!(documented, rows);
}

#[test]
fn what_is_served_is_the_catalogue() {
    let page = metrics().encode().unwrap();
    let served: BTreeSet<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    let promised: Vec<String> = METRICS.iter().flat_map(|metric| described(metric)).collect();
    assert_eq!(served, promised.iter().map(String::as_str).collect());
}

#[test]
fn every_series_has_the_labels_of_its_metric() {
    let metrics = metrics();
    metrics.dependency("inventory", "look");
    metrics.operation("POST /orders");
    let page = metrics.encode().unwrap();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').unwrap();
        let (labels, _) = labels.rsplit_once('}').unwrap();
        let metric = METRICS.iter().find(|metric| is_of(name, metric)).unwrap();
        let labels = labels.split(',').map(|label| label.split_once('=').unwrap().0);
        let labels: BTreeSet<&str> = labels.filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{line}");
    }
}

fn is_of(name: &str, metric: &Metric) -> bool {
    let rest = name.strip_prefix(metric.name);
    rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
}

fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let alert = metric.alert.map_or(String::new(), |alert| format!(" `{alert}`"));
    let (kind, labels) = (metric.kind.as_str(), labels.join(", "));
    format!("//! | `{}` | {kind} | {labels} | {} |{alert} |", metric.name, metric.help)
}

fn described(metric: &Metric) -> [String; 2] {
    let Metric { name, help, kind, .. } = metric;
    [format!("# HELP {name} {help}"), format!("# TYPE {name} {}", kind.as_str())]
}
