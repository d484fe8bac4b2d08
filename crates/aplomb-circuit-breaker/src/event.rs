use std::fmt;
use std::time::Duration;

use crate::change::Change;

/// What a circuit breaker did, or under [observation](crate::CircuitBreakerLayer::observe_only)
/// would have done.
///
/// An observer hears it for any lifetime: `impl Observe<BreakerEvent<'_>>`, or a closure over
/// `&BreakerEvent<'_>`.
///
/// ```
/// use aplomb_circuit_breaker::{BreakerEvent, Change, Circuit, CircuitBreakerLayer};
///
/// let layer = CircuitBreakerLayer::default().observe(|event: &BreakerEvent<'_>| match event {
///     BreakerEvent::Changed { circuit: Circuit::Of(key), change: Change { because, .. }, .. } => {
///         println!("{key}: {}", because.as_str());
///     }
///     BreakerEvent::Changed { change, .. } => println!("all calls: {}", change.because.as_str()),
///     _ => {}
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerEvent<'a> {
    /// A circuit changed its state: it is in this one now, and in no other.
    Changed {
        /// Which circuit.
        circuit: Circuit<'a>,
        /// To what, and why.
        change: Change,
        /// Whether calls are kept from going out because of it.
        enforced: bool,
    },
    /// A call met a circuit that lets it not through.
    Rejected {
        /// Which circuit.
        circuit: Circuit<'a>,
        /// How long it is of no use to try again.
        retry_after: Duration,
        /// Whether it was kept from going out.
        enforced: bool,
    },
    /// A key was not used for longer than all others, and makes room for a new one: its circuit is
    /// gone.
    Forgotten {
        /// Which circuit.
        circuit: Circuit<'a>,
    },
}

/// Which circuit of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "one for all, or one a key under one for all")]
pub enum Circuit<'a> {
    /// The one for all calls: the only one, or the one above the keys.
    Whole,
    /// The one of this key.
    Of(&'a str),
}

impl fmt::Display for Circuit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "all",
            Self::Of(key) => key,
        })
    }
}
