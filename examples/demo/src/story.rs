//! The last item and the lost response, told with real requests.

use aplomb_order_api::OrderId;
use serde_json::{Value, json};

use crate::out;
use crate::paint::Paint;
use crate::services::Services;
use crate::trouble::Trouble;

/// Plays the story and prints it as it happens.
pub(crate) async fn tell(services: &Services, paint: Paint) -> Result<(), Trouble> {
    let name = crate::fresh_name();
    let (sku, key) = (format!("last-mug-{name}"), format!("click-{name}"));
    let client = &services.client;
    out::line("");
    out::line(paint.strong("The last mug, and an answer that gets lost"));
    out::line("");
    client.stock(&sku, 1).await?;
    say("stock", &format!("one {sku} is left"));
    client.chaos(json!({"lose_next": 1})).await?;
    say("fault", "Inventory will commit the next reservation, and its answer will be lost");
    say("customer", &format!("POST /orders  {}", paint.faint(&format!("Idempotency-Key: {key}"))));
    let answer = client.order(&key, &[(&sku, 1)]).await?;
    out::line("");
    if let Some(order) = OrderId::parse(answer.order_id()) {
        say("wire", &services.timeline.tell(order, 1));
        let sent = format!("every attempt carried the key {}", order.reservation_key(1));
        say("", &paint.faint(&sent));
        out::line("");
    }
    let status = answer.body["status"].as_str();
    let status = status.or(answer.body["order_status"].as_str()).unwrap_or("?");
    let told = format!("{} {status}", answer.status.as_u16());
    let told = if status == "confirmed" { paint.good(&told) } else { paint.bad(&told) };
    say("answer", &format!("{told}  order {}", answer.order_id()));
    audit(&client.audit(&sku).await?, paint);
    out::line("");
    Ok(())
}

fn audit(audit: &Value, paint: Paint) {
    let figures = [
        ("reservations", "reservations", 1),
        ("distinct_keys", "distinct keys", 1),
        ("duplicates", "duplicates", 0),
        ("available", "stock", 0),
    ];
    let told = figures.map(|(field, name, expected)| {
        let text = format!("{name} {}", audit[field]);
        let is_right = audit[field] == expected;
        if is_right { paint.good(&text) } else { paint.bad(&text) }
    });
    say("audit", &told.join("   "));
}

fn say(who: &str, what: &str) {
    out::line(format!("  {who:<9} {what}"));
}
