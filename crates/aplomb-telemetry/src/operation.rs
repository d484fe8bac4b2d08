use std::sync::Arc;

use aplomb_admission::{AdmissionEvent, RejectReason};
use aplomb_core::Observe;
use aplomb_dead_letter::DeadLetterEvent;
use aplomb_deadline::DeadlineEvent;
use aplomb_idempotency::IdempotencyEvent;
use http::StatusCode;

use crate::catalogue;
use crate::happening::{Note, when};
use crate::letters::Letters;
use crate::maker::Maker;
use crate::recorder::{By, Series};
use crate::would::Would;

/// Counts what the layers around one operation of this service do, and tells the feed.
///
/// One value observes all of them: give a clone to each.
#[derive(Clone, Debug)]
pub struct OperationMetrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    maker: Maker,
    replays: Series,
    conflicts: By<&'static str>,
    keys: By<&'static str>,
    not_admitted: By<RejectReason>,
    queued: Series,
    would: By<Would>,
    expired: By<&'static str>,
    letters: Letters,
    problems: By<(&'static str, &'static str)>,
}

impl OperationMetrics {
    pub(crate) fn new(maker: &Maker) -> Self {
        let with = |metric, more: &str| maker.of_operation(metric, &[more]);
        let problems: Vec<_> =
            PROBLEMS.iter().flat_map(|event| STATUSES.map(|(_, word)| (*event, word))).collect();
        let shared = Shared {
            maker: maker.clone(),
            replays: maker.of_operation(&catalogue::REPLAYS, &[]),
            conflicts: By::each(&CONFLICTS, |word| with(&catalogue::CONFLICTS, word)),
            keys: By::each(&KEYS, |word| with(&catalogue::KEYS, word)),
            not_admitted: By::each(RejectReason::ALL, |of| {
                maker.of_call_with(&catalogue::NOT_ADMITTED, of.as_str())
            }),
            queued: maker.of_call(&catalogue::QUEUED),
            would: By::each(&[Would::Wait, Would::NotAdmit], |would| would.series(maker)),
            expired: By::each(&["exceeded", "unsent"], |word| with(&catalogue::EXPIRED, word)),
            letters: Letters::new(maker),
            problems: By::each(&problems, |(event, status)| {
                maker.of_operation(&catalogue::PROBLEMS, &[event, status])
            }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// An error was answered with this status, as problem details.
    ///
    /// The problem layer stands above this crate, so its observer says it in these words:
    ///
    /// ```
    /// # let metrics = aplomb_telemetry::Metrics::register(&prometheus::Registry::new(), None)?;
    /// let orders = metrics.operation("POST /orders");
    /// orders.problem(http::StatusCode::BAD_GATEWAY);
    /// let line = r#"{event="failed",operation="POST /orders",status="502"} 1"#;
    /// assert!(metrics.encode()?.contains(line));
    /// # Ok::<(), prometheus::Error>(())
    /// ```
    pub fn problem(&self, status: StatusCode) {
        self.answered("failed", status);
    }

    /// The service inside could not take a call, which was answered with this status.
    pub fn unready(&self, status: StatusCode) {
        self.answered("unready", status);
    }

    fn answered(&self, event: &'static str, status: StatusCode) {
        let word = STATUSES.iter().find(|(of, _)| *of == status.as_u16());
        let word = word.map_or(OTHER, |(_, word)| word);
        self.shared.problems.one_more((event, word));
        self.shared.maker.tell(|| Note::of("problem", event).status(status.as_u16()));
    }
}

impl Observe<IdempotencyEvent> for OperationMetrics {
    fn observe(&self, event: &IdempotencyEvent) {
        let Shared { replays, conflicts, keys, maker, .. } = &*self.shared;
        if *event == IdempotencyEvent::Replayed {
            replays.one_more();
        }
        conflicts.one_more(event.as_str());
        keys.one_more(event.as_str());
        maker.tell(|| event.into());
    }
}

/// Of a server's own admission.
impl Observe<AdmissionEvent> for OperationMetrics {
    fn observe(&self, event: &AdmissionEvent) {
        let Shared { not_admitted, queued, would, maker, .. } = &*self.shared;
        match *event {
            AdmissionEvent::Admitted { wait } => queued.write(wait.as_secs_f64()),
            AdmissionEvent::Rejected { reason, .. } => not_admitted.one_more(reason),
            AdmissionEvent::WouldHaveWaited { .. } => would.one_more(Would::Wait),
            AdmissionEvent::WouldHaveRejected { .. } => would.one_more(Would::NotAdmit),
            _ => {}
        }
        maker.tell(|| event.into());
    }
}

/// Of the deadline that a caller brought along.
impl Observe<DeadlineEvent> for OperationMetrics {
    fn observe(&self, event: &DeadlineEvent) {
        self.shared.expired.one_more(when(*event));
        self.shared.maker.tell(|| event.into());
    }
}

/// Of letters that this service keeps itself, whoever they are for.
impl Observe<DeadLetterEvent> for OperationMetrics {
    fn observe(&self, event: &DeadLetterEvent) {
        self.shared.letters.hear(event);
        self.shared.maker.tell(|| event.into());
    }
}

const CONFLICTS: [&str; 5] = ["mismatch", "in_flight", "unknown", "gone", "unreadable"];

const KEYS: [&str; 22] = [
    "claimed",
    "replayed",
    "mismatch",
    "in_flight",
    "unknown",
    "gone",
    "bad_key",
    "no_scope",
    "body_too_large",
    "completed",
    "not_retained",
    "released",
    "marked_unknown",
    "panicked",
    "lease_lost",
    "unrecorded",
    "store_failed",
    "waiting",
    "recovered",
    "unreadable",
    "resolved",
    "purged",
];

const PROBLEMS: [&str; 2] = ["failed", "unready"];

/// What the problem layer answers with, and everything else.
const STATUSES: [(u16, &str); 5] =
    [(500, "500"), (502, "502"), (503, "503"), (504, "504"), (0, OTHER)];
const OTHER: &str = "other";
