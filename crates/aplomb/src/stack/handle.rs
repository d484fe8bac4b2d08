//! Policies that change while the client works.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aplomb_admission::AdmissionHandle;
use aplomb_circuit_breaker::Handle as BreakerHandle;
use aplomb_core::{Observe, OperationClass};
use aplomb_retry::Budget;
use arc_swap::{ArcSwap, Guard};

use super::shared::Shared;
use super::table::{States, Table};
use crate::policy::{Errors, PolicyFile, Reload, Seen, Watcher};

/// What is in force, and how to build what comes after it.
pub(crate) struct Built<Svc> {
    table: ArcSwap<Table<Svc>>,
    build: Build<Svc>,
    // Held while a table is built and never while a call is made.
    states: Mutex<States>,
}

type Build<Svc> = Box<dyn Fn(&Arc<PolicyFile>, &mut States) -> Table<Svc> + Send + Sync>;

impl<Svc> Built<Svc> {
    pub(crate) fn new(file: &Arc<PolicyFile>, build: Build<Svc>) -> Self {
        let mut states = States::new();
        let table = ArcSwap::from_pointee(build(file, &mut states));
        Self { table, build, states: Mutex::new(states) }
    }

    /// Takes no lock, and counts nothing that other calls count too.
    pub(crate) fn table(&self) -> Guard<Arc<Table<Svc>>> {
        self.table.load()
    }
}

/// Looks at a client while it works, and changes its policies.
#[derive(Clone)]
pub struct Handle {
    controls: Arc<dyn Controls>,
}

impl Handle {
    pub(crate) fn new(controls: Arc<impl Controls + 'static>) -> Self {
        Self { controls }
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<PolicyFile> {
        self.controls.policies()
    }

    /// Goes by these policies from now on; answers with what changed.
    ///
    /// What is known of a dependency is kept under its name: its budgets with their balance and
    /// price, its breaker, what is in flight, how long it asked to be left alone. Only a breaker
    /// whose window has another length begins anew. Calls under way end as they began.
    pub fn apply(&self, policies: impl Into<Arc<PolicyFile>>) -> Reload {
        self.controls.apply(policies.into())
    }

    /// Applies what `watcher` sees, which is asked every so often, until this future is dropped.
    ///
    /// What is no policy file, or cannot be read, leaves the old policies in force, and is told.
    ///
    /// ```no_run
    /// # async fn follow(client: aplomb::stack::Client<()>) -> Result<(), aplomb::policy::NotLoaded> {
    /// use std::time::Duration;
    /// use aplomb::policy::Watcher;
    /// use aplomb::stack::PolicyEvent;
    ///
    /// let watcher = Watcher::open("aplomb.toml")?;
    /// let tell = |event: &PolicyEvent<'_>| eprintln!("{event}");
    /// tokio::spawn(client.handle().follow(watcher, Duration::from_secs(5), tell));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn follow<O>(self, watcher: Watcher, every: Duration, observer: O)
    where
        O: for<'a> Observe<PolicyEvent<'a>>,
    {
        let mut watcher = watcher;
        loop {
            tokio::time::sleep(every).await;
            // The look at the disk blocks. It ends by a panic or with its runtime alone: then there
            // is nothing to follow any more.
            let look = tokio::task::spawn_blocking(move || (watcher.poll(), watcher));
            let Ok((seen, looked)) = look.await else { return };
            watcher = looked;
            match seen {
                Seen::Changed(reload) => {
                    let reload = self.apply(Arc::clone(reload.file()));
                    observer.observe(&PolicyEvent::Reloaded(&reload));
                }
                Seen::Refused(errors) => observer.observe(&PolicyEvent::Refused(&errors)),
                Seen::Lost(error) => observer.observe(&PolicyEvent::Lost(&error)),
                Seen::Unchanged => {}
            }
        }
    }

    /// What the retries of this class of operation at this dependency are paid from.
    pub fn budget(&self, dependency: &str, class: OperationClass) -> Option<Budget> {
        self.controls.shared(dependency)?.budget(class).cloned()
    }

    /// What an operator holds in hand of this dependency's breaker.
    pub fn breaker(&self, dependency: &str) -> Option<BreakerHandle> {
        Some(self.controls.shared(dependency)?.breaker()?.handle())
    }

    /// The limit of calls in flight to this dependency.
    pub fn in_flight(&self, dependency: &str) -> Option<AdmissionHandle> {
        Some(self.controls.shared(dependency)?.in_flight()?.handle())
    }
}

/// What happened to the policies of a client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PolicyEvent<'a> {
    /// New ones are in force.
    Reloaded(&'a Reload),
    /// The new text is no policy file. The old policies stay.
    Refused(&'a Errors),
    /// The file cannot be read. The old policies stay.
    Lost(&'a io::Error),
}

impl fmt::Display for PolicyEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reloaded(reload) => write!(f, "policies reloaded: {reload}"),
            Self::Refused(errors) => write!(f, "policies kept, the new ones are wrong: {errors}"),
            Self::Lost(error) => write!(f, "policies kept, their file cannot be read: {error}"),
        }
    }
}

/// A client, whatever it is built of.
pub(crate) trait Controls: Send + Sync {
    fn policies(&self) -> Arc<PolicyFile>;
    fn apply(&self, policies: Arc<PolicyFile>) -> Reload;
    /// What is kept of a dependency whose operations act, or else of one that is only observed.
    fn shared(&self, dependency: &str) -> Option<Shared>;
}

impl<Svc: Send + Sync> Controls for Built<Svc> {
    fn policies(&self) -> Arc<PolicyFile> {
        Arc::clone(&self.table.load().file)
    }

    fn apply(&self, policies: Arc<PolicyFile>) -> Reload {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let reload = Reload::between(&self.table.load().file, policies);
        self.table.store(Arc::new((self.build)(reload.file(), &mut states)));
        reload
    }

    fn shared(&self, dependency: &str) -> Option<Shared> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |acts| states.get(&(Arc::from(dependency), acts)).cloned();
        of(true).or_else(|| of(false))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("policies", &self.policies().name()).finish()
    }
}
