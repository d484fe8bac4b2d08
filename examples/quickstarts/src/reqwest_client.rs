//! Timeout, budgeted retries, breaker, fallback and metrics around reqwest.

use aplomb::core::{BoxError, DegradedKind, OperationClass};
use aplomb::fallback::Fixed;
use aplomb::policy::Policy;
use aplomb::stack::Stack;
use aplomb::telemetry::Metrics;

/// Asks how many there are.
///
/// # Errors
///
/// When the URL is none.
pub async fn look(url: &str, metrics: &Metrics) -> Result<String, BoxError> {
    // quick start
    let few = Fixed::new(DegradedKind::Approximate, http::Response::new("a few".into()));
    let client = Stack::new(Policy::preset(OperationClass::Read).build()?)
        .observe(metrics.dependency("stock", "look"))
        .fallback(few)
        .reqwest(reqwest::Client::builder())?;
    Ok(client.get(url).send().await?.text().await?)
    // end
}
