//! What Prometheus itself says.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `promtool` on `input`, and fails for whatever it complains about.
pub(crate) fn check(arguments: &[&str], input: &str) {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!(
            "`promtool` did not start ({error}): `apt-get install prometheus` as root on Debian, \
             the like of it elsewhere"
        )
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// Checks a file of rules.
pub(crate) fn check_rules(rules: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(rules.as_bytes()).unwrap();
    check(&["check", "rules", file.path().to_str().unwrap()], "");
}
