//! The document that machines read: it tells what is there, all of it.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::Town;

#[tokio::test]
async fn every_route_is_in_the_document() {
    let town = Town::open().await;
    let document = town.get("/openapi.json").await.body;
    let named: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    // As the code says them: whoever adds a route adds it to the document.
    let routers =
        [include_str!("../../src/service.rs"), include_str!("../../src/fulfilment/routes.rs")];
    let routed: BTreeSet<&str> = routers.into_iter().flat_map(routes).collect();
    assert_eq!(named, routed);
}

#[tokio::test]
async fn whatever_the_document_names_is_there() {
    let town = Town::open().await;
    let document = town.get("/openapi.json").await.body;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let url =
                format!("{}{}", town.orders, path.replace("{id}", "42").replace("{sku}", "x"));
            let answer = town.http.send_bytes(method, &url, &[], String::new()).await;
            let kind = answer.body["type"].as_str().unwrap_or_default();
            assert_ne!(kind, "/problems/unknown-path", "{path}");
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            let status = answer.status.as_u16().to_string();
            assert!(operation["responses"].get(&status).is_some(), "{path} answered {status}");
        }
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let town = Town::open().await;
    let document = town.get("/openapi.json").await.body;
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.contains("#/components/schemas/ProblemDetails"), "{references:?}");
    for reference in references {
        let found = document.pointer(reference.trim_start_matches('#'));
        assert!(found.is_some(), "{reference}");
    }
}

fn routes(source: &str) -> impl Iterator<Item = &str> {
    let said = source.split(".route(").skip(1);
    said.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

fn collect<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
