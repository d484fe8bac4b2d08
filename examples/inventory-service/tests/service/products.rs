//! Products: stock is set by the back office and read by everyone who is known.

use crate::support::{Ask, BACKOFFICE, Service, problem};

#[tokio::test]
async fn the_back_office_sets_what_is_available() {
    let service = Service::start().await;
    let answer = service.send(Ask::put("/products/mug", r#"{"stock": 5}"#).by(BACKOFFICE)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["available"], 5);

    let answer = service.send(Ask::get("/products/mug/availability")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["sku"], "mug");
    assert_eq!(answer.json()["available"], 5);
    assert!(answer.json()["as_of"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn setting_stock_again_keeps_what_is_reserved() {
    let service = Service::stocked("mug", 3).await;
    service.send(Ask::reserve("k", "1", "mug", 2)).await;
    let put = Ask::put("/products/mug", r#"{"stock": 10}"#).by(BACKOFFICE);
    assert_eq!(service.send(put).await.status, 200);
    let audit = service.audit("mug").await;
    assert_eq!(audit["available"], 10);
    assert_eq!(audit["reserved"], 2);
    assert_eq!(audit["initial"], 12);
}

#[tokio::test]
async fn only_the_back_office_sets_stock() {
    let service = Service::start().await;
    let put = Ask::put("/products/mug", r#"{"stock": 5}"#);
    assert_eq!(service.send(put).await.problem(), problem(403, "forbidden"));
}

#[tokio::test]
async fn an_unknown_product_is_not_found() {
    let service = Service::start().await;
    let answer = service.send(Ask::get("/products/mug/availability")).await;
    assert_eq!(answer.problem(), problem(404, "unknown-sku"));
}

#[tokio::test]
async fn stock_that_is_no_number_is_refused_by_name() {
    let service = Service::start().await;
    for (body, kind) in [
        ("", "bad-request"),
        ("{", "bad-request"),
        ("{}", "bad-field"),
        (r#"{"stock": -1}"#, "bad-field"),
        (r#"{"stock": 1.5}"#, "bad-field"),
        (r#"{"stock": "5"}"#, "bad-field"),
        (r#"{"stock": 1000000001}"#, "bad-field"),
    ] {
        let put = Ask::put("/products/mug", body).by(BACKOFFICE);
        let answer = service.send(put).await;
        assert_eq!(answer.problem(), problem(400, kind), "{body}");
    }
}

#[tokio::test]
async fn a_sku_that_is_too_long_or_no_text_is_refused() {
    let service = Service::start().await;
    for path in
        [format!("/products/{}", "x".repeat(65)), "/products/%00".into(), "/products/%ff".into()]
    {
        let put = Ask::put(&path, r#"{"stock": 1}"#).by(BACKOFFICE);
        assert_eq!(service.send(put).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_too_large() {
    let service = Service::start().await;
    let body = format!(r#"{{"stock": 1, "note": "{}"}}"#, "x".repeat(64 * 1024));
    let answer = service.send(Ask::put("/products/mug", body).by(BACKOFFICE)).await;
    assert_eq!(answer.problem(), problem(413, "body-too-large"));
}

#[tokio::test]
async fn strangers_are_challenged() {
    let service = Service::start().await;
    let answer = service.send(Ask::get("/products/mug/availability").anonymous()).await;
    assert_eq!(answer.problem(), problem(401, "unauthorized"));
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"inventory\"");

    let answer = service.send(Ask::get("/products/mug/availability").by("guess")).await;
    assert_eq!(answer.problem(), problem(401, "unauthorized"));
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("invalid_token"));
}
