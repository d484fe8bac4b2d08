use crate::report::Report;
use crate::steps::{Line, Step};

pub(crate) fn run(report: &mut Report) {
    report.run(&step());
}

/// Every interleaving of two threads on each lock-free core.
///
/// The models have a build folder of their own: under our cfg the crates' atomics are loom's, and
/// flags that differ would make cargo build everything else once more.
pub(crate) fn step() -> Step {
    let model = |package: &str, target: &[&str]| {
        let line = Line::cargo(&["test", "--target-dir", "target/loom", "--package", package]);
        let target: Vec<String> = target.iter().map(ToString::to_string).collect();
        line.args(&target).env("RUSTFLAGS", "--cfg aplomb_loom")
    };
    Step::new(
        "loom",
        [
            model("aplomb-retry", &["--test", "loom"]),
            model("aplomb-backoff", &["--lib", "loom"]),
            model("aplomb-circuit-breaker", &["--test", "loom"]),
            model("aplomb-admission", &["--lib", "loom"]),
            model("aplomb-idempotency", &["--lib", "loom"]),
        ],
    )
}
