//! The services, on loopback: in this process, or Inventory in several of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Rng};
use aplomb_dead_letter::Rounds;
use aplomb_inventory_service::{Inventory, Tokens, serve};
use aplomb_order_api::{FulfilmentConfig, OrderApi};
use aplomb_warehouse::Warehouse;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::balancer::balance;
use crate::client::Client;
use crate::place::Ground;
use crate::replicas::Replicas;
use crate::timeline::Timeline;
use crate::trouble::Trouble;

/// The services, running.
pub(crate) struct Services {
    pub(crate) orders: String,
    pub(crate) inventory: String,
    pub(crate) warehouse: String,
    pub(crate) api: OrderApi,
    pub(crate) timeline: Timeline,
    pub(crate) client: Client,
    stop_orders: watch::Sender<bool>,
    order_task: JoinHandle<()>,
    worker_task: JoinHandle<()>,
    stop_warehouse: watch::Sender<bool>,
    warehouse_task: JoinHandle<()>,
    stock: Stock,
}

/// Inventory, in this process or in several of its own.
enum Stock {
    Here { stop: watch::Sender<bool>, task: JoinHandle<()> },
    Apart { replicas: Replicas, balancer: JoinHandle<()> },
}

/// How the services are started.
pub(crate) struct Plan<'a> {
    /// The Order API's port; Inventory has the next one, the Warehouse the one after. 0 takes any.
    pub(crate) port: u16,
    pub(crate) data: &'a Path,
    pub(crate) seed: Option<u64>,
    pub(crate) ground: &'a Ground,
    /// How many processes Inventory has; with 0 it is in this one.
    pub(crate) inventories: usize,
}

impl Services {
    /// Starts all. Ports are taken first: when one is not to be had, nothing has been written.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<Self, Trouble> {
        let order_listener = listen(plan.port).await?;
        let inventory_listener = listen(next(plan.port)).await?;
        let warehouse_listener = listen(next(next(plan.port))).await?;
        let (orders, inventory) = (url(&order_listener)?, url(&inventory_listener)?);
        let warehouse = url(&warehouse_listener)?;
        let timeline = Timeline::default();
        let stock = Stock::open(&plan, inventory_listener).await?;
        let client = Client::new(&orders, &inventory, stock.each(&inventory));
        let client = client.with_warehouse(&warehouse);
        let shipper = open_warehouse(plan.data, plan.seed).await?;
        let (stop_warehouse, warehouse_stopped) = watch::channel(false);
        let serve_warehouse = shipper.serve(warehouse_listener, stopped(warehouse_stopped));
        let to = To { inventory: &inventory, warehouse: &warehouse };
        let api = open_orders(plan.data, to, plan.seed, &timeline).await?;
        let (stop_orders, orders_stopped) = watch::channel(false);
        let (worker, worker_stopped) = (api.worker("worker"), stopped(stop_orders.subscribe()));
        let serve_orders = api.clone().serve(order_listener, stopped(orders_stopped));
        Ok(Self {
            client,
            orders,
            inventory,
            warehouse,
            api,
            timeline,
            stop_orders,
            order_task: tokio::spawn(serve_orders),
            worker_task: tokio::spawn(async move { worker.run(worker_stopped).await }),
            stop_warehouse,
            warehouse_task: tokio::spawn(serve_warehouse),
            stock,
        })
    }

    /// Stops all: first what calls, then what is called.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        // The database is closed when nobody holds it any more.
        drop(self.api);
        self.stop_orders.send_replace(true);
        self.worker_task.await.map_err(died)?;
        self.order_task.await.map_err(died)?;
        self.stop_warehouse.send_replace(true);
        self.warehouse_task.await.map_err(died)?;
        self.stock.stop().await
    }
}

