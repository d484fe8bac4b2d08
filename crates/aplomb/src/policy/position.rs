//! Where something stands in a text.

use std::fmt;

/// A place in a file, as editors count: both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in letters.
    pub column: usize,
}

impl Position {
    /// The first letter of a file; also where what was never written in one stands.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the keys of one section stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    head: Option<Position>,
    keys: Vec<(&'static str, Position)>,
}

impl Marks {
    pub(crate) fn new(head: Position) -> Self {
        Self { head: Some(head), keys: Vec::new() }
    }

    pub(crate) fn mark(&mut self, key: &'static str, at: Position) {
        self.keys.push((key, at));
    }

    /// Where this key stands, if it was written.
    pub(crate) fn own(&self, key: &str) -> Option<Position> {
        self.keys.iter().find(|(known, _)| *known == key).map(|(_, at)| *at)
    }

    /// Where this key stands, else where its section begins; nowhere when no file was read.
    pub(crate) fn of(&self, key: &str) -> Option<Position> {
        self.own(key).or(self.head)
    }
}

/// The lines of a text.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Where the byte `offset` stands.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_in_letters() {
        let lines = Lines::of("a = 1\nµß = 2\r\n\nx");
        for (offset, line, column) in [
            (0, 1, 1),
            (4, 1, 5),
            (6, 2, 1),
            (8, 2, 2),
            (11, 2, 4),
            (16, 3, 1),
            (17, 4, 1),
            (99, 4, 2),
        ] {
            assert_eq!(lines.position(offset), Position { line, column }, "{offset}");
        }
    }
}
