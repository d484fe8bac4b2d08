use std::sync::Arc;

use crate::catalogue;
use crate::happening::Note;
use crate::maker::Maker;
use crate::recorder::By;

/// Counts what becomes of a policy file that changes, and tells the feed.
///
/// The policy file stands above this crate, so whoever follows it says it in these words:
///
/// ```
/// # let metrics = aplomb_telemetry::Metrics::register(&prometheus::Registry::new(), None)?;
/// let policies = metrics.policies();
/// policies.refused();
/// assert!(metrics.encode()?.contains(r#"policy_reloads_total{outcome="refused"} 1"#));
/// # Ok::<(), prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    maker: Maker,
    reloads: By<&'static str>,
}

impl PolicyMetrics {
    pub(crate) fn new(maker: Maker) -> Self {
        let series = |outcome| maker.recorder.series(&catalogue::RELOADS, &[outcome]);
        let reloads = By::each(&[RELOADED, REFUSED, LOST], series);
        Self { shared: Arc::new(Shared { maker, reloads }) }
    }

    /// New policies are in force.
    pub fn reloaded(&self) {
        self.count(RELOADED);
    }

    /// The new text is no policy file, or not a complete one. The old policies stay.
    pub fn refused(&self) {
        self.count(REFUSED);
    }

    /// The file cannot be read. The old policies stay.
    pub fn lost(&self) {
        self.count(LOST);
    }

    fn count(&self, outcome: &'static str) {
        self.shared.reloads.one_more(outcome);
        self.shared.maker.tell(|| Note::of("policy", outcome));
    }
}

const RELOADED: &str = "reloaded";
const REFUSED: &str = "refused";
const LOST: &str = "lost";
