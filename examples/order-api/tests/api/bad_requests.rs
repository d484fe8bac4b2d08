use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Town};

#[tokio::test]
async fn what_is_no_order_is_400_and_says_what_would_be_one() {
    let town = Town::open().await;
    let line = json!({"sku": "mug", "quantity": 1});
    for (number, wrong) in [
        json!({"customer": "ann", "lines": []}),
        json!({"customer": "ann", "lines": vec![line.clone(); 101]}),
        json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 0}]}),
        json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": -1}]}),
        json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 1e30}]}),
        json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": u64::MAX}]}),
        json!({"customer": "ann", "lines": [line], "express": true}),
        json!({"lines": [line]}),
        json!("mug"),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k{number}");
        let answer = post(&town, &[("idempotency-key", &key)], wrong.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(answer.body["detail"].is_string(), "{wrong}");
    }
    let answer = post(&town, &[("idempotency-key", "text")], "two mugs".into()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(town.api.tally().await.unwrap(), aplomb_order_api::Tally::default());
    let page = town.metrics().await;
    let counted = r#"problem_answers_total{event="failed",operation="any",status="other"} 10"#;
    assert!(page.contains(counted), "{page}");
}

#[tokio::test]
async fn an_order_needs_a_key_that_can_be_read() {
    let town = Town::open().await;
    let body = json!({"customer": "ann", "lines": [{"sku": "mug", "quantity": 1}]}).to_string();
    for key in [&[][..], &[("idempotency-key", "")], &[("idempotency-key", "\"open")]] {
        let answer = post(&town, key, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
    }
}

#[tokio::test]
async fn an_order_of_ten_thousand_lines_is_told_how_many_it_may_have() {
    let town = Town::open().await;
    let lines = vec![json!({"sku": "mug", "quantity": 1}); 10_000];
    let order = json!({"customer": "ann", "lines": lines}).to_string();
    let answer = post(&town, &[("idempotency-key", "long")], order).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body["detail"], "there are 10000 lines; send at most 100");
}

#[tokio::test]
async fn a_body_over_the_cap_is_413() {
    let town = Town::open().await;
    let answer = post(&town, &[("idempotency-key", "big")], " ".repeat(65 * 1024)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_other_methods_are_405() {
    let town = Town::open().await;
    let unknown = "/orders/01a20cba-3f80-7378-b5b2-5742b208b7b2";
    for path in ["/orders/42", "/orders/%ff", unknown, "/nowhere"] {
        let answer = town.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
    let url = format!("{}/orders", town.orders);
    let answer = town.http.send(Method::PUT, &url, &[], Value::Null).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

async fn post(town: &Town, headers: &[(&str, &str)], body: String) -> Answer {
    let url = format!("{}/orders", town.orders);
    town.http.send_bytes(Method::POST, &url, headers, body).await
}
