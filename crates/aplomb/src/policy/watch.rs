//! A policy file on disk, asked now and then whether it changed.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aplomb_core::time;

use super::bounds::TEXT_MAX;
use super::error::Errors;
use super::file::PolicyFile;
use super::reload::Reload;

/// Watches a policy file: [`poll`](Self::poll) it every few seconds.
///
/// It asks for what the file is now (its size, the times of its last change, its inode, the path at
/// the end of all symlinks), so that a directory swapped by a symlink, as Kubernetes mounts
/// configuration, counts as a change. It starts no thread and never blocks but on the disk. What
/// cannot be read, or is no policy file, changes nothing and is told once.
///
/// Write the new file beside the old one and rename it: half a file that is read may be a policy
/// file too.
///
/// ```no_run
/// use aplomb::policy::{Seen, Watcher};
///
/// let mut watcher = Watcher::open("aplomb.toml")?;
/// match watcher.poll() {
///     Seen::Unchanged => {}
///     Seen::Changed(reload) => println!("policies reloaded: {reload}"),
///     Seen::Refused(errors) => eprintln!("policies kept, the new ones are wrong:\n{errors}"),
///     Seen::Lost(error) => eprintln!("policies kept, their file cannot be read: {error}"),
///     _ => {}
/// }
/// # Ok::<(), aplomb::policy::NotLoaded>(())
/// ```
#[derive(Debug)]
pub struct Watcher {
    path: PathBuf,
    current: Arc<PolicyFile>,
    text: String,
    last: Look,
}

/// What a look at the file said last.
#[derive(Debug, PartialEq)]
enum Look {
    /// It was this file, and its text was dealt with.
    Known(Stamp),
    /// It was this file, and may change again without a trace: look at its text.
    Fresh(Stamp),
    /// It was not there, or could not be read.
    Lost(io::ErrorKind),
}

/// What [`Watcher::poll`] saw.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seen {
    /// Nothing new.
    Unchanged,
    /// New policies, now the watcher's own.
    Changed(Reload),
    /// A new text that is no policy file. The old policies stay.
    Refused(Errors),
    /// The file is gone, or cannot be read. The old policies stay.
    Lost(io::Error),
}

impl Watcher {
    /// Reads a policy file for the first time.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no policy file: there is no old policy to keep.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, NotLoaded> {
        let path = path.into();
        let (text, stamp) = read(&path)?;
        let current = PolicyFile::parse(&*path.to_string_lossy(), &text)?;
        Ok(Self { path, current: Arc::new(current), text, last: Look::at(stamp) })
    }

    /// The policies in force.
    pub const fn current(&self) -> &Arc<PolicyFile> {
        &self.current
    }

    /// Whether the file could not be read at the last look. That it is back as it was is no news.
    pub const fn is_lost(&self) -> bool {
        matches!(self.last, Look::Lost(_))
    }

    /// Looks at the file once.
    pub fn poll(&mut self) -> Seen {
        match self.look() {
            Ok(seen) => seen,
            Err(error) => {
                // A file that is swapped by hand is gone for a moment, and told of once.
                let again = self.last == Look::Lost(error.kind());
                self.last = Look::Lost(error.kind());
                if again { Seen::Unchanged } else { Seen::Lost(error) }
            }
        }
    }

    fn look(&mut self) -> io::Result<Seen> {
        let now = Stamp::of(&self.path)?;
        if self.last == Look::Known(now) {
            return Ok(Seen::Unchanged);
        }
        let (text, stamp) = read(&self.path)?;
        if Stamp::of(&self.path)? != stamp {
            // It was written while it was read: the next look finds it whole.
            return Ok(Seen::Unchanged);
        }
        self.last = Look::at(stamp);
        if text == self.text {
            return Ok(Seen::Unchanged);
        }
        // A bad text is remembered too, so that it is told once.
        let reload = Reload::of(&self.current, &text);
        self.text = text;
        Ok(match reload {
            Ok(reload) => {
                self.current = Arc::clone(reload.file());
                Seen::Changed(reload)
            }
            Err(errors) => Seen::Refused(errors),
        })
    }
}

impl Look {
    /// A file that was written just now may be written once more within the same tick of its file
    /// system's clock, with the same size: only its text tells.
    fn at(stamp: Stamp) -> Self {
        let age = time::wall().duration_since(stamp.modified).unwrap_or_default();
        if age > TICK_MAX { Self::Known(stamp) } else { Self::Fresh(stamp) }
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// The path at the end of all symlinks: a swapped directory changes it.
    target: PathBuf,
    modified: SystemTime,
    size: u64,
    node: Node,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let target = fs::canonicalize(path)?;
        let metadata = fs::metadata(&target)?;
        Ok(Self {
            target,
            modified: metadata.modified()?,
            size: metadata.len(),
            node: node(&metadata),
        })
    }
}

/// Device, inode, and when the inode changed.
type Node = ([u64; 2], [i64; 2]);

#[cfg(unix)]
fn node(metadata: &Metadata) -> Node {
    use std::os::unix::fs::MetadataExt;
    ([metadata.dev(), metadata.ino()], [metadata.ctime(), metadata.ctime_nsec()])
}

#[cfg(not(unix))]
fn node(_: &Metadata) -> Node {
    Node::default()
}

/// Reads a file's text with the stamp that belongs to it.
fn read(path: &Path) -> io::Result<(String, Stamp)> {
    // Stamped before it is read: what changes meanwhile has another stamp at the next look.
    let stamp = Stamp::of(path)?;
    let mut text = String::new();
    let most = u64::try_from(TEXT_MAX).unwrap_or(u64::MAX);
    // One byte over the bound is enough for the reader to refuse it.
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    Ok((text, stamp))
}

/// No file system in use keeps its times more coarsely (FAT: two seconds).
const TICK_MAX: Duration = Duration::from_secs(2);

/// Why there is no policy to begin with.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotLoaded {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The file is no policy file.
    Wrong(Errors),
}

impl PolicyFile {
    /// Reads a policy file from disk, once.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no policy file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NotLoaded> {
        let path = path.as_ref();
        let (text, _) = read(path)?;
        Ok(Self::parse(&*path.to_string_lossy(), &text)?)
    }
}

impl From<io::Error> for NotLoaded {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Errors> for NotLoaded {
    fn from(errors: Errors) -> Self {
        Self::Wrong(errors)
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the policy file cannot be read: {error}"),
            Self::Wrong(errors) => errors.fmt(f),
        }
    }
}

impl Error for NotLoaded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Wrong(_) => None,
        }
    }
}
