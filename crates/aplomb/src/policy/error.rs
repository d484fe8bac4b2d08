//! What keeps a text from being a policy file.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::bounds::ERRORS_MAX;
use super::position::Position;

/// Everything that keeps a text from being a policy file, in the order of the file.
///
/// All of it at once, so that a file is mended in one go. Printed, each fault takes two lines: where
/// and what, then the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: Arc<str>,
    faults: Vec<Fault>,
    more: usize,
}

impl Errors {
    pub(crate) fn new(file: Arc<str>, mut faults: Vec<Fault>, more: usize) -> Self {
        faults.sort_by_key(|fault| fault.at);
        faults.dedup();
        let more = more + faults.len().saturating_sub(ERRORS_MAX);
        faults.truncate(ERRORS_MAX);
        Self { file, faults, more }
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The faults, at most [`ERRORS_MAX`] of them.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many faults there are beyond those that are told.
    pub const fn more(&self) -> usize {
        self.more
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let line_break = if index > 0 { "\n" } else { "" };
            let Fault { at, what, mend } = fault;
            write!(f, "{line_break}{}:{at}: {what}\n    mend: {mend}", self.file)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Error for Errors {}

/// One thing that is wrong with a policy file.
///
/// ```
/// use aplomb::policy::{Fault, PolicyFile};
///
/// let errors = PolicyFile::parse("aplomb.toml", "version = 1\n[service]\nnam = 'x'").unwrap_err();
/// let Fault { at, what, .. } = &errors.faults()[0];
/// println!("{}:{at}: {what}", errors.file());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where it stands.
    pub at: Position,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Fault {
    pub(crate) fn new(at: Position, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { at, what: what.into(), mend: mend.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_the_order_of_the_file_and_are_bounded() {
        let fault = |line| Fault::new(Position { line, column: 1 }, format!("fault {line}"), "no");
        let errors =
            Errors::new("a.toml".into(), (1..=ERRORS_MAX + 3).rev().map(fault).collect(), 2);
        assert_eq!(errors.faults().len(), ERRORS_MAX);
        let told = errors.to_string();
        assert!(told.starts_with("a.toml:1:1: fault 1\n    mend: no\n"), "{told}");
        assert!(told.ends_with("and 5 more"), "{told}");
    }
}
