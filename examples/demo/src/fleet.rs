//! Every role in processes of its own, behind one address each.

use std::path::Path;

use aplomb_core::Rng;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::balancer::balance;
use crate::cli::Role;
use crate::client::{Client, Sites};
use crate::place::Ground;
use crate::replicas::Replicas;
use crate::services::{TASK_LEASE, url};
use crate::trouble::Trouble;

/// The processes, running.
pub(crate) struct Fleet {
    pub(crate) client: Client,
    inventory: Replicas,
    orders: Replicas,
    warehouse: Replicas,
    workers: Replicas,
    /// Cut all connections when this is dropped.
    _balancers: JoinSet<()>,
}

impl Fleet {
    /// Starts so many of each role. A seed decides the dice of all, each of which rolls its own.
    pub(crate) async fn start(
        ground: &Ground,
        count: usize,
        seed: u64,
        policy: Option<&Path>,
    ) -> Result<Self, Trouble> {
        let start = async |role: Role, own: &[&str]| {
            let own: Vec<_> = own.iter().map(|word| (*word).to_owned()).collect();
            let arguments = |number| {
                let seed = Rng::stream(seed, role as u64 * 100 + number as u64).bits().to_string();
                let mut arguments = ground.arguments(role);
                arguments.extend(own.clone());
                arguments.extend(["--seed".to_owned(), seed, "--hurry".to_owned()]);
                arguments.extend(["--notice-ms".to_owned(), NOTICE_MS.to_string()]);
                if let Some(policy) = policy {
                    arguments.extend(["--policy".to_owned(), policy.display().to_string()]);
                }
                arguments
            };
            Replicas::start(role, count, arguments).await
        };
        let mut balancers = JoinSet::new();
        let inventory = start(Role::Inventory, &["--legacy"]).await?;
        let warehouse = start(Role::Warehouse, &[]).await?;
        let at_inventory = front(&inventory, &mut balancers).await?;
        let at_warehouse = front(&warehouse, &mut balancers).await?;
        let to_inventory = ["--inventory-url", at_inventory.front()];
        let to_warehouse = ["--warehouse-url", at_warehouse.front()];
        let orders = start(Role::Orders, &[to_inventory, to_warehouse].concat()).await?;
        let lease = TASK_LEASE.as_millis().to_string();
        let lease = ["--lease-ms", &lease];
        let workers = start(Role::Worker, &[to_warehouse, lease].concat()).await?;
        let at_orders = front(&orders, &mut balancers).await?;
        let client = Client::new(at_orders, at_inventory, at_warehouse);
        Ok(Self { client, inventory, orders, warehouse, workers, _balancers: balancers })
    }

    /// The processes of this role.
    pub(crate) fn of(&self, role: Role) -> &Replicas {
        match role {
            Role::Inventory => &self.inventory,
            Role::Orders => &self.orders,
            Role::Warehouse => &self.warehouse,
            Role::Worker => &self.workers,
        }
    }

    /// How many there are of each role.
    pub(crate) fn width(&self) -> u64 {
        self.orders.slots().len() as u64
    }

    /// Stops all, those that call before those that are called.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        let (workers, orders) = tokio::join!(self.workers.stop(), self.orders.stop());
        let (warehouse, inventory) = tokio::join!(self.warehouse.stop(), self.inventory.stop());
        workers.and(orders).and(warehouse).and(inventory)
    }
}

/// One address for all of them.
async fn front(replicas: &Replicas, balancers: &mut JoinSet<()>) -> Result<Sites, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener
        .map_err(|error| Trouble::new(format!("a balancer cannot listen on loopback: {error}")))?;
    let front = url(&listener)?;
    balancers.spawn(balance(listener, replicas.backends()));
    Ok(Sites::many(&front, replicas.slots()))
}

/// Long enough for the balancers to hear of it, also on a machine that is busy.
const NOTICE_MS: u64 = 500;
