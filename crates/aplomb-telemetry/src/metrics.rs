use std::sync::Arc;

use aplomb_admission::AdmissionHandle;
use aplomb_retry::Budget;
use prometheus::{Error, Registry};

use crate::catalogue;
use crate::dependency::DependencyMetrics;
use crate::feed::Feed;
use crate::maker::Maker;
use crate::operation::OperationMetrics;
use crate::policies::PolicyMetrics;
use crate::recorder::Recorder;
use crate::registry::Prometheus;

/// Every metric. Clones share it.
///
/// Kept by [`Prometheus`] unless another [`Recorder`] is [given](Self::with).
#[derive(Debug)]
pub struct Metrics<R = Prometheus> {
    recorder: Arc<R>,
    feed: Option<Feed>,
}

impl Metrics {
    /// Registers every metric, its name after `prefix` and an underscore if there is one.
    ///
    /// # Errors
    ///
    /// When a name is taken in `registry`, or the prefix is not fit for a metric name.
    pub fn register(registry: &Registry, prefix: Option<&str>) -> Result<Self, Error> {
        Ok(Self::with(Prometheus::register(registry, prefix)?))
    }

    /// The page for `/metrics`, in the text format; everything else in the registry included.
    ///
    /// # Errors
    ///
    /// When a collector of the registry yields what the format does not allow.
    pub fn encode(&self) -> Result<String, Error> {
        self.recorder.encode()
    }

    /// The media type of that page.
    pub const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;
}

impl<R: Recorder> Metrics<R> {
    /// Metrics that `recorder` keeps.
    pub fn with(recorder: R) -> Self {
        Self { recorder: Arc::new(recorder), feed: None }
    }

    /// Lets what happens run into `feed` too: whatever observers are made from now on.
    #[must_use]
    pub fn feeding(mut self, feed: &Feed) -> Self {
        self.feed = Some(feed.clone());
        self
    }

    /// An observer for the layers around one operation of one dependency: the client's side.
    pub fn dependency(&self, dependency: &str, operation: &str) -> DependencyMetrics {
        DependencyMetrics::new(self.maker(dependency, operation))
    }

    /// An observer for the layers around one operation of this service: the server's side.
    pub fn operation(&self, operation: &str) -> OperationMetrics {
        OperationMetrics::new(&self.maker("", operation))
    }

    /// An observer for the policy file that a service follows.
    pub fn policies(&self) -> PolicyMetrics {
        PolicyMetrics::new(self.maker("", "policies"))
    }

    /// Serves the balance of `budget` from now on, in the place of one that was watched under the same
    /// names. It is read when it is served.
    pub fn watch_budget(&self, dependency: &str, operation: &str, budget: &Budget) {
        let budget = budget.clone();
        let read = Box::new(move || budget.balance());
        self.recorder.watch(&catalogue::BALANCE, &[dependency, operation], read);
    }

    /// Serves how full an admission is from now on: of a bulkhead with the name of its dependency, of
    /// a server with an empty one.
    pub fn watch_admission(&self, dependency: &str, operation: &str, handle: &AdmissionHandle) {
        let labels = [dependency, operation];
        let read = |of: fn(&AdmissionHandle) -> f64| {
            let handle = handle.clone();
            Box::new(move || of(&handle))
        };
        let running = read(|handle| handle.snapshot().running.into());
        let waiting = read(|handle| number(handle.snapshot().waiting));
        let limit = read(|handle| handle.snapshot().limit.get().into());
        self.recorder.watch(&catalogue::RUNNING, &labels, running);
        self.recorder.watch(&catalogue::WAITING, &labels, waiting);
        self.recorder.watch(&catalogue::LIMIT, &labels, limit);
    }

    fn maker(&self, dependency: &str, operation: &str) -> Maker {
        let recorder: Arc<dyn Recorder> = self.recorder.clone();
        let (dependency, operation) = (dependency.into(), operation.into());
        Maker { recorder, feed: self.feed.clone(), dependency, operation }
    }
}

impl<R> Clone for Metrics<R> {
    fn clone(&self) -> Self {
        Self { recorder: Arc::clone(&self.recorder), feed: self.feed.clone() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody queues 2^53 calls")]
fn number(count: usize) -> f64 {
    count as f64
}
