//! What a machine must have before a chore can run, and how it gets there.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report::Report;
use crate::steps::{Line, Step};

/// A program that a chore calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Being on the search path tells that the need is met.
    pub(crate) program: &'static str,
    /// Tell the same, where packages are made otherwise.
    pub(crate) or: &'static [&'static str],
    pub(crate) source: Source,
    /// Who asks for it, so that a row nobody needs any more is easy to see.
    pub(crate) why: &'static str,
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A Debian package.
    Debian(&'static str),
    /// A crate that installs a cargo subcommand.
    Crate(&'static str),
}

/// What the tests need besides cargo. A test that needs more adds its row here.
pub(crate) const TESTS: &[Need] = &[
    Need {
        program: "git",
        or: &[],
        source: Source::Debian("git"),
        why: "tests/house.rs asks it which files the repository holds",
    },
    Need {
        // Debian keeps the server's own programs off the search path; the testkit finds them.
        program: "pg_ctlcluster",
        or: &["initdb"],
        source: Source::Debian("postgresql"),
        why: "tests of the store on Postgres start a server of their own",
    },
    Need {
        program: "redis-server",
        or: &[],
        source: Source::Debian("redis-server"),
        why: "tests of the store on Redis start a server of their own",
    },
    Need {
        program: "promtool",
        or: &[],
        source: Source::Debian("prometheus"),
        why: "a test lets it judge what /metrics serves, the alerts, the dashboard's queries",
    },
    Need {
        program: "chromium",
        or: &["google-chrome", "google-chrome-stable", "chromium-browser"],
        source: Source::Debian("chromium"),
        why: "tests of the demo's page look at it with a browser, `pictures` photographs it",
    },
];

/// Installs what is missing where that can be done; what is still missing then fails the report.
pub(crate) fn meet(report: &mut Report, needs: &[Need]) {
    let missing = missing(needs, is_on_path);
    if missing.is_empty() {
        return;
    }
    let step = Step::new("install what is missing", installs(&missing, Hands::find()));
    report.judge(&step, |_| missing_mends(&missing, is_on_path));
}

/// Whether the shell, or cargo for its subcommands, would find the program.
pub(crate) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    std::env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .any(|folder| folder.join(program).is_file())
}

fn missing(needs: &[Need], is_there: impl Fn(&str) -> bool) -> Vec<Need> {
    let needs = needs.iter().copied();
    let is_met = |need: &Need| is_there(need.program) || need.or.iter().any(|or| is_there(or));
    needs.filter(|need| !is_met(need)).collect()
}

/// Who may install Debian's packages here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hands {
    Root,
    Sudo,
    Tied,
}

impl Hands {
    fn find() -> Self {
        if !is_on_path("apt-get") {
            return Self::Tied;
        }
        if output_of("id", &["-u"]).is_some_and(|id| id.trim() == "0") {
            return Self::Root;
        }
        // `-n` makes sudo fail instead of asking for a password.
        match output_of("sudo", &["-n", "true"]) {
            Some(_) => Self::Sudo,
            None => Self::Tied,
        }
    }
}

fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then_some(())?;
    String::from_utf8(output.stdout).ok()
}

fn installs(missing: &[Need], hands: Hands) -> Vec<Line> {
    let mut lines = Vec::new();
    let packages = missing.iter().filter_map(|need| match need.source {
        Source::Debian(package) => Some(package.to_owned()),
        Source::Crate(_) => None,
    });
    let packages: Vec<String> = packages.collect();
    if !packages.is_empty() && hands != Hands::Tied {
        lines.push(apt_get(hands, &["update"]));
        lines.push(apt_get(hands, &["install", "--yes"]).args(&packages));
    }
    lines.extend(missing.iter().filter_map(|need| match need.source {
        Source::Crate(name) => Some(Line::cargo(&["install", name, "--locked"])),
        Source::Debian(_) => None,
    }));
    lines
}

fn apt_get(hands: Hands, args: &[&str]) -> Line {
    // Through `env`, since sudo drops the variables of its caller.
    let quiet = ["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    match hands {
        Hands::Sudo => Line::new("sudo", &[&["-n", "env"], &quiet[..], args].concat()),
        Hands::Root | Hands::Tied => Line::new("env", &[&quiet[..], args].concat()),
    }
}

/// For each need that is still unmet, what a person does about it.
fn missing_mends(needs: &[Need], is_there: impl Fn(&str) -> bool) -> Vec<String> {
    missing(needs, is_there).iter().map(mend).collect()
}

fn mend(need: &Need) -> String {
    let Need { program, source, why, .. } = need;
    match source {
        Source::Debian(package) => format!(
            "`{program}` is missing ({why}): `apt-get install {package}` as root on Debian, \
             the like of it elsewhere"
        ),
        Source::Crate(name) => {
            format!("`{program}` is missing ({why}): `cargo install {name} --locked`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: Need = Need {
        program: "pg_ctlcluster",
        or: &["initdb"],
        source: Source::Debian("postgresql"),
        why: "a store's tests start one",
    };
    const CACHE: Need = Need {
        program: "redis-server",
        or: &[],
        source: Source::Debian("redis-server"),
        why: "a store's tests start one",
    };
    const TOOL: Need = Need {
        program: "cargo-tool",
        or: &[],
        source: Source::Crate("cargo-tool"),
        why: "it checks",
    };

    fn typed(lines: &[Line]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_there_is_not_installed_again() {
        assert_eq!(missing(&[DATABASE, CACHE], |program| program == "redis-server"), [DATABASE]);
        assert!(missing(&[DATABASE, CACHE, TOOL], |_| true).is_empty());
        assert!(missing(&[DATABASE], |program| program == "initdb").is_empty());
    }

    #[test]
    fn root_installs_all_packages_at_once_after_an_update() {
        assert_eq!(
            typed(&installs(&[DATABASE, TOOL, CACHE], Hands::Root)),
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install --yes postgresql redis-server",
                "cargo install cargo-tool --locked",
            ]
        );
    }

    #[test]
    fn sudo_never_asks_for_a_password() {
        let lines = typed(&installs(&[CACHE], Hands::Sudo));
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.starts_with("sudo -n env DEBIAN_FRONTEND=")));
    }

    #[test]
    fn tied_hands_still_install_crates_and_say_what_else_is_missing() {
        let needs = [DATABASE, TOOL];
        assert_eq!(typed(&installs(&needs, Hands::Tied)), ["cargo install cargo-tool --locked"]);
        let mends = missing_mends(&needs, |program| program == "cargo-tool");
        assert_eq!(mends.len(), 1, "{mends:?}");
        assert!(mends[0].contains("`pg_ctlcluster` is missing (a store's tests start one)"));
        assert!(mends[0].contains("`apt-get install postgresql`"));
    }

    #[test]
    fn no_package_means_no_update() {
        assert_eq!(installs(&[TOOL], Hands::Root).len(), 1);
        assert!(installs(&[], Hands::Root).is_empty());
    }

    #[test]
    fn a_program_is_looked_for_by_its_whole_name() {
        assert!(is_on_path("cargo"));
        assert!(!is_on_path("carg"));
        assert!(!is_on_path("no-such-program"));
    }
}
