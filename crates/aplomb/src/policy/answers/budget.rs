use aplomb_core::Ratio;
use aplomb_retry::Terms;

/// On which terms retries are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetTerms {
    ratio: Ratio,
    cap: u32,
    initial: u32,
}

impl BudgetTerms {
    /// So much of a retry earned by each call that succeeds at its first try; ten held at most, and
    /// at the start.
    pub const fn earning(ratio: Ratio) -> Self {
        Self { ratio, cap: CAP, initial: CAP }
    }

    /// Holding at most so many retries in each process, 1 to 1,000, and as many at the start.
    #[must_use]
    pub const fn cap(mut self, retries: u32) -> Self {
        self.cap = if retries == 0 {
            1
        } else if retries > Self::CAP_MAX {
            Self::CAP_MAX
        } else {
            retries
        };
        self.initial = self.cap;
        self
    }

    /// Holding so many at the start, at most the cap.
    #[must_use]
    pub const fn initial(mut self, retries: u32) -> Self {
        self.initial = if retries < self.cap { retries } else { self.cap };
        self
    }

    /// What a first try that succeeds earns.
    pub const fn ratio(&self) -> Ratio {
        self.ratio
    }

    /// The most retries that one process may hold.
    pub const fn held_at_most(&self) -> u32 {
        self.cap
    }

    /// The retries that a process holds when it starts.
    pub const fn held_at_start(&self) -> u32 {
        self.initial
    }

    /// For [`Budget::new`](aplomb_retry::Budget::new) and
    /// [`Budgets::new`](aplomb_retry::Budgets::new).
    pub const fn terms(&self) -> Terms {
        Terms::earning(self.ratio).cap(self.cap).initial(self.initial)
    }

    /// The most retries that a budget holds.
    pub const CAP_MAX: u32 = 1_000;
}

impl Default for BudgetTerms {
    /// Twenty retries for each hundred calls, as the retry crate advises.
    fn default() -> Self {
        Self::earning(Ratio::percent(20))
    }
}

const CAP: u32 = 10;
