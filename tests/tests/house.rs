//! The house rules that a compiler does not know: which crate may know which, which files are
//! pure, how a crate introduces itself, what no file may mention.
//!
//! Each rule is a function from what it reads to its complaints, in a file of its own below
//! `house/`, where it is tried on broken houses too. A failure says what is wrong, where, how to
//! mend it.

#[path = "house/compiler.rs"]
mod compiler;
#[path = "house/introduction.rs"]
mod introduction;
#[path = "house/machine_paths.rs"]
mod machine_paths;
#[path = "house/map.rs"]
mod map;
#[path = "house/purity.rs"]
mod purity;
#[path = "house/security.rs"]
mod security;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, TargetKind};

#[test]
fn every_arrow_between_crates_is_on_the_map() {
    let metadata = workspace();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let complaints = metadata.packages.iter().flat_map(|package| {
        let all = package.dependencies.iter();
        let shipped = all.filter(|dependency| dependency.kind != DependencyKind::Development);
        let names = shipped.map(|dependency| dependency.name.as_str());
        let inner: Vec<&str> = names.filter(|name| ours.contains(name)).collect();
        map::broken_arrows(&package.name, &folder(&metadata, package), &inner)
    });
    assert_well(map::MEND, complaints);
}

#[test]
fn pure_files_import_neither_tokio_nor_tower() {
    let complaints = map::LAYERS.iter().flat_map(|layer| {
        let files = rust_files(&format!("crates/{layer}/src"));
        files.into_iter().flat_map(|path| purity::impurities(&path, &read(&path)))
    });
    assert_well(purity::MEND, complaints);
}

#[test]
fn every_shell_file_on_the_list_of_exceptions_is_there() {
    let paths = purity::SHELL_FILES.iter().map(|(path, _reason)| *path);
    let gone = paths.filter(|path| !root().join(path).is_file());
    let mend = "take its row out of SHELL_FILES in tests/house/purity.rs";
    assert_well(mend, gone.map(|path| format!("{path} is not there any more")));
}

#[test]
fn every_published_crate_introduces_itself() {
    let metadata = workspace();
    let published = metadata.packages.iter().filter(|package| is_published(package));
    let complaints = published.flat_map(|package| {
        let folder = folder(&metadata, package);
        let missing = introduction::missing_fields(package);
        let missing = missing.into_iter().map(|field| format!("{folder}/Cargo.toml: no `{field}`"));
        let front = front(package);
        let poor = introduction::poor_sentence(&read(&front));
        missing.chain(poor.map(|fault| format!("{front}: {fault}"))).collect::<Vec<_>>()
    });
    assert_well(introduction::MEND, complaints);
}

#[test]
fn no_published_crate_needs_a_newer_compiler_than_it_says() {
    let mut command = MetadataCommand::new();
    let metadata = command.features(CargoOpt::AllFeatures).exec();
    let metadata = metadata.expect("cargo knows the workspace it builds");
    let packages = metadata.workspace_packages().into_iter().filter(|p| is_published(p));
    assert_well(compiler::MEND, packages.flat_map(|package| compiler::too_new(&metadata, package)));
}

#[test]
fn no_file_mentions_the_paths_of_one_machine() {
    let complaints = repository_files().into_iter().flat_map(|path| {
        // A file that was removed and is still tracked reads as nothing.
        let text = fs::read(root().join(&path)).unwrap_or_default();
        machine_paths::mentions(&path, &String::from_utf8_lossy(&text))
    });
    assert_well(machine_paths::MEND, complaints);
}

#[test]
fn every_bound_that_security_promises_has_a_test() {
    let document = read("docs/SECURITY.md");
    assert!(security::named(&document).len() > 20, "the links are no longer read");
    let file = |path: &str| fs::read_to_string(root().join(path)).ok();
    let complaints = security::missing(&document, file);
    assert_well(security::MEND, complaints.into_iter().chain(security::unshown(&document)));
}

fn assert_well(mend: &str, complaints: impl Iterator<Item = String>) {
    let complaints: Vec<String> = complaints.collect();
    let told = complaints.join("\n");
    assert!(complaints.is_empty(), "\n\n{told}\n\nThe mend: {mend}\n");
}

fn workspace() -> Metadata {
    let mut command = MetadataCommand::new();
    command.no_deps().exec().expect("cargo knows the workspace it builds")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the root is there")
}

fn folder(metadata: &Metadata, package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
    folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).to_string()
}

fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// The file that a reader of the crate opens first: its library's, else its program's.
fn front(package: &Package) -> String {
    let is_front = |kind: &TargetKind| {
        matches!(kind, TargetKind::Lib | TargetKind::Bin | TargetKind::ProcMacro)
    };
    let front = package.targets.iter().find(|target| target.kind.iter().any(is_front));
    let front = front.expect("a published crate has a library or a program").src_path.as_std_path();
    shown(&front.canonicalize().expect("cargo names files that exist"))
}

/// Every Rust file below a folder; none while the crate is still to come.
fn rust_files(folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let files =
        paths.flat_map(
            |path| {
                if path.is_dir() { rust_files(&shown(&path)) } else { vec![shown(&path)] }
            },
        );
    files.filter(|path| Path::new(path).extension().is_some_and(|end| end == "rs")).collect()
}

/// What the repository holds or is about to: tracked files, new ones that are not ignored.
fn repository_files() -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output =
        git.current_dir(root()).output().expect("git runs; `cargo xtask test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("our file names are UTF-8");
    names.split_terminator('\0').map(str::to_owned).collect()
}

fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("the house lies below its root");
    path.to_str().expect("our file names are UTF-8").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
