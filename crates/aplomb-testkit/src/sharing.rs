//! One layer value, applied many times.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use aplomb_core::BoxError;
use bytes::Bytes;
use tower::ServiceExt;
use tower_service::Service;

use crate::apply::{LayerValue, Outer, Request};
use crate::probe::Probe;
use crate::router::Mounted;
use crate::trial::{Inside, PATIENCE, Trial, Verdict, ensure, read};

/// What an author gives to prove that state is shared.
pub(crate) type Proof = Box<dyn Fn(Applied) -> ProofFuture>;
type ProofFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

pub(crate) async fn state_is_shared(trial: &Trial<'_>) -> Verdict {
    let Some(proof) = trial.contract.proof() else {
        return Ok(());
    };
    for way in Way::ALL {
        let (value, probe) = (trial.contract.layer_value(), trial.probe());
        let source = Source::new(way, &value, &probe);
        let requests = (0..REQUESTS_MAX).map(|_| trial.contract.request()).collect();
        let applied =
            Applied { probe, source: Arc::new(source), requests: Arc::new(Mutex::new(requests)) };
        let proved = tokio::time::timeout(PATIENCE, proof(applied.clone())).await;
        let proved = proved.unwrap_or_else(|_| Err("it never ended".into()));
        proved.map_err(|error| format!("{}: {error}", way.says()))?;
        let times = applied.source.times();
        ensure(times > 1, || {
            format!("{}: the proof used {times} services, it needs 2", way.says())
        })?;
    }
    Ok(())
}

/// Services made of one layer value, by one of the ways in which that comes about.
#[derive(Clone)]
pub struct Applied {
    probe: Probe,
    source: Arc<Source>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Applied {
    /// Another service made of the same layer value, around the same probe.
    pub fn next(&self) -> Outer {
        self.source.next()
    }

    /// Makes a call through another service, and reads its answer.
    ///
    /// # Errors
    ///
    /// The service's own.
    pub async fn call(&self) -> Result<http::Response<Bytes>, BoxError> {
        let request = self.request();
        read(self.next().ready().await?.call(request).await?).await
    }

    /// The next one of the contract's requests.
    ///
    /// # Panics
    ///
    /// After the ten thousandth.
    pub fn request(&self) -> Request {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.pop().expect("a proof needs fewer requests")
    }

    /// The probe inside.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applied")
            .field("way", &self.source.way)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

/// How services come to be made of one layer value.
#[derive(Clone, Copy, Debug)]
enum Way {
    Clone,
    Layer,
    ClonedLayer,
    RoutePerRequest,
    RouterPerRequest,
    RoutePerConnection,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Clone,
        Self::Layer,
        Self::ClonedLayer,
        Self::RoutePerRequest,
        Self::RouterPerRequest,
        Self::RoutePerConnection,
    ];

    fn says(self) -> &'static str {
        match self {
            Self::Clone => "among clones of one service",
            Self::Layer => "among applications of one layer value",
            Self::ClonedLayer => "among applications of clones of one layer value",
            Self::RoutePerRequest => "under `Router::route_layer`, applied for each request",
            Self::RouterPerRequest => "under `Router::layer`, applied for each request",
            Self::RoutePerConnection => "under `Router::route_layer`, applied for each connection",
        }
    }
}

struct Source {
    way: Way,
    value: LayerValue,
    probe: Probe,
    first: Mutex<Option<Outer>>,
    times: Mutex<u32>,
    mounted: Mounted,
}

impl Source {
    fn new(way: Way, value: &LayerValue, probe: &Probe) -> Self {
        let mounted = match way {
            Way::RouterPerRequest => Mounted::on_router(value, probe),
            _ => Mounted::on_route(value, probe),
        };
        Self {
            way,
            value: value.clone(),
            probe: probe.clone(),
            first: Mutex::default(),
            times: Mutex::default(),
            mounted,
        }
    }

    fn next(&self) -> Outer {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let inner = || Inside::Bare.service(&self.probe);
        match self.way {
            Way::Clone => {
                let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| self.value.apply(inner())).clone()
            }
            Way::Layer => self.value.apply(inner()),
            Way::ClonedLayer => self.value.copy().apply(inner()),
            Way::RoutePerRequest | Way::RouterPerRequest => self.mounted.service(),
            Way::RoutePerConnection => self.mounted.connection(),
        }
    }

    /// How many services there were; under a router, how often it applied the layer.
    fn times(&self) -> u32 {
        match self.way {
            Way::RoutePerRequest | Way::RouterPerRequest | Way::RoutePerConnection => {
                self.mounted.applications()
            }
            Way::Clone | Way::Layer | Way::ClonedLayer => {
                *self.times.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

/// How many calls a proof may make.
const REQUESTS_MAX: usize = 10_000;
