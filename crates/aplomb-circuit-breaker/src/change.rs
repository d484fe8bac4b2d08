//! What becomes of a circuit, and what an operator may make of it.

use std::time::Duration;

use crate::state::State;
use crate::trip::Because;

/// A circuit changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The state it was in; the same when an operator only holds it there, or lets it go.
    pub from: State,
    /// The state it is in now.
    pub to: State,
    /// Why.
    pub because: Because,
    /// How long it lets no call through; nothing unless it opened.
    pub open_for: Duration,
}

/// What an operator wants of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one way, the other, or neither")]
pub enum Hold {
    /// No call goes out.
    Open,
    /// Every call goes out.
    Closed,
    /// The circuit decides; after an open one it begins with a probe.
    Automatic,
}

/// A circuit at one moment.
///
/// ```
/// use aplomb_circuit_breaker::{CircuitBreakerLayer, Snapshot, State};
///
/// let layer = CircuitBreakerLayer::default();
/// let handle = layer.handle();
/// let Snapshot { state, calls, .. } = handle.snapshot();
/// assert_eq!((state, calls), (State::Closed, 0));
/// handle.force_open();
/// assert!(handle.snapshot().is_held);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does.
    pub state: State,
    /// Whether an operator holds it there.
    pub is_held: bool,
    /// How long it will let no call through, if it is open and nobody holds it.
    pub retry_after: Duration,
    /// Calls with a vote in the window.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many of them were slow; nothing while there is no rule about slow calls.
    pub slow: u64,
    /// Calls in a row that failed.
    pub failed_in_a_row: u32,
    /// Calls in a row that never reached the server.
    pub unsent_in_a_row: u32,
    /// How many times the open time is doubled.
    pub level: u32,
}

impl Change {
    pub(crate) const fn to(from: State, to: State, because: Because) -> Self {
        Self { from, to, because, open_for: Duration::ZERO }
    }

    pub(crate) const fn opened(from: State, because: Because, open_for: Duration) -> Self {
        Self { from, to: State::Open, because, open_for }
    }
}
