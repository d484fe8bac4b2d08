//! One role in processes of their own, and whoever starts them again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aplomb_core::time;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::balancer::Backends;
use crate::cli::Role;
use crate::process::{Process, START, is_stopped, was_killed};
use crate::trouble::Trouble;

/// Processes of one role that are started again whenever they die.
pub(crate) struct Replicas {
    slots: Vec<Arc<Slot>>,
    keepers: Vec<JoinHandle<Result<(), Trouble>>>,
    /// Ask each whether it is ready, until this is dropped.
    watchers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// One place for a process.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    now: Mutex<Option<Alive>>,
    /// How many were started here.
    starts: AtomicU64,
    /// Whether the one that is here was asked to end, and another one is to follow it.
    leaving: AtomicBool,
    /// Whether the one that is here said, when last asked, that new work should go elsewhere.
    unready: AtomicBool,
    /// How many said so before they ended.
    pub(crate) notices: AtomicU64,
    /// How often one was killed.
    pub(crate) kills: AtomicU64,
    /// How often one was stopped, and let go on.
    pub(crate) zombies: AtomicU64,
}

#[derive(Clone, Debug)]
struct Alive {
    url: String,
    pid: Pid,
}

impl Replicas {
    /// Starts so many of them, each with the arguments of its number.
    pub(crate) async fn start(
        role: Role,
        count: usize,
        arguments: impl Fn(usize) -> Vec<String>,
    ) -> Result<Self, Trouble> {
        let (stop, stopping) = watch::channel(false);
        let (slots, keepers, watchers) = (Vec::new(), Vec::new(), JoinSet::new());
        let mut replicas = Self { slots, keepers, watchers, stop };
        for number in 0..count {
            let (slot, arguments) = (Arc::new(Slot::default()), arguments(number));
            // The first one is waited for, so that what cannot start at all says so at once.
            let process = launch(role, &slot, &arguments).await?;
            let keeper = keep(role, Arc::clone(&slot), process, arguments, stopping.clone());
            replicas.keepers.push(tokio::spawn(keeper));
            if role != Role::Worker {
                replicas.watchers.spawn(Arc::clone(&slot).watch());
            }
            replicas.slots.push(slot);
        }
        Ok(replicas)
    }

    /// The slot whose turn it is.
    pub(crate) fn slot(&self, turn: u64) -> &Arc<Slot> {
        let index = turn % self.slots.len() as u64;
        &self.slots[usize::try_from(index).unwrap_or_default()]
    }

    /// All of them.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.clone()
    }

    /// Those that take connections: all that live and have not said that they are not ready.
    pub(crate) fn backends(&self) -> Backends {
        let slots = self.slots();
        Arc::new(move || slots.iter().filter_map(|slot| slot.address()).collect())
    }

    /// How often one was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.slots.iter().map(|slot| slot.kills.load(Ordering::Relaxed)).sum()
    }

    /// How often one was stopped, and let go on.
    pub(crate) fn zombies(&self) -> u64 {
        self.slots.iter().map(|slot| slot.zombies.load(Ordering::Relaxed)).sum()
    }

    /// Asks all to end, and waits until they have.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        self.stop.send_replace(true);
        for keeper in self.keepers {
            let died = |error| Trouble::new(format!("a replica's keeper died: {error}"));
            keeper.await.map_err(died)??;
        }
        Ok(())
    }
}

impl Slot {
    /// Where its process can be asked, while there is one.
    pub(crate) fn url(&self) -> Option<String> {
        self.alive().map(|alive| alive.url)
    }

    /// Where new connections go, unless its process said that it is not ready.
    fn address(&self) -> Option<String> {
        let url = self.url().filter(|_| !self.unready.load(Ordering::Acquire));
        url.and_then(|url| url.strip_prefix("http://").map(str::to_owned))
    }

    /// Kills its process, if there is one. The slot's keeper starts another.
    pub(crate) fn kill(&self) -> bool {
        self.alive().is_some_and(|Alive { pid, .. }| kill_process(pid, Signal::KILL).is_ok())
    }

