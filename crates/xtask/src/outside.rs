use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use crate::report::Report;
use crate::steps::{Line, Step};

const TITLE: &str = "a project outside the workspace";

/// Compiles a quick start as a project of somebody else's does: outside the workspace, with what our
/// manifests alone say.
///
/// What a workspace lends its members (a version, a feature that another member turned on, a file
/// that only lies here) is missing there, as it is for whoever depends on the repository by git.
pub(crate) fn run(report: &mut Report) {
    match step() {
        Ok((folder, step)) => {
            report.run(&step);
            // What cannot be removed is the system's to clean up.
            let _ = fs::remove_dir_all(folder);
        }
        Err(error) => report.fail(TITLE, vec![error.to_string()]),
    }
}

fn step() -> io::Result<(PathBuf, Step)> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(io::Error::other)?;
    let (root, target) = (metadata.workspace_root, metadata.target_directory);
    // Below it cargo would find our workspace; beside it, it finds none.
    let folder = std::env::temp_dir().join(format!("aplomb-outside-{}", std::process::id()));
    write(&folder, root.as_std_path())?;
    let manifest = folder.join("Cargo.toml").display().to_string();
    let line = Line::cargo(&["check", "--manifest-path"]);
    // Our own target directory, where most of what it needs is built already.
    let line = line.args(&[manifest, "--target-dir".into(), target.into_string()]);
    Ok((folder, Step::new(TITLE, [line])))
}

/// Writes the project: its manifest, our lock file so that nothing new is fetched, one source file.
fn write(folder: &Path, root: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), manifest(&root.join("crates").join("aplomb")))?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::copy(root.join(QUICK_START), folder.join("src").join("lib.rs"))?;
    Ok(())
}

const QUICK_START: &str = "examples/quickstarts/src/reqwest_client.rs";

fn manifest(aplomb: &Path) -> String {
    // A basic string of TOML escapes what a string of ours does.
    let aplomb = aplomb.display().to_string();
    format!(
        r#"[package]
name = "outside"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
aplomb = {{ path = {aplomb:?}, features = ["policy", "reqwest", "telemetry"] }}
http = "1"
reqwest = {{ version = "0.13", default-features = false }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_a_workspace_of_its_own_and_depends_on_us_by_path() {
        let manifest = manifest(Path::new("/somewhere/crates/aplomb"));
        assert!(manifest.contains("\n[workspace]\n"));
        assert!(manifest.contains(r#"path = "/somewhere/crates/aplomb""#));
    }

    #[test]
    fn the_step_checks_a_project_that_lies_elsewhere() {
        let (folder, step) = step().unwrap();
        let typed = step.lines[0].to_string();
        assert!(typed.starts_with("cargo check --manifest-path "), "{typed}");
        assert!(folder.join("src").join("lib.rs").is_file());
        fs::remove_dir_all(folder).unwrap();
    }
}
