//! Colours, where there is somebody to see them.

use std::io::{IsTerminal, stdout};

/// Paints text for a terminal, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
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

    /// Leaves text as it is.
    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { on: false }
    }

    /// Whether the line under the cursor may be written anew.
    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
