//! The document that machines read: it tells what is there, all of it.

use std::collections::BTreeSet;

use crate::support::{Ask, Service};
use serde_json::Value;

#[tokio::test]
async fn the_document_names_what_the_service_answers() {
    let service = Service::start().await;
    let named = named(&document(&service).await);
    let expected = [
        "delete /inventory/reservations/{id}",
        "get /chaos",
        "get /healthz",
        "get /inventory/audit",
        "get /inventory/audit/events",
        "get /inventory/reservations/{id}",
        "get /metrics",
        "get /products/{sku}/availability",
        "get /readyz",
        "post /inventory/reservations",
        "put /chaos",
        "put /products/{sku}",
    ];
    assert_eq!(named, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn whatever_the_document_names_is_there() {
    let service = Service::with(|config| config.legacy = true).await;
    let named = named(&document(&service).await);
    assert!(named.contains("post /legacy/reservations"));
    for operation in named {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = path.replace("{sku}", "mug").replace("{id}", "one");
        let ask = match method {
            "get" => Ask::get(&path),
            "put" => Ask::put(&path, "{}"),
            "post" => Ask::post(&path, "{}"),
            "delete" => Ask::delete(&path),
            other => panic!("{other}"),
        };
        let answer = service.send(ask).await;
        let is_problem = answer.headers["content-type"] == "application/problem+json";
        let kind = if is_problem { answer.problem().1 } else { String::new() };
        assert!(!["unknown-path", "unknown-method"].contains(&&*kind), "{operation}");
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document = document(&Service::start().await).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for name in ["Wanted", "Reservation", "Audit", "Events", "Event", "ProblemDetails"] {
        assert!(references.contains(&format!("#/components/schemas/{name}")), "{name}");
    }
    for reference in references {
        let found = document.pointer(reference.trim_start_matches('#'));
        assert!(found.is_some(), "{reference}");
    }
}

async fn document(service: &Service) -> Value {
    let answer = service.send(Ask::get("/openapi.json").anonymous()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    answer.json()
}

fn named(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, operations): (&String, &Value)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
