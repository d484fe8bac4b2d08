use std::fmt;
use std::sync::Arc;

use crate::catalogue::Metric;

/// Keeps metrics: the seam to a backend.
///
/// [`Prometheus`](crate::Prometheus) is one. Another needs to tell series apart by their metric and
/// the values of its labels, nothing more:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
/// use aplomb_core::{Attempt, Observe};
/// use aplomb_retry::RetryEvent;
/// use aplomb_telemetry::{Kind, Metric, Metrics, Read, Recorder, Series};
///
/// #[derive(Clone, Debug, Default)]
/// struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);
///
/// impl Recorder for Sums {
///     fn series(&self, metric: &'static Metric, labels: &[&str]) -> Series {
///         let (sums, name) = (self.0.clone(), format!("{} {}", metric.name, labels.join(" ")));
///         Series::new(move |value| {
///             let mut sums = sums.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
///             let sum = sums.entry(name.clone()).or_default();
///             *sum = if metric.kind == Kind::Gauge { value } else { *sum + value };
///         })
///     }
///
///     fn watch(&self, _: &'static Metric, _: &[&str], _: Read) {}
///     fn forget(&self, _: &'static Metric, _: &[&str]) {}
/// }
///
/// let sums = Sums::default();
/// let reserve = Metrics::with(sums.clone()).dependency("inventory", "reserve");
/// reserve.observe(&RetryEvent::Resent { attempt: Attempt::FIRST.next() });
/// assert_eq!(sums.0.lock().unwrap()["retry_attempts_total inventory reserve"], 1.0);
/// ```
pub trait Recorder: fmt::Debug + Send + Sync + 'static {
    /// One series, by the values of the metric's labels: the same one for the same values. Looked up
    /// when an observer is made, and when a circuit changes its state; never for a call.
    fn series(&self, metric: &'static Metric, labels: &[&str]) -> Series;

    /// Reads a gauge's value whenever it is asked for, in the place of what was watched under the
    /// same values before.
    fn watch(&self, metric: &'static Metric, labels: &[&str], read: Read);

    /// A series is of no use any more.
    fn forget(&self, metric: &'static Metric, labels: &[&str]);
}

/// Reads a value that changes by itself. It must neither block nor panic.
pub type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// Where one series is written. Clones write the same one.
#[derive(Clone)]
pub struct Series(Arc<dyn Fn(f64) + Send + Sync>);

impl Series {
    /// One that hands each value to `write`, which adds it to a counter, sets a gauge to it, or tells
    /// it to a histogram. It runs on the path of a call: it must neither block nor panic.
    pub fn new(write: impl Fn(f64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Writes a value.
    #[inline]
    pub fn write(&self, value: f64) {
        (self.0)(value);
    }

    #[inline]
    pub(crate) fn one_more(&self) {
        self.write(1.0);
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").finish_non_exhaustive()
    }
}

/// A counter for each of a few things, made beforehand. What is none of them is not counted.
#[derive(Debug)]
pub(crate) struct By<K>(Box<[(K, Series)]>);

impl<K: Copy + PartialEq> By<K> {
    pub(crate) fn each(of: &[K], series: impl Fn(K) -> Series) -> Self {
        Self(of.iter().map(|&kind| (kind, series(kind))).collect())
    }

    pub(crate) fn one_more(&self, kind: K) {
        if let Some((_, series)) = self.0.iter().find(|(of, _)| *of == kind) {
            series.one_more();
        }
    }
}
