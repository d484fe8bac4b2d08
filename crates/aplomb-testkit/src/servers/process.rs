//! Keeps a server process, and lets nothing of it stay behind.
//!
//! Between the test process and its server stands a guardian, a small `sh` whose standard input
//! the test process holds open. When the test process drops it or dies of anything, a `SIGKILL`
//! too, the guardian reads the end of its input, stops the server and removes its directory.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A temporary directory of a server's own, removed when it is dropped.
///
/// A [`Guarded`] server takes it over, and then its guardian removes it too.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    owner: Option<User>,
}

impl Directory {
    /// A new and empty directory that belongs to `owner`, or to this process's user.
    ///
    /// # Errors
    ///
    /// When it cannot be made or given away.
    pub fn new(name: &str, owner: Option<User>) -> Result<Self, NotStarted> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("aplomb-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = || {
            // Left behind by a process of the same number, and by a guardian that was killed.
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            owner.map_or(Ok(()), |user| chown(&path, Some(user.uid), Some(user.gid)))
        };
        let failed = |error| NotStarted(format!("cannot make {}: {error}", path.display()));
        made().map_err(failed)?;
        Ok(Self { path, owner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a program in it to the end, as its owner.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or fails: with what it printed.
    pub fn run<I>(&self, program: &Path, args: I) -> Result<(), NotStarted>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command = self.command(program);
        finish(command.args(args).stdin(Stdio::null()))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        if let Some(user) = self.owner {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user to run a server as that refuses to run as root: `name` when this process is
    /// root, and `None` for its own user otherwise.
    ///
    /// # Errors
    ///
    /// When this process is root and there is no such user.
    pub fn unless_root(name: &str) -> Result<Option<Self>, NotStarted> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        Ok(Some(Self { uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
    }
}

/// How a server is asked to stop. One that does not within some seconds is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the signals that servers know")]
pub enum Stop {
    /// `SIGTERM`.
    Terminate,
    /// `SIGQUIT`.
    Quit,
}

/// A server that runs until this is dropped, or until the process ends.
///
/// ```
/// use aplomb_testkit::servers::{Directory, Guarded, Stop, User, find_program, free_port};
///
/// # fn f() -> Result<(), aplomb_testkit::servers::NotStarted> {
/// let program = find_program("memcached", &[], "memcached")?;
/// let port = free_port()?;
/// // Some servers refuse to run as root.
/// let user = User::unless_root("memcache")?;
/// let directory = Directory::new("memcached", user)?;
/// let arguments = ["-p".to_owned(), port.to_string()];
/// let server = Guarded::spawn(&program, arguments, directory, Stop::Terminate)?;
/// server.until_ready(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Guarded {
    guardian: Child,
    /// What the guardian waits for the end of.
    held: Option<ChildStdin>,
    directory: Directory,
}

impl Guarded {
    /// Starts `program`, which must stay in the foreground, in `directory` as its owner. What it
    /// prints becomes its [`log`](Self::log).
    ///
    /// # Errors
    ///
    /// When no process can be started. A program that ends at once shows in
    /// [`until_ready`](Self::until_ready).
    pub fn spawn<I>(
        program: &Path,
        args: I,
        directory: Directory,
        stop: Stop,
    ) -> Result<Self, NotStarted>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let failed = |error| NotStarted(format!("cannot start {}: {error}", program.display()));
        let log = File::create(directory.path.join(LOG)).map_err(failed)?;
        let mut guardian = directory
            .command(Path::new("sh"))
            .args(["-c", GUARDIAN, stop.signal()])
            .args([directory.path.as_os_str(), program.as_os_str()])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // A signal to the test's process group must not reach who cleans up after it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let held = guardian.stdin.take();
        Ok(Self { guardian, held, directory })
    }

    /// Waits until `ready` says so, half a minute at most.
    ///
    /// # Errors
    ///
    /// When the server ends before that, or takes longer: with the end of its log.
    pub fn until_ready(&self, mut ready: impl FnMut() -> bool) -> Result<(), NotStarted> {
        for _ in 0..READY_POLLS_MAX {
            if self.has_ended() {
                return Err(NotStarted(format!("the server ended:\n{}", self.log())));
            }
            if ready() {
                return Ok(());
            }
            pause(READY_POLL);
        }
        Err(NotStarted(format!("the server did not become ready:\n{}", self.log())))
    }

    /// Whether the server's process has ended.
    pub fn has_ended(&self) -> bool {
        self.directory.path.join(ENDED).exists()
    }

    /// The server's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The end of what the server has printed.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path.join(LOG)).unwrap_or_default();
        let start = log.len().saturating_sub(LOG_SHOWN_MAX);
        String::from_utf8_lossy(&log[start..]).into_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.held.take());
        let _ = self.guardian.wait();
    }
}

impl Stop {
    const fn signal(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Quit => "QUIT",
        }
    }
}

