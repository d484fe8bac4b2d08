//! `aplomb lint`, as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn a_clean_file_ends_with_0() {
    let output = lint(&[&demo()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "clean: no findings\n");
}

#[test]
fn findings_end_with_1_and_are_plain_text_where_nobody_looks() {
    // A finding names the file as it was given, and a path is never broken: only a short one can say
    // how wide the rest is.
    let folder = tempfile::tempdir().unwrap();
    fs::copy(corpus("no-jitter"), folder.path().join("aplomb.toml")).unwrap();
    let output = lint_in(folder.path(), &["aplomb.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    assert!(table.starts_with("error    no-jitter            stock.look\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn findings_come_as_json() {
    let output = lint(&[&corpus("no-jitter"), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["clean"], false);
    let finding = &json["findings"][0];
    assert_eq!(finding["code"], "no-jitter");
    assert_eq!(finding["severity"], "error");
    assert_eq!((&finding["dependency"], &finding["operation"]), (&"stock".into(), &"look".into()));
    assert_eq!(finding["line"], 11);
    assert_eq!(finding["page"], "lint/no-jitter.html");
    assert_eq!(finding["numbers"]["fleet"], 40.0);
    assert!(finding["mend"].as_str().unwrap().contains("full"));
}

#[test]
fn a_wrong_file_ends_with_3_and_all_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aplomb.toml");
    fs::write(&file, "version = 1\n[service]\nnam = 'x'\nfleet = 0\n").unwrap();
    let path = file.to_str().unwrap();
    let output = lint(&[path]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains(":3:1: service has no key `nam`; the nearest is `name`"), "{said}");
    assert!(said.contains(":4:9: `service.fleet` cannot be 0"), "{said}");
    let output = lint(&[path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["errors"].as_array().unwrap().len(), 3);
}

#[test]
fn a_missing_file_ends_with_3_and_wrong_usage_with_2() {
    assert_eq!(lint(&["no/such/file.toml"]).status.code(), Some(3));
    assert_eq!(lint(&["--format", "xml"]).status.code(), Some(2));
    assert_eq!(lint(&["--print", "--format", "json"]).status.code(), Some(2));
}

#[test]
fn a_sheet_for_each_operation_is_printed_as_text() {
    let output = lint(&[&demo(), "--print"]);
    assert_eq!(output.status.code(), Some(0));
    let pages = text(&output.stdout);
    assert_eq!(pages.split('\u{c}').count(), 8);
    for page in pages.split('\u{c}') {
        for question in aplomb::policy::Question::ALL {
            assert_eq!(page.matches(question.as_str()).count(), 1, "{page}");
        }
        assert!(page.lines().count() <= 60, "it fits a page");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }
    assert!(pages.contains("longest time                   1.65s of 3s"), "{pages}");
}

#[test]
fn a_sheet_for_each_operation_is_printed_as_html() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aplomb.toml");
    let wild = "version = 1\n[service]\nname = '<b>&'\n[dependency.d.operation.o]\n\
                class = 'keyed-write'\nkey = { from = '<script>', kept = '1h' }\n";
    fs::write(&file, wild).unwrap();
    let output = lint(&[file.to_str().unwrap(), "--print", "html"]);
    assert_eq!(output.status.code(), Some(1), "the key is kept too short");
    let page = text(&output.stdout);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    assert!(page.contains("<code>key-too-short</code>"), "{page}");
}

fn lint(args: &[&str]) -> Output {
    lint_in(Path::new("."), args)
}

fn lint_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aplomb"));
    command.current_dir(folder).arg("lint").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn demo() -> String {
    below("../../examples/demo/aplomb.toml")
}

fn corpus(code: &str) -> String {
    below(&format!("../aplomb/tests/lint/{code}.toml"))
}

fn below(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    path.to_str().unwrap().to_owned()
}
