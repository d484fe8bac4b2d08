use http::StatusCode;
use serde_json::json;

use crate::support::Town;

#[tokio::test]
async fn the_last_item_is_reserved_once_though_its_answer_is_lost() {
    let town = Town::open().await;
    town.stock("mug", 1).await;
    town.chaos(json!({"lose_next": 1})).await;

    let placed = town.order("click", &[("mug", 1)]).await;
    assert_eq!(placed.status, StatusCode::CREATED);
    assert_eq!(placed.body["status"], "confirmed");
    assert!(placed.body["lines"][0]["reservation_id"].is_string());

    let audit = town.audit("mug").await;
    assert_eq!(audit["reservations"], 1);
    assert_eq!(audit["distinct_keys"], 1);
    assert_eq!(audit["duplicates"], 0);
    assert_eq!(audit["available"], 0);
    let key = format!("order_{}_line_1_reservation", placed.order_id());
    let effects = town.effects(&key).await;
    assert_eq!(effects, ["reserved", "replayed"]);
    let retried = r#"retry_attempts_total{dependency="inventory",operation="reserve"} 1"#;
    assert!(town.metrics().await.contains(retried));
}

#[tokio::test]
async fn an_order_is_shown_as_it_was_placed() {
    let town = Town::open().await;
    town.stock("mug", 3).await;
    let placed = town.order("click", &[("mug", 1), ("mug", 2)]).await;
    assert_eq!(placed.status, StatusCode::CREATED);
    let path = placed.headers["location"].to_str().unwrap();
    let shown = town.get(path).await;
    assert_eq!(shown.status, StatusCode::OK);
    for part in ["order_id", "customer", "status", "lines"] {
        assert_eq!(shown.body[part], placed.body[part], "{part}");
    }
    assert_eq!(shown.body["lines"][1]["quantity"], 2);
}

#[tokio::test]
async fn a_sold_out_order_is_rejected_and_says_which_it_is() {
    let town = Town::open().await;
    town.stock("mug", 0).await;
    let placed = town.order("click", &[("mug", 1)]).await;
    assert_eq!(placed.status, StatusCode::CONFLICT);
    assert_eq!(placed.headers["content-type"], "application/problem+json");
    assert_eq!(placed.body["order_status"], "rejected_out_of_stock");
    let shown = town.get(&format!("/orders/{}", placed.order_id())).await;
    assert_eq!(shown.body["status"], "rejected_out_of_stock");

    // The answer stays what it was, though there is stock now.
    town.stock("mug", 1).await;
    let again = town.order("click", &[("mug", 1)]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.order_id(), placed.order_id());
}

#[tokio::test]
async fn earlier_lines_are_given_back_when_a_later_one_is_sold_out() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    town.stock("lamp", 1).await;
    let placed = town.order("click", &[("mug", 2), ("mug", 1), ("lamp", 2)]).await;
    assert_eq!(placed.status, StatusCode::CONFLICT);
    for (sku, stock) in [("mug", 5), ("lamp", 1)] {
        let audit = town.audit(sku).await;
        assert_eq!(audit["available"], stock, "{sku}");
        assert_eq!(audit["reserved"], 0, "{sku}");
    }
}

#[tokio::test]
async fn an_article_nobody_knows_is_404_and_nothing_stays_reserved() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    let placed = town.order("click", &[("mug", 2), ("unicorn", 1)]).await;
    assert_eq!(placed.status, StatusCode::NOT_FOUND);
    assert_eq!(placed.body["order_status"], "rejected_unknown_sku");
    assert_eq!(town.audit("mug").await["reserved"], 0);
}

#[tokio::test]
async fn a_customer_who_clicks_again_has_one_order() {
    let town = Town::open().await;
    town.stock("mug", 5).await;
    let first = town.order("click", &[("mug", 1)]).await;
    let second = town.order("\"click\"", &[("mug", 1)]).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(second.body, first.body);
    let other = town.order("click", &[("mug", 2)]).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(town.audit("mug").await["reservations"], 1);
}

#[tokio::test]
async fn an_order_that_takes_longer_than_its_lease_is_placed_once() {
    let town = Town::patient().await;
    town.stock("mug", 8).await;
    // The lease of tests is 300 ms; the lines take two seconds.
    town.chaos(json!({"latency_ms": 250})).await;
    let lines = [("mug", 1); 8];
    let (first, second) = tokio::join!(town.order("click", &lines), async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        town.order("click", &lines).await
    });
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.body["type"], "/problems/idempotency/in-flight");
    assert!(second.headers.contains_key("retry-after"));
    assert_eq!(town.audit("mug").await["reservations"], 8);
}

#[tokio::test]
async fn a_service_that_was_told_to_stop_is_not_ready_and_still_alive() {
    use aplomb_inventory_service::serve;
    use http::Method;
    use serde_json::Value;

    let town = Town::open().await;
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let api = town.api.clone();
    let served = tokio::spawn(api.serve(listener, async { _ = stopped.await }));
    let ask = async |path: &str| {
        let url = format!("{url}{path}");
        town.http.send(Method::GET, &url, &[], Value::Null).await.status
    };
    assert_eq!(ask("/readyz").await, StatusCode::OK);
    stop.send(()).unwrap();
    // Connections are accepted for a moment longer, so that this can be seen.
    while ask("/readyz").await == StatusCode::OK {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("/healthz").await, StatusCode::OK);
    served.await.unwrap();
}
