//! The repository's own commands that a page tells its reader to type.

use crate::pages::Page;

/// A command of this repository with what is typed behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command {
    /// Which program: `xtask`, `demo` or `aplomb`.
    pub program: &'static str,
    /// Subcommands and what else stands there without dashes.
    pub words: Vec<String>,
    /// What stands there with two dashes, without them.
    pub flags: Vec<String>,
}

/// How each program is called; the longer calls first.
const CALLS: &[(&str, &str)] = &[
    ("cargo run --release -p aplomb-cli -- ", "aplomb"),
    ("cargo run -p aplomb-cli -- ", "aplomb"),
    ("cargo demo -- ", "demo"),
    ("cargo demo", "demo"),
    ("cargo xtask ", "xtask"),
    ("aplomb ", "aplomb"),
];

/// The commands of a page: in its `sh` blocks, and where a sentence quotes one.
pub fn of(page: &Page) -> Vec<Command> {
    let shells = page.blocks().into_iter().filter(|block| block.language == "sh");
    let lines: Vec<String> =
        shells.flat_map(|block| joined(&block.code)).chain(page.words()).collect();
    lines.iter().filter_map(|line| parse(line)).collect()
}

/// The lines of a script; one that ends in a backslash goes on in the next.
fn joined(code: &str) -> Vec<String> {
    code.replace("\\\n", " ").lines().map(str::to_owned).collect()
}

fn parse(line: &str) -> Option<Command> {
    let line = line.split(" #").next()?.trim().trim_start_matches("$ ");
    let (call, program) = CALLS.iter().find(|(call, _)| line.starts_with(call))?;
    let mut command = Command { program, words: Vec::new(), flags: Vec::new() };
    let is_value = |word: &str| !word.starts_with(|c: char| c.is_ascii_lowercase());
    // What stands behind a further pair of dashes is for another program.
    for word in line[call.len()..].split_whitespace().take_while(|word| *word != "--") {
        match word.strip_prefix("--") {
            Some(flag) => {
                command.flags.push(flag.split('=').next().unwrap_or_default().to_owned());
            }
            None if is_value(word) || !command.flags.is_empty() => {}
            None => command.words.push(word.to_owned()),
        }
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<(&'static str, Vec<String>, Vec<String>)> {
        parse(line).map(|command| (command.program, command.words, command.flags))
    }

    #[test]
    fn a_command_is_its_program_words_and_flags() {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            parsed("$ cargo demo -- check --seed 7 --json"),
            Some(("demo", list(&["check"]), list(&["seed", "json"])))
        );
        assert_eq!(parsed("cargo demo   # all of it"), Some(("demo", list(&[]), list(&[]))));
        assert_eq!(
            parsed("cargo run --release -p aplomb-cli -- lab run article --set=a=1"),
            Some(("aplomb", list(&["lab", "run", "article"]), list(&["set"])))
        );
        assert_eq!(
            parsed("cargo xtask test -- a_probe --no-capture"),
            Some(("xtask", list(&["test"]), list(&[])))
        );
        assert_eq!(parsed("cargo test"), None);
        assert_eq!(parsed("aplomb.toml"), None);
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        assert_eq!(joined("a \\\n  b\nc\n"), ["a    b", "c"]);
    }
}
