//! Articles that come back: the stock of a confirmed line is given back once.

mod ask;
pub(crate) mod route;
mod table;

pub(crate) use route::give_back;
pub(crate) use table::Returns;

use crate::order::{Line, OrderId};

/// A line that comes back, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Return {
    pub(crate) order: OrderId,
    /// With the reservation that is to be released.
    pub(crate) line: Line,
    /// How often giving it back was tried in vain.
    pub(crate) tries: u32,
    /// Whether Inventory has it back.
    pub(crate) is_done: bool,
}
