use std::fmt;

/// A share between nothing and all, exact to one millionth.
///
/// ```
/// use aplomb_core::Ratio;
///
/// const EARNED: Ratio = Ratio::percent(20);
/// assert_eq!(EARNED.millionths(), 200_000);
/// assert_eq!("0.2", EARNED.to_string());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All.
    pub const ONE: Self = Self(ONE);

    /// So many per cent.
    ///
    /// # Panics
    ///
    /// When `percent` is over 100; in a `const` that is a compile error.
    pub const fn percent(percent: u32) -> Self {
        assert!(percent <= 100, "a ratio is at most 100 percent");
        Self(percent * (ONE / 100))
    }

    /// So many millionths, or `None` when there are more than a million.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= ONE { Some(Self(millionths)) } else { None }
    }

    /// The nearest millionth to a fraction, or `None` outside `0.0..=1.0`.
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the fraction was just shown to lie in 0..=1"
        )]
        Some(Self((fraction * f64::from(ONE)).round() as u32))
    }

    /// How many millionths it is.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// The fraction, for people and for statistics.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(ONE)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

const ONE: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_kept_to_the_millionth() {
        assert_eq!(Ratio::from_fraction(0.123_456_4).unwrap().millionths(), 123_456);
        assert_eq!(Ratio::from_fraction(1.0), Some(Ratio::ONE));
    }

    #[test]
    fn what_is_not_a_share_is_refused() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::from_fraction(wrong), None);
        }
        assert_eq!(Ratio::from_millionths(1_000_001), None);
    }
}
