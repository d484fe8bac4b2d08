//! What is written to `tracing`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use aplomb_deadline::DeadlineLayer;
use aplomb_telemetry::DependencyMetrics;
use common::{Act, inventory, look, metrics, ms, retry, stock};
use http::HeaderValue;
use tower::{ServiceBuilder, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_span_in_the_words_of_opentelemetry() {
    let (written, _guard) = subscribe();
    call([Act::Answer(503), Act::Hang], None).await;
    let spans = written.spans("attempt");
    assert_eq!(spans.len(), 3);
    for span in &spans {
        assert_eq!(span["http.request.method"], "GET");
        assert_eq!(span["server.address"], "stock");
        assert_eq!(span["server.port"], "7001");
        assert_eq!(span["otel.kind"], "client");
        assert_eq!(span["parent"], "call");
    }
    assert_eq!(spans[0].get("http.request.resend_count"), None);
    assert_eq!(spans[1]["http.request.resend_count"], "1");
    assert_eq!(spans[2]["http.request.resend_count"], "2");
    assert_eq!(spans[0]["http.response.status_code"], "503");
    assert_eq!(spans[0]["error.type"], "503");
    assert_eq!(spans[1]["error.type"], "timeout");
    assert_eq!(spans[2].get("error.type"), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_one_record_behind() {
    let (written, _guard) = subscribe();
    call([Act::Answer(503)], None).await;
    let records = written.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((&*record["dependency"], &*record["operation"]), ("inventory", "look"));
    assert_eq!((&*record["outcome"], &*record["attempts"]), ("rescued", "2"));
    assert_eq!(record["decisions"], "attempt 1 transient, again after 30 ms; rescued at attempt 2");
    assert_eq!((&*record["budget_before"], &*record["budget_after"]), ("100.0", "99.0"));
    assert_eq!(record["waited_ms"], "30");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_could_be_secret_is_written() {
    let (written, _guard) = subscribe();
    call([Act::Answer(503)], Some("key-of-nobody-elses")).await;
    let all = format!("{:?}", written.0.lock().unwrap());
    for secret in ["key-of-nobody-elses", "secret", "/stock/mug"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_trace_is_passed_on_unchanged_by_every_attempt() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (_written, _guard) = subscribe();
    let (stock, seen) = stock([Act::Answer(503)]);
    let mut request = look();
    request.headers_mut().insert("traceparent", HeaderValue::from_static(parent));
    client(&inventory(&metrics()), stock).oneshot(request).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().map(|headers| &headers["traceparent"]).collect::<Vec<_>>(), [parent; 2]);
}

#[tokio::test(start_paused = true)]
async fn without_one_each_attempt_sends_its_own_span() {
    let (_written, _guard) = subscribe();
    let (stock, seen) = stock([Act::Answer(503)]);
    client(&inventory(&metrics()), stock).oneshot(look()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0]["traceparent"], seen[1]["traceparent"]);
}

async fn call(acts: impl IntoIterator<Item = Act>, key: Option<&'static str>) {
    let (stock, _) = stock(acts);
    let mut request = look();
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static(key));
    }
    client(&inventory(&metrics()), stock).oneshot(request).await.unwrap();
}

fn client(
    look_up: &DependencyMetrics,
    stock: common::Stock,
) -> impl tower::Service<
    http::Request<common::Body>,
    Response = http::Response<common::Body>,
    Error = aplomb_core::BoxError,
> {
    let of = |span: &tracing::Span| {
        let id = span.id()?.into_u64();
        HeaderValue::try_from(format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id:016x}-01")).ok()
    };
    ServiceBuilder::new()
        .layer(look_up.call_layer())
        .layer(retry().observe(look_up.clone()))
        .layer(look_up.attempt_layer().traceparent(of))
        .layer(DeadlineLayer::attempt(ms(100)).observe(look_up.clone()))
        .service(stock)
}

type Fields = BTreeMap<String, String>;

/// Everything that was written: spans and events, their fields by name.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(u64, Fields)>>>);

impl Written {
    fn spans(&self, name: &str) -> Vec<Fields> {
        let written = self.0.lock().unwrap();
        let spans = written.iter().filter(|(id, fields)| *id > 0 && fields["name"] == name);
        spans.map(|(_, fields)| fields.clone()).collect()
    }

    fn records(&self) -> Vec<Fields> {
        let written = self.0.lock().unwrap();
        written.iter().filter(|(id, _)| *id == 0).map(|(_, fields)| fields.clone()).collect()
    }
}

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>>
    tracing_subscriber::Layer<S> for Written
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Named(&mut fields));
        fields.insert("name".into(), attributes.metadata().name().into());
        let parent = context.span(id).and_then(|span| Some(span.parent()?.name().to_owned()));
        fields.extend(parent.map(|parent| ("parent".to_owned(), parent)));
        self.0.lock().unwrap().push((id.into_u64(), fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut written = self.0.lock().unwrap();
        let last = written.iter_mut().rfind(|(of, _)| *of == id.into_u64());
        values.record(&mut Named(&mut last.unwrap().1));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Named(&mut fields));
        self.0.lock().unwrap().push((0, fields));
    }
}

struct Named<'a>(&'a mut Fields);

impl Visit for Named<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

fn subscribe() -> (Written, DefaultGuard) {
    let written = Written::default();
    let subscriber = tracing_subscriber::registry().with(written.clone());
    (written, tracing::subscriber::set_default(subscriber))
}