    /// Asks its process to end, and waits until the slot's keeper has started another one.
    pub(crate) async fn replace(&self) -> Result<(), Trouble> {
        let starts = self.starts.load(Ordering::Acquire);
        self.leaving.store(true, Ordering::Release);
        if let Some(Alive { pid, .. }) = self.alive() {
            // One that was killed just now is followed by another one all the same.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = time::now() + START + END;
        while self.starts.load(Ordering::Acquire) == starts {
            if time::now() > until {
                return Err(Trouble::new("a process that was asked to end has no successor"));
            }
            tokio::time::sleep(WATCH).await;
        }
        Ok(())
    }

    /// Asks time and again whether its process is ready. Only a clear answer changes anything.
    async fn watch(self: Arc<Self>) {
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        loop {
            tokio::time::sleep(WATCH).await;
            let Some(url) = self.url() else {
                continue;
            };
            let unready = match tokio::time::timeout(READY, readiness(&http, &url)).await {
                Ok(Some(status)) => status == StatusCode::SERVICE_UNAVAILABLE,
                Ok(None) | Err(_) => continue,
            };
            let is_same = self.url().as_deref() == Some(&url);
            if is_same && self.unready.swap(unready, Ordering::AcqRel) != unready && unready {
                self.notices.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lets whichever process is stopped go on once it has been for so long. For ever.
    pub(crate) async fn wake(self: Arc<Self>, pause: Duration) {
        loop {
            tokio::time::sleep(WATCH).await;
            let Some(Alive { pid, .. }) = self.alive().filter(|alive| is_stopped(alive.pid)) else {
                continue;
            };
            tokio::time::sleep(pause).await;
            // One that was killed meanwhile needs no waking.
            if is_stopped(pid) && kill_process(pid, Signal::CONT).is_ok() {
                self.zombies.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn alive(&self) -> Option<Alive> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, alive: Option<Alive>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = alive;
    }
}

/// Starts the slot's process again whenever it was killed, or was asked to leave and did. Any other
/// end is its own fault.
async fn keep(
    role: Role,
    slot: Arc<Slot>,
    mut process: Process,
    arguments: Vec<String>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Trouble> {
    loop {
        let ended = tokio::select! {
            status = process.child.wait() => Some(status),
            () = asked(&mut stopping) => None,
        };
        let Some(status) = ended else {
            return end(role, &slot, process).await;
        };
        let status = status.map_err(|error| unwatched(&error))?;
        slot.set(None);
        if was_killed(status) {
            slot.kills.fetch_add(1, Ordering::Relaxed);
        } else if !(status.success() && slot.leaving.load(Ordering::Acquire)) {
            let role = role.as_str();
            return Err(Trouble::new(format!("a process of {role} ended by itself: {status}")));
        }
        process = launch(role, &slot, &arguments).await?;
    }
}

async fn asked(stopping: &mut watch::Receiver<bool>) {
    // When nobody is left to ask, it is time to stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn end(role: Role, slot: &Slot, mut process: Process) -> Result<(), Trouble> {
    if let Some(Alive { pid, .. }) = slot.alive() {
        let _ = kill_process(pid, Signal::CONT);
        let _ = kill_process(pid, Signal::TERM);
    }
    let role = role.as_str();
    let Ok(status) = tokio::time::timeout(END, process.child.wait()).await else {
        return Err(Trouble::new(format!(
            "a process of {role} did not end within {END:?} when asked to"
        )));
    };
    let status = status.map_err(|error| unwatched(&error))?;
    if status.success() || was_killed(status) {
        return Ok(());
    }
    Err(Trouble::new(format!("a process of {role} ended badly: {status}")))
}

async fn launch(role: Role, slot: &Slot, arguments: &[String]) -> Result<Process, Trouble> {
    let process = Process::launch(role, arguments).await?;
    slot.leaving.store(false, Ordering::Release);
    slot.unready.store(false, Ordering::Release);
    slot.set(Some(Alive { url: process.url.clone(), pid: process.pid }));
    slot.starts.fetch_add(1, Ordering::Release);
    Ok(process)
}

async fn readiness(http: &Client<HttpConnector, Full<Bytes>>, url: &str) -> Option<StatusCode> {
    let ask: Uri = format!("{url}/readyz").parse().ok()?;
    http.get(ask).await.ok().map(|answer| answer.status())
}

fn unwatched(error: &std::io::Error) -> Trouble {
    Trouble::new(format!("a replica cannot be watched: {error}"))
}

/// How often a process is looked at: whether it has stopped, is ready, has a successor.
const WATCH: Duration = Duration::from_millis(20);
/// How long it has for saying whether it is ready.
const READY: Duration = Duration::from_secs(1);
/// A stop takes as long as requests may drain.
const END: Duration = Duration::from_secs(30);
