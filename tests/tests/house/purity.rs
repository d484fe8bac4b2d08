/// The names that tell the shell, where `tower`'s plumbing may be. `lib.rs` re-exports.
const SHELL_NAMES: &[&str] = &["lib.rs", "layer.rs", "service.rs", "future.rs"];

/// Shell files whose name is a noun of the field all the same, each with its reason.
#[rustfmt::skip]
pub(crate) const SHELL_FILES: &[(&str, &str)] = &[
    ("crates/aplomb-admission/src/desk.rs", "lends permits that give themselves back, and waits for them"),
    ("crates/aplomb-admission/src/work.rs", "waits for a permit, then calls the service inside"),
    ("crates/aplomb-chaos/src/body.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-chaos/src/connect.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-chaos/src/delay.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-chaos/src/edge.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-chaos/src/errors.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-chaos/src/latency.rs", "waits where a handler stands"),
    ("crates/aplomb-dead-letter/src/lines.rs", "waits for a disk where that may block"),
    ("crates/aplomb-dead-letter/src/redrive.rs", "waits for its turn, then calls the client"),
    ("crates/aplomb-idempotency/src/claim.rs", "rings for a running handler whose claim was lost"),
    ("crates/aplomb-idempotency/src/detach.rs", "moves work into a task that outlives its caller"),
    ("crates/aplomb-idempotency/src/drain.rs", "waits for those tasks when the server stops"),
    ("crates/aplomb-idempotency/src/keeper.rs", "is the task that renews a lease"),
    ("crates/aplomb-idempotency/src/recover.rs", "waits for the application's hook, up to a bound"),
    ("crates/aplomb-idempotency/src/run.rs", "calls the handler between the claim and the record"),
    ("crates/aplomb-idempotency/src/sweep.rs", "waits between two rounds, as a task until it is dropped"),
    ("crates/aplomb-idempotency/src/wait.rs", "waits for another run's outcome"),
    ("crates/aplomb-retry/src/exhaustion.rs", "one of several layers in its crate, whole in one file"),
    ("crates/aplomb-retry/src/running.rs", "sends the attempts that the rules allow"),
    ("crates/aplomb-idempotency/src/settle.rs", "waits between attempts to reach the store"),
];

/// What a pure file does without.
const SHELL_CRATES: &[&str] = &["tokio", "tower", "tower_http", "tower_layer", "tower_service"];

pub(crate) const MEND: &str = "a pure file is told the time as aplomb_core::time::Instant, the \
    dice, the outcome; what waits, spawns or implements a Service belongs to layer.rs, service.rs \
    or future.rs. A file that is shell by nature takes a row with its reason in SHELL_FILES of \
    tests/house/purity.rs";

/// The lines of a layer crate's file that bring the shell into a pure file.
pub(crate) fn impurities(path: &str, source: &str) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_exception = SHELL_FILES.iter().any(|(shell, _)| path == *shell);
    if SHELL_NAMES.contains(&name) || is_exception {
        return Vec::new();
    }
    // The tests come last in a file and may use a runtime.
    let code = source.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let impure = code.enumerate().filter(|(_, line)| names_the_shell(line));
    impure.map(|(index, line)| format!("{path}:{}: {}", index + 1, line.trim())).collect()
}

/// Whether a line of code has a path that starts in `tokio` or in a crate of tower's.
fn names_the_shell(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let paths = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let mut roots = paths.filter_map(|path| path.trim_start_matches(':').split_once("::"));
    roots.any(|(root, _)| SHELL_CRATES.contains(&root))
        || imported_crate(code).is_some_and(|name| SHELL_CRATES.contains(&name))
}

/// The first name of a `use`, which may stand there without a path behind it.
fn imported_crate(code: &str) -> Option<&str> {
    let (_, names) = code.split_once("use ")?;
    names.trim_start_matches(':').split([';', ' ', ':']).next()
}

#[test]
fn plumbing_in_a_pure_file_is_found_by_line() {
    let source = "//! Like `tokio::sync`.\nuse aplomb_core::time;\nuse tower_layer::Layer;\n\
                  fn f() { tokio::spawn(g()); }\n#[cfg(test)]\nuse tokio::time;\n";
    assert_eq!(
        impurities("crates/aplomb-retry/src/budget.rs", source),
        [
            "crates/aplomb-retry/src/budget.rs:3: use tower_layer::Layer;",
            "crates/aplomb-retry/src/budget.rs:4: fn f() { tokio::spawn(g()); }",
        ]
    );
    assert!(impurities("crates/aplomb-retry/src/service.rs", source).is_empty());
}

#[test]
fn only_a_path_from_the_shell_counts() {
    for line in ["let tower = 1;", "use crate::tower::X;", "mytokio::f()", "// tokio::spawn"] {
        assert!(!names_the_shell(line), "{line}");
    }
    for line in ["use tower;", "pub(crate) use tokio as t;", "x: &tokio::Y", "::tower_service::S"] {
        assert!(names_the_shell(line), "{line}");
    }
}
