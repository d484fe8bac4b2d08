//! An order, and what has to happen to it next.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aplomb_core::Rng;
use serde::Serialize;
use uuid::Uuid;

use crate::ask::Ask;
use crate::fulfilment::Fulfilled;

/// An order as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) customer: String,
    pub(crate) status: Status,
    /// Why it is being refused. Written down before the first line is released, so that whoever
    /// resumes the order goes on releasing.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) lines: Vec<Line>,
    /// How often the reconciler has tried.
    pub(crate) tries: u32,
    /// How far its shipment has come.
    pub(crate) fulfilled: Fulfilled,
}

impl Order {
    /// An order nobody has asked Inventory about yet.
    pub(crate) fn new(id: OrderId, ask: Ask) -> Self {
        let lines = (1..)
            .zip(ask.lines)
            .map(|(number, asked)| Line {
                number,
                sku: asked.sku,
                quantity: asked.quantity,
                hold: Hold::None,
            })
            .collect();
        Self {
            id,
            customer: ask.customer,
            status: Status::Placing,
            refusal: None,
            lines,
            tries: 0,
            fulfilled: Fulfilled::None,
        }
    }

    /// What has to happen next.
    pub(crate) fn next(&self) -> Move {
        match (self.status, self.refusal) {
            (Status::Confirmed, _) => Move::End(Status::Confirmed),
            // Even when it has ended already: what was reserved meanwhile goes back too.
            (_, Some(refusal)) => match self.first(|hold| matches!(hold, Hold::Reserved(_))) {
                Some(index) => Move::Release(index),
                None => Move::End(refusal.status()),
            },
            (_, None) => match self.first(|hold| *hold == Hold::None) {
                Some(index) => Move::Reserve(index),
                None => Move::End(Status::Confirmed),
            },
        }
    }

    /// Whether Inventory holds something for it, as far as is known.
    pub(crate) fn holds_something(&self) -> bool {
        self.first(|hold| matches!(hold, Hold::Reserved(_))).is_some()
    }

    /// Whether it is what `ask` asks for.
    pub(crate) fn is_for(&self, ask: &Ask) -> bool {
        let lines = self.lines.iter().map(|line| (&line.sku, line.quantity));
        self.customer == ask.customer
            && lines.eq(ask.lines.iter().map(|line| (&line.sku, line.quantity)))
    }

    fn first(&self, is: impl Fn(&Hold) -> bool) -> Option<usize> {
        self.lines.iter().position(|line| is(&line.hold))
    }
}

/// One article of an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u32,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) hold: Hold,
}

/// What Inventory holds for a line, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing, or nobody knows.
    None,
    /// This reservation.
    Reserved(String),
    /// It held this reservation, which was given back.
    Released(String),
}

impl Hold {
    /// The reservation's id, given back or not.
    pub(crate) fn reservation(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Reserved(id) | Self::Released(id) => Some(id),
        }
    }
}

/// What has to happen next to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Reserve the line at this index.
    Reserve(usize),
    /// Give back what the line at this index holds.
    Release(usize),
    /// Nothing: this is how it ends.
    End(Status),
}

/// Why an order cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    OutOfStock,
    UnknownSku,
}

impl Refusal {
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::OutOfStock => Status::RejectedOutOfStock,
            Self::UnknownSku => Status::RejectedUnknownSku,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out_of_stock",
            Self::UnknownSku => "unknown_sku",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::OutOfStock, Self::UnknownSku].into_iter().find(|refusal| refusal.as_str() == text)
    }
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is written down; Inventory is being asked.
    Placing,
    /// Whether Inventory reserved it is not known yet. The reconciler finds out.
    PendingInventoryConfirmation,
    /// Every line is reserved.
    Confirmed,
    /// A line was sold out; nothing is reserved.
    RejectedOutOfStock,
    /// Nobody knows one of its articles; nothing is reserved.
    RejectedUnknownSku,
}

impl Status {
    /// Whether it will never change again.
    pub(crate) const fn is_terminal(self) -> bool {
        !matches!(self, Self::Placing | Self::PendingInventoryConfirmation)
    }

