//! A policy file on a real disk, and all the ways in which it changes.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aplomb::policy::{NotLoaded, Seen, Watcher};
use tempfile::{TempDir, tempdir};

#[test]
fn a_file_that_stays_changes_nothing() {
    let (_folder, path) = written(&policy(2));
    let mut watcher = Watcher::open(&path).unwrap();
    for _ in 0..3 {
        assert!(matches!(watcher.poll(), Seen::Unchanged));
    }
    age(&path);
    assert!(matches!(watcher.poll(), Seen::Unchanged));
}

#[test]
fn a_new_text_is_seen_however_fast_it_follows() {
    let (_folder, path) = written(&policy(1));
    let mut watcher = Watcher::open(&path).unwrap();
    // The same size each time, and often the same tick of the file system's clock.
    for attempts in [2, 1, 2, 1, 2] {
        fs::write(&path, policy(attempts)).unwrap();
        let Seen::Changed(reload) = watcher.poll() else { panic!("{attempts}") };
        assert_eq!(reload.to_string(), "stock.look changed");
        assert_eq!(attempts_of(&watcher), attempts);
        assert!(matches!(watcher.poll(), Seen::Unchanged));
    }
}

#[test]
fn a_file_that_was_touched_or_commented_is_no_other() {
    let (_folder, path) = written(&policy(2));
    let mut watcher = Watcher::open(&path).unwrap();
    age(&path);
    assert!(matches!(watcher.poll(), Seen::Unchanged));
    fs::write(&path, format!("# words\n{}", policy(2))).unwrap();
    let Seen::Changed(reload) = watcher.poll() else { panic!() };
    assert!(reload.is_empty());
}

#[test]
fn a_bad_file_keeps_the_old_policies_and_is_told_once() {
    let (_folder, path) = written(&policy(2));
    let mut watcher = Watcher::open(&path).unwrap();
    fs::write(&path, policy(2).replace("class", "clas")).unwrap();
    let Seen::Refused(errors) = watcher.poll() else { panic!() };
    assert!(errors.to_string().contains("nearest is `class`"), "{errors}");
    assert!(errors.file().ends_with("aplomb.toml"), "{errors}");
    assert!(matches!(watcher.poll(), Seen::Unchanged));
    assert_eq!(attempts_of(&watcher), 2);
    fs::write(&path, policy(1)).unwrap();
    assert!(matches!(watcher.poll(), Seen::Changed(_)));
    assert_eq!(attempts_of(&watcher), 1);
}

#[test]
fn a_file_that_vanishes_keeps_the_old_policies_and_is_told_once() {
    let (_folder, path) = written(&policy(2));
    let mut watcher = Watcher::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(watcher.poll(), Seen::Lost(_)));
    assert!(matches!(watcher.poll(), Seen::Unchanged));
    assert_eq!(attempts_of(&watcher), 2);
    assert!(watcher.is_lost());
    fs::write(&path, policy(2)).unwrap();
    assert!(matches!(watcher.poll(), Seen::Unchanged), "it came back as it was");
    assert!(!watcher.is_lost());
    fs::remove_file(&path).unwrap();
    assert!(matches!(watcher.poll(), Seen::Lost(_)), "gone once more is told once more");
    fs::write(&path, policy(1)).unwrap();
    assert!(matches!(watcher.poll(), Seen::Changed(_)));
}

#[test]
fn what_is_no_text_is_lost_and_not_obeyed() {
    let (_folder, path) = written(&policy(2));
    let mut watcher = Watcher::open(&path).unwrap();
    fs::write(&path, b"version = 1 # \xff").unwrap();
    assert!(matches!(watcher.poll(), Seen::Lost(_)));
    assert_eq!(attempts_of(&watcher), 2);
}

#[test]
fn a_file_renamed_into_place_is_seen() {
    let (folder, path) = written(&policy(2));
    age(&path);
    let mut watcher = Watcher::open(&path).unwrap();
    let beside = folder.path().join("aplomb.toml.new");
    fs::write(&beside, policy(1)).unwrap();
    age(&beside);
    fs::rename(&beside, &path).unwrap();
    assert!(matches!(watcher.poll(), Seen::Changed(_)));
}

/// Kubernetes mounts `aplomb.toml -> ..data/aplomb.toml`, `..data -> ..1`, and swaps `..data`.
#[cfg(unix)]
#[test]
fn a_directory_swapped_by_a_symlink_is_seen() {
    use std::os::unix::fs::symlink;

    let folder = tempdir().unwrap();
    let mount = folder.path();
    for (version, attempts) in [("..1", 2), ("..2", 1)] {
        fs::create_dir(mount.join(version)).unwrap();
        fs::write(mount.join(version).join("aplomb.toml"), policy(attempts)).unwrap();
        age(&mount.join(version).join("aplomb.toml"));
    }
    symlink("..1", mount.join("..data")).unwrap();
    symlink("..data/aplomb.toml", mount.join("aplomb.toml")).unwrap();
    let mut watcher = Watcher::open(mount.join("aplomb.toml")).unwrap();
    assert!(matches!(watcher.poll(), Seen::Unchanged));

    symlink("..2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    fs::remove_dir_all(mount.join("..1")).unwrap();
    assert!(matches!(watcher.poll(), Seen::Changed(_)));
    assert_eq!(attempts_of(&watcher), 1);
}

#[test]
fn there_is_no_watching_what_was_never_good() {
    let folder = tempdir().unwrap();
    let missing = Watcher::open(folder.path().join("aplomb.toml")).unwrap_err();
    assert!(matches!(missing, NotLoaded::Unreadable(_)));
    let (_folder, path) = written("version = 1");
    assert!(matches!(Watcher::open(path).unwrap_err(), NotLoaded::Wrong(_)));
}

fn attempts_of(watcher: &Watcher) -> u32 {
    let file = watcher.current();
    file.dependency("stock").unwrap().named("look").unwrap().policy().attempts().get()
}

fn policy(attempts: u32) -> String {
    format!(
        "version = 1\n[service]\nname = 'shop'\n[dependency.stock.operation.look]\n\
         class = 'read'\nattempts = {attempts}\n"
    )
}

fn written(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("aplomb.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// As if it had been written long ago.
fn age(path: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}
