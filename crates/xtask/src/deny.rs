use crate::needs::{self, Need, Source};
use crate::report::Report;
use crate::steps::{Line, Step};

/// What `deny.toml` is checked with.
pub(crate) const TOOL: Need = Need {
    program: "cargo-deny",
    or: &[],
    source: Source::Crate("cargo-deny"),
    why: "it checks deny.toml",
};

/// The rules that need no network: duplicates, licences, sources.
pub(crate) fn rules() -> Step {
    let line = Line::cargo(&["deny", "check", "bans", "licenses", "sources"]);
    Step::new("dependencies", [line])
}

/// Known vulnerabilities. A chore of its own: what others publish must not stop a change here.
pub(crate) fn advisories(report: &mut Report) {
    needs::meet(report, &[TOOL]);
    let line = Line::cargo(&["deny", "check", "advisories"]);
    report.run(&Step::new("advisories", [line]));
}
