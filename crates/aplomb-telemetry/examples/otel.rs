//! Exports the spans of a call that is rescued by OpenTelemetry, to the standard output.
//!
//! All attempts are in one trace, each with a span of its own, and each tells the next hop so.

use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_core::BoxError;
use aplomb_retry::{Budget, RetryLayer};
use aplomb_telemetry::Metrics;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{ServiceBuilder, ServiceExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let exporter = opentelemetry_stdout::SpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("aplomb"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(spans))?;

    let metrics = Metrics::register(&prometheus::Registry::new(), None)?;
    let look = metrics.dependency("inventory", "look");
    let client = ServiceBuilder::new()
        .layer(look.call_layer())
        .layer(RetryLayer::new(Budget::percent(20)).keep_records().observe(look.clone()))
        .layer(look.attempt_layer().traceparent(traceparent))
        .service_fn(stock);

    let request = Request::get("http://stock:7001/stock/mug").body(Full::<Bytes>::default())?;
    let answer = client.oneshot(request).await?;
    println!("{}", answer.status());
    provider.shutdown()?;
    Ok(())
}

/// The W3C header of a span.
fn traceparent(span: &Span) -> Option<HeaderValue> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    if !context.is_valid() {
        return None;
    }
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    HeaderValue::try_from(format!("00-{trace}-{span}-{:02x}", flags.to_u8())).ok()
}

/// Fails once.
async fn stock(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
    static SENDS: AtomicU32 = AtomicU32::new(0);
    println!("traceparent: {:?}", request.headers().get("traceparent"));
    let status = if SENDS.fetch_add(1, Ordering::Relaxed) == 0 { 503 } else { 200 };
    Ok(Response::builder().status(status).body(Full::default())?)
}