/// A server that a test needs could not be started: why, and what to do.
#[derive(Clone, Debug, Default)]
pub struct NotStarted(pub(super) String);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotStarted {}

/// A port of this machine that nothing listens on at the moment. Somebody else may take it before
/// it is used: a server that then fails to start is started again on another.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> Result<u16, NotStarted> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    port.map(|address| address.port())
        .map_err(|error| NotStarted(format!("no port is free: {error}")))
}

/// Where a program is: in one of `directories`, or on the `PATH`.
///
/// # Errors
///
/// When it is in none of them; `package` is what to install.
pub fn find_program(
    name: &str,
    directories: &[PathBuf],
    package: &str,
) -> Result<PathBuf, NotStarted> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).collect();
    let mut places = directories.iter().chain(&path).map(|directory| directory.join(name));
    places.find(|program| program.is_file()).ok_or_else(|| {
        NotStarted(format!("no {name} on this machine; install it: apt-get install {package}"))
    })
}

/// Runs a command to its end.
pub(super) fn finish(command: &mut Command) -> Result<(), NotStarted> {
    output(command).map(|_| ())
}

pub(super) fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "what it waits for is another process")]
    std::thread::sleep(time);
}

fn id(args: &[&str]) -> Result<u32, NotStarted> {
    let number = output(Command::new("id").args(args))?;
    let number = number.trim();
    number.parse().map_err(|_| NotStarted(format!("id {args:?} printed {number}")))
}

fn output(command: &mut Command) -> Result<String, NotStarted> {
    let output: io::Result<_> = command.output();
    let output = output.map_err(|error| NotStarted(format!("cannot run {command:?}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(NotStarted(format!("{command:?} failed: {said}")))
}

/// `$0` is the signal, `$1` the directory, the rest the server's command line. The first `wait`
/// is for the server; the second for whoever reads the end of what the test process holds open.
const GUARDIAN: &str = r#"
signal=$0 directory=$1
shift
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
(
    read -r _ <&3
    kill -s "$signal" "$server"
    tries=0
    while kill -0 "$server" && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -s KILL "$server"
) 2>/dev/null &
watcher=$!
wait "$server"
: >"$directory/ended"
wait "$watcher"
rm -rf "$directory"
"#;

/// The guardian's word for it that the server has ended.
const ENDED: &str = "ended";
const LOG: &str = "server.log";
const LOG_SHOWN_MAX: usize = 4_096;
const READY_POLL: Duration = Duration::from_millis(20);
const READY_POLLS_MAX: u32 = 1_500;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn a_server_that_is_dropped_is_gone_with_its_directory() {
        let server = sleeper();
        let (directory, process) = (server.directory().to_owned(), process(&server));
        assert!(runs(&process));
        drop(server);
        assert!(!directory.exists());
        assert!(!runs(&process));
    }

    #[test]
    fn a_server_that_ends_by_itself_is_reported_with_its_log() {
        let directory = Directory::new("test", None).unwrap();
        let args = ["-c", "echo no such luck; exit 1"];
        let server = Guarded::spawn(&sh(), args, directory, Stop::Terminate).unwrap();
        let error = server.until_ready(|| false).unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }

    #[test]
    fn a_process_that_is_killed_leaves_no_server_behind() {
        // The test process is this program once more, told to run the other test alone.
        let mut killed = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "servers::process::tests::starts_and_waits"])
            .env(STARTS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("server ")).unwrap();
        let [_, process, directory] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a process and a directory: {line}")
        };
        assert!(runs(process));
        killed.kill().unwrap();
        killed.wait().unwrap();
        for _ in 0..READY_POLLS_MAX {
            if !Path::new(directory).exists() {
                break;
            }
            pause(READY_POLL);
        }
        assert!(!Path::new(directory).exists());
        assert!(!runs(process));
    }

    /// What the test above kills. By itself it is no test, and passes.
    #[test]
    fn starts_and_waits() {
        if std::env::var_os(STARTS).is_none() {
            return;
        }
        let server = sleeper();
        println!("\nserver {} {}", process(&server), server.directory().display());
        let _ = io::stdin().lines().count();
    }

    fn sleeper() -> Guarded {
        let directory = Directory::new("test", None).unwrap();
        let args = ["-c", "echo $$ >pid; exec sleep 600"];
        let server = Guarded::spawn(&sh(), args, directory, Stop::Terminate).unwrap();
        server.until_ready(|| !process(&server).is_empty()).unwrap();
        server
    }

    fn process(server: &Guarded) -> String {
        let pid = fs::read_to_string(server.directory().join("pid")).unwrap_or_default();
        pid.trim().to_owned()
    }

    fn runs(process: &str) -> bool {
        let probe = ["-c", "kill -0 \"$0\"", process];
        Command::new("sh").args(probe).stderr(Stdio::null()).status().unwrap().success()
    }

    fn sh() -> PathBuf {
        find_program("sh", &[], "dash").unwrap()
    }

    const STARTS: &str = "APLOMB_TEST_STARTS";
}
