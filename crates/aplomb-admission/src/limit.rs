use std::fmt;
use std::num::NonZeroU32;

/// How many calls may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit(NonZeroU32);

impl Limit {
    /// At most so many at a time.
    ///
    /// # Panics
    ///
    /// When `limit` is 0: what may never run needs no queue. In a `const` that is a compile error.
    pub const fn new(limit: u32) -> Self {
        match NonZeroU32::new(limit) {
            Some(limit) => Self(limit),
            None => panic!("a limit lets at least one call run"),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<u32> for Limit {
    /// # Panics
    ///
    /// When `limit` is 0.
    fn from(limit: u32) -> Self {
        Self::new(limit)
    }
}

impl From<NonZeroU32> for Limit {
    fn from(limit: NonZeroU32) -> Self {
        Self(limit)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
