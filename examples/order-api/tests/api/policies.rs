//! What is in force, how it is shown, how it changes while the service runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb_core::time;
use aplomb_order_api::Policies;
use axum::Router;
use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Town, policy_text, serve};

#[tokio::test]
async fn policies_are_shown_as_they_are_in_force() {
    let town = Town::open().await;
    let page = town.get("/policies").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.body["not_in_force"], Value::Null);
    let reserve = of(&page.body, "reserve");
    assert_eq!(reserve["attempts"], 3);
    assert_eq!(reserve["attempt_timeout_ms"], 500);
    assert_eq!(reserve["total_ms"], 3_000);
    assert_eq!(reserve["backoff"]["base_ms"], 50);
    assert_eq!(reserve["circuit"]["or_failed_in_a_row"], 10);
    assert_eq!(reserve["answers"].as_array().unwrap().len(), 6);
    assert_eq!(of(&page.body, "availability")["key"], Value::Null);
    assert_eq!(of(&page.body, "confirm")["attempts"], 1);
    assert_eq!(of(&page.body, "shipment")["when_exhausted"], "dead-letter");
    assert_eq!(of(&page.body, "record")["when_exhausted"], "drop");
}

#[tokio::test]
async fn a_value_is_shown_with_the_line_that_says_it() {
    let town = Town::open().await;
    let page = town.get("/policies").await;
    let reserve = of(&page.body, "reserve");
    let place = reserve["written"]["attempts"].as_str().unwrap();
    let line: usize = place.split(':').nth(1).unwrap().parse().unwrap();
    let text = policy_text(&[]);
    assert_eq!(text.lines().nth(line - 1).unwrap(), "attempts = 3");
    assert_eq!(reserve["written"]["mode"], Value::Null, "the preset says it");
}

#[tokio::test]
async fn a_file_that_changes_changes_what_is_sent() {
    let silent = Silent::open(&attempts(1)).await;
    assert_eq!(silent.sends_of("one").await, 1);
    silent.writes(&attempts(2));
    silent.until(|page| of(page, "reserve")["attempts"] == 2).await;
    assert_eq!(silent.sends_of("two").await, 2);
    let reloads = silent.town.metrics().await;
    assert!(reloads.contains("policy_reloads_total{outcome=\"reloaded\"} 1"), "{reloads}");
}

#[tokio::test]
async fn a_file_that_is_no_policy_keeps_the_old_one_and_is_told() {
    let silent = Silent::open(&attempts(1)).await;
    for (wrong, told) in [
        (attempts(2).replace("class = \"read\"", "clas = \"read\""), "no key `clas`"),
        (attempts(2).replace("operation.settle]", "operation.settel]"), "operation.settle]"),
    ] {
        silent.writes(&wrong);
        let is_told =
            |page: &Value| page["not_in_force"].as_str().is_some_and(|why| why.contains(told));
        silent.until(is_told).await;
        assert_eq!(of(&silent.page().await, "reserve")["attempts"], 1);
    }
    let reloads = silent.town.metrics().await;
    assert!(reloads.contains("policy_reloads_total{outcome=\"refused\"} 2"), "{reloads}");
    assert_eq!(silent.sends_of("one").await, 1);
    silent.writes(&attempts(2));
    silent.until(|page| page["not_in_force"].is_null()).await;
    assert_eq!(of(&silent.page().await, "reserve")["attempts"], 2);
}

#[tokio::test]
async fn a_file_that_vanishes_keeps_the_old_policy_and_is_told() {
    let silent = Silent::open(&attempts(1)).await;
    fs::remove_file(&silent.path).unwrap();
    let is_told = |page: &Value| {
        page["not_in_force"].as_str().is_some_and(|why| why.starts_with("the file cannot be read"))
    };
    silent.until(is_told).await;
    assert_eq!(silent.sends_of("one").await, 1);
    let reloads = silent.town.metrics().await;
    assert!(reloads.contains("policy_reloads_total{outcome=\"lost\"} 1"), "{reloads}");
    silent.writes(&attempts(1));
    silent.until(|page| page["not_in_force"].is_null()).await;
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_refused_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    write(&path, "version = 1\n");
    let mut config = crate::support::config(folder.path(), "http://127.0.0.1:1");
    config.policies = Policies::watched(&path);
    let connector = hyper_util::client::legacy::connect::HttpConnector::new();
    let error = aplomb_order_api::OrderApi::open(config, connector).await.unwrap_err();
    assert!(error.to_string().contains("aplomb.toml:"), "{error}");
}

/// An Inventory that only says 503, and counts.
struct Silent {
    town: Town,
    path: PathBuf,
    sends: Arc<AtomicUsize>,
    _folder: TempDir,
    _tasks: JoinSet<()>,
}

impl Silent {
    async fn open(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aplomb.toml");
        write(&path, text);
        let (sends, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = Arc::clone(&sends);
        let refuse = move || async move {
            count.fetch_add(1, Ordering::SeqCst);
            StatusCode::SERVICE_UNAVAILABLE
        };
        let inventory = serve(Router::new().fallback(refuse), &mut tasks).await;
        let town = Town::with(|config| {
            config.inventory = inventory.parse().unwrap();
            config.policies = Policies::watched(&path).every(Duration::from_millis(5));
        });
        let town = town.await;
        let api = town.api.clone();
        tasks.spawn(async move { match api.follow_policies().await {} });
        Self { town, path, sends, _folder: folder, _tasks: tasks }
    }

    fn writes(&self, text: &str) {
        write(&self.path, text);
    }

    async fn sends_of(&self, key: &str) -> usize {
        let before = self.sends.load(Ordering::SeqCst);
        let placed = self.town.order(key, &[("mug", 1)]).await;
        assert_eq!(placed.status, StatusCode::ACCEPTED);
        self.sends.load(Ordering::SeqCst) - before
    }

    async fn page(&self) -> Value {
        self.town.get("/policies").await.body
    }

    async fn until(&self, is_so: impl Fn(&Value) -> bool) {
        let began = time::now();
        while !is_so(&self.page().await) {
            assert!(time::now() - began < Duration::from_secs(30), "{}", self.page().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn of(page: &Value, operation: &str) -> Value {
    let policies = page["policies"].as_array().unwrap();
    policies.iter().find(|policy| policy["operation"] == operation).unwrap().clone()
}

/// The demo's policies, with so many attempts at a reservation.
fn attempts(attempts: u32) -> String {
    policy_text(&[("attempts = 3", &format!("attempts = {attempts}"))])
}

/// Beside the old one, then in its place: half a file is never there.
fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}
