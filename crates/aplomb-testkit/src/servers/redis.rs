//! A private Redis.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aplomb_core::time;

use super::process::{Directory, Guarded, NotStarted, Stop, find_program, finish, free_port};

/// A Redis, and a prefix for keys that nobody else uses.
///
/// It is a server of its own, empty and reachable from this machine alone, that keeps nothing on
/// disk unless its settings say so. Where the environment names a running server in
/// `APLOMB_TEST_REDIS_URL`, [`start`](Self::start) uses that one, where others may have keys too:
/// only keys that begin with [`prefix`](Self::prefix) are yours.
///
/// ```
/// use aplomb_testkit::servers::{NotStarted, Redis};
///
/// # fn f() -> Result<(), NotStarted> {
/// let redis = Redis::start_with(&["--maxmemory", "2mb"])?;
/// println!("{} with the prefix {}", redis.url(), redis.prefix());
/// redis.kill()?;
/// redis.revive()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Redis {
    url: String,
    prefix: String,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    server: Guarded,
    port: u16,
}

impl Redis {
    /// A server, or a place on the one that runs already. Blocks its thread while it starts.
    ///
    /// # Errors
    ///
    /// When no server can be started: what to install, or the end of its log.
    pub fn start() -> Result<Self, NotStarted> {
        match std::env::var(URL) {
            Ok(url) => Ok(Self { url, prefix: unused_prefix(), own: None }),
            Err(_) => Self::start_with(&[]),
        }
    }

    /// A server of its own with more settings, such as `["--appendonly", "yes"]`.
    ///
    /// # Errors
    ///
    /// When it cannot be started: what to install, or the end of its log.
    pub fn start_with(settings: &[&str]) -> Result<Self, NotStarted> {
        let mut failed = NotStarted::default();
        for _ in 0..STARTS_MAX {
            match start_once(settings) {
                Ok(own) => {
                    let url = format!("redis://127.0.0.1:{}/", own.port);
                    return Ok(Self { url, prefix: unused_prefix(), own: Some(own) });
                }
                Err(error) => failed = error,
            }
            // Somebody else may have taken the port in the meantime; nothing else is worth a retry.
            if !failed.to_string().contains("Address already in use") {
                break;
            }
        }
        Err(failed)
    }

    /// How a client connects to it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the names of all keys must begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Kills the server in the middle of whatever it does; it stays down until it is
    /// [revived](Self::revive).
    ///
    /// # Errors
    ///
    /// When it is not a server of its own, or cannot be killed.
    pub fn kill(&self) -> Result<(), NotStarted> {
        let own = self.own()?;
        own.signal("KILL")?;
        let down = own.server.directory().join(DOWN);
        own.server.until_ready(|| down.exists())
    }

    /// Starts a server that was killed once more, where it was and with what it has on disk.
    ///
    /// # Errors
    ///
    /// When it is not a server of its own, or does not start.
    pub fn revive(&self) -> Result<(), NotStarted> {
        let own = self.own()?;
        let up = fs::remove_file(own.server.directory().join(DOWN));
        up.map_err(|error| NotStarted(format!("the server is not down: {error}")))?;
        own.server.until_ready(|| pongs(own.port))
    }

    /// Stops the server's process: it holds its connections and answers nothing until it is
    /// [thawed](Self::thaw).
    ///
    /// # Errors
    ///
    /// When it is not a server of its own, or cannot be stopped.
    pub fn freeze(&self) -> Result<(), NotStarted> {
        self.own()?.signal("STOP")
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    ///
    /// When it is not a server of its own.
    pub fn thaw(&self) -> Result<(), NotStarted> {
        self.own()?.signal("CONT")
    }

    fn own(&self) -> Result<&Own, NotStarted> {
        let shared = || NotStarted(format!("the server that {URL} names is not ours to stop"));
        self.own.as_ref().ok_or_else(shared)
    }
}

impl Own {
    fn signal(&self, signal: &str) -> Result<(), NotStarted> {
        let process = fs::read_to_string(self.server.directory().join("pid"))
            .map_err(|error| NotStarted(format!("the server's process is not known: {error}")))?;
        let kill = ["-c", "kill -s \"$0\" \"$1\"", signal, process.trim()];
        finish(Command::new("sh").args(kill).stdin(Stdio::null()))
    }
}

fn start_once(settings: &[&str]) -> Result<Own, NotStarted> {
    let program = find_program("redis-server", &[], "redis-server")?;
    let directory = Directory::new("redis", None)?;
    let ready = directory.path().join(READY);
    let port = free_port()?;
    let program = program.display().to_string();
    let number = port.to_string();
    let args = ["-c", RUNNER, "redis-runner", &program, "--port", &number];
    let args = args.into_iter().chain(SETTINGS).chain(settings.iter().copied());
    let server = Guarded::spawn(&PathBuf::from("sh"), args, directory, Stop::Terminate)?;
    server.until_ready(|| pongs(port))?;
    let marked = fs::write(ready, "").map_err(|error| NotStarted(error.to_string()));
    marked.map(|()| Own { server, port })
}

/// Whether a server on this port takes commands, and has loaded what it keeps.
fn pongs(port: u16) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    matches!(asked(), Ok(answer) if &answer == b"+PONG")
}

/// A prefix that no other test has on a server that many may share.
fn unused_prefix() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let since = time::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("aplomb-{}-{}-{number}", since.as_millis(), std::process::id())
}

/// Runs the server that its arguments name, and once more whenever the mark that it is down is
/// taken away. One that ends before it was ever ready is not run again. A server that may be
/// stopped is killed: there is nothing of it to save.
const RUNNER: &str = r#"
trap 'kill -s KILL "$server" 2>/dev/null; exit 0' TERM
while :; do
    "$@" &
    server=$!
    echo "$server" >pid.new && mv pid.new pid
    wait "$server"
    [ -e ready ] || exit 1
    : >down
    while [ -e down ]; do sleep 0.02; done
done
"#;

const URL: &str = "APLOMB_TEST_REDIS_URL";
const READY: &str = "ready";
const DOWN: &str = "down";
const STARTS_MAX: u32 = 5;
const SETTINGS: [&str; 6] = ["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_killed_stays_down_until_it_is_revived() {
        let redis = Redis::start_with(&[]).unwrap();
        let port = redis.own().unwrap().port;
        assert!(pongs(port));
        redis.kill().unwrap();
        assert!(!pongs(port));
        redis.revive().unwrap();
        assert!(pongs(port));
        let directory = redis.own().unwrap().server.directory().to_owned();
        drop(redis);
        assert!(!pongs(port));
        assert!(!directory.exists());
    }

    #[test]
    fn a_setting_that_the_server_refuses_is_reported_with_its_log() {
        let error = Redis::start_with(&["--maxmemory-policy", "nonsense"]).unwrap_err();
        assert!(error.to_string().contains("maxmemory-policy"), "{error}");
    }

    #[test]
    fn two_handles_never_share_a_prefix() {
        assert_ne!(unused_prefix(), unused_prefix());
    }
}
