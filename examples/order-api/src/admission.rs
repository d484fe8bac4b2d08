//! What this service takes on at a time, by what a request needs.

use std::time::Duration;

use aplomb_admission::{AdmissionHandle, AdmissionLayer, Inbound};
use aplomb_core::Dice;
use aplomb_telemetry::{Metrics, OperationMetrics};

/// A door for each class of request. What waits for Inventory never stands in the way of what does
/// not.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Reads our own rows.
    pub(crate) reads: Door,
    /// Reads what Inventory has.
    pub(crate) looks: Door,
    /// Places orders.
    pub(crate) orders: Door,
    /// Takes articles back.
    pub(crate) returns: Door,
}

pub(crate) type Door = AdmissionLayer<Inbound, OperationMetrics>;

impl Doors {
    pub(crate) fn new(dice: &Dice, metrics: &Metrics) -> Self {
        let door = |operation, limit: u32, wait| {
            let layer = AdmissionLayer::new(limit).longest_wait(wait).dice(dice.clone());
            metrics.watch_admission("", operation, &layer.handle());
            layer.observe(metrics.operation(operation))
        };
        Self {
            reads: door("read", READS_MAX, READ_WAIT),
            looks: door("look", LOOKS_MAX, READ_WAIT),
            orders: door("place", ORDERS_MAX, WRITE_WAIT),
            returns: door("return", RETURNS_MAX, WRITE_WAIT),
        }
    }
}

/// How full the Order API is, by what it is busy with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Places {
    /// Reads of its own rows: orders, timelines.
    pub reads: AdmissionHandle,
    /// Reads of what Inventory has.
    pub looks: AdmissionHandle,
    /// Orders being placed.
    pub orders: AdmissionHandle,
    /// Articles being returned.
    pub returns: AdmissionHandle,
    /// Calls to Inventory, for whatever.
    pub inventory: AdmissionHandle,
}

impl Doors {
    pub(crate) fn places(&self, inventory: AdmissionHandle) -> Places {
        Places {
            reads: self.reads.handle(),
            looks: self.looks.handle(),
            orders: self.orders.handle(),
            returns: self.returns.handle(),
            inventory,
        }
    }
}

/// A row each: more at a time only make each other slow.
const READS_MAX: u32 = 256;
const LOOKS_MAX: u32 = 128;
/// Several times as many as can be on their way to Inventory: an order waits for more than that.
const ORDERS_MAX: u32 = 256;
const RETURNS_MAX: u32 = 64;
/// Nobody notices it on a page.
const READ_WAIT: Duration = Duration::from_millis(100);
/// A small part of the three seconds that an order may take.
const WRITE_WAIT: Duration = Duration::from_millis(250);
