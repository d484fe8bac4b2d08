//! A client of hyper-util, by a policy.

use aplomb::core::{BoxError, OperationClass, transport};
use aplomb::policy::Policy;
use aplomb::stack::Stack;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};

/// Asks how many there are.
///
/// # Errors
///
/// When all that the policy allows has failed.
pub async fn look(uri: &str) -> Result<Bytes, BoxError> {
    // quick start
    let look = Policy::preset(OperationClass::Read).build()?;
    let client = Stack::new(look).layer(transport::hyper(TokioExecutor::new()).build_http());
    let request = http::Request::get(uri).body(Full::<Bytes>::default())?;
    let answer = client.oneshot(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
    // end
}
