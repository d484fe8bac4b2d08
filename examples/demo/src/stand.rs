//! Inventory in this process, which can be restarted on its own port.

use std::net::SocketAddr;
use std::time::Duration;

use aplomb_inventory_service::{Config, Inventory, serve};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::trouble::Trouble;

/// The service, running or about to.
pub(crate) struct Stand {
    stop: watch::Sender<bool>,
    restarts: mpsc::Sender<Restart>,
    task: JoinHandle<Result<(), Trouble>>,
}

/// Asks for a restart.
#[derive(Clone, Debug)]
pub(crate) struct Restarter(mpsc::Sender<Restart>);

/// How long to stay away, and whom to tell that it is over.
struct Restart {
    away: Duration,
    back: oneshot::Sender<()>,
}

impl Stand {
    /// Opens the service, then serves.
    pub(crate) async fn open(config: Config, listener: TcpListener) -> Result<Self, Trouble> {
        let address = listener.local_addr();
        let address = address
            .map_err(|error| Trouble::new(format!("inventory's socket has no address: {error}")))?;
        let inventory = Inventory::open(config.clone()).await?;
        let (stop, stopping) = watch::channel(false);
        let (restarts, asked) = mpsc::channel(1);
        let keeper = Keeper { config, address, stopping, asked };
        let task = tokio::spawn(keeper.keep(inventory, listener));
        Ok(Self { stop, restarts, task })
    }

    pub(crate) fn restarter(&self) -> Restarter {
        Restarter(self.restarts.clone())
    }

    /// Finishes what is in flight, then closes the database.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        self.stop.send_replace(true);
        let died = |error| Trouble::new(format!("inventory died: {error}"));
        self.task.await.map_err(died)?
    }
}

impl Restarter {
    /// Stops the service as a deployment does, and completes once its successor listens, which takes
    /// `away` and whatever a start takes. Requests in flight finish; others find nobody meanwhile.
    pub(crate) async fn restart(&self, away: Duration) -> Result<(), Trouble> {
        let (back, came_back) = oneshot::channel();
        let gone = || Trouble::new("inventory has stopped and cannot be restarted");
        self.0.send(Restart { away, back }).await.map_err(|_| gone())?;
        came_back.await.map_err(|_| gone())
    }
}

struct Keeper {
    config: Config,
    address: SocketAddr,
    stopping: watch::Receiver<bool>,
    asked: mpsc::Receiver<Restart>,
}

impl Keeper {
    async fn keep(
        mut self,
        mut inventory: Inventory,
        mut listener: TcpListener,
    ) -> Result<(), Trouble> {
        loop {
            let knobs = inventory.chaos().clone();
            let mut restart = None;
            let (stopping, asked) = (&mut self.stopping, &mut self.asked);
            let until = async {
                tokio::select! {
                    () = told(stopping) => {}
                    Some(asked) = asked.recv() => restart = Some(asked),
                }
            };
            inventory.serve(listener, until).await;
            let Some(Restart { away, back }) = restart else {
                return Ok(());
            };
            tokio::time::sleep(away).await;
            inventory = Inventory::open(self.config.clone()).await?;
            inventory.chaos().set(knobs.knobs());
            listener = serve::bind(self.address).await?;
            // Whoever asked may have gone.
            let _ = back.send(());
        }
    }
}

async fn told(stopping: &mut watch::Receiver<bool>) {
    // When nobody is left to tell, it is time to stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
