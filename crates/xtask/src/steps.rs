use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};

/// A piece of a chore: a title, and the command lines that do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

impl Step {
    pub(crate) fn new(title: impl Into<String>, lines: impl IntoIterator<Item = Line>) -> Self {
        Self { title: title.into(), lines: lines.into_iter().collect() }
    }

    /// Runs every line, also past a failure, so that one run tells all that is wrong.
    ///
    /// Returns the lines that failed.
    pub(crate) fn run(&self) -> Vec<&Line> {
        self.lines.iter().filter(|line| !line.succeeds()).collect()
    }
}

/// One command line that a person could type; it prints as just that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    env: Vec<(&'static str, String)>,
    program: String,
    args: Vec<String>,
}

impl Line {
    pub(crate) fn new(program: &str, args: &[&str]) -> Self {
        Self {
            env: Vec::new(),
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        }
    }

    pub(crate) fn cargo(args: &[&str]) -> Self {
        Self::new("cargo", args)
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn args(mut self, more: &[String]) -> Self {
        self.args.extend_from_slice(more);
        self
    }

    /// Runs the line and says whether it went well; what it prints goes where ours goes.
    fn succeeds(&self) -> bool {
        println!("$ {self}");
        match self.command().status() {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("`{}` did not start: {error}", self.program);
                false
            }
        }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program(&self.program));
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        // Cargo tells us about *our* package in variables that build scripts look at: handed on,
        // they would make cargo build again what a person has just built by hand.
        for (name, _) in std::env::vars_os() {
            if is_about_this_package(&name) {
                command.env_remove(name);
            }
        }
        command
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// The cargo that runs us, so that `cargo +nightly xtask …` stays with its toolchain.
fn program(name: &str) -> OsString {
    match std::env::var_os("CARGO") {
        Some(cargo) if name == "cargo" => cargo,
        _ => name.into(),
    }
}

fn is_about_this_package(variable: &OsString) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_prints_as_a_person_would_type_it() {
        let line = Line::cargo(&["doc", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(&["it's".to_owned(), String::new()]);
        assert_eq!(
            line.to_string(),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s' ''"
        );
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let word = r#"a "b" 'c' $HOME \ * ;"#;
        let script = format!("printf %s {}", quoted(word));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }

    #[test]
    fn a_step_runs_past_a_failure_and_names_the_lines_that_failed() {
        let [bad, good, absent] = ["false", "true", "no-such-program"].map(|p| Line::new(p, &[]));
        let step = Step::new("try", [bad.clone(), good, absent.clone()]);
        assert_eq!(step.run(), [&bad, &absent]);
    }

    #[test]
    fn a_command_neither_reads_our_input_nor_learns_which_package_we_are() {
        let script = r#"test -z "$CARGO_PKG_NAME$CARGO_MANIFEST_DIR" && ! read -r line"#;
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        assert!(Line::new("sh", &["-c", script]).succeeds());
    }
}
