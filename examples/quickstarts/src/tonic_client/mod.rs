//! A gRPC call by its policy.

mod plain;

use aplomb::core::{BoxError, OperationClass, Replayable, grpc::translate};
use aplomb::policy::{Policy, Repeat, Transient};
use aplomb::stack::Stack;
use tonic::transport::Channel;
use tonic::{ConnectError, TimeoutExpired, body::Body};
use tower::ServiceBuilder;

use http::Request;

/// Asks how many there are.
///
/// # Errors
///
/// With a `tonic::Status` when all that the policy allows has failed.
pub async fn look(channel: Channel) -> Result<bytes::Bytes, BoxError> {
    // quick start
    let look = Policy::preset(OperationClass::Read).transient(Transient::Grpc);
    let layers = ServiceBuilder::new()
        .map_request(|request| Request::map(request, Replayable::new))
        .layer(Stack::new(look.repeat(Repeat::Always).build()?))
        .map_err(translate::<TimeoutExpired, ConnectError>)
        .map_request(|request| Request::map(request, Body::new))
        .service(channel);
    plain::call(layers).await
    // end
}
