use std::fmt::{self, Write};

use super::super::file::PolicyFile;
use super::super::lint::{WIDTH, wrapped};
use super::{Sheet, sheets};

/// The sheets of a file as plain text, a form feed between two, so that a printer gives each its
/// page.
#[must_use]
pub fn text(file: &PolicyFile) -> String {
    let pages: Vec<String> = sheets(file).iter().map(ToString::to_string).collect();
    pages.join("\u{c}\n")
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.title, wrapped(&self.about, 0))?;
        writeln!(f, "{}", "=".repeat(WIDTH))?;
        for (number, (question, answer)) in (1..).zip(&self.answers) {
            writeln!(f, "{number}  {question}\n{}", wrapped(answer, 3))?;
        }
        writeln!(f, "{}", "-".repeat(WIDTH))?;
        for (name, value) in &self.numbers {
            writeln!(f, "   {name:<30} {value}")?;
        }
        writeln!(f, "{}", "-".repeat(WIDTH))?;
        if self.findings.is_empty() {
            return f.write_str("   the lint finds nothing\n");
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        f.write_char('\n')
    }
}
