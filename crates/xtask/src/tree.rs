//! A copy of the repository, for chores that change what must stay as it is.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// Copies what the repository holds or is about to, below `folder`, as `edited` hands it back.
///
/// A file that is the same already stays, so that cargo does not build it again.
pub(crate) fn copy(
    root: &Path,
    folder: &Path,
    edited: impl Fn(&str, Vec<u8>) -> Vec<u8>,
) -> io::Result<()> {
    for name in files(root)? {
        // A file that was removed and is still tracked is not there.
        let Ok(bytes) = fs::read(root.join(&name)) else { continue };
        write_anew(&folder.join(&name), &edited(&name, bytes))?;
    }
    Ok(())
}

/// What git knows here, with what it would add, by name.
fn files(root: &Path) -> io::Result<Vec<String>> {
    const LIST: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(LIST).current_dir(root).output()?;
    if !listed.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listed.stderr).into_owned()));
    }
    let names = String::from_utf8(listed.stdout).map_err(io::Error::other)?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

fn write_anew(to: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes)
}
