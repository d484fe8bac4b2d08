use std::fmt;

use aplomb_core::Condition;

/// The conditions under which a fallback is asked.
///
/// ```
/// use aplomb_core::Condition;
/// use aplomb_fallback::Conditions;
///
/// let patient = Conditions::ALL.without(Condition::Throttled);
/// assert!(patient.contains(Condition::Open) && !patient.contains(Condition::Throttled));
/// assert_eq!(Conditions::from([Condition::Open]), Conditions::NONE.with(Condition::Open));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conditions(u8);

impl Conditions {
    /// Under none.
    pub const NONE: Self = Self(0);

    /// Under every one of them: each says that the dependency's own answer is not to be had now.
    pub const ALL: Self = {
        let (mut all, mut at) = (Self::NONE, 0);
        while at < Condition::ALL.len() {
            all = all.with(Condition::ALL[at]);
            at += 1;
        }
        all
    };

    /// Under this one too.
    #[must_use]
    pub const fn with(self, condition: Condition) -> Self {
        Self(self.0 | bit(condition))
    }

    /// Not under this one.
    #[must_use]
    pub const fn without(self, condition: Condition) -> Self {
        Self(self.0 & !bit(condition))
    }

    /// Whether it is one of them.
    pub const fn contains(self, condition: Condition) -> bool {
        self.0 & bit(condition) != 0
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self::ALL
    }
}

impl From<Condition> for Conditions {
    fn from(condition: Condition) -> Self {
        Self::NONE.with(condition)
    }
}

impl<const N: usize> From<[Condition; N]> for Conditions {
    fn from(conditions: [Condition; N]) -> Self {
        conditions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Condition::ALL.iter().filter(|one| self.contains(**one))).finish()
    }
}

const fn bit(condition: Condition) -> u8 {
    1 << condition as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_bit_of_its_own() {
        for &condition in Condition::ALL {
            assert!(Conditions::ALL.contains(condition), "{condition}");
            let others = Conditions::ALL.without(condition);
            let lost: Vec<_> =
                Condition::ALL.iter().filter(|&&other| !others.contains(other)).collect();
            assert_eq!(lost, [&condition]);
        }
    }
}