    /// Its word in answers and in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Placing => "placing",
            Self::PendingInventoryConfirmation => "pending_inventory_confirmation",
            Self::Confirmed => "confirmed",
            Self::RejectedOutOfStock => "rejected_out_of_stock",
            Self::RejectedUnknownSku => "rejected_unknown_sku",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::Placing,
            Self::PendingInventoryConfirmation,
            Self::Confirmed,
            Self::RejectedOutOfStock,
            Self::RejectedUnknownSku,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// Names an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new name: the time with 80 random bits behind it (UUID version 7).
    pub(crate) fn new(now: SystemTime, rng: &mut Rng) -> Self {
        let (high, low) = (rng.bits().to_be_bytes(), rng.bits().to_be_bytes());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&high);
        random[8..].copy_from_slice(&low[..2]);
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The order of this name, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        // One order has one name: not the other spellings that a UUID has.
        (id.to_string() == text).then_some(id)
    }

    /// The key under which a line of it is reserved: the same whoever asks, however often.
    pub fn reservation_key(self, line: u32) -> String {
        format!("order_{self}_line_{line}_reservation")
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::AskedLine;

    #[test]
    fn lines_are_reserved_one_after_the_other_and_then_the_order_is_confirmed() {
        let mut order = order(&["mug", "mug"]);
        assert_eq!(order.next(), Move::Reserve(0));
        order.lines[0].hold = Hold::Reserved("r1".into());
        assert_eq!(order.next(), Move::Reserve(1));
        order.lines[1].hold = Hold::Reserved("r2".into());
        assert_eq!(order.next(), Move::End(Status::Confirmed));
    }

    #[test]
    fn a_refused_order_gives_back_what_it_holds_before_it_ends() {
        let mut order = order(&["mug", "lamp"]);
        order.lines[0].hold = Hold::Reserved("r1".into());
        order.refusal = Some(Refusal::OutOfStock);
        assert_eq!(order.next(), Move::Release(0));
        order.lines[0].hold = Hold::Released("r1".into());
        assert_eq!(order.next(), Move::End(Status::RejectedOutOfStock));
    }

    #[test]
    fn what_has_ended_stays_so() {
        let mut order = order(&["mug"]);
        order.status = Status::Confirmed;
        assert_eq!(order.next(), Move::End(Status::Confirmed));
        order.refusal = Some(Refusal::OutOfStock);
        assert_eq!(order.next(), Move::End(Status::Confirmed));
    }

    #[test]
    fn what_was_reserved_for_an_order_that_was_rejected_meanwhile_goes_back() {
        let mut order = order(&["mug", "lamp"]);
        order.status = Status::RejectedOutOfStock;
        order.refusal = Some(Refusal::OutOfStock);
        order.lines[1].hold = Hold::Reserved("r2".into());
        assert_eq!(order.next(), Move::Release(1));
        order.lines[1].hold = Hold::Released("r2".into());
        assert_eq!(order.next(), Move::End(Status::RejectedOutOfStock));
    }

    #[test]
    fn keys_come_from_the_order_and_its_line() {
        let id = OrderId::new(UNIX_EPOCH, &mut Rng::seeded(1));
        assert_eq!(id.reservation_key(2), format!("order_{id}_line_2_reservation"));
        assert_eq!(OrderId::parse(&id.to_string()), Some(id));
        assert_eq!(OrderId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(OrderId::parse("42"), None);
    }

    #[test]
    fn every_status_is_read_as_it_was_written() {
        for status in [Status::Placing, Status::Confirmed, Status::RejectedUnknownSku] {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(
                serde_json::to_value(status).unwrap(),
                serde_json::Value::from(status.as_str())
            );
        }
    }

    fn order(skus: &[&str]) -> Order {
        let lines = skus.iter().map(|&sku| AskedLine { sku: sku.into(), quantity: 1 }).collect();
        let ask = Ask { customer: "ann".into(), lines };
        Order::new(OrderId::new(UNIX_EPOCH, &mut Rng::seeded(1)), ask)
    }
}
