use std::io::{IsTerminal, stdout};

/// Paints text for a terminal, or leaves it as it is.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Paints only on a terminal, and not when `NO_COLOR` asks for none (no-color.org).
    pub(crate) fn for_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { on: stdout().is_terminal() && !unwanted && !dumb }
    }

    /// The table of findings, with the word that begins each in colour.
    pub(crate) fn findings(self, table: &str) -> String {
        if !self.on {
            return table.to_owned();
        }
        let lines = table.lines().map(|line| {
            let (word, rest) = line.split_at(line.find(' ').unwrap_or(0));
            match word {
                "error" => format!("\u{1b}[31m{word}\u{1b}[0m{rest}\n"),
                "warning" => format!("\u{1b}[33m{word}\u{1b}[0m{rest}\n"),
                _ => format!("{line}\n"),
            }
        });
        lines.collect()
    }
}

#[test]
fn only_the_word_that_begins_a_finding_is_painted() {
    let painted = Paint { on: true }.findings("error    key\n         error\nclean: x\n");
    assert_eq!(painted, "\u{1b}[31merror\u{1b}[0m    key\n         error\nclean: x\n");
    assert_eq!(Paint { on: false }.findings("error x\n"), "error x\n");
}
