//! Who hears what the layers of a stack do.

use aplomb_admission::{AdmissionEvent, AdmissionHandle};
use aplomb_backoff::BackoffEvent;
use aplomb_circuit_breaker::BreakerEvent;
use aplomb_core::Observe;
use aplomb_deadline::DeadlineEvent;
use aplomb_fallback::FallbackEvent;
use aplomb_retry::{Budget, RetryEvent};

/// Hears every layer around the calls of one operation.
///
/// Whatever hears each of these events is one; nobody implements it by hand.
pub trait ObserveCalls:
    Observe<RetryEvent>
    + Observe<BackoffEvent>
    + Observe<DeadlineEvent>
    + Observe<AdmissionEvent>
    + Observe<FallbackEvent>
    + for<'a> Observe<BreakerEvent<'a>>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<O> ObserveCalls for O where
    O: Observe<RetryEvent>
        + Observe<BackoffEvent>
        + Observe<DeadlineEvent>
        + Observe<AdmissionEvent>
        + Observe<FallbackEvent>
        + for<'a> Observe<BreakerEvent<'a>>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Makes an observer for each operation of a stack.
///
/// A function of two names is one: `|dependency: &str, operation: &str| ..`. So is, with the
/// feature `telemetry`, `aplomb_telemetry::Metrics`.
///
/// ```
/// use aplomb::stack::{ObserveCalls, Observers};
///
/// /// Hears nothing, and says for which operations it was asked.
/// struct Named;
/// impl Observers for Named {
///     type Observer = ();
///     fn of(&self, dependency: &str, operation: &str) {
///         println!("{dependency}.{operation}");
///     }
/// }
/// fn hears_all<O: ObserveCalls>(_: &O) {}
/// hears_all(&());
/// Named.of("stock", "look");
/// ```
pub trait Observers: Send + Sync + 'static {
    /// What hears the layers of one operation.
    type Observer: ObserveCalls;

    /// The observer of this operation of this dependency. Asked when the stack is built, and again
    /// when its policies are reloaded.
    fn of(&self, dependency: &str, operation: &str) -> Self::Observer;

    /// The operation pays its retries from `budget`, together with others of its class.
    fn budget(&self, _dependency: &str, _operation: &str, _budget: &Budget) {}

    /// The operations of the dependency share these places. Told once for each dependency when the
    /// stack is built, and again when its policies are reloaded.
    fn in_flight(&self, _dependency: &str, _places: &AdmissionHandle) {}
}

impl Observers for () {
    type Observer = ();

    fn of(&self, _: &str, _: &str) {}
}

impl<F, O> Observers for F
where
    F: Fn(&str, &str) -> O + Send + Sync + 'static,
    O: ObserveCalls,
{
    type Observer = O;

    fn of(&self, dependency: &str, operation: &str) -> O {
        self(dependency, operation)
    }
}

#[cfg(feature = "telemetry")]
impl<R> Observers for aplomb_telemetry::Metrics<R>
where
    R: aplomb_telemetry::Recorder + Send + Sync + 'static,
{
    type Observer = aplomb_telemetry::DependencyMetrics;

    fn of(&self, dependency: &str, operation: &str) -> Self::Observer {
        self.dependency(dependency, operation)
    }

    fn budget(&self, dependency: &str, operation: &str, budget: &Budget) {
        self.watch_budget(dependency, operation, budget);
    }

    fn in_flight(&self, dependency: &str, places: &AdmissionHandle) {
        self.watch_admission(dependency, "", places);
    }
}
