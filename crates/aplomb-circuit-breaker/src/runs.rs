//! How many calls in a row failed.

use crate::sync::{AtomicU64, Ordering};

/// Failures in a row since the last success, of one generation: one word.
#[derive(Debug)]
pub(crate) struct Runs(AtomicU64);

/// What the word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Calls in a row that failed.
    pub(crate) failed: u32,
    /// Calls in a row that never reached the server.
    pub(crate) unsent: u32,
}

impl Runs {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A call of this generation failed: the run that it belongs to, itself included.
    pub(crate) fn failed(&self, generation: u16, unsent: bool) -> Run {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if is_after(of(seen), generation) {
                // Too late: a later generation counts here by now.
                return Run::default();
            }
            let before = read(seen, generation);
            let run = Run {
                failed: (before.failed + 1).min(RUN_MAX),
                unsent: if unsent { (before.unsent + 1).min(RUN_MAX) } else { 0 },
            };
            let next = write(run, generation);
            // The word is all there is: it orders nothing else, so Relaxed is enough.
            match self.0.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return run,
                Err(changed) => seen = changed,
            }
        }
    }

    /// A call of this generation succeeded: its run is over.
    #[inline]
    pub(crate) fn succeeded(&self, generation: u16) {
        // While all is well nobody writes here, so that the word stays in every core's cache.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.end(generation);
        }
    }

    #[cold]
    fn end(&self, generation: u16) {
        let mut seen = self.0.load(Ordering::Relaxed);
        // What is left of an earlier generation goes too; a later one's is not this call's to end.
        while seen != 0 && !is_after(of(seen), generation) {
            match self.0.compare_exchange_weak(seen, 0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    pub(crate) fn now(&self, generation: u16) -> Run {
        read(self.0.load(Ordering::Relaxed), generation)
    }
}

// Bits 0..24 count the failed, 24..48 the unsent, 48..64 say of which generation.
fn read(word: u64, generation: u16) -> Run {
    if of(word) != generation {
        return Run::default();
    }
    let part = |shift: u32| u32::try_from(word >> shift & u64::from(RUN_MAX)).unwrap_or(RUN_MAX);
    Run { failed: part(0), unsent: part(24) }
}

const fn of(word: u64) -> u16 {
    (word >> 48) as u16
}

/// Though the numbers may have wrapped around.
#[expect(clippy::cast_possible_wrap, reason = "what is behind is negative")]
const fn is_after(this: u16, that: u16) -> bool {
    this.wrapping_sub(that) as i16 > 0
}

fn write(run: Run, generation: u16) -> u64 {
    u64::from(run.failed) | u64::from(run.unsent) << 24 | u64::from(generation) << 48
}

const RUN_MAX: u32 = 0xff_ffff;

#[cfg(all(test, not(aplomb_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_another_kind_ends_the_run_of_the_unsent() {
        let runs = Runs::new();
        assert_eq!(runs.failed(1, true), Run { failed: 1, unsent: 1 });
        assert_eq!(runs.failed(1, false), Run { failed: 2, unsent: 0 });
        assert_eq!(runs.failed(1, true), Run { failed: 3, unsent: 1 });
        runs.succeeded(1);
        assert_eq!(runs.failed(1, true), Run { failed: 1, unsent: 1 });
    }

    #[test]
    fn a_run_belongs_to_its_generation() {
        let runs = Runs::new();
        runs.failed(1, true);
        assert_eq!(runs.now(2), Run::default());
        assert_eq!(runs.failed(0, true), Run::default());
        runs.succeeded(0);
        assert_eq!(runs.now(1).failed, 1, "a success before it does not end it");
        runs.succeeded(2);
        assert_eq!(runs.now(1).failed, 0, "one after it makes room");
    }
}
