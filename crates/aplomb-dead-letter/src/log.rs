//! A file of JSON lines: each is synced before anybody is told that it is there.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::SinkError;
use crate::shelf::{Plan, Shelf};

/// The file of a [`JsonLines`](crate::JsonLines), which this process alone writes.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    /// How much of the file is known to be whole.
    len: u64,
    is_broken: bool,
    // The lock lasts as long as this is open.
    _lock: File,
}

impl Log {
    /// Opens a file, or makes it, and puts what it says on the shelf.
    pub(crate) fn open(path: &Path, shelf: &mut Shelf) -> Result<Self, SinkError> {
        let lock = lock(&beside(path, "lock")).map_err(SinkError::unavailable)?;
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(SinkError::unavailable(error)),
        };
        let whole = &text[..whole(&text)];
        let lines = replay(whole, shelf)?;
        // Most of a long history is about letters as they were once.
        let is_long = lines > LINES_SPARED + 2 * shelf.plans().count();
        let rewritten = if is_long || whole.is_empty() { Some(written(shelf)?) } else { None };
        let len = rewritten.as_ref().map_or(whole.len(), Vec::len) as u64;
        let file = match rewritten {
            Some(text) => replace(path, &text),
            None => truncated(path, len),
        };
        Ok(Self { file: file.map_err(SinkError::unavailable)?, len, is_broken: false, _lock: lock })
    }

    /// Adds a line, and is done when it will survive a power cut.
    pub(crate) fn append(&mut self, plan: &Plan) -> Result<(), SinkError> {
        if self.is_broken {
            return Err(SinkError::unavailable("a write failed before; open the file again"));
        }
        let line = line(plan)?;
        if let Err(error) = self.write(&line) {
            // A line that stands there in part would swallow the next one.
            let mended = self.file.set_len(self.len).and_then(|()| self.file.sync_data());
            self.is_broken = mended.is_err();
            return Err(if self.is_broken {
                SinkError::uncertain(error)
            } else {
                SinkError::unavailable(error)
            });
        }
        // After a sync that failed, nobody knows what is on the disk, and a second one may lie.
        if let Err(error) = self.file.sync_data() {
            self.is_broken = true;
            return Err(SinkError::uncertain(error));
        }
        self.len += line.len() as u64;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(line)
    }
}

/// How much of a file is whole: a last line without an end, or with what no line ever holds, was
/// being written when the power went, so nobody was told that it is there.
fn whole(text: &[u8]) -> usize {
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let start = text[..end.saturating_sub(1)].iter().rposition(|&byte| byte == b'\n');
    let start = start.map_or(0, |before| before + 1);
    if text[start..end].contains(&0) { start } else { end }
}

/// Puts what whole lines say on the shelf, and counts them.
fn replay(text: &[u8], shelf: &mut Shelf) -> Result<usize, SinkError> {
    let mut lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).enumerate();
    match lines.next() {
        None => return Ok(0),
        Some((_, HEADER)) => {}
        Some(_) => return Err(SinkError::corrupt("its first line is not one of this version's")),
    }
    let mut count = 1;
    for (number, line) in lines {
        let plan = serde_json::from_slice(line);
        shelf.change(plan.map_err(|error| {
            SinkError::corrupt(format!("line {}: {error}; mend or delete it", number + 1))
        })?);
        count += 1;
    }
    Ok(count)
}

/// A whole file that says what is on the shelf.
fn written(shelf: &Shelf) -> Result<Vec<u8>, SinkError> {
    let mut text = [HEADER, b"\n"].concat();
    for plan in shelf.plans() {
        text.extend(line(&plan)?);
    }
    Ok(text)
}

fn line(plan: &Plan) -> Result<Vec<u8>, SinkError> {
    let mut line = serde_json::to_vec(plan).map_err(SinkError::unavailable)?;
    line.push(b'\n');
    Ok(line)
}

/// Puts a new file in the place of another, so that there is always the one or the other.
fn replace(path: &Path, text: &[u8]) -> io::Result<File> {
    let new = beside(path, "new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_directory(path)?;
    Ok(file)
}

fn truncated(path: &Path, len: u64) -> io::Result<File> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(len)?;
    file.sync_all()?;
    Ok(file)
}

/// A name is on the disk when its directory is.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail where it does something")]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Keeps other writers out until the file is closed, however this process ends.
#[cfg(unix)]
fn lock(path: &Path) -> io::Result<File> {
    use rustix::fs::{FlockOperation, flock};
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let taken = flock(&file, FlockOperation::NonBlockingLockExclusive);
    taken.map_err(|error| {
        io::Error::new(io::Error::from(error).kind(), "another process writes to this file")
    })?;
    Ok(file)
}

#[cfg(windows)]
fn lock(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).share_mode(0).open(path)
}

#[cfg(not(any(unix, windows)))]
fn lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

const HEADER: &[u8] = br#"{"aplomb_dead_letters":1}"#;
/// A history of so many lines is not worth a rewrite.
const LINES_SPARED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shelf::Room;

    #[test]
    fn after_a_write_that_cannot_be_undone_nothing_is_written_until_the_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters.jsonl");
        let shelf = || Shelf::new(Room { letters: 1, bytes: 1 });
        let mut log = Log::open(&path, &mut shelf()).unwrap();
        log.append(&Plan::default()).unwrap();
        // A file that was opened for reading takes no line, and cannot be shortened either.
        let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
        assert!(log.append(&Plan::default()).unwrap_err().is_uncertain());
        log.file = writable;
        assert!(!log.append(&Plan::default()).unwrap_err().is_uncertain());
        drop(log);
        Log::open(&path, &mut shelf()).unwrap().append(&Plan::default()).unwrap();
    }

    #[test]
    fn only_the_last_line_can_be_torn() {
        for (text, len) in [
            (&b""[..], 0),
            (b"torn", 0),
            (b"one\n", 4),
            (b"one\ntorn", 4),
            (b"one\ntwo\n", 8),
            (b"one\nt\0o\n", 4),
            (b"t\0rn\n", 0),
            (b"one\ntwo\n\0\0\0", 8),
        ] {
            assert_eq!(whole(text), len, "{}", text.escape_ascii());
        }
    }
}
