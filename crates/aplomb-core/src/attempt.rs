use std::fmt;
use std::num::NonZeroU32;

/// Which send of a call this is: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first send.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The one of this number, counted from 1.
    pub const fn numbered(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The one after this.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number, from 1.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// Whether nothing was sent before it.
    #[inline]
    pub const fn is_first(self) -> bool {
        self.0.get() == 1
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many sends a call may have in all, the first one included.
///
/// ```
/// use aplomb_core::{Attempt, Attempts};
///
/// let attempts = Attempts::new(3);
/// let last = Attempt::FIRST.next().next();
/// assert_eq!((last.number(), attempts.get()), (3, 3));
/// assert!(attempts.end_at(last) && !attempts.end_at(Attempt::FIRST));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempts(NonZeroU32);

impl Attempts {
    /// One send, no retry.
    pub const ONE: Self = Self(NonZeroU32::MIN);
    /// No bound on the number of sends. Say it where you mean it: budget and total time remain.
    pub const UNLIMITED: Self = Self(NonZeroU32::MAX);

    /// At most so many sends.
    ///
    /// # Panics
    ///
    /// When `attempts` is 0: a call that may never be sent is not a call. In a `const` that is a
    /// compile error.
    pub const fn new(attempts: u32) -> Self {
        match NonZeroU32::new(attempts) {
            Some(attempts) => Self(attempts),
            None => panic!("a call has at least one attempt"),
        }
    }

    /// Whether `attempt` is the last one allowed.
    #[inline]
    pub const fn end_at(self, attempt: Attempt) -> bool {
        attempt.number() >= self.0.get() && self.0.get() != NonZeroU32::MAX.get()
    }

    /// The bound.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<u32> for Attempts {
    /// # Panics
    ///
    /// When `attempts` is 0.
    fn from(attempts: u32) -> Self {
        Self::new(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_attempts_end_at_the_third() {
        let (limit, second) = (Attempts::new(3), Attempt::FIRST.next());
        assert!(!limit.end_at(second));
        assert!(limit.end_at(second.next()));
    }

    #[test]
    fn unlimited_attempts_never_end() {
        let last = Attempt(NonZeroU32::MAX);
        assert!(!Attempts::UNLIMITED.end_at(last));
        assert_eq!(last.next(), last, "counting stops instead of wrapping around");
    }
}
