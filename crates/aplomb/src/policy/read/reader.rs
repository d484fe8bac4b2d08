//! Where faults are written down.

use std::ops::Range;
use std::sync::Arc;

use super::super::error::{Errors, Fault};
use super::super::position::{Lines, Position};

/// Reads one text, and writes down what is wrong with it.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    lines: Lines<'t>,
    faults: Vec<Fault>,
    /// How many faults were only counted.
    more: usize,
    /// How many operations were read.
    pub(crate) operations: usize,
}

impl<'t> Reader<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self { lines: Lines::of(text), faults: Vec::new(), more: 0, operations: 0 }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        self.lines.position(offset)
    }

    /// What stands here is wrong.
    pub(crate) fn refuse(
        &mut self,
        at: &Range<usize>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        if self.is_full() {
            return self.count();
        }
        let at = self.position(at.start);
        self.faults.push(Fault::new(at, what, mend));
    }

    /// Whether further faults are only counted: a long file may be wrong everywhere, and saying how
    /// takes time.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Counts a fault that is not told.
    pub(crate) fn count(&mut self) {
        self.more += 1;
    }

    /// What was read, if nothing was wrong with it.
    pub(crate) fn finish<T>(self, file: Arc<str>, read: Option<T>) -> Result<T, Errors> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(Errors::new(file, self.faults, self.more)),
        }
    }
}

/// More than are shown, since they are shown in the order of the file and found in another.
const FAULTS_MAX: usize = 1_000;
