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
fn a_report_is_one_file_that_says_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("out.html");
    let page = page.to_str().unwrap();
    let made = || {
        let args = ["lab", "run", "pause", "--clients", "50", "--seeds", "1", "--report", page];
        let only = ["--only", "none", "--only", "full", "--set", "horizon=120"];
        let output = aplomb(&[&args[..], &only].concat());
        assert_eq!(output.status.code(), Some(0));
        std::fs::read_to_string(page).unwrap()
    };
    let html = made();
    assert!(html.contains("Never within the 120 seconds of every run: full."), "{html}");
    assert!(html.contains("safe up to") && html.matches("<svg").count() == 2);
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    assert_eq!(html, made(), "the same seed, the same bytes");
}

#[test]
fn a_sweep_draws_a_map_of_each_policy() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("map.html");
    let grid = ["--loads", "30%,90%", "--faults", "1s,5s"];
    let args = ["lab", "sweep", "pause", "--clients", "50", "--only", "none", "--only", "full"];
    let more = ["--set", "horizon=100", "--report", page.to_str().unwrap(), "--json", "-"];
    let output = aplomb(&[&args[..], &grid, &more].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let maps = &json["sweep"]["recovers"];
    assert_eq!(maps["none"], serde_json::json!([[1.0, 1.0], [1.0, 1.0]]));
    // At 30 % three sends for each call are less than the capacity; at 90 % they are not.
    assert_eq!(maps["full"], serde_json::json!([[1.0, 0.0], [1.0, 0.0]]));
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("well again in 2 of 4 places"), "{html}");
}

#[test]
fn a_policy_file_is_run_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aplomb.toml");
    std::fs::write(
        &file,
        "version = 1\n[service]\nname = 'shop'\nfleet = 40\ncalls_per_second = 600\n\
         [dependency.stock]\nbudget = { ratio = 0.1, cap = 5 }\ncapacity_per_second = 800\n\
         breaker = { failure_ratio = 0.4 }\n\
         [dependency.stock.operation.look]\nclass = 'read'\nmatch = 'GET /stock/{sku}'\n\
         [dependency.stock.operation.buy]\nclass = 'confirm'\nmatch = 'POST /stock'\n\
         key = { from = 'click', kept = '24h' }\nowner = 'customer'\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let base = ["surge", "--seeds", "1", "--set", "horizon=45", "--policy", file];
    let json = json(&[&base[..], &["--operation", "look"]].concat());
    let settings = &json["settings"]["stock.look"];
    for (key, value) in [
        ("clients", "40"),
        ("arrivals_per_second", "600"),
        ("attempts", "2"),
        ("attempt_timeout", "350ms"),
        ("budget", "aplomb"),
        ("ratio", "0.1"),
        ("budget_cap", "5"),
        ("breaker", "together"),
        ("breaker_ratio", "0.4"),
        ("servers", "50"),
        ("service_time", "62.5ms"),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    assert_eq!(json["policies"], serde_json::json!(["none", "full", "stock.look"]));

    for (operation, reason) in
        [(&[][..], "stock.buy, stock.look"), (&["--operation", "sell"], "no operation `sell`")]
    {
        let output = run(&[&base[..], operation].concat());
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(reason), "{said}");
    }
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
        (&["free", "--set", "budget=finangle"], "per-call, per-success"),
        (&["free", "--set", "arrivals_per_second=1e8"], "--max-events"),
        (&["article", "--max-memory", "0.001"], "GiB a run"),
        (&["free", "--set", "fault=dead-shard", "--set", "fault_seconds=1"], "set shards"),
        (&["free", "--operation", "look"], "--policy"),
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
