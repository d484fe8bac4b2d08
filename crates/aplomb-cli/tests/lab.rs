//! `aplomb lab`, as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn a_run_prints_a_table_with_confidence_intervals() {
    let output = aplomb(&["lab", "run", "pause", "--set", "horizon=60", "--seeds", "2"]);
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("aplomb") && table.contains('±'), "{table}");
    assert!(table.contains("never in 60s"), "{table}");
}

#[test]
fn results_come_as_json_on_standard_output() {
    let json = json(&["fleet-size", "--clients", "100", "--seeds", "2", "--seed", "7"]);
    let figure = &json["results"]["aplomb"]["amplification_during"];
    assert!(figure["mean"].as_f64().unwrap() > 1.0);
    assert!(figure["ci95"].as_f64().unwrap() > 0.0);
    assert_eq!(figure["per_seed"].as_array().unwrap().len(), 2);
    assert_eq!(json["settings"]["aplomb"]["clients"], "100");
    assert_eq!(json["runs"]["none"][1]["seed"], 8);
    assert_eq!(json["partial"], false);
    assert_eq!(json["results"]["none"]["time_to_recover"]["horizon"], 90.0);
}

#[test]
fn a_file_of_ones_own_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let results = folder.path().join("results.json");
    std::fs::write(
        &file,
        "name = 'mine'\nabout = 'a try'\n[set]\nhorizon = 5\nseeds = 1\n\
         [[policy]]\nname = 'patient'\nattempts = 2\n",
    )
    .unwrap();
    let (file, results) = (file.to_str().unwrap(), results.to_str().unwrap());
    let output = aplomb(&["lab", "run", file, "--json", results]);
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap();
    assert_eq!(json["results"]["patient"]["success_ratio"]["mean"], 1.0);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    for (args, reason) in [
        (&["artcle"][..], "nearest is `article`"),
        (&["free", "--set", "clinets=5"], "nearest is `clients`"),
        (&["free", "--clients", "0"], "from 1 to 10000000"),
        (&["free", "--set", "clients"], "KEY=VALUE"),
        (&["free", "--set", "attempt_timeout=1ms"], "two network delays"),
        (&["free", "--only", "tower"], "it has set"),
        (&["free", "--set", "budget=finagle"], "per-call, per-success"),
        (&["free", "--set", "arrivals_per_second=1e8"], "--max-events"),
        (&["article", "--max-memory", "0.001"], "GiB a run"),
    ] {
        let output = run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn what_the_machine_refuses_is_told_apart() {
    for args in [&["no/such/file.toml"][..], &["free", "--json", "/no/such/folder/results.json"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
    }
}

#[test]
fn the_lists_name_everything() {
    for (list, word) in
        [("list", "fleet-size"), ("keys", "budget_initial"), ("figures", "time_to_recover")]
    {
        let output = aplomb(&["lab", list]);
        assert!(String::from_utf8(output.stdout).unwrap().contains(word));
    }
}

/// Ctrl-C writes what there is, and the exit code tells.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_writes_what_it_has() {
    use std::process::Stdio;

    let endless =
        ["lab", "run", "free", "--seeds", "100000", "--max-events", "1e15", "--json", "-"];
    let child = Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .args(endless)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    // Before the handler stands, the signal would simply end the process.
    while !catches_interrupts(&pid) {
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(130));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["partial"], true);
}

/// Whether the kernel has a handler of the process for SIGINT, the second signal.
#[cfg(target_os = "linux")]
fn catches_interrupts(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & 0b10 != 0
}

fn json(args: &[&str]) -> Value {
    let output = run(&[args, &["--json", "-"]].concat());
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn run(args: &[&str]) -> Output {
    aplomb(&[&["lab", "run"], args].concat())
}

fn aplomb(args: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_aplomb")).args(args).output();
    command.unwrap()
}
