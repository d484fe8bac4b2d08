//! One process of this program that serves a role.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::cli::Role;
use crate::trouble::Trouble;

/// A process that serves, and what it ends with: when its standard input is closed, be it because
/// this process is gone. Signals from a terminal do not reach it.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) pid: Pid,
    _leash: Option<ChildStdin>,
}

impl Process {
    /// Starts one, and waits until it has said where it can be reached.
    pub(crate) async fn launch(role: Role, arguments: &[String]) -> Result<Self, Trouble> {
        let program: PathBuf = std::env::current_exe()
            .map_err(|error| Trouble::new(format!("this program cannot be found: {error}")))?;
        let mut child = Command::new(&program)
            .args(arguments)
            .arg("--with-parent")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Trouble::new(format!("{} does not start: {error}", program.display()))
            })?;
        let leash = child.stdin.take();
        let (url, pid) = (first_line(role, &mut child).await?, child.id());
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| Trouble::new("a replica ended as soon as it had started"))?;
        Ok(Self { child, url, pid, _leash: leash })
    }
}

/// What a process says first: where it can be reached.
async fn first_line(role: Role, child: &mut Child) -> Result<String, Trouble> {
    let role = role.as_str();
    let silent = || {
        Trouble::new(format!("a process of {role} did not say where it can be reached; see above"))
    };
    let stdout = child.stdout.take().ok_or_else(silent)?;
    let mut line = String::new();
    let mut read = BufReader::new(stdout);
    let first = tokio::time::timeout(START, read.read_line(&mut line)).await;
    first.map_err(|_| silent())?.map_err(|_| silent())?;
    let said: Value = serde_json::from_str(&line).map_err(|_| silent())?;
    said[role].as_str().map(str::to_owned).ok_or_else(silent)
}

/// Whether it was killed, which is not its own fault.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(Signal::KILL.as_raw())
}

/// Whether a process is stopped, as the system tells it.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let Ok(stat) = std::fs::read_to_string(path) else {
        return false;
    };
    // The name, in parentheses, may hold anything; the state follows it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// A start takes a moment on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(60);
