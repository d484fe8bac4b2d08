//! The answers that fit a class of operation: risk to correctness by urgency of its user.
//!
//! Each passes the lint; a test says so.

use std::time::Duration;

use aplomb_backoff::Jitter;
use aplomb_core::{Attempts, OperationClass};

use super::answers::{Alert, BudgetTerms, Owner, Repeat, Transient, Waits, WhenExhausted};
use super::builder::PolicyBuilder;

pub(crate) fn of(class: OperationClass) -> PolicyBuilder {
    let numbers = numbers(class);
    let builder = PolicyBuilder::default()
        .class(class)
        .transient(Transient::Standard)
        .attempts(numbers.attempts)
        .attempt_timeout(millis(numbers.attempt))
        .total(millis(numbers.total))
        .when_exhausted(numbers.when_exhausted)
        .alert(numbers.alert)
        .by_preset();
    let builder = match class {
        // A write needs its key; only its author knows what it is made from.
        OperationClass::KeyedWrite | OperationClass::Deferred => builder.owner(Owner::Here),
        OperationClass::Confirm => {
            return builder.repeat(Repeat::ByMethod).owner(Owner::elsewhere(CALLER));
        }
        _ => builder.repeat(Repeat::ByMethod).owner(Owner::Here),
    };
    let waits = Waits::new(Jitter::Full, millis(numbers.base), millis(numbers.cap));
    builder.backoff(waits).budget(BudgetTerms::default())
}

struct Numbers {
    attempts: Attempts,
    attempt: u64,
    total: u64,
    base: u64,
    cap: u64,
    when_exhausted: WhenExhausted,
    alert: Alert,
}

/// The times in milliseconds.
fn numbers(class: OperationClass) -> Numbers {
    let times = |attempts, attempt, total, [base, cap]: [u64; 2], when_exhausted, alert| {
        let attempts = Attempts::new(attempts);
        Numbers { attempts, attempt, total, base, cap, when_exhausted, alert }
    };
    match class {
        // Somebody looks at a page and waits: a brief second try, then what was true a moment ago.
        OperationClass::Read => {
            times(2, 350, 800, [50, 100], WhenExhausted::LAST_GOOD, Alert::FALLBACKS)
        }
        // Somebody waits, and the outcome matters.
        OperationClass::KeyedWrite => {
            times(3, 500, 3_000, [50, 500], WhenExhausted::PENDING, Alert::RETRIES_EXHAUSTED)
        }
        // Nobody waits: twelve tries spread over an eight-hour day.
        OperationClass::Deferred => times(
            12,
            10_000,
            8 * HOUR,
            [60_000, HOUR],
            WhenExhausted::DEAD_LETTER,
            Alert::DEAD_LETTERS,
        ),
        OperationClass::BestEffort => {
            times(2, 300, 1_000, [100, 500], WhenExhausted::Drop, Alert::CALLS)
        }
        // The safe end: one attempt, a clear failure.
        _ => times(1, 2_000, 2_000, [50, 500], WhenExhausted::Fail, Alert::CALLS),
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Who owns the retries of an operation that this service sends once.
pub(crate) const CALLER: &str = "caller";
const HOUR: u64 = 3_600_000;
