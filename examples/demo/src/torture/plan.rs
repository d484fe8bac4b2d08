//! What happens in each step, decided by the seed alone.

use aplomb_core::Rng;
use aplomb_inventory_service::Point;

/// One step: a unit of work that a caller wants done, and what befalls it the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Which unit of work. Two steps for one unit are duplicates: same key, same bytes.
    pub(super) unit: u64,
    pub(super) fate: Fate,
}

/// What befalls the first request of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Calm,
    /// The process that works on it is killed at this point.
    Kill(Point),
    /// The process that works on it is stopped at this point, for longer than its lease.
    Stall(Point),
    /// Its caller hangs up within so many milliseconds.
    HangUp(u64),
}

/// The steps of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) steps: u64,
}

impl Plan {
    /// Step number `index`.
    pub(super) fn step(self, index: u64) -> Step {
        let mut rng = Rng::stream(self.seed, index);
        // Two thirds of the steps begin a unit; the others repeat one of the last few, which may
        // well be under way.
        let back = if rng.below(3) == 0 { 1 + rng.below(RECENT) } else { 0 };
        let unit = index.saturating_sub(back);
        Step { unit, fate: fate(&mut rng) }
    }

    /// The request of a unit.
    pub(super) fn wanted(self, unit: u64) -> Wanted {
        let sku = match unit % SKUS {
            0 => "scarce".to_owned(),
            plenty => format!("plenty-{plenty}"),
        };
        Wanted { order: format!("torture-{}-{unit}", self.seed), sku }
    }

    /// The products, and how much there is of each: of one too little for all.
    pub(super) fn stocks(self) -> Vec<(String, u64)> {
        let plenty = (1..SKUS).map(|sku| (format!("plenty-{sku}"), self.steps));
        std::iter::once(("scarce".to_owned(), self.steps / SKUS / 3)).chain(plenty).collect()
    }
}

/// What a unit of work asks for: one piece, in the first line of an order of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) order: String,
    pub(super) sku: String,
}

impl Wanted {
    pub(super) fn key(&self) -> String {
        format!("{}-line-1-reservation", self.order)
    }
}

fn fate(rng: &mut Rng) -> Fate {
    match rng.below(100) {
        0..KILLS => Fate::Kill(point(rng)),
        KILLS..STALLS => Fate::Stall(point(rng)),
        STALLS..HANG_UPS => Fate::HangUp(rng.below(20)),
        _ => Fate::Calm,
    }
}

fn point(rng: &mut Rng) -> Point {
    match rng.below(4) {
        0 => Point::BeforeEffect,
        1 => Point::AfterEffect,
        2 => Point::AfterRecord,
        _ => Point::BeforeResponse,
    }
}

/// Of a hundred steps so many are killed, so many stalled after them, so many hang up.
const KILLS: u64 = 25;
const STALLS: u64 = KILLS + 2;
const HANG_UPS: u64 = STALLS + 5;
/// How far back a duplicate reaches: about as far as there are callers at work.
const RECENT: u64 = 24;
const SKUS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_step() {
        let (one, again) = (Plan { seed: 7, steps: 100 }, Plan { seed: 7, steps: 100 });
        let other = Plan { seed: 8, steps: 100 };
        let all = |plan: Plan| (0..100).map(|index| plan.step(index)).collect::<Vec<_>>();
        assert_eq!(all(one), all(again));
        assert_ne!(all(one), all(other));
    }

    #[test]
    fn kills_at_every_point_stalls_hang_ups_and_duplicates_all_happen() {
        let plan = Plan { seed: 1, steps: 2_000 };
        let steps: Vec<_> = (0..plan.steps).map(|index| plan.step(index)).collect();
        let count =
            |fits: &dyn Fn(&Fate) -> bool| steps.iter().filter(|step| fits(&step.fate)).count();
        for point in Point::ALL {
            assert!(count(&|fate| *fate == Fate::Kill(point)) > 80, "{point:?}");
        }
        assert!(count(&|fate| matches!(fate, Fate::Stall(_))) > 20);
        assert!(count(&|fate| matches!(fate, Fate::HangUp(_))) > 50);
        let units: std::collections::BTreeSet<_> = steps.iter().map(|step| step.unit).collect();
        assert!(units.len() < 1_700, "{} units in 2000 steps", units.len());
    }

    #[test]
    fn the_scarce_product_sells_out() {
        let plan = Plan { seed: 1, steps: 1_000 };
        let (_, scarce) = &plan.stocks()[0];
        let wanted: std::collections::BTreeSet<_> =
            (0..1_000).map(|i| plan.step(i).unit).filter(|unit| unit % SKUS == 0).collect();
        assert!(wanted.len() as u64 > *scarce);
    }
}
