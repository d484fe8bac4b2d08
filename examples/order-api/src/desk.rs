//! Carries an order as far as it can be carried now, whoever asks: a customer or the reconciler.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_backoff::Backoff;
use aplomb_core::{Deadline, Dice, time};
use aplomb_inventory_service::database::At;

use crate::caller::Caller;
use crate::chronicle::Chronicle;
use crate::fulfilment::{Fulfilled, Fulfilment};
use crate::inventory::{By, Doubt, Errand, Inventory, Reserving};
use crate::order::{Hold, Move, Order, Refusal, Status};
use crate::orders::Orders;
use crate::policy::Operation;
use crate::returns::{Return, Returns};
use crate::wire::Wire;

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Everything that an order is carried with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) orders: Orders,
    pub(crate) returns: Returns,
    pub(crate) inventory: Inventory,
    pub(crate) fulfilment: Fulfilment,
    pub(crate) chronicle: Chronicle,
    pub(crate) dice: Dice,
    pub(crate) clock: Clock,
    /// How long an idempotency claim outlives its process.
    pub(crate) lease: Duration,
}

impl Desk {
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// For how long whoever works on an order has it to itself: longer than the work can take.
    pub(crate) fn hold(&self) -> Duration {
        self.longest() + self.lease
    }

    /// An errand for one whole order, which takes no longer than placing one may, nor than the
    /// caller waits.
    pub(crate) fn errand(&self, by: By, caller: Caller) -> Errand {
        let own = Deadline::after(time::now(), self.longest());
        Errand { by, caller: caller.until(own) }
    }

    /// The way to everybody else.
    pub(crate) fn wire(&self) -> &Wire {
        self.inventory.wire()
    }

    /// How long a customer waits for an order at most.
    fn longest(&self) -> Duration {
        self.wire().in_force().of(Operation::Confirm).total()
    }

    /// Reserves what is to be reserved, or gives back what is to be given back, and says which
    /// status the order has now. It is not written down yet.
    pub(crate) async fn carry(&self, order: &mut Order, on: &Errand) -> sqlx::Result<Status> {
        loop {
            match order.next() {
                Move::End(status) => return Ok(status),
                Move::Reserve(index) => {
                    let line = &order.lines[index];
                    match self.inventory.reserve(order.id, line, on).await {
                        Reserving::Reserved(id) => order.lines[index].hold = Hold::Reserved(id),
                        Reserving::SoldOut => self.refuse(order, Refusal::OutOfStock).await?,
                        Reserving::UnknownSku => self.refuse(order, Refusal::UnknownSku).await?,
                        Reserving::Unknown(doubt) => return Ok(pending(order, &doubt)),
                    }
                }
                Move::Release(index) => {
                    let line = &order.lines[index];
                    let Some(id) = line.hold.reservation().map(ToOwned::to_owned) else {
                        continue;
                    };
                    match self.inventory.release(order.id, line, &id, on).await {
                        Ok(()) => order.lines[index].hold = Hold::Released(id),
                        Err(doubt) => return Ok(pending(order, &doubt)),
                    }
                }
            }
        }
    }

    /// Decides to refuse an order. The decision is written down before anything is given back: a
    /// reservation that was released must never be counted on by whoever resumes the order.
    async fn refuse(&self, order: &mut Order, refusal: Refusal) -> sqlx::Result<()> {
        order.refusal = Some(refusal);
        if !order.holds_something() {
            return Ok(());
        }
        if !self.orders.refuse(order, self.now()).await? {
            self.reread(order).await?;
        }
        Ok(())
    }

    /// Gives the order this status in the caller's transaction. Answers whether it could: if not,
    /// roll back, [`reread`](Self::reread) it and carry it again.
    pub(crate) async fn settle_in(
        &self,
        mut at: At<'_>,
        order: &mut Order,
        status: Status,
    ) -> sqlx::Result<bool> {
        if order.status.is_terminal() {
            return Ok(true);
        }
        let now = self.now();
        let next_try = (!status.is_terminal()).then(|| now + self.pause(order.tries));
        if !Orders::settle_in(at.here(), order, status, next_try, now).await? {
            return Ok(false);
        }
        if status == Status::Confirmed {
            self.fulfilment.ask_in(at, order.id, now).await?;
            order.fulfilled = Fulfilled::Queued;
        }
        order.status = status;
        Ok(true)
    }

    /// Someone else worked on the order meanwhile: what is written down is true, and what we know
    /// to be reserved we go on knowing, so that it can be given back.
    pub(crate) async fn reread(&self, order: &mut Order) -> sqlx::Result<()> {
        let found = self.orders.find(order.id).await?;
        let mut found = found.ok_or(sqlx::Error::RowNotFound)?;
        for (theirs, ours) in found.lines.iter_mut().zip(&order.lines) {
            if theirs.hold == Hold::None {
                theirs.hold.clone_from(&ours.hold);
            }
        }
        *order = found;
        Ok(())
    }

    /// Gives a returned line back to Inventory. Answers whether that is known to be done.
    pub(crate) async fn give_back(&self, returned: &Return, on: &Errand) -> bool {
        let Return { order, line, is_done, .. } = returned;
        let Some(id) = line.hold.reservation().filter(|_| !is_done) else {
            return true;
        };
        let Err(doubt) = self.inventory.release(*order, line, id, on).await else {
            return true;
        };
        let Doubt { seen, is_bug } = doubt;
        if is_bug {
            tracing::error!(%order, line = line.number, %seen, "inventory gave an answer that cannot be; the return stays open");
        } else {
            tracing::info!(%order, line = line.number, %seen, "inventory's answer is not known; the return stays open");
        }
        false
    }

    /// Leaves a return to the reconciler for another try.
    pub(crate) async fn postpone(&self, returned: &Return) -> sqlx::Result<()> {
        let next_try = self.now() + self.pause(returned.tries);
        self.returns.postpone(returned, next_try).await
    }

    /// How long the reconciler leaves an order alone after so many tries: half of the ceiling for
    /// sure, and up to the other half by chance.
    fn pause(&self, tries: u32) -> Duration {
        let ceiling = RECONCILE.ceiling(tries.saturating_add(1));
        ceiling / 2 + self.dice.roll().up_to(ceiling / 2)
    }
}

fn pending(order: &Order, doubt: &Doubt) -> Status {
    let Doubt { seen, is_bug } = doubt;
    if *is_bug {
        tracing::error!(order = %order.id, %seen, "inventory gave an answer that cannot be; the order stays pending");
    } else {
        tracing::info!(order = %order.id, %seen, "inventory's answer is not known; the order stays pending");
    }
    Status::PendingInventoryConfirmation
}

/// Soon at first, since most outages are short; every ten seconds or so for as long as it takes.
const RECONCILE: Backoff = Backoff::equal(Duration::from_millis(250), Duration::from_secs(10));
