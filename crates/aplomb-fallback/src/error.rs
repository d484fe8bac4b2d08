use std::error::Error;
use std::fmt;

/// A fallback has no answer to this request; the next one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit: there is no more to say")]
pub struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fallback has nothing to answer with; give it a second one")
    }
}

impl Error for Nothing {}
