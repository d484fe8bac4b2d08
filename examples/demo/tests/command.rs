//! The command, as people and scripts run it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

#[test]
fn check_finds_every_invariant_whole() {
    let report = check(&["--seed", "7", "--seconds", "10"]);
    assert_eq!(report["seed"], 7);
    assert_eq!(report["scenarios"].as_array().unwrap().len(), 15);
    let last_item = facts(&report, "last item, lost response");
    assert_eq!(last_item["status"], "confirmed");
    assert_eq!(last_item["reservations"], 1);
    assert_eq!(last_item["distinct_keys"], 1);
    assert_eq!(last_item["duplicates"], 0);
    let rush = facts(&report, "200 orders for 100 items");
    assert_eq!((&rush["confirmed"], &rush["rejected"]), (&100.into(), &100.into()));
    assert_eq!(facts(&report, "poison, dead letter, redrive")["redriven"], "shipped");
    let outage = facts(&report, "outage, breaker, recovery");
    assert!(outage["sends_while_down"].as_u64() < outage["answers_while_down"].as_u64());
    let lanes = &story(&report, "retry storm")["lanes"];
    assert!(lanes["naive"]["duplicates"].as_u64().unwrap() > 0);
    assert_eq!(lanes["aplomb"]["duplicates"], 0);
    assert!(facts(&report, "mixed faults")["retries"].as_u64().unwrap() > 0);
    let skipped = &story(&report, "kill -9 at random, under load")["skipped"];
    assert_eq!(*skipped, "needs processes: give --processes 1 or more");
}

#[test]
fn two_processes_of_each_role_are_killed_and_replaced_and_lose_nothing() {
    for database in ["data", "postgres"] {
        let stories = "last-item,poison,rolling,kills,mixed";
        let report = check(&[
            "--seconds",
            "5",
            "--processes",
            "2",
            "--only",
            stories,
            "--database",
            database,
        ]);
        assert_eq!(report["guarantee"], "every record commits with its effect");
        let rolling = facts(&report, "rolling restart under load");
        assert_eq!(rolling["processes_replaced"], 8, "{database}");
        let kills = facts(&report, "kill -9 at random, under load");
        assert!(kills["orders_killed"].as_u64().unwrap() > 0, "{database}");
        assert!(kills["worker_killed"].as_u64().unwrap() > 0, "{database}");
        assert_eq!(kills["shipped"], kills["orders"], "{database}");
    }
}

#[test]
fn a_store_apart_from_the_rows_keeps_the_invariants_and_says_what_is_weaker() {
    for store in ["redis", "memory"] {
        let stories = "last-item,rush,mixed";
        let report = check(&["--seconds", "3", "--only", stories, "--idempotency-store", store]);
        assert!(report["guarantee"].as_str().unwrap().starts_with("weaker: "), "{store}");
    }
}

#[test]
fn an_operator_sees_dead_letters_and_is_told_what_cannot_be_redriven() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, _lines, urls) = start(data.path(), &["--port", "0", "--no-traffic"]);
    let orders = urls["orders"].as_str().unwrap();
    let none = run(&["redrive", "--orders", orders]);
    assert_eq!(none.status.code(), Some(0), "{none:?}");
    assert_eq!(String::from_utf8(none.stdout).unwrap(), "no dead letters\n");
    let unknown = run(&["redrive", "--orders", orders, &"0".repeat(32)]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("there is no such letter"));
    assert_eq!(terminate(&mut child), Some(0));
    let gone = run(&["redrive", "--orders", orders]);
    assert!(environment(&gone).contains("did not answer"));
}

