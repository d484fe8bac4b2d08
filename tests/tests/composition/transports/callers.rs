//! The client's side: the client stack of a policy file, around each client.

use std::pin::Pin;
use std::sync::Arc;

use aplomb::admission::Snapshot;
use aplomb::circuit_breaker;
use aplomb::core::{BoxError, IDEMPOTENCY_KEY, OperationClass, transport};
use aplomb::policy::PolicyFile;
use aplomb::stack::{self, Handle};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceExt};

use super::house::House;
use super::{Client, Column, Way};

/// The ready stack around one client.
#[derive(Clone)]
pub(crate) struct Caller {
    send: Sends,
    handle: Handle,
    url: String,
}

pub(crate) type Called = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl Caller {
    /// With so many places for calls.
    pub(crate) fn of(column: Column, house: &House, places: u32) -> Self {
        let address = house.address;
        let policies = PolicyFile::parse("aplomb.toml", &policies(&address.to_string(), places));
        let policies = policies.unwrap_or_else(|errors| panic!("{errors}"));
        let scheme = if column.way.is_tls { "https" } else { "http" };
        let (send, handle) = match column.client {
            Client::Reqwest => around_reqwest(policies, column.way),
            Client::Hyper => around_hyper(policies, column.way, house),
        };
        Self { send, handle, url: format!("{scheme}://{address}") }
    }

    /// Asks by this method and path. Nothing is done before it is polled, but what `call` does.
    pub(crate) fn ask(&self, method: Method, path: &str, key: Option<&str>) -> Called {
        let mut request = Request::new(Bytes::from_static(b"a mug"));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.url).parse().unwrap();
        if let Some(key) = key {
            request.headers_mut().insert(IDEMPOTENCY_KEY, key.parse().unwrap());
        }
        (self.send)(request)
    }

    /// A read that may be sent twice, soon.
    pub(crate) fn look(&self) -> Called {
        self.ask(Method::GET, LOOK, None)
    }

    /// A read that may be sent twice, and waits long in between.
    pub(crate) fn dawdle(&self) -> Called {
        self.ask(Method::GET, DAWDLE, None)
    }

    /// A read that is sent once.
    pub(crate) fn look_once(&self) -> Called {
        self.ask(Method::GET, ONCE, None)
    }

    /// A write under a key, sent once.
    pub(crate) fn reserve(&self, key: &str) -> Called {
        self.ask(Method::POST, RESERVE, Some(key))
    }

    pub(crate) fn places(&self) -> Snapshot {
        self.handle.in_flight(STOCK).unwrap().snapshot()
    }

    /// What is left for retries of reads.
    pub(crate) fn balance(&self) -> f64 {
        self.handle.budget(STOCK, OperationClass::Read).unwrap().balance()
    }

    pub(crate) fn breaker(&self) -> circuit_breaker::Handle {
        self.handle.breaker(STOCK).unwrap()
    }

    /// Every place is free, nobody waits for one.
    pub(crate) fn rests(&self) {
        let places = self.places();
        assert_eq!((places.running, places.waiting), (0, 0));
    }
}

type Sends = Arc<dyn Fn(Request<Bytes>) -> Called + Send + Sync>;

fn around_reqwest(policies: PolicyFile, way: Way) -> (Sends, Handle) {
    let builder = transport::reqwest();
    let builder =
        if way.version == Version::HTTP_2 { builder.http2_prior_knowledge() } else { builder };
    let client = stack::client(policies).reqwest(builder).unwrap();
    let handle = client.handle().unwrap().clone();
    let send = move |request: Request<Bytes>| -> Called {
        let (client, request) = (client.clone(), request.try_into().unwrap());
        Box::pin(async move {
            let answer: Response<reqwest::Body> = client.execute(request).await?.into();
            Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    };
    (Arc::new(send), handle)
}

fn around_hyper(policies: PolicyFile, way: Way, house: &House) -> (Sends, Handle) {
    let connector = HttpsConnectorBuilder::new().with_tls_config(house.trust.client());
    let connector = connector.https_or_http();
    let connector = match way.version {
        Version::HTTP_2 => connector.enable_http2().build(),
        _ => connector.enable_http1().build(),
    };
    let mut transport = transport::hyper(TokioExecutor::new());
    let transport = transport.http2_only(way.version == Version::HTTP_2);
    let client = stack::client(policies).service(transport.build::<_, Full<Bytes>>(connector));
    let handle = client.handle();
    let send = move |request: Request<Bytes>| -> Called {
        let mut client = client.clone();
        // A stack waits for its transport within the call.
        client.ready().now_or_never().expect("it is always ready").unwrap();
        let call = client.call(request.map(Full::new));
        Box::pin(async move { Ok(call.await?.map(|body| body.map_err(Into::into).boxed_unsync())) })
    };
    (Arc::new(send), handle)
}

/// The presets, with times that no case reaches.
fn policies(authority: &str, places: u32) -> String {
    let of = |name: &str, class: &str, matched: &str, more: &str| {
        format!(
            "[dependency.stock.operation.{name}]\nclass = '{class}'\nmatch = '{matched}'\n\
             attempt_timeout = '30s'\ntotal = '300s'\n{more}"
        )
    };
    let soon = "backoff = { jitter = 'full', base = '1ms', cap = '1ms' }\n";
    let late = "backoff = { jitter = 'equal', base = '100s', cap = '100s' }\n";
    [
        "version = 1\n[service]\nname = 'shop'\n[dependency.stock]\n".to_owned(),
        format!("authority = '{authority}'\nin_flight = {{ limit = {places}, wait = '30s' }}\n"),
        "breaker = { failure_ratio = 0.5, window = '10s', minimum_calls = 20 }\n".to_owned(),
        of("look", "read", &format!("GET {LOOK}"), soon),
        of("dawdle", "read", &format!("GET {DAWDLE}"), late),
        of("once", "confirm", &format!("GET {ONCE}"), ""),
        of("reserve", "confirm", &format!("POST {RESERVE}"), ""),
    ]
    .concat()
}

const STOCK: &str = "stock";
const LOOK: &str = "/look";
const DAWDLE: &str = "/dawdle";
const ONCE: &str = "/once";
const RESERVE: &str = "/reservations";
