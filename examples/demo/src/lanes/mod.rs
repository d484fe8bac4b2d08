//! Three ways to place the same order.
//!
//! *Once* sends one request, and what it says is what the customer hears. *Naive* sends up to four,
//! one right after the other, to an endpoint that knows neither keys nor uniqueness. *Aplomb* asks
//! the Order API, which sends as its policy says.

mod driver;
mod gauge;
mod traffic;

use std::time::Duration;

use aplomb_order_api::OrderId;

pub(crate) use driver::Lanes;
pub(crate) use gauge::{Gauge, Reading};
pub(crate) use traffic::{Placed, Traffic};

/// A way to place an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// One request, no retry.
    Once,
    /// Three immediate retries: no key, no budget, no wait.
    Naive,
    /// The Order API.
    Aplomb,
}

impl Lane {
    pub(crate) const ALL: [Self; 3] = [Self::Once, Self::Naive, Self::Aplomb];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Naive => "naive",
            Self::Aplomb => "aplomb",
        }
    }

    /// Its place among [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// How often a customer's client sends at most.
    const fn attempts(self) -> u32 {
        match self {
            Self::Naive => 4,
            Self::Once | Self::Aplomb => 1,
        }
    }
}

/// What a customer wants. The same name is the same order, however often it is placed.
#[derive(Clone, Debug)]
pub(crate) struct Cart {
    pub(crate) name: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
}

/// What a customer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is theirs.
    Confirmed,
    /// It is accepted, and will be confirmed or refused later.
    Pending,
    /// Nothing is left.
    SoldOut,
    /// It did not work.
    Failed,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Pending => "pending",
            Self::SoldOut => "sold out",
            Self::Failed => "failed",
        }
    }

    /// What the customer reads.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Confirmed => "Thank you! Your order is confirmed.",
            Self::Pending => "We have your order. A confirmation follows.",
            Self::SoldOut => "Sorry, this item is sold out.",
            Self::Failed => "Something went wrong. Please try again.",
        }
    }

    /// Whether the customer has an order now.
    pub(crate) const fn is_accepted(self) -> bool {
        matches!(self, Self::Confirmed | Self::Pending)
    }
}

/// What came of placing an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    /// How long the customer waited.
    pub(crate) took: Duration,
    /// The order, where there is one that can be asked for.
    pub(crate) order: Option<OrderId>,
}
