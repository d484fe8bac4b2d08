//! Brings orders to their end that were left on the way.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::caller::Caller;
use crate::desk::Desk;
use crate::inventory::By;
use crate::order::{Order, OrderId};
use crate::returns::{Return, Returns};

/// Resumes orders and returns whose outcome is not known, under the keys that they always had.
///
/// What is due and how often it was tried is in the orders' own rows, so a restart forgets
/// nothing. It hands a hopeless order on to the next try, never to "rejected".
#[derive(Clone)]
pub struct Reconciler {
    desk: Desk,
}

impl Reconciler {
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk }
    }

    /// Takes what is due, time and again. Dropping the future stops it; an order that it was
    /// carrying is taken up again after a few seconds.
    pub async fn run(self) {
        loop {
            match self.run_once().await {
                Ok(pass) if pass.taken >= BATCH_MAX => {}
                Ok(_) => self.rest().await,
                Err(error) => {
                    tracing::error!(%error, "the reconciler cannot read the orders");
                    self.rest().await;
                }
            }
        }
    }

    /// Takes up to 64 orders that are due now and as many returns, and tries each once, eight of
    /// each at a time.
    ///
    /// # Errors
    ///
    /// When the database cannot say which orders are due. A failure with one order is logged, and
    /// the order is due again later.
    pub async fn run_once(&self) -> Result<Pass, sqlx::Error> {
        let (desk, now) = (&self.desk, self.desk.now());
        let due = desk.orders.take_due(BATCH_MAX, now, desk.hold()).await?;
        let back = desk.returns.take_due(BATCH_MAX, now, desk.hold()).await?;
        let taken = due.len() + back.len();
        let orders = stream::iter(due)
            .map(|id| self.resume(id))
            .buffer_unordered(CONCURRENCY)
            .filter(|ended| std::future::ready(*ended))
            .count();
        let returns = stream::iter(back)
            .map(|returned| self.give_back(returned))
            .buffer_unordered(CONCURRENCY)
            .filter(|ended| std::future::ready(*ended))
            .count();
        let (orders, returns) = tokio::join!(orders, returns);
        let ended = orders + returns;
        Ok(Pass { taken, ended })
    }

    /// Whether the order ended.
    async fn resume(&self, id: OrderId) -> bool {
        match self.carry(id).await {
            Ok(order) => order.status.is_terminal(),
            Err(error) => {
                tracing::error!(%error, order = %id, "an order could not be reconciled");
                false
            }
        }
    }

    async fn carry(&self, id: OrderId) -> sqlx::Result<Order> {
        let desk = &self.desk;
        let mut order = desk.orders.find(id).await?.ok_or(sqlx::Error::RowNotFound)?;
        order.tries = order.tries.saturating_add(1);
        // Nobody waits for this, so nobody's deadline is inherited.
        let on = desk.errand(By::Reconciler, Caller::default());
        loop {
            let status = desk.carry(&mut order, &on).await?;
            let mut tx = desk.orders.write().await?;
            if desk.settle_in(tx.at(), &mut order, status).await? {
                tx.commit().await?;
                desk.fulfilment.tell(&order);
                return Ok(order);
            }
            tx.rollback().await?;
            // It was ended or refused meanwhile; each can happen once, so this loop ends.
            desk.reread(&mut order).await?;
        }
    }

    /// Whether the stock is back.
    async fn give_back(&self, returned: Return) -> bool {
        let done = self.try_return(&returned).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, order = %returned.order, "a return could not be reconciled");
            false
        })
    }

    async fn try_return(&self, returned: &Return) -> sqlx::Result<bool> {
        let desk = &self.desk;
        let on = desk.errand(By::Reconciler, Caller::default());
        if !desk.give_back(returned, &on).await {
            desk.postpone(returned).await?;
            return Ok(false);
        }
        let mut tx = desk.returns.write().await?;
        Returns::settle_in(tx.at(), returned, desk.now()).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn rest(&self) {
        let jitter = self.desk.dice.roll().up_to(REST / 2);
        tokio::time::sleep(REST / 2 + jitter).await;
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").finish_non_exhaustive()
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// How many orders and returns were due.
    pub taken: usize,
    /// How many of them have ended.
    pub ended: usize,
}

const BATCH_MAX: usize = 64;
const CONCURRENCY: usize = 8;
const REST: Duration = Duration::from_millis(200);
