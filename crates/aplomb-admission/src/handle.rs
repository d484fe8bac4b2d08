use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aplomb_core::time;

use crate::desk::Desk;
use crate::gate::Snapshot;
use crate::limit::Limit;

/// Looks at an admission while it works, and changes it.
///
/// ```
/// use aplomb_admission::{AdmissionHandle, AdmissionLayer, Snapshot};
///
/// fn page(handle: &AdmissionHandle) -> String {
///     let Snapshot { running, waiting, .. } = handle.snapshot();
///     format!("{running} running, {waiting} waiting")
/// }
///
/// let layer = AdmissionLayer::new(64);
/// let handle = layer.handle();
/// assert_eq!(page(&handle), "0 running, 0 waiting");
/// // An operator changes it while it works:
/// handle.set_limit(32);
/// handle.set_observe_only(true);
/// assert!(handle.only_observes());
/// ```
#[derive(Clone)]
pub struct AdmissionHandle {
    pub(crate) desk: Arc<Desk>,
}

impl AdmissionHandle {
    /// How full it is now.
    pub fn snapshot(&self) -> Snapshot {
        let Desk { state, terms } = &*self.desk;
        state.gate.snapshot(terms, time::now())
    }

    /// Lets so many run at a time from now on. Whoever waits and now has a place is woken; what runs
    /// over a lower limit runs to its end.
    ///
    /// # Panics
    ///
    /// When a plain number is 0.
    pub fn set_limit(&self, limit: impl Into<Limit>) {
        self.desk.state.gate.set_limit(limit.into());
        self.desk.call_next();
    }

    /// Whether calls are decided about and none is kept waiting or rejected.
    pub fn only_observes(&self) -> bool {
        self.desk.state.only_observes()
    }

    /// Decides and tells the observer, and lets every call run, or does so no more. Calls that wait
    /// already go on waiting.
    pub fn set_observe_only(&self, only: bool) {
        self.desk.state.only_observes.store(only, Ordering::Relaxed);
    }
}

impl fmt::Debug for AdmissionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionHandle").field("desk", &self.desk).finish()
    }
}
