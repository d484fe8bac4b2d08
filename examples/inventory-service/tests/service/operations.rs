//! What operators see and turn: health, metrics, chaos, and messages of a start that failed.

use crate::support::{Ask, BACKOFFICE, Directory, Service, problem};
use aplomb_inventory_service::{Inventory, Place, serve};

#[tokio::test]
async fn probes_need_no_token() {
    let service = Service::start().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(service.send(Ask::get(path).anonymous()).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn replays_are_counted() {
    let service = Service::stocked("mug", 5).await;
    for _ in 0..3 {
        service.send(Ask::reserve("k", "1", "mug", 1)).await;
    }
    let page = service.metrics().await;
    let line = r#"idempotency_key_reused_total{operation="reserve"} 2"#;
    assert!(page.contains(line), "{page}");
}

#[tokio::test]
async fn the_knobs_are_shown_as_they_were_turned() {
    let service = Service::start().await;
    let answer = service
        .send(Ask::chaos(r#"{"latency_ms": 5, "error_rate": 0.5, "lose_next": 2}"#).anonymous())
        .await;
    assert_eq!(answer.status, 200);
    let shown = service.send(Ask::get("/chaos").anonymous()).await.json();
    assert_eq!(shown["latency_ms"], 5);
    assert_eq!(shown["error_rate"], 0.5);
    assert_eq!(shown["lose_next"], 2);
    assert_eq!(shown["down"], false);
}

#[tokio::test]
async fn a_knob_turned_too_far_is_refused_and_nothing_turns() {
    let service = Service::start().await;
    service.send(Ask::chaos(r#"{"latency_ms": 5}"#)).await;
    for (body, says) in [
        (r#"{"error_rate": 2}"#, "error_rate is 2; give a number from 0 to 1"),
        (r#"{"latency_ms": -1}"#, "latency_ms is -1; give a whole number from 0 to 60000"),
        (r#"{"latency": 1}"#, "unknown field `latency`"),
        (r#"{"latency_ms": "slow"}"#, "latency_ms"),
        ("{", "EOF"),
    ] {
        let answer = service.send(Ask::chaos(body)).await;
        assert_eq!(answer.problem(), problem(400, "bad-request"), "{body}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{detail}");
    }
    let shown = service.send(Ask::get("/chaos")).await.json();
    assert_eq!(shown["latency_ms"], 5);
}

#[tokio::test]
async fn the_knobs_are_for_this_machine_alone() {
    let service = Service::start().await;
    let far = service.send_from([10, 0, 0, 1], Ask::get("/chaos")).await.unwrap();
    assert_eq!(far.problem(), problem(403, "loopback-only"));
    let rebound = Ask::get("/chaos").host("evil.example");
    assert_eq!(service.send(rebound).await.problem(), problem(403, "loopback-only"));
    let page = Ask::chaos("{}").header("origin", "https://evil.example");
    assert_eq!(service.send(page).await.problem(), problem(403, "loopback-only"));
    let own = Ask::chaos("{}").header("origin", "http://localhost:7000");
    assert_eq!(service.send(own).await.status, 200);
}

#[tokio::test]
async fn an_injected_error_leaves_no_record() {
    let service = Service::stocked("mug", 5).await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    service.send(Ask::chaos(r#"{"error_rate": 1, "error_status": 500}"#)).await;
    let failed = service.send(ask.clone()).await;
    assert_eq!(failed.problem(), problem(500, "injected-error"));
    service.send(Ask::chaos("{}")).await;
    let made = service.send(ask).await;
    assert_eq!(made.status, 201);
    assert!(!made.is_replay());
}

#[tokio::test]
async fn chaos_leaves_the_audit_and_the_probes_alone() {
    let service = Service::stocked("mug", 5).await;
    service.send(Ask::chaos(r#"{"down": true, "error_rate": 1, "lose_next": 9}"#)).await;
    service.audit("mug").await;
    for path in ["/healthz", "/readyz", "/metrics", "/chaos"] {
        assert_eq!(service.send(Ask::get(path)).await.status, 200, "{path}");
    }
    let cut = service.send_from([127, 0, 0, 1], Ask::get("/products/mug/availability")).await;
    assert!(cut.is_err());
}

#[tokio::test]
async fn a_request_whose_caller_no_longer_waits_is_not_begun() {
    let service = Service::stocked("mug", 5).await;
    let late = Ask::reserve("k", "1", "mug", 1).header("x-envoy-expected-rq-timeout-ms", "0");
    let answer = service.send(late).await;
    assert_eq!(answer.problem(), problem(504, "deadline-exceeded"));
    assert_eq!(service.audit("mug").await["reservations"], 0);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let service = Service::start().await;
    let nowhere = service.send(Ask::get("/nowhere")).await;
    assert_eq!(nowhere.problem(), problem(404, "unknown-path"));
    let not_so = service.send(Ask::delete("/products/mug").by(BACKOFFICE)).await;
    assert_eq!(not_so.problem(), problem(405, "unknown-method"));
}

#[tokio::test]
async fn a_port_in_use_says_what_to_do() {
    let first = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let taken = first.local_addr().unwrap();
    let error = serve::bind(taken).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {taken}: ")), "{error}");
    assert!(error.ends_with("stop the process that uses it, or choose another port"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_says_what_to_do() {
    let directory = Directory::new();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let mut config = directory.config();
    config.place = Place::File(file.join("data").join("inventory.db"));
    let error = Inventory::open(config).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot write to the data directory "), "{error}");
    assert!(error.ends_with("choose another one with --data-dir"), "{error}");
}

#[tokio::test]
async fn a_damaged_database_says_what_to_do() {
    let directory = Directory::new();
    let path = directory.path().join("inventory.db");
    std::fs::write(&path, "certainly not a database, of this length".repeat(100)).unwrap();
    let error = Inventory::open(directory.config()).await.unwrap_err().to_string();
    let what = format!("the database is damaged: {}", path.display());
    assert!(error.starts_with(&what), "{error}");
    assert!(error.ends_with("move the file away to start with an empty one"), "{error}");
}

#[tokio::test]
async fn what_was_reserved_is_there_after_a_restart() {
    let service = Service::stocked("mug", 5).await;
    let ask = Ask::reserve("k", "1", "mug", 2);
    let made = service.send(ask.clone()).await;
    let Service { inventory, directory } = service;
    inventory.close().await;
    let inventory = Inventory::open(directory.config()).await.unwrap();
    let service = Service { inventory, directory };
    let again = service.send(ask).await;
    assert!(again.is_replay());
    assert_eq!(again.body, made.body);
}
