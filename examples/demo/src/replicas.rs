//! Inventory in processes of their own, and whoever starts them again.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::trouble::Trouble;

/// Inventory processes that are started again whenever they die.
pub(crate) struct Replicas {
    slots: Vec<Arc<Slot>>,
    keepers: Vec<JoinHandle<Result<(), Trouble>>>,
    stop: watch::Sender<bool>,
}

/// One place for a process.
pub(crate) struct Slot {
    now: Mutex<Option<Alive>>,
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
    /// Starts so many, with these arguments.
    pub(crate) async fn start(count: usize, arguments: Vec<String>) -> Result<Self, Trouble> {
        let (stop, stopping) = watch::channel(false);
        let mut replicas = Self { slots: Vec::new(), keepers: Vec::new(), stop };
        for _ in 0..count {
            let slot = Arc::new(Slot {
                now: Mutex::new(None),
                kills: AtomicU64::new(0),
                zombies: AtomicU64::new(0),
            });
            // The first one is waited for, so that what cannot start at all says so at once.
            let child = launch(&slot, &arguments).await?;
            let (arguments, stopping) = (arguments.clone(), stopping.clone());
            let keeper = keep(Arc::clone(&slot), child, arguments, stopping);
            replicas.keepers.push(tokio::spawn(keeper));
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

    /// The same as an address.
    pub(crate) fn address(&self) -> Option<String> {
        self.url().and_then(|url| url.strip_prefix("http://").map(str::to_owned))
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

/// Starts the slot's process again whenever it was killed. Any other end is its own fault.
async fn keep(
    slot: Arc<Slot>,
    mut child: Child,
    arguments: Vec<String>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Trouble> {
    loop {
        let ended = tokio::select! {
            status = child.wait() => Some(status),
            () = asked(&mut stopping) => None,
        };
        let Some(status) = ended else {
            return end(&slot, child).await;
        };
        let status = status.map_err(|error| unwatched(&error))?;
        slot.set(None);
        if !was_killed(status) {
            return Err(Trouble::new(format!("a replica ended by itself: {status}")));
        }
        slot.kills.fetch_add(1, Ordering::Relaxed);
        child = launch(&slot, &arguments).await?;
    }
}

async fn asked(stopping: &mut watch::Receiver<bool>) {
    // When nobody is left to ask, it is time to stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn end(slot: &Slot, mut child: Child) -> Result<(), Trouble> {
    if let Some(Alive { pid, .. }) = slot.alive() {
        let _ = kill_process(pid, Signal::CONT);
        let _ = kill_process(pid, Signal::TERM);
    }
    let Ok(status) = tokio::time::timeout(END, child.wait()).await else {
        return Err(Trouble::new(format!("a replica did not end within {END:?} when asked to")));
    };
    let status = status.map_err(|error| unwatched(&error))?;
    if status.success() || was_killed(status) {
        return Ok(());
    }
    Err(Trouble::new(format!("a replica ended badly: {status}")))
}

async fn launch(slot: &Slot, arguments: &[String]) -> Result<Child, Trouble> {
    let program: PathBuf = std::env::current_exe()
        .map_err(|error| Trouble::new(format!("this program cannot be found: {error}")))?;
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Trouble::new(format!("{} does not start: {error}", program.display())))?;
    let (url, pid) = (first_line(&mut child).await?, child.id());
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let pid = pid.ok_or_else(|| Trouble::new("a replica ended as soon as it had started"))?;
    slot.set(Some(Alive { url, pid }));
    Ok(child)
}

/// What a process says first: where it can be reached.
async fn first_line(child: &mut Child) -> Result<String, Trouble> {
    let silent = || Trouble::new("a replica did not say where it can be reached; see above");
    let stdout = child.stdout.take().ok_or_else(silent)?;
    let mut line = String::new();
    let mut read = BufReader::new(stdout);
    let first = tokio::time::timeout(START, read.read_line(&mut line)).await;
    first.map_err(|_| silent())?.map_err(|_| silent())?;
    let said: Value = serde_json::from_str(&line).map_err(|_| silent())?;
    said["inventory"].as_str().map(str::to_owned).ok_or_else(silent)
}

fn was_killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Whether a process is stopped, as the system tells it.
fn is_stopped(pid: Pid) -> bool {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let Ok(stat) = std::fs::read_to_string(path) else {
        return false;
    };
    // The name, in parentheses, may hold anything; the state follows it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn unwatched(error: &std::io::Error) -> Trouble {
    Trouble::new(format!("a replica cannot be watched: {error}"))
}

/// How often a process is looked at that may have stopped.
const WATCH: Duration = Duration::from_millis(20);
/// A start takes a moment on a busy machine; a stop as long as requests may drain.
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(30);
