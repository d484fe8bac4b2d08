use aplomb_core::Ratio;

/// How many of the rejected may come again.
///
/// A budget in each of ten thousand clients is a storm's fuel ten thousand times over. This one is
/// the server's: of the first attempts that find no free place it earns a share, and each leave to
/// come again costs one. However many clients there are, no more than that share is sent twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    millionths: u64,
}

impl Allowance {
    pub(crate) const fn full() -> Self {
        Self { millionths: CAP }
    }

    pub(crate) fn earn(&mut self, share: Ratio) {
        self.millionths = (self.millionths + u64::from(share.millionths())).min(CAP);
    }

    pub(crate) fn spend(&mut self, share: Ratio) -> bool {
        // Whoever allows nothing does not allow the first ten either.
        if share == Ratio::ZERO || self.millionths < ONE {
            return false;
        }
        self.millionths -= ONE;
        true
    }
}

const ONE: u64 = 1_000_000;
/// What a calm time leaves for the next burst.
const CAP: u64 = 10 * ONE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_and_what_was_saved_is_granted() {
        let share = Ratio::percent(3);
        let mut allowance = Allowance::full();
        let granted = (0..10_000)
            .filter(|_| {
                allowance.earn(share);
                allowance.spend(share)
            })
            .count();
        // Ten that were saved, 300 that were earned; the first share found the purse full.
        assert_eq!(granted, 309);
    }

    #[test]
    fn a_share_of_nothing_grants_nothing() {
        assert!(!Allowance::full().spend(Ratio::ZERO));
    }
}
