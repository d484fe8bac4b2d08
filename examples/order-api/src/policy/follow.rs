//! Which policies are in force: what a file that changes does to them.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aplomb::admission::{AdmissionHandle, AdmissionLayer};
use aplomb::policy::{Policy, PolicyFile, Seen, Watcher};
use aplomb::stack::{Handle, PolicyEvent};
use aplomb_core::Observe;
use aplomb_retry::Budget;
use aplomb_telemetry::PolicyMetrics;

use super::operation::Operation;
use super::source::{Opened, is_complete};

/// The policies in force. Clones share them.
#[derive(Clone)]
pub(crate) struct InForce {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle,
    watcher: Option<Arc<Mutex<Watcher>>>,
    every: Duration,
    trouble: Mutex<Trouble>,
    metrics: PolicyMetrics,
}

/// Why what the file says is not in force.
#[derive(Default)]
struct Trouble {
    /// What is wrong with its last text.
    wrong: Option<String>,
    /// Why it cannot be read now.
    lost: Option<String>,
}

impl InForce {
    pub(crate) fn new(handle: Handle, from: Opened, metrics: PolicyMetrics) -> Self {
        let watcher = from.watcher.map(|watcher| Arc::new(Mutex::new(watcher)));
        let (every, trouble) = (from.every, Mutex::default());
        Self { shared: Arc::new(Shared { handle, watcher, every, trouble, metrics }) }
    }

    /// All of them.
    pub(crate) fn file(&self) -> Arc<PolicyFile> {
        self.shared.handle.policies()
    }

    /// That of one operation.
    pub(crate) fn of(&self, operation: Operation) -> Arc<Policy> {
        let (file, (dependency, name)) = (self.file(), operation.names());
        let found = file.dependency(dependency).and_then(|dependency| dependency.named(name));
        Arc::clone(found.expect("a file comes into force if it says all this").policy())
    }

    /// What the retries of this operation are paid from, if it has any.
    pub(crate) fn budget(&self, operation: Operation) -> Option<Budget> {
        self.shared.handle.budget(operation.names().0, self.of(operation).class())
    }

    /// The places that calls to this dependency take; without a limit, nobody's.
    pub(crate) fn places(&self, dependency: &str) -> AdmissionHandle {
        let limited = self.shared.handle.in_flight(dependency);
        limited.unwrap_or_else(|| AdmissionLayer::outbound(u32::MAX).handle())
    }

    /// What looks at the breakers.
    pub(crate) fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Why what the file says is not in force, if it is not.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.shared.trouble();
        trouble.lost.clone().or_else(|| trouble.wrong.clone())
    }

    /// Looks at the file now and then, for ever. Any number may: each change is seen once.
    pub(crate) async fn follow(&self) -> Infallible {
        let Some(watcher) = &self.shared.watcher else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(self.shared.every).await;
            let watcher = Arc::clone(watcher);
            let look = move || {
                let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
                (watcher.poll(), watcher.is_lost())
            };
            // The look blocks on the disk. It ends by a panic or with its runtime alone.
            match tokio::task::spawn_blocking(look).await {
                Ok((seen, is_lost)) => self.heed(seen, is_lost),
                Err(error) => tracing::error!(%error, "the policy file cannot be looked at"),
            }
        }
    }

    fn heed(&self, seen: Seen, is_lost: bool) {
        let Shared { handle, metrics, .. } = &*self.shared;
        if !is_lost {
            self.shared.trouble().lost = None;
        }
        match seen {
            Seen::Changed(reload) => match is_complete(reload.file()) {
                Ok(()) => {
                    let reload = handle.apply(Arc::clone(reload.file()));
                    tracing::info!(%reload, "policies reloaded");
                    metrics.observe(&PolicyEvent::Reloaded(&reload));
                    self.shared.trouble().wrong = None;
                }
                Err(incomplete) => {
                    tracing::warn!(%incomplete, "policies kept: the new ones are not complete");
                    metrics.refused();
                    self.shared.trouble().wrong = Some(incomplete.to_string());
                }
            },
            Seen::Refused(errors) => {
                tracing::warn!(%errors, "policies kept: the new ones are wrong");
                metrics.observe(&PolicyEvent::Refused(&errors));
                self.shared.trouble().wrong = Some(errors.to_string());
            }
            Seen::Lost(error) => {
                tracing::warn!(%error, "policies kept: their file cannot be read");
                metrics.observe(&PolicyEvent::Lost(&error));
                self.shared.trouble().lost = Some(format!("the file cannot be read: {error}"));
            }
            _ => {}
        }
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InForce").field("policies", &self.file().name()).finish_non_exhaustive()
    }
}
