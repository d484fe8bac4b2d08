//! Parts of a layer that peers have as parts too.

use std::hint::black_box;
use std::time::Duration;

use aplomb_backoff::Backoff;
use aplomb_core::Dice;
use aplomb_retry::Budget;
use backon::{BackoffBuilder, ExponentialBuilder};
use tower::retry::budget::{Budget as _, TpsBudget};

use super::Item;

pub(super) const ITEMS: &[Item] = &[
    Item::new("empty-loop", |_, calls| {
        for number in 0..calls {
            black_box(number);
        }
    }),
    Item::new("tower-deposit", |_, calls| {
        let budget = TpsBudget::default();
        for _ in 0..calls {
            black_box(&budget).deposit();
        }
    })
    .over("empty-loop"),
    Item::new("deposit", |_, calls| {
        let budget = Budget::percent(20);
        for _ in 0..calls {
            black_box(&budget).deposit();
        }
    })
    .over("empty-loop")
    .beside("tower-deposit", 0.15, 0.1),
    Item::new("backon-delay", |_, calls| {
        let schedule = ExponentialBuilder::default().with_jitter().with_jitter_seed(1);
        let schedule = schedule.with_min_delay(BASE).with_max_delay(CAP).without_max_times();
        let mut delays = schedule.build();
        for _ in 0..calls {
            black_box(delays.next());
        }
    })
    .over("empty-loop"),
    Item::new("delay", |_, calls| {
        let mut rng = Dice::seeded(1).roll();
        let mut delays = Backoff::full(BASE, CAP).delays();
        for _ in 0..calls {
            black_box(delays.next(&mut rng));
        }
    })
    .over("empty-loop")
    .beside("backon-delay", 0.25, 0.12),
];

const BASE: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_secs(5);
