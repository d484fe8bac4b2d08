use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aplomb_retry::Budget;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry,
    TextEncoder, exponential_buckets,
};

use crate::dependency::DependencyMetrics;
use crate::operation::OperationMetrics;

/// Every metric, registered. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    registry: Registry,
    resent: IntCounterVec,
    exhausted: IntCounterVec,
    denied: IntCounterVec,
    attempts: HistogramVec,
    waits: HistogramVec,
    calls: IntCounterVec,
    timeouts: IntCounterVec,
    replays: IntCounterVec,
    conflicts: IntCounterVec,
    balances: GaugeVec,
    trips: IntCounterVec,
    fallbacks: IntCounterVec,
    letters: IntCounterVec,
    budgets: Mutex<HashMap<[String; 2], (Gauge, Budget)>>,
    described: Vec<(String, &'static str, &'static str)>,
}

impl Metrics {
    /// Registers every metric, its name after `prefix` and an underscore if there is one.
    ///
    /// # Errors
    ///
    /// When a name is taken in `registry`, or the prefix is not fit for a metric name.
    pub fn register(registry: &Registry, prefix: Option<&str>) -> Result<Self, Error> {
        let mut make = Maker { registry, prefix, described: Vec::new() };
        let families = Families {
            registry: registry.clone(),
            resent: make.counter("retry_attempts_total", "Sends after the first.", CALL)?,
            exhausted: make.counter(
                "retry_exhausted_total",
                "Calls whose retries ran out.",
                CALL,
            )?,
            denied: make.counter("retry_denied_total", "Failed calls not sent again.", DENIED)?,
            attempts: make.histogram("retry_attempts_per_call", "Sends of a call.", || {
                Ok(vec![1.0, 2.0, 3.0, 5.0, 8.0])
            })?,
            waits: make.histogram("retry_added_wait_seconds", "Waits between attempts.", || {
                exponential_buckets(0.005, 2.0, 12)
            })?,
            calls: make.counter("dependency_calls_total", "Calls by outcome.", OUTCOME)?,
            timeouts: make.counter("dependency_timeout_total", "Answers not in time.", CALL)?,
            replays: make.counter("idempotency_key_reused_total", "Replays.", OPERATION)?,
            conflicts: make.counter("idempotency_conflicts_total", "Keys refused.", CONFLICT)?,
            balances: make.gauge("retry_budget_balance", "Retries in the budget.", CALL)?,
            // Their layers count on their own from the day they exist; the names are promised now.
            trips: make.counter("circuit_breaker_open_total", "Transitions to open.", CALL)?,
            fallbacks: make.counter("fallback_used_total", "Answers from a fallback.", CALL)?,
            letters: make.counter("dead_letter_messages_total", "Kept for redrive.", OPERATION)?,
            budgets: Mutex::default(),
            described: Vec::new(),
        };
        Ok(Self { families: Arc::new(Families { described: make.described, ..families }) })
    }

    /// An observer for the layers around one operation of one dependency.
    pub fn dependency(&self, dependency: &str, operation: &str) -> DependencyMetrics {
        let Families { resent, exhausted, denied, attempts, waits, calls, timeouts, .. } =
            &*self.families;
        let labels = [dependency, operation];
        // A series that stands at zero from the start is one that an alert can watch.
        self.families.trips.with_label_values(&labels);
        self.families.fallbacks.with_label_values(&labels);
        DependencyMetrics::new(
            resent.with_label_values(&labels),
            exhausted.with_label_values(&labels),
            timeouts.with_label_values(&labels),
            attempts.with_label_values(&labels),
            waits.with_label_values(&labels),
            |reason| denied.with_label_values(&[dependency, operation, reason]),
            |outcome| calls.with_label_values(&[dependency, operation, outcome]),
        )
    }

    /// An observer for the idempotency layer of one operation.
    pub fn operation(&self, operation: &str) -> OperationMetrics {
        let Families { replays, conflicts, letters, .. } = &*self.families;
        letters.with_label_values(&[operation]);
        OperationMetrics::new(replays.with_label_values(&[operation]), |reason| {
            conflicts.with_label_values(&[operation, reason])
        })
    }

    /// Serves the balance of `budget` from now on, in the place of one that was watched under the same
    /// names. It is read by [`encode`](Self::encode): who gathers the registry alone sees the balance
    /// of the last page.
    pub fn watch_budget(&self, dependency: &str, operation: &str, budget: &Budget) {
        let labels = [dependency, operation];
        let gauge = self.families.balances.with_label_values(&labels);
        gauge.set(budget.balance());
        let mut budgets = self.families.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.insert(labels.map(str::to_owned), (gauge, budget.clone()));
    }

    /// The page for `/metrics`, in the text format; everything else in the registry included.
    ///
    /// # Errors
    ///
    /// When a collector of the registry yields what the format does not allow.
    pub fn encode(&self) -> Result<String, Error> {
        let budgets = self.families.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        for (gauge, budget) in budgets.values() {
            gauge.set(budget.balance());
        }
        drop(budgets);
        let gathered = self.families.registry.gather();
        let mut page = Vec::new();
        TextEncoder::new().encode(&gathered, &mut page)?;
        let mut page = String::from_utf8_lossy(&page).into_owned();
        for (name, kind, help) in &self.families.described {
            if !gathered.iter().any(|family| family.name() == name) {
                page += &described(name, kind, help);
            }
        }
        Ok(page)
    }

    /// The media type of that page.
    pub const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;
}

fn described(name: &str, kind: &str, help: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

struct Maker<'a> {
    registry: &'a Registry,
    prefix: Option<&'a str>,
    described: Vec<(String, &'static str, &'static str)>,
}

impl Maker<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &'static str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        let family = IntCounterVec::new(Opts::new(self.name(name), help), labels)?;
        self.keep(name, "counter", help, family)
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &'static str,
        labels: &[&str],
    ) -> Result<GaugeVec, Error> {
        let family = GaugeVec::new(Opts::new(self.name(name), help), labels)?;
        self.keep(name, "gauge", help, family)
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &'static str,
        buckets: impl FnOnce() -> Result<Vec<f64>, Error>,
    ) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::new(self.name(name), help).buckets(buckets()?);
        let family = HistogramVec::new(options, CALL)?;
        self.keep(name, "histogram", help, family)
    }

    fn keep<C: Collector + Clone + 'static>(
        &mut self,
        name: &str,
        kind: &'static str,
        help: &'static str,
        family: C,
    ) -> Result<C, Error> {
        self.registry.register(Box::new(family.clone()))?;
        self.described.push((self.name(name), kind, help));
        Ok(family)
    }

    fn name(&self, name: &str) -> String {
        self.prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"))
    }
}

const CALL: &[&str] = &["dependency", "operation"];
const DENIED: &[&str] = &["dependency", "operation", "reason"];
const OUTCOME: &[&str] = &["dependency", "operation", "outcome"];
const OPERATION: &[&str] = &["operation"];
const CONFLICT: &[&str] = &["operation", "reason"];
