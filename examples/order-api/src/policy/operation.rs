//! What a policy file must say.

use std::fmt;

use aplomb::policy::{OperationName, PolicyFile};

/// What is done elsewhere, or here for somebody else, by the names that the policy file has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Asks Inventory how many there are.
    Availability,
    /// Reserves a line for a customer who waits.
    Reserve,
    /// Gives a line back.
    Release,
    /// Goes on with what was left pending, and nobody waits for it.
    Settle,
    /// Places an order, for our own customers.
    Confirm,
    /// Asks the Warehouse for a shipment.
    Shipment,
    /// Asks whether it was made.
    Look,
    /// Tells analytics of an order.
    Record,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::Availability,
        Self::Reserve,
        Self::Release,
        Self::Settle,
        Self::Confirm,
        Self::Shipment,
        Self::Look,
        Self::Record,
    ];

    /// Whom it asks, and what it is called there.
    pub(crate) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Availability => (INVENTORY, "availability"),
            Self::Reserve => (INVENTORY, "reserve"),
            Self::Release => (INVENTORY, "release"),
            Self::Settle => (INVENTORY, "settle"),
            Self::Confirm => ("orders", "confirm"),
            Self::Shipment => (WAREHOUSE, "shipment"),
            Self::Look => (WAREHOUSE, "look"),
            Self::Record => (ANALYTICS, "record"),
        }
    }

    /// For the extensions of its requests.
    pub(crate) fn named(self) -> OperationName {
        OperationName::new(self.to_string())
    }

    /// What this file leaves out, of all that must be in one.
    pub(crate) fn missing(file: &PolicyFile) -> Option<Self> {
        let is_there = |(dependency, name)| file.dependency(dependency)?.named(name);
        Self::ALL.into_iter().find(|operation| is_there(operation.names()).is_none())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dependency, name) = self.names();
        write!(f, "{dependency}.{name}")
    }
}

/// The dependencies: in policies, in metrics, and as the host of what is addressed to them.
pub(crate) const INVENTORY: &str = "inventory";
pub(crate) const WAREHOUSE: &str = "warehouse";
pub(crate) const ANALYTICS: &str = "analytics";