impl Stock {
    async fn open(plan: &Plan<'_>, listener: TcpListener) -> Result<Self, Trouble> {
        if plan.inventories > 0 {
            let arguments = plan.ground.arguments();
            let replicas = Replicas::start(plan.inventories, arguments).await?;
            let balancer = tokio::spawn(balance(listener, replicas.slots()));
            return Ok(Self::Apart { replicas, balancer });
        }
        let inventory = open_inventory(plan).await?;
        let (stop, told) = watch::channel(false);
        let task = tokio::spawn(inventory.serve(listener, stopped(told)));
        Ok(Self::Here { stop, task })
    }

    /// The URL of each process.
    fn each(&self, inventory: &str) -> Vec<String> {
        match self {
            Self::Here { .. } => vec![inventory.to_owned()],
            Self::Apart { replicas, .. } => {
                replicas.slots().iter().filter_map(|slot| slot.url()).collect()
            }
        }
    }

    async fn stop(self) -> Result<(), Trouble> {
        match self {
            Self::Here { stop, task } => {
                stop.send_replace(true);
                task.await.map_err(died)
            }
            Self::Apart { replicas, balancer } => {
                balancer.abort();
                replicas.stop().await
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn died(error: JoinError) -> Trouble {
    Trouble::new(format!("a service died: {error}"))
}

async fn listen(port: u16) -> Result<TcpListener, Trouble> {
    Ok(serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?)
}

/// Inventory's port: the next one, or any when any will do.
fn next(port: u16) -> u16 {
    match port {
        0 => 0,
        port => port.saturating_add(1),
    }
}

/// Where a listener can be reached.
pub(crate) fn url(listener: &TcpListener) -> Result<String, Trouble> {
    let address = listener
        .local_addr()
        .map_err(|error| Trouble::new(format!("the socket has no address: {error}")))?;
    Ok(format!("http://{address}"))
}

async fn open_inventory(plan: &Plan<'_>) -> Result<Inventory, Trouble> {
    let tokens = Tokens::configured(None, true)?;
    let mut config = aplomb_inventory_service::Config::new(plan.data, tokens);
    config.place = plan.ground.place.clone();
    config.keys = plan.ground.keys.clone();
    config.chaos_seed = plan.seed;
    config.limits.notice = Duration::ZERO;
    Ok(Inventory::open(config).await?)
}

async fn open_warehouse(data: &Path, seed: Option<u64>) -> Result<Warehouse, Trouble> {
    let mut config = aplomb_warehouse::Config::new(data);
    config.chaos_seed = seed;
    config.limits.notice = Duration::ZERO;
    Ok(Warehouse::open(config).await?)
}

/// Where the Order API's calls go.
#[derive(Clone, Copy)]
struct To<'a> {
    inventory: &'a str,
    warehouse: &'a str,
}

async fn open_orders(
    data: &Path,
    to: To<'_>,
    seed: Option<u64>,
    timeline: &Timeline,
) -> Result<OrderApi, Trouble> {
    let mut config = aplomb_order_api::Config::new(data, uri(to.inventory)?);
    let mut fulfilment = FulfilmentConfig::new(uri(to.warehouse)?);
    fulfilment.analytics = Some(uri(to.warehouse)?);
    // Somebody watches: minutes become seconds.
    fulfilment.rounds = Rounds::new(ROUND_MIN, ROUND_MAX);
    config.fulfilment = fulfilment;
    if let Some(seed) = seed {
        // Inventory's faults are rolled with the seed itself.
        config.dice = Dice::seeded(Rng::stream(seed, ORDERS_STREAM).bits());
    }
    config.journal = Arc::new(timeline.clone());
    config.limits.notice = Duration::ZERO;
    Ok(OrderApi::open(config, HttpConnector::new()).await?)
}

fn uri(url: &str) -> Result<Uri, Trouble> {
    url.parse().map_err(|error| Trouble::new(format!("{url} is no URL: {error}")))
}

async fn stopped(mut told: watch::Receiver<bool>) {
    // When nobody is left to tell, it is time to stop as well.
    let _ = told.wait_for(|stop| *stop).await;
}

const ORDERS_STREAM: u64 = 100;
const ROUND_MIN: Duration = Duration::from_millis(400);
const ROUND_MAX: Duration = Duration::from_secs(4);
