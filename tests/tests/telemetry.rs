//! What the dashboard and the alerts name is what a service that wears every layer serves.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "telemetry/promql.rs"]
mod promql;
#[path = "telemetry/promtool.rs"]
mod promtool;
#[path = "telemetry/service.rs"]
mod service;

use std::collections::{BTreeMap, BTreeSet};

use aplomb_telemetry::METRICS;
use serde_json::Value;

const ALERTS: &str = include_str!("../../docs/alerts/aplomb.yml");
const DASHBOARD: &str = include_str!("../../docs/grafana/aplomb.json");

#[tokio::test]
async fn every_name_in_the_dashboard_and_the_alerts_is_served() {
    let page = service::page().await;
    let served = series(&page);
    for query in queries().iter().chain(&rules()) {
        let selectors = promql::selectors(query);
        assert!(!selectors.is_empty(), "{query} names nothing");
        for (name, labels) in selectors {
            let Some(known) = served.get(name.as_str()) else {
                panic!("{name}, of {query}, is not served:\n{page}")
            };
            let strange: Vec<_> = labels.iter().filter(|l| !known.contains(l.as_str())).collect();
            assert!(strange.is_empty(), "{name} has no {strange:?}, of {query}");
        }
    }
}

#[tokio::test]
async fn a_service_that_wears_every_layer_serves_every_metric() {
    let page = service::page().await;
    let served = series(&page);
    for metric in METRICS {
        let is_served = |suffix| served.contains_key(&*format!("{}{suffix}", metric.name));
        assert!(["", "_count"].iter().any(is_served), "{} in\n{page}", metric.name);
    }
}

#[tokio::test]
async fn what_went_wrong_is_counted_where_an_alert_looks() {
    let page = service::page().await;
    for series in [
        r#"dependency_calls_total{dependency="inventory",operation="reserve",outcome="rescued"} 1"#,
        r#"dependency_calls_total{dependency="inventory",operation="reserve",outcome="degraded"} "#,
        r#"retry_exhausted_total{dependency="inventory",operation="reserve"} "#,
        r#"circuit_breaker_state{circuit="all",dependency="inventory",operation="reserve",state="open"} 1"#,
        r#"circuit_breaker_rejected_total{dependency="inventory",operation="reserve"} "#,
        r#"fallback_used_total{dependency="inventory",operation="reserve",reason="open"} "#,
        r#"idempotency_key_reused_total{operation="POST /orders"} 1"#,
        r#"dead_letter_messages_total{dependency="inventory",operation="reserve"} 1"#,
        r#"problem_answers_total{event="failed",operation="POST /orders",status="503"} "#,
        r#"admission_limit{dependency="",operation="POST /orders"} 16"#,
    ] {
        let line = page.lines().find(|line| line.starts_with(series));
        assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{series} in\n{page}");
    }
}

#[test]
fn every_alert_that_the_catalogue_names_is_there_and_no_other() {
    let named: BTreeSet<&str> = METRICS.iter().filter_map(|metric| metric.alert).collect();
    let there = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert_eq!(there.collect::<BTreeSet<_>>(), named);
}

#[test]
fn an_alert_is_named_by_a_metric_that_it_looks_at() {
    for metric in METRICS.iter().filter(|metric| metric.alert.is_some()) {
        let alert = format!("- alert: {}", metric.alert.unwrap());
        let (_, rest) = ALERTS.split_once(&alert).unwrap();
        let rule = rest.split("- alert: ").next().unwrap();
        assert!(rule.contains(metric.name), "{} in {rule}", metric.name);
    }
}

#[tokio::test]
async fn prometheus_itself_accepts_the_page() {
    promtool::check(&["check", "metrics"], &service::page().await);
}

#[test]
fn prometheus_itself_accepts_the_alerts_and_the_queries_of_the_dashboard() {
    promtool::check_rules(ALERTS);
    let rules: Vec<Value> = queries()
        .iter()
        .enumerate()
        .map(|(i, query)| {
            let query = query.replace("$__rate_interval", "5m");
            serde_json::json!({ "record": format!("dashboard:query:{i}"), "expr": query })
        })
        .collect();
    // JSON is YAML.
    let file = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    promtool::check_rules(&file.to_string());
}

/// The names of the series on a page, with the labels that they have.
fn series(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut served: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').unwrap();
        let (labels, _) = labels.rsplit_once('}').unwrap();
        let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
        served.entry(name).or_default().extend(labels);
    }
    served
}

/// Every query of the dashboard, its variables' included.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let of_panels = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let of_variables = variables.filter_map(|variable| {
        let values = variable["definition"].as_str()?.strip_prefix("label_values(")?;
        Some(values.split_once(',')?.0.to_owned())
    });
    of_panels.chain(of_variables).collect()
}

/// The expression of every alert.
fn rules() -> Vec<String> {
    let rules = ALERTS.split("expr: ").skip(1);
    rules
        .map(|rule| rule.split("labels:").next().unwrap().trim_start_matches('|').to_owned())
        .map(|rule| rule.lines().filter(|line| !line.trim().starts_with("for:")).collect())
        .collect()
}
