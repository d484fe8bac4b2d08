//! What an operator may do with a dead letter.

use http::{StatusCode, header};
use serde_json::json;

use crate::support::{Ground, Town, on_both, until};

on_both!(
    a_mended_order_ships_under_its_old_key,
    poison_that_is_still_there_goes_back_to_stored,
    two_operators_who_press_at_once_ship_once,
    a_redrive_whose_answer_was_lost_is_found_out,
    what_is_no_letter_is_not_redriven,
    redrives_spend_the_budget,
    a_letter_whose_key_may_be_forgotten_is_not_redriven,
    nobody_from_elsewhere_redrives,
);

async fn a_mended_order_ships_under_its_old_key(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    town.put("/poison", json!({"orders": []})).await;

    let redriven = town.redrive(&letter, &[]).await;
    assert_eq!(redriven.status, StatusCode::OK, "{}", redriven.body);
    assert_eq!(redriven.body["outcome"], "shipped");
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    assert!(town.letters().await.is_empty());

    // Once more is refused, and says why.
    let again = town.redrive(&letter, &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.body["type"], "/problems/letter-shipped");
    assert_eq!(town.shipments().await, (1, 1));
    let audit = town.audit(&letter).await;
    assert_eq!(audit, ["delivered by erin: mended", "redriven by erin: mended"]);
    town.sound().await;
}

async fn poison_that_is_still_there_goes_back_to_stored(ground: Ground) {
    let equal = ("jitter = \"full\", base = \"20ms\"", "jitter = \"equal\", base = \"20ms\"");
    let patient = ("base = \"20ms\", cap = \"100ms\"", "base = \"1m\", cap = \"1m\"");
    let town = Town::by(ground, &[equal, patient]).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    let redriven = town.redrive(&letter, &[]).await;
    assert_eq!((redriven.status, &redriven.body["outcome"]), (StatusCode::OK, &json!("stored")));
    let letters = town.letters().await;
    assert_eq!((&letters[0]["state"], &letters[0]["redrives"]), (&json!("stored"), &json!(1)));
    assert_eq!(letters[0]["attempts"], 2);

    // It is left alone for a while.
    let early = town.redrive(&letter, &[]).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert_eq!(early.body["type"], "/problems/letter-too-early");
    assert!(early.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(town.fulfilment_of(&order).await, "dead_lettered");
    town.sound().await;
}

async fn two_operators_who_press_at_once_ship_once(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    town.put("/poison", json!({"orders": []})).await;
    let (one, other) = tokio::join!(town.redrive(&letter, &[]), town.redrive(&letter, &[]));
    let mut statuses = [one.status, other.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

async fn a_redrive_whose_answer_was_lost_is_found_out(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    town.put("/poison", json!({"orders": []})).await;
    town.put("/chaos", json!({"lose_response_rate": 1.0})).await;
    assert_eq!(town.redrive(&letter, &[]).await.body["outcome"], "stored");
    assert_eq!(town.shipments().await, (1, 1));

    town.put("/chaos", json!({})).await;
    town.api.worker("w").look_again().await;
    assert_eq!(town.fulfilment_of(&order).await, "shipped");
    assert_eq!(town.shipments().await, (1, 1));
    town.sound().await;
}

async fn what_is_no_letter_is_not_redriven(ground: Ground) {
    let town = Town::open(ground).await;
    for id in ["00112233445566778899aabbccddeeff", "42", "%FF"] {
        let answer = town.redrive(id, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        assert_eq!(answer.body["type"], "/problems/unknown-letter", "{id}");
    }
}

async fn redrives_spend_the_budget(ground: Ground) {
    let impatient = ("base = \"20ms\", cap = \"100ms\"", "base = \"1us\", cap = \"1us\"");
    let town = Town::by(ground, &[impatient]).await;
    let (one, other) = (town.confirmed("k1").await, town.confirmed("k2").await);
    town.put("/poison", json!({"orders": [one, other]})).await;
    assert_eq!(town.api.worker("w").run_once().await.unwrap().dead_lettered, 2);
    let letters = town.letters().await;
    let mut answers = Vec::new();
    // A budget holds ten; a letter may be redriven ten times.
    for round in 0..11 {
        let id = letters[round % 2]["id"].as_str().unwrap();
        answers.push(town.redrive(id, &[]).await);
    }
    let last = answers.pop().unwrap();
    assert_eq!(last.status, StatusCode::SERVICE_UNAVAILABLE, "{}", last.body);
    assert!(last.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(answers[0].status, StatusCode::OK);
    // Nothing was sent for it, so it does not count, and the letter is anybody's again.
    until(|| async { town.letters().await.iter().all(|letter| letter["state"] == "stored") }).await;
    town.sound().await;
}

async fn a_letter_whose_key_may_be_forgotten_is_not_redriven(ground: Ground) {
    let town = Town::by(ground, &[("redrive = \"7d\"", "redrive = \"1us\"")]).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    town.put("/poison", json!({"orders": []})).await;
    // The letter's own clock counts in milliseconds.
    until(|| async { town.redrive(&letter, &[]).await.status == StatusCode::CONFLICT }).await;
    let refused = town.redrive(&letter, &[]).await;
    assert_eq!(refused.body["type"], "/problems/letter-too-old");
    town.sound().await;
}

async fn nobody_from_elsewhere_redrives(ground: Ground) {
    let town = Town::open(ground).await;
    let order = town.confirmed("k").await;
    let letter = town.poisoned(&order).await;
    town.put("/poison", json!({"orders": []})).await;
    for headers in [[("host", "shop.example")], [("origin", "http://shop.example")]] {
        let answer = town.redrive(&letter, &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(town.fulfilment_of(&order).await, "dead_lettered");
    assert_eq!(town.shipments().await, (0, 0));
}