#[test]
fn kills_zombies_and_duplicates_leave_one_effect_for_each_key() {
    for store in ["sqlite", "postgres", "redis", "memory"] {
        let output = run(&["torture", "--store", store, "--steps", "150", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{store}: {output:?}");
        let tally: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(tally["effects"], tally["keys"], "{store}");
        assert!(tally["kills"].as_u64().unwrap() > 0, "{store}");
        assert!(tally["replays"].as_u64().unwrap() > 0, "{store}");
    }
}

#[test]
fn wrong_usage_exits_2_and_says_so_on_stderr() {
    for wrong in [
        &["bogus"][..],
        &["check", "--seconds", "0"],
        &["check", "--seed", "x"],
        &["--port", "65534"],
        &["serve", "orders"],
        &["check", "--processes", "9"],
        &["check", "--only", "fables"],
        &["redrive", "--orders", "stock", "--all"],
        &["redrive", "an-id", "--all"],
        &["serve", "bakery", "--listen", "127.0.0.1:0"],
        &["serve", "orders", "--listen", "127.0.0.1:0", "--inventory-url", "stock"],
        &["serve", "inventory", "--listen", "127.0.0.1:0", "--database", "mysql://h/db"],
        &["torture", "--store", "paper"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_port_in_use_exits_3_names_it_and_writes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("new");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data_dir = data.to_str().unwrap();
    let output = run(&["serve", "inventory", "--listen", &address, "--data-dir", data_dir]);
    let said = environment(&output);
    assert!(said.contains(&address), "{said}");
    assert!(said.contains("choose another port"), "{said}");
    assert!(!data.exists());
}

#[test]
fn a_data_directory_that_cannot_be_made_exits_3_and_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("data");
    for command in [&["check"][..], &["serve", "orders", "--listen", "127.0.0.1:0"]] {
        let arguments = [command, &["--data-dir", below.to_str().unwrap()]].concat();
        let said = environment(&run(&arguments));
        assert!(said.contains(below.to_str().unwrap()), "{said}");
        assert!(said.contains("choose another one with --data-dir"), "{said}");
    }
}

#[test]
fn a_file_that_is_no_database_exits_3_and_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("orders.db");
    let text = "not a database, though it is long enough to be looked at ".repeat(40);
    std::fs::write(&path, &text).unwrap();
    let data_dir = data.path().to_str().unwrap();
    let serve = ["serve", "orders", "--listen", "127.0.0.1:0", "--data-dir", data_dir];
    let said = environment(&run(&serve));
    assert!(said.contains("the database is damaged"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_policy_file_that_is_none_exits_3_and_is_named() {
    let data = tempfile::tempdir().unwrap();
    let policy = data.path().join("policy.toml");
    std::fs::write(&policy, "version = 1\nretries = \"many\"\n").unwrap();
    let (data_dir, policy) = (data.path().to_str().unwrap(), policy.to_str().unwrap());
    let options = ["--data-dir", data_dir, "--policy", policy];
    for command in
        [&["check"][..], &["serve", "orders", "--listen", "127.0.0.1:0"], &["--port", "0"]]
    {
        let said = environment(&run(&[command, &options].concat()));
        assert!(said.contains("policy.toml") && said.contains("retries"), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_another_process_holds_exits_3_and_says_so() {
    use sqlx::{ConnectOptions, Connection};

    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("orders.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = options.create_if_missing(true).connect().await.unwrap();
    let exclusive = "PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE";
    sqlx::raw_sql(exclusive).execute(&mut other).await.unwrap();
    let data_dir = data.path().to_str().unwrap();
    let serve = ["serve", "orders", "--listen", "127.0.0.1:0", "--data-dir", data_dir];
    let said = environment(&run(&serve));
    assert!(said.contains("the database is in use"), "{said}");
    assert!(said.contains("orders.db"), "{said}");
    other.close().await.unwrap();
}

#[test]
fn the_order_api_refuses_to_listen_where_others_could_reach_it() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().to_str().unwrap();
    let serve = ["serve", "orders", "--listen", "0.0.0.0:0", "--data-dir", data_dir];
    let said = environment(&run(&serve));
    assert!(said.contains("no authentication"), "{said}");
}

#[test]
fn each_role_says_where_it_is_and_stops_when_it_is_asked_to() {
    let data = tempfile::tempdir().unwrap();
    for role in ["inventory", "orders", "warehouse", "worker"] {
        let serve = ["serve", role, "--listen", "127.0.0.1:0"];
        let (mut child, _lines, first) = start(data.path(), &serve);
        assert!(first[role].as_str().unwrap().starts_with("http://127.0.0.1:"));
        assert_eq!(terminate(&mut child), Some(0), "{role}");
    }
}

#[test]
fn processes_that_start_at_once_on_a_new_directory_all_come_up() {
    for _ in 0..3 {
        let data = tempfile::tempdir().unwrap();
        let serve = ["serve", "inventory", "--listen", "127.0.0.1:0"];
        let starting: Vec<_> =
            std::iter::repeat_with(|| spawn(data.path(), &serve)).take(4).collect();
        for child in starting {
            let (mut child, _lines, first) = first_line(child);
            assert!(first["inventory"].is_string());
            assert_eq!(terminate(&mut child), Some(0));
        }
    }
}

#[test]
fn the_story_is_told_twice_in_one_directory_and_ends_well_each_time() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut child, mut lines, urls) = start(data.path(), &["--port", "0"]);
        assert!(urls["orders"].is_string() && urls["inventory"].is_string());
        let mut story = String::new();
        while !story.contains("orders: ") {
            story += &lines.next().unwrap().unwrap();
            story.push('\n');
        }
        // A machine that is too busy to answer in time keeps its customer waiting, and no more.
        let in_time = story.contains("attempt 1 response lost → waited ")
            && story.contains("→ attempt 2 replayed 201")
            && story.contains("201 confirmed");
        assert!(in_time || story.contains("202 pending_inventory_confirmation"), "{story}");
        let audit = "reservations 1   distinct keys 1   duplicates 0   stock 0";
        assert!(story.contains(audit), "{story}");
        assert!(!story.contains('\u{1b}'), "no colours where nobody sees them");
        assert_eq!(terminate(&mut child), Some(0));
    }
}

/// What a check that passes reports.
fn check(arguments: &[&str]) -> Value {
    let output = run(&[&["check", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], true);
    report
}

fn story<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut stories = report["scenarios"].as_array().unwrap().iter();
    stories.find(|story| story["name"] == name).unwrap()
}

fn facts<'a>(report: &'a Value, name: &str) -> &'a Value {
    &story(report, name)["facts"]
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aplomb-demo"));
    command.args(arguments);
    for setting in ["RUST_LOG", "INVENTORY_TOKENS", "INVENTORY_TOKEN"] {
        command.env_remove(setting);
    }
    command
}

/// What was said on stderr by a command that ended because of its environment.
fn environment(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A command that goes on running, what it says on stdout, and its first line.
fn start(data: &Path, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, Value) {
    first_line(spawn(data, arguments))
}

fn spawn(data: &Path, arguments: &[&str]) -> Child {
    let arguments = [arguments, &["--data-dir", data.to_str().unwrap()]].concat();
    command(&arguments).stdout(Stdio::piped()).spawn().unwrap()
}

fn first_line(mut child: Child) -> (Child, Lines<BufReader<ChildStdout>>, Value) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    (child, lines, serde_json::from_str(&first).unwrap())
}

/// Asks a process to stop, and answers its exit code.
fn terminate(child: &mut Child) -> Option<i32> {
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(asked.success());
    child.wait().unwrap().code()
}
