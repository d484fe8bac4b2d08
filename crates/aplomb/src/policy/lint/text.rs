//! Findings for people, eighty columns wide.

use std::fmt::Write as _;

use super::finding::{Finding, Severity};

/// Findings as a table, at most [`WIDTH`] columns wide where its words allow it.
#[must_use]
pub fn human(findings: &[Finding]) -> String {
    let mut page = String::new();
    for finding in findings {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{finding}\n");
    }
    page.push_str(&tally(findings));
    page.push('\n');
    page
}

fn tally(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match (errors, findings.len() - errors) {
        (0, 0) => "clean: no findings".to_owned(),
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => {
            format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))
        }
    }
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Words in lines that begin `indent` columns in.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = WIDTH;
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if column + 1 + letters > WIDTH {
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += letters;
    }
    lines
}

/// The width of a terminal that nobody has widened.
pub const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page_unless_a_word_is() {
        let words = "one two three ".repeat(30);
        let page = wrapped(&words, 9);
        assert!(page.lines().all(|line| line.len() <= WIDTH && line.starts_with("         ")));
        assert_eq!(page.split_whitespace().count(), 90);
        let long = "x".repeat(100);
        assert_eq!(wrapped(&long, 2), format!("  {long}"));
        assert_eq!(wrapped("", 2), "");
    }
}
