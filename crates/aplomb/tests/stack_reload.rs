//! A client follows its policy file on a real disk.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "stack/wire.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod wire;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aplomb::core::OperationClass;
use aplomb::policy::Watcher;
use aplomb::stack::{self, PolicyEvent};
use tokio::sync::mpsc;
use tower::ServiceExt;
use wire::{Stock, get};

fn policy(attempts: u32) -> String {
    format!(
        "version = 1\n[service]\nname = 'shop'\n[dependency.stock]\nauthority = 'stock:7001'\n\
         [dependency.stock.operation.look]\nclass = 'read'\nmatch = 'GET /stock/{{sku}}'\n\
         attempts = {attempts}\n"
    )
}

/// Beside the old one, then in its place: half a file is never there.
fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_client_follows_its_file_and_a_bad_one_leaves_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    write(&path, &policy(2));
    let watcher = Watcher::open(&path).unwrap();
    let stock = Stock::always(503);
    let client = stack::client(Arc::clone(watcher.current())).service(stock.clone());
    let handle = client.handle();
    let (tell, mut told) = mpsc::unbounded_channel();
    let tell = move |event: &PolicyEvent<'_>| tell.send(event.to_string()).unwrap();
    let following = tokio::spawn(handle.clone().follow(watcher, Duration::from_millis(5), tell));

    let _failed = client.clone().oneshot(get("http://stock:7001/stock/mug")).await;
    let held = || handle.budget("stock", OperationClass::Read).unwrap().balance();
    let (sends, balance) = (stock.sends(), held());
    assert!(sends == 2 && balance < 10.0);

    write(&path, &policy(1).replace("class", "clas"));
    let said = told.recv().await.unwrap();
    assert!(said.starts_with("policies kept, the new ones are wrong: "), "{said}");
    assert_eq!(attempts(&handle), 2);

    write(&path, &policy(3));
    assert_eq!(told.recv().await.unwrap(), "policies reloaded: stock.look changed");
    assert_eq!(attempts(&handle), 3);
    assert_eq!(held().to_string(), balance.to_string());

    fs::remove_file(&path).unwrap();
    let said = told.recv().await.unwrap();
    assert!(said.starts_with("policies kept, their file cannot be read: "), "{said}");
    following.abort();
}

fn attempts(handle: &stack::Handle) -> u32 {
    let policies = handle.policies();
    let (_, operation) = policies.operations().next().unwrap();
    operation.policy().attempts().get()
}
