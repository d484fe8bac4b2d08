//! The one place that knows `prometheus`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    CounterVec, Encoder, Error, Gauge, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry,
    TextEncoder,
};

use crate::catalogue::{Kind, METRICS, Metric};
use crate::recorder::{Read, Recorder, Series};

/// Keeps metrics in a [`prometheus::Registry`]. Clones share it.
///
/// ```
/// use aplomb_telemetry::Prometheus;
///
/// let kept = Prometheus::register(&prometheus::Registry::new(), Some("shop"))?;
/// println!("{}", kept.encode()?);
/// # Ok::<(), prometheus::Error>(())
/// ```
#[derive(Clone)]
pub struct Prometheus {
    registry: Registry,
    families: Arc<HashMap<&'static str, (String, Family)>>,
}

#[derive(Clone)]
enum Family {
    Counter(CounterVec),
    Gauge(Watched),
    Histogram(HistogramVec),
}

impl Prometheus {
    /// Registers every metric, its name after `prefix` and an underscore if there is one.
    ///
    /// # Errors
    ///
    /// When a name is taken in `registry`, or the prefix is not fit for a metric name.
    pub fn register(registry: &Registry, prefix: Option<&str>) -> Result<Self, Error> {
        let mut families = HashMap::new();
        for metric in METRICS {
            let name = prefix
                .map_or_else(|| metric.name.into(), |prefix| format!("{prefix}_{}", metric.name));
            let family = Family::register(registry, &name, metric)?;
            families.insert(metric.name, (name, family));
        }
        Ok(Self { registry: registry.clone(), families: Arc::new(families) })
    }

    /// The page for `/metrics`, in the text format; everything else in the registry included.
    ///
    /// # Errors
    ///
    /// When a collector of the registry yields what the format does not allow.
    pub fn encode(&self) -> Result<String, Error> {
        let gathered = self.registry.gather();
        let mut page = Vec::new();
        TextEncoder::new().encode(&gathered, &mut page)?;
        let mut page = String::from_utf8_lossy(&page).into_owned();
        for metric in METRICS {
            let Some((name, _)) = self.families.get(metric.name) else { continue };
            if !gathered.iter().any(|family| family.name() == name) {
                let (kind, help) = (metric.kind.as_str(), metric.help);
                // What has counted nothing is served with its type, so that alerts can be written.
                page.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
            }
        }
        Ok(page)
    }

    fn family(&self, metric: &Metric) -> Option<&Family> {
        self.families.get(metric.name).map(|(_, family)| family)
    }
}

impl Family {
    fn register(registry: &Registry, name: &str, metric: &Metric) -> Result<Self, Error> {
        let Metric { kind, labels, help, buckets, .. } = *metric;
        Ok(match kind {
            Kind::Counter => {
                let counters = CounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Self::Counter(counters)
            }
            Kind::Gauge => {
                let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
                let watched = Watched { gauges, reads: Arc::default() };
                registry.register(Box::new(watched.clone()))?;
                Self::Gauge(watched)
            }
            Kind::Histogram => {
                let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
                let histograms = HistogramVec::new(options, labels)?;
                registry.register(Box::new(histograms.clone()))?;
                Self::Histogram(histograms)
            }
        })
    }

    fn series(&self, labels: &[&str]) -> Result<Series, Error> {
        Ok(match self {
            Self::Counter(counters) => {
                let counter = counters.get_metric_with_label_values(labels)?;
                Series::new(move |value| counter.inc_by(value))
            }
            Self::Gauge(watched) => {
                let gauge = watched.gauges.get_metric_with_label_values(labels)?;
                Series::new(move |value| gauge.set(value))
            }
            Self::Histogram(histograms) => {
                let histogram = histograms.get_metric_with_label_values(labels)?;
                Series::new(move |value| histogram.observe(value))
            }
        })
    }
}

impl Recorder for Prometheus {
    fn series(&self, metric: &'static Metric, labels: &[&str]) -> Series {
        let series = self.family(metric).map(|family| family.series(labels));
        // Only a metric that is not in the catalogue, or labels of another, come to nothing.
        series.and_then(Result::ok).unwrap_or_else(|| Series::new(|_| {}))
    }

    fn watch(&self, metric: &'static Metric, labels: &[&str], read: Read) {
        let Some(Family::Gauge(watched)) = self.family(metric) else { return };
        let Ok(gauge) = watched.gauges.get_metric_with_label_values(labels) else { return };
        watched.reads().insert(owned(labels), (gauge, read));
    }

    fn forget(&self, metric: &'static Metric, labels: &[&str]) {
        // A series that never was is forgotten already.
        let _ = match self.family(metric) {
            Some(Family::Counter(counters)) => counters.remove_label_values(labels),
            Some(Family::Histogram(histograms)) => histograms.remove_label_values(labels),
            Some(Family::Gauge(watched)) => {
                watched.reads().remove(&owned(labels));
                watched.gauges.remove_label_values(labels)
            }
            None => Ok(()),
        };
    }
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}

/// Gauges, of which some are read when they are collected: also by who gathers the registry itself.
#[derive(Clone)]
struct Watched {
    gauges: GaugeVec,
    reads: Arc<Mutex<Reads>>,
}

type Reads = HashMap<Vec<String>, (Gauge, Read)>;

impl Watched {
    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Watched {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (gauge, read) in self.reads().values() {
            gauge.set(read());
        }
        self.gauges.collect()
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("registry", &self.registry).finish_non_exhaustive()
    }
}
