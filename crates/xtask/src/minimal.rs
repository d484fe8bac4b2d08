//! Whether the lower bounds in our manifests are true.

use std::fs;
use std::io;
use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand};

use crate::package::is_published;
use crate::report::Report;
use crate::steps::{Line, Step};
use crate::{toolchain, tree};

const TITLE: &str = "minimal versions";

/// Compiles each published crate against the oldest versions that its manifest allows.
///
/// `tokio = "1"` promises that 1.0 will do. Cargo picks the newest, so a call that came with 1.40
/// is noticed by whoever holds tokio back, and by nobody before. What *we* ask for is set to its
/// minimum, what others ask for is not (`direct-minimal-versions`): a dependency's own bounds are
/// not ours to mend, and many of them are false.
///
/// It works on a copy whose members are what is published, without what only tests need: a lock file
/// has one version for everybody, and the bench's peers would raise it.
pub(crate) fn run(report: &mut Report) {
    if let Some(missing) = toolchain::missing() {
        report.fail(TITLE, vec![missing]);
        return;
    }
    let [choose, check] = match steps() {
        Ok(steps) => steps,
        Err(error) => return report.fail(TITLE, vec![error.to_string()]),
    };
    let mut is_chosen = false;
    report.judge(&choose, |failed| {
        is_chosen = failed.is_empty();
        failed.iter().map(|line| format!("repeat it with: {line}")).collect()
    });
    if is_chosen {
        report.run(&check);
    }
}

fn steps() -> io::Result<[Step; 2]> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(io::Error::other)?;
    let root = metadata.workspace_root.as_std_path();
    let published = published(&metadata)?;
    let folder = metadata.target_directory.join(FOLDER).into_std_path_buf();
    tree::copy(root, &folder, |name, bytes| edited(name, bytes, &published))?;
    // A lock file that is there is kept to.
    match fs::remove_file(folder.join("Cargo.lock")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let manifest = folder.join("Cargo.toml").display().to_string();
    let target = metadata.target_directory.into_string();
    Ok([choose(&manifest), check(&manifest, &target, &published)])
}

/// Where the copy lies within the target directory.
const FOLDER: &str = "minimal-versions";

fn choose(manifest: &str) -> Step {
    let line = toolchain::nightly(&["generate-lockfile", "-Z", "direct-minimal-versions"]);
    Step::new(
        "the oldest versions allowed",
        [line.args(&["--manifest-path".into(), manifest.into()])],
    )
}

fn check(manifest: &str, target: &str, published: &[Published]) -> Step {
    let lines = published.iter().map(|Published { name, .. }| {
        let line = Line::cargo(&["check", "--locked", "--all-features", "--package", name]);
        let there = ["--manifest-path", manifest, "--target-dir", target];
        line.args(&there.map(String::from))
    });
    Step::new(TITLE, lines)
}

struct Published {
    name: String,
    /// Its folder, from the root, with slashes.
    folder: String,
}

fn published(metadata: &Metadata) -> io::Result<Vec<Published>> {
    let packages = metadata.workspace_packages();
    let packages = packages.into_iter().filter(|package| is_published(package));
    let mut published = packages
        .map(|package| {
            let folder = package
                .manifest_path
                .parent()
                .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok());
            let folder = folder.ok_or_else(|| io::Error::other("a member lies elsewhere"))?;
            Ok(Published { name: package.name.to_string(), folder: folder.to_string() })
        })
        .collect::<io::Result<Vec<_>>>()?;
    published.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(published)
}

/// A file as the copy has it: other members in the root's manifest, no tests' needs in the others.
fn edited(name: &str, bytes: Vec<u8>, published: &[Published]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    match Path::new(name) {
        path if path == Path::new("Cargo.toml") => with_members(text, published).into_bytes(),
        path if path.file_name().is_some_and(|file| file == "Cargo.toml") => {
            without_tests(text).into_bytes()
        }
        _ => bytes,
    }
}

fn with_members(manifest: &str, published: &[Published]) -> String {
    let folders: Vec<&str> = published.iter().map(|one| one.folder.as_str()).collect();
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some(("members", _)) => format!("members = {folders:?}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn without_tests(manifest: &str) -> String {
    let mut is_kept = true;
    let lines = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            is_kept = !line.contains("dev-dependencies");
        }
        is_kept
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_what_is_published_and_nothing_that_only_tests_need() {
        let published = [Published { name: "a".into(), folder: "crates/a".into() }];
        let root = "[workspace]\nmembers = [\"crates/*\"]\nresolver = \"3\"\n";
        assert_eq!(
            edited("Cargo.toml", root.into(), &published),
            b"[workspace]\nmembers = [\"crates/a\"]\nresolver = \"3\"\n"
        );
        let member = "[dependencies]\nx = \"1\"\n\n[dev-dependencies]\ny = \"1\"\n\n[lints]\n";
        assert_eq!(
            edited("crates/a/Cargo.toml", member.into(), &published),
            b"[dependencies]\nx = \"1\"\n\n[lints]\n"
        );
        assert_eq!(edited("crates/a/src/lib.rs", member.into(), &published), member.as_bytes());
    }

    #[test]
    fn each_crate_is_checked_with_the_lock_that_was_chosen() {
        let published = [Published { name: "a".into(), folder: "crates/a".into() }];
        assert_eq!(
            check("m/Cargo.toml", "t", &published).lines[0].to_string(),
            "cargo check --locked --all-features --package a --manifest-path m/Cargo.toml \
             --target-dir t"
        );
    }
}
