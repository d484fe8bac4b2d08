//! `aplomb init`, as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use aplomb::policy::{PolicyFile, lint};

#[test]
fn a_policy_of_each_class_is_written_from_flags_and_lints_clean() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["read", "keyed-write", "confirm", "deferred", "best-effort"] {
        for request in ["GET /x", "POST /x"] {
            for key in ["", "order"] {
                let path = folder.path().join(format!("{class}.toml"));
                let flags = ["--class", class, "--match", request, "--key-from", key];
                let output =
                    init(&path, &[&flags[..], &NAMES, &["--defaults", "--force"]].concat());
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(0), "{class} {request} {key}: {said}");
                let file = PolicyFile::load(&path).unwrap();
                assert!(lint(&file).is_empty());
                let (_, operation) = file.operations().next().unwrap();
                assert_eq!(operation.policy().class().as_str(), class);
            }
        }
    }
}

#[test]
fn what_is_there_is_not_written_over_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    fs::write(&path, "mine").unwrap();
    let output = init(&path, &[&NAMES[..], &["--defaults"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let output = init(&path, &[&NAMES[..], &["--defaults", "--force"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(fs::read_to_string(&path).unwrap().contains("version = 1"));
}

#[test]
fn answers_are_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    let mut child = command(&path, &[])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let typed = "order-api\n40\n\ninventory\ninventory.internal:7001\n\nreserve\n\
                 POST /inventory/reservations\nkeyed-write\n\norder line\n";
    let rest = "\n".repeat(30);
    child.stdin.take().unwrap().write_all(format!("{typed}{rest}").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let file = PolicyFile::load(&path).unwrap();
    let policy = file.dependency("inventory").unwrap().named("reserve").unwrap().policy();
    assert_eq!(policy.key().unwrap().from(), "order line");
    assert_eq!(policy.attempts().get(), 3);
}

#[test]
fn nothing_is_written_when_the_answers_do_not_make_a_good_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    for (flags, said) in [
        (&["--total", "100ms"][..], "time-over-total"),
        (&["--total", "100"], "a time without its unit"),
        (&["--jitter", "none"], "no-jitter"),
        (&["--attempts", "many"], "give a number"),
        (&["--operation", "a b"], "use a-z"),
        (&["--when-exhausted", "pendign"], "nearest is `pending`"),
    ] {
        let names: Vec<&str> =
            NAMES.chunks(2).filter(|pair| pair[0] != flags[0]).flatten().copied().collect();
        let output = init(&path, &[&names[..], flags, &["--defaults"]].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {told}");
        assert!(told.contains(said), "{flags:?}: {told}");
        assert!(!path.exists(), "{flags:?}");
    }
}

#[test]
fn a_question_that_is_left_open_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = init(&folder.path().join("aplomb.toml"), &["--defaults", "--service", "shop"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("--dependency is not answered"), "{told}");
}

const NAMES: [&str; 6] = ["--service", "shop", "--dependency", "stock", "--operation", "look"];

fn init(path: &Path, flags: &[&str]) -> Output {
    command(path, flags).stdin(Stdio::null()).output().unwrap()
}

fn command(path: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aplomb"));
    command.arg("init").arg(path).args(flags);
    command
}
