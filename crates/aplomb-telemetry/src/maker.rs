use std::sync::Arc;

use crate::catalogue::Metric;
use crate::feed::Feed;
use crate::happening::{Happening, Note};
use crate::recorder::{Recorder, Series};

/// Makes the series of one operation, and tells the feed in its name.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) feed: Option<Feed>,
    // Empty on a server.
    pub(crate) dependency: Arc<str>,
    pub(crate) operation: Arc<str>,
}

impl Maker {
    pub(crate) fn of_call(&self, metric: &'static Metric) -> Series {
        self.recorder.series(metric, &[&self.dependency, &self.operation])
    }

    pub(crate) fn of_call_with(&self, metric: &'static Metric, more: &str) -> Series {
        self.recorder.series(metric, &[&self.dependency, &self.operation, more])
    }

    pub(crate) fn of_operation(&self, metric: &'static Metric, more: &[&str]) -> Series {
        self.recorder.series(metric, &[&[&*self.operation], more].concat())
    }

    /// Tells the feed, if somebody reads it.
    pub(crate) fn tell(&self, note: impl FnOnce() -> Note) {
        if let Some(feed) = self.feed.as_ref().filter(|feed| feed.is_read()) {
            let (dependency, operation) = (Arc::clone(&self.dependency), self.operation.clone());
            feed.tell(Happening::new(dependency, operation, note()));
        }
    }
}
