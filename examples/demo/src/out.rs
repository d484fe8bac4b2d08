//! Standard output, which may be closed: whoever reads only the first line is free to go.

use std::fmt::Display;
use std::io::{Write, stdout};

/// A line.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Text without an end of line, shown at once.
pub(crate) fn text(text: impl Display) {
    let mut out = stdout();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}
