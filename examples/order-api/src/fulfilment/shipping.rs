//! The Warehouse, as a worker and an operator see it.
//!
//! A shipment is sent once a round and comes back from its row after the waits that its policy says,
//! or is a dead letter after the last of them. A redrive goes the same way without that.

use std::time::Duration;

use aplomb::backoff::Backoff;
use aplomb::policy::WhenExhausted;
use aplomb_core::{Dice, Failure, HttpClassifier, IDEMPOTENCY_KEY, Outcome, Rng, Withdraw};
use aplomb_dead_letter::{DeadLetterLayer, HandOver, Schedule};
use aplomb_dead_letter_sqlx::{Outgoing, Task};
use aplomb_retry::Budget;
use aplomb_telemetry::DependencyMetrics;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::json;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

use crate::caller::REQUEST_ID;
use crate::circuit::CircuitWatch;
use crate::journal::Scribe;
use crate::order::OrderId;
use crate::policy::{InForce, Operation};
use crate::wire::{Answered, Way, Wire};

/// The client of one Warehouse. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Shipping {
    wire: Wire,
    letters: Letters,
    rounds: Rounds,
}

type Letters = DeadLetterLayer<HandOver, HttpClassifier, DependencyMetrics>;

impl Shipping {
    /// The one at the end of this wire.
    pub(crate) fn new(wire: Wire, haste: u32, dice: Dice, metrics: DependencyMetrics) -> Self {
        let rounds = Rounds { in_force: wire.in_force().clone(), haste };
        let letters = DeadLetterLayer::hand_over().schedule(rounds.clone()).dice(dice);
        Self { wire, letters: letters.observe(metrics), rounds }
    }

    /// The way without the dead letter.
    pub(crate) fn way(&self) -> Way {
        self.wire.way(Operation::Shipment)
    }

    /// The waits between rounds, as they are in force.
    pub(crate) fn rounds(&self) -> Rounds {
        self.rounds.clone()
    }

    /// What redrives are paid from, as it is in force.
    pub(crate) fn purse(&self) -> Purse {
        Purse { in_force: self.wire.in_force().clone() }
    }

    pub(crate) fn circuit(&self) -> CircuitWatch {
        self.wire.warehouse()
    }

    /// For how long a shipment is tried.
    pub(crate) fn horizon(&self) -> Duration {
        self.wire.in_force().of(Operation::Shipment).total() / self.rounds.haste
    }

    /// How long a send and the look after it take at most.
    pub(crate) fn longest(&self) -> Duration {
        let in_force = self.wire.in_force();
        let (send, look) = (in_force.of(Operation::Shipment), in_force.of(Operation::Look));
        send.attempt_timeout() + look.total()
    }

    /// For how long a letter may be redriven: later its key may be forgotten. For ever, when the
    /// policy does not say.
    pub(crate) fn redriven_for(&self) -> Duration {
        match self.wire.in_force().of(Operation::Shipment).when_exhausted() {
            WhenExhausted::DeadLetter { redrive } => *redrive,
            _ => Duration::MAX,
        }
    }

    /// Sends a task once more.
    pub(crate) async fn ship(&self, task: &Task) -> Answered {
        let rounds = self.wire.in_force().of(Operation::Shipment).attempts().get();
        let letters = self.letters.clone().rounds_max(rounds);
        let mut request: Request<Full<Bytes>> = task.request();
        // All sends of a task have one name in the Warehouse's log.
        if let Ok(name) = HeaderValue::try_from(task.id().to_string()) {
            request.headers_mut().insert(REQUEST_ID, name);
        }
        // In a box, so that the future of whoever ships has a plain type.
        BoxCloneSyncService::new(letters.layer(self.way())).oneshot(request).await
    }

    /// Whether the Warehouse has shipped an order; `None` when it does not say.
    pub(crate) async fn has(&self, order: OrderId) -> Option<bool> {
        let request = Request::get(format!("{SHIPMENTS}/{order}")).body(Full::default()).ok()?;
        let answer = self.wire.send(Operation::Look, request, Scribe::silent()).await.ok()?;
        match answer.status() {
            StatusCode::OK => Some(true),
            // A 404 without this type may come from a proxy or a wrong address.
            StatusCode::NOT_FOUND => {
                let body = answer.into_body().collect().await.ok()?.to_bytes();
                let problem: Typed = serde_json::from_slice(&body).ok()?;
                problem.r#type.ends_with("/not-shipped").then_some(false)
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Typed {
    r#type: String,
}

/// The task to ship an order: the same work, and the same key, wherever it is made.
pub(crate) fn job(order: OrderId, horizon: Duration) -> Outgoing {
    let body = json!({ "order_id": order.to_string() }).to_string();
    let request = Request::post(SHIPMENTS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(IDEMPOTENCY_KEY, format!("\"{PREFIX}{order}\""))
        .body(Bytes::from(body))
        .expect("an order's name is letters, digits and hyphens");
    Outgoing::new(request, horizon).expect("it has a key and a short body")
}

/// The order that a task or a letter with this key ships.
pub(crate) fn order_of(key: &str) -> Option<OrderId> {
    OrderId::parse(key.strip_prefix(PREFIX)?)
}

/// How long a shipment waits after each round that failed, as the policy in force says.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    in_force: InForce,
    haste: u32,
}

impl Schedule for Rounds {
    fn wait(&self, round: u32, rng: &mut Rng) -> Duration {
        let backoff = self.in_force.of(Operation::Shipment).backoff();
        // A policy with one round alone has no waits; a letter still has them between redrives.
        backoff.unwrap_or(ONE_ROUND).delay(round, rng) / self.haste
    }
}

/// The budget of shipments, as it is in force.
#[derive(Clone, Debug)]
pub(crate) struct Purse {
    in_force: InForce,
}

impl Withdraw for Purse {
    type Withdrawal = <Budget as Withdraw>::Withdrawal;
    type Sent = <Budget as Withdraw>::Sent;

    fn withdraw(&self, after: &Failure) -> Option<Self::Withdrawal> {
        let budget = self.in_force.budget(Operation::Shipment)?;
        Withdraw::withdraw(&budget, after)
    }

    fn sent(withdrawal: Self::Withdrawal) -> Self::Sent {
        <Budget as Withdraw>::sent(withdrawal)
    }

    fn settle(sent: Self::Sent, outcome: Outcome) {
        <Budget as Withdraw>::settle(sent, outcome);
    }
}

/// What tasks are addressed to.
const SHIPMENTS: &str = "http://warehouse/shipments";
const PREFIX: &str = "shipment_";
const ONE_ROUND: Backoff = Backoff::full(Duration::from_secs(60), Duration::from_secs(3600));

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Rng;

    #[test]
    fn a_task_has_one_name_and_its_key_names_its_order() {
        let order = OrderId::new(std::time::UNIX_EPOCH, &mut Rng::seeded(1));
        let (one, other) = (job(order, Duration::MAX), job(order, Duration::ZERO));
        assert_eq!(one.id(), other.id());
        assert_eq!(order_of(&format!("shipment_{order}")), Some(order));
        assert_eq!(order_of(&order.to_string()), None);
    }
}
