use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::act::{Act, Readiness};
use crate::apply::Request;
use crate::clause::Clause;
use crate::service::ProbeService;

/// The script and the counts of a strict service: clones are handles on the same one.
///
/// It answers 200 to every call until told otherwise.
///
/// ```
/// use aplomb_testkit::{Act, Probe};
///
/// let probe = Probe::new();
/// probe.next([Act::UNAVAILABLE, Act::OK]);
/// let service = probe.service();
/// assert_eq!(probe.counts().calls, 0);
/// # drop(service);
/// ```
#[derive(Clone, Default)]
pub struct Probe {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) readiness: Readiness,
    pub(crate) readiness_polls: u32,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) steps: u32,
    pub(crate) counts: Counts,
    pub(crate) request: Option<Request>,
    script: VecDeque<Act>,
    usual: Act,
    storm: Option<(u64, Act)>,
    violations: Vec<Violation>,
}

/// What happened to a probe so far.
///
/// ```
/// use aplomb_testkit::{Counts, Probe, Readiness, Violation};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let probe = Probe::new();
/// probe.readiness(Readiness::Ready);
/// probe.service().oneshot(http::Request::default()).await.unwrap();
/// let Counts { calls, ended, .. } = probe.counts();
/// assert_eq!((calls, ended), (1, 1));
/// // What a layer may not do to the service inside it:
/// let violations: Vec<Violation> = probe.violations();
/// assert!(violations.is_empty());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How many calls it got.
    pub calls: u64,
    /// How many futures exist now.
    pub live: u64,
    /// How many futures existed at once, at most.
    pub live_max: u64,
    /// How many futures ended: answered, failed or panicked.
    pub ended: u64,
    /// How many futures were dropped before they ended.
    pub dropped: u64,
    /// How many of those had been polled, so that their work had begun.
    pub interrupted: u64,
    /// How many clones of its services were made.
    pub clones: u64,
}

/// What no layer may do to the service inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Calling it without having polled this very clone ready since its last call.
    CalledUnready,
    /// Polling a future that has ended.
    PolledAfterEnd,
}

impl Probe {
    /// A probe that is ready and answers 200.
    pub fn new() -> Self {
        Self::default()
    }

    /// A service that follows this script. Like every clone of it, it starts out not ready.
    pub fn service(&self) -> ProbeService {
        ProbeService::new(self.clone())
    }

    /// Does these with the next calls, one each.
    pub fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.lock().script.extend(acts);
    }

    /// Does this with every call for which nothing else is scripted.
    pub fn usually(&self, act: Act) {
        self.lock().usual = act;
    }

    /// Does this with every `nth` call for which nothing else is scripted.
    pub fn every(&self, nth: u64, act: Act) {
        self.lock().storm = Some((nth, act));
    }

    /// Futures are pending so many times before they act, and wake themselves each time.
    pub fn steps(&self, steps: u32) {
        self.lock().steps = steps;
    }

    /// Whether it is ready from now on. Wakes whoever waits for it.
    pub fn readiness(&self, readiness: Readiness) {
        let wakers = {
            let mut state = self.lock();
            state.readiness = readiness;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Readiness is pending so many times for each call before it is there.
    pub fn readiness_polls(&self, polls: u32) {
        self.lock().readiness_polls = polls;
    }

    /// What happened to it so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// How many calls it got.
    pub fn calls(&self) -> u64 {
        self.counts().calls
    }

    /// The request that it got last.
    pub fn request(&self) -> Option<Request> {
        self.lock().request.clone()
    }

    /// What was done to it that no layer may do, in order.
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    pub(crate) fn violated(&self, violation: Violation) {
        self.lock().violations.push(violation);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Scripted panics never happen under the lock, and the state is whole after every line.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What to do with call number `call`.
    pub(crate) fn act(&mut self, call: u64) -> Act {
        if let Some(act) = self.script.pop_front() {
            return act;
        }
        match self.storm {
            Some((nth, act)) if call % nth == 0 => act,
            _ => self.usual,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            readiness: Readiness::Ready,
            readiness_polls: 0,
            wakers: Vec::new(),
            steps: 0,
            counts: Counts::default(),
            request: None,
            script: VecDeque::new(),
            usual: Act::OK,
            storm: None,
            violations: Vec::new(),
        }
    }
}

impl Violation {
    /// The clause that it breaks.
    pub fn clause(self) -> Clause {
        match self {
            Self::CalledUnready => Clause::OnlyTheReadyAreCalled,
            Self::PolledAfterEnd => Clause::EndedFuturesRest,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CalledUnready => {
                "the inner service was called on a clone that had not been polled ready since its \
                 last call; take the ready one with `mem::replace` and leave a clone behind, and \
                 poll a clone ready before every further attempt"
            }
            Self::PolledAfterEnd => {
                "the inner future was polled after it had ended; leave its state when it is ready"
            }
        })
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("counts", &self.counts())
            .field("violations", &self.violations())
            .finish_non_exhaustive()
    }
}
