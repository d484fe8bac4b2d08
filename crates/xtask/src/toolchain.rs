//! The compiler of the night, for what the stable one does not tell yet.

use std::process::{Command, Stdio};

use crate::steps::Line;

/// A line for nightly's cargo. It goes through rustup: the cargo that runs us knows no `+nightly`.
pub(crate) fn nightly(args: &[&str]) -> Line {
    Line::new("rustup", &[&["run", "nightly", "cargo"], args].concat())
}

/// What to do about a nightly that is missing; nothing when it is there.
pub(crate) fn missing() -> Option<String> {
    let mut asked = Command::new("rustup");
    asked.args(["run", "nightly", "cargo", "--version"]);
    let asked = asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = asked.is_ok_and(|status| status.success());
    (!is_there).then(|| "there is no nightly compiler: `rustup toolchain install nightly`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightlys_cargo_is_called_as_a_person_would() {
        assert_eq!(nightly(&["doc", "--lib"]).to_string(), "rustup run nightly cargo doc --lib");
    }
}
