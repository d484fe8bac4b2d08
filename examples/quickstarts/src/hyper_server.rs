//! Deadlines and admission on a bare hyper server.

use aplomb::{AdmissionLayer, stack};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tower::{Layer, service_fn};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

/// Serves until its future is dropped.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    // quick start
    let service = stack::server().admission(AdmissionLayer::new(64)).layer(service_fn(look));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
    // end
}

async fn look(_: Request<Incoming>) -> std::io::Result<Response<Full<Bytes>>> {
    Ok(Response::new("5 mugs".into()))
}
