//! The way to everybody else: one client, built of nothing but the policies in force.
//!
//! What is sent is addressed to a dependency by its name. Where that is today is written on it last,
//! so that tasks and letters outlive an address.

use std::fmt;
use std::time::Duration;

use aplomb::stack;
use aplomb_core::{BoxError, Dice, transport};
use aplomb_inventory_service::StartError;
use aplomb_telemetry::{AttemptLayer, Metrics};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::util::{BoxCloneSyncService, MapResultLayer};
use tower::{ServiceExt, service_fn};

use crate::availability::{self, Numbers};
use crate::circuit::{CircuitWatch, Turns};
use crate::journal::{self, Scribe};
use crate::policy::{ANALYTICS, INVENTORY, InForce, Operation, Policies, WAREHOUSE};
use crate::witness::{Hearing, Witnesses};

/// A way out on which answers come with their whole body.
pub(crate) type Way = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;
/// What came back.
pub(crate) type Answered = Result<Response<Full<Bytes>>, BoxError>;

/// Where the dependencies are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// A worker asks nothing of it.
    pub(crate) inventory: Option<Uri>,
    pub(crate) warehouse: Uri,
    pub(crate) analytics: Option<Uri>,
}

/// Everybody else, by the policies in force. Clones share everything.
#[derive(Clone)]
pub(crate) struct Wire {
    way: Way,
    in_force: InForce,
    numbers: Numbers,
    inventory: Turns,
    warehouse: Turns,
}

impl Wire {
    /// The dependencies at these addresses, reached through `connector`.
    pub(crate) fn open<C>(
        policies: &Policies,
        to: Addresses,
        connector: C,
        dice: &Dice,
        metrics: &Metrics,
    ) -> Result<Self, StartError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let opened = policies.open()?;
        let (numbers, inventory, warehouse) =
            (Numbers::default(), Turns::default(), Turns::default());
        let witnesses = Witnesses {
            metrics: metrics.clone(),
            inventory: inventory.clone(),
            warehouse: warehouse.clone(),
        };
        let client = stack::client(opened.file.clone())
            .dice(dice.clone())
            .observe(witnesses)
            .attempts((AttemptLayer::new(), MapResultLayer::new(journal::attempted)))
            .last_good_as(numbers.keeping())
            .fallback_of(Operation::Availability.to_string(), availability::words())
            .calls(|(metrics, _): &Hearing| metrics.call_layer())
            .service(to.reached(connected(connector)));
        let in_force = InForce::new(client.handle(), opened, metrics.policies());
        let way = BoxCloneSyncService::new(client.and_then(whole));
        Ok(Self { way, in_force, numbers, inventory, warehouse })
    }

    /// Sends a request as a part of this operation; what happens on its way goes to the scribe.
    pub(crate) async fn send(
        &self,
        operation: Operation,
        mut request: Request<Full<Bytes>>,
        scribe: Scribe,
    ) -> Answered {
        let class = self.in_force.of(operation).class();
        request.extensions_mut().insert(operation.named());
        request.extensions_mut().insert(class);
        scribe.during(self.way.clone().oneshot(request)).await
    }

    /// The way of one operation, for whoever sends by himself.
    pub(crate) fn way(&self, operation: Operation) -> Way {
        let wire = self.clone();
        BoxCloneSyncService::new(service_fn(move |request| {
            let wire = wire.clone();
            async move { wire.send(operation, request, Scribe::silent()).await }
        }))
    }

    /// The policies.
    pub(crate) fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// The last numbers of stock.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The circuit of whatever is asked of Inventory.
    pub(crate) fn inventory(&self) -> CircuitWatch {
        CircuitWatch::new(&self.in_force, INVENTORY, self.inventory.clone())
    }

    /// The circuit of whatever is asked of the Warehouse.
    pub(crate) fn warehouse(&self) -> CircuitWatch {
        CircuitWatch::new(&self.in_force, WAREHOUSE, self.warehouse.clone())
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("in_force", &self.in_force).finish_non_exhaustive()
    }
}

impl Addresses {
    /// Sends what is addressed to a dependency to where it is today.
    fn reached(self, transport: Way) -> Way {
        let there = transport.map_request(move |mut request: Request<Full<Bytes>>| {
            let base = self.of(request.uri().host().unwrap_or_default());
            if let Some(uri) = base.and_then(|base| moved(base, request.uri())) {
                *request.uri_mut() = uri;
            }
            request
        });
        BoxCloneSyncService::new(there)
    }

    fn of(&self, dependency: &str) -> Option<&Uri> {
        match dependency {
            INVENTORY => self.inventory.as_ref(),
            WAREHOUSE => Some(&self.warehouse),
            ANALYTICS => self.analytics.as_ref(),
            _ => None,
        }
    }
}

/// With its whole body, whoever answered.
async fn whole<B>(response: Response<B>) -> Answered
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}

fn moved(base: &Uri, target: &Uri) -> Option<Uri> {
    let mut parts = base.clone().into_parts();
    let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// A hyper client whose answers arrive whole: one that breaks off halfway is a lost one, and is
/// seen by the attempt's deadline and by the retries.
fn connected<C>(connector: C) -> Way
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client: Client<C, Full<Bytes>> = transport::hyper(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Given up before the other side closes what has idled for 30 s.
        .pool_idle_timeout(Duration::from_secs(20))
        .build(connector);
    BoxCloneSyncService::new(service_fn(move |request| {
        let client = client.clone();
        async move {
            let (parts, body) = client.oneshot(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(parts, Full::new(body)))
        }
    }))
}

/// Answers are a few hundred bytes.
const ANSWER_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_goes_to_where_the_dependency_is_today() {
        let target = Uri::from_static("http://warehouse/shipments/7?full=1");
        for (base, there) in [
            ("http://127.0.0.1:7002", "http://127.0.0.1:7002/shipments/7?full=1"),
            ("http://proxy:80/stock/", "http://proxy:80/stock/shipments/7?full=1"),
        ] {
            let moved = moved(&base.parse().unwrap(), &target).unwrap();
            assert_eq!(moved.to_string(), there);
        }
    }
}
