use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aplomb_core::{Dice, Observe, Rng, time};

use crate::capacity::Capacity;
use crate::errors::Fault;
use crate::{Cut, EdgeLayer, ErrorsLayer, Event, Everything, Knobs};

/// The handle on a service's faults: clones turn the same knobs.
///
/// Starts calm. [`set`](Self::set) replaces all knobs at once and acts from the next call that
/// reaches a station; calls that wait already wait on.
#[derive(Clone)]
pub struct Chaos<O = ()> {
    shared: Arc<Shared>,
    observer: O,
}

struct Shared {
    /// Whether every station may pass by without looking at `live`.
    calm: AtomicBool,
    live: RwLock<Arc<Live>>,
}

/// The knobs of the moment, with what belongs to them.
struct Live {
    knobs: Knobs,
    lose_left: AtomicU32,
    capacity: Option<Capacity>,
    dice: Stations,
}

/// Dice for each station, so that turning one knob does not change how another one falls.
#[derive(Clone)]
struct Stations {
    drop: Dice,
    error: Dice,
    latency: Dice,
    lose: Dice,
}

impl Chaos {
    /// Calm, with dice that nobody can foretell.
    pub fn new() -> Self {
        Self::seeded(Dice::from_entropy().roll().bits())
    }

    /// Calm, with dice that fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        let live = Live {
            knobs: Knobs::default(),
            lose_left: AtomicU32::new(0),
            capacity: None,
            dice: Stations::seeded(seed),
        };
        Self {
            shared: Arc::new(Shared {
                calm: AtomicBool::new(true),
                live: RwLock::new(Arc::new(live)),
            }),
            observer: (),
        }
    }
}

impl<O> Chaos<O> {
    /// The same knobs, with faults told to `observer`.
    #[must_use]
    pub fn observe<P: Observe<Event>>(&self, observer: P) -> Chaos<P> {
        Chaos { shared: Arc::clone(&self.shared), observer }
    }

    /// Turns all knobs at once. A seed other than 0 starts the dice anew.
    pub fn set(&self, knobs: Knobs) {
        let mut live = self.shared.live.write().unwrap_or_else(PoisonError::into_inner);
        let dice = match knobs.seed {
            0 => live.dice.clone(),
            seed => Stations::seeded(seed),
        };
        *live = Arc::new(Live {
            knobs,
            lose_left: AtomicU32::new(knobs.lose_next),
            capacity: Capacity::per_second(knobs.capacity_per_second, time::now()),
            dice,
        });
        self.shared.calm.store(knobs.is_calm(), Ordering::Release);
    }

    /// The knobs as they stand; `lose_next` is what is left of it.
    pub fn knobs(&self) -> Knobs {
        let live = self.live();
        Knobs { lose_next: live.lose_left.load(Ordering::Acquire), ..live.knobs }
    }

    fn live(&self) -> Arc<Live> {
        let live = self.shared.live.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&live)
    }

    /// The live knobs, unless all is calm.
    fn stormy(&self) -> Option<Arc<Live>> {
        let calm = self.shared.calm.load(Ordering::Acquire);
        (!calm).then(|| self.live())
    }
}

impl<O: Clone> Chaos<O> {
    /// The station at the very outside: connections cut before anything runs, answers lost after
    /// all was done.
    pub fn edge(&self) -> EdgeLayer<Everything, O> {
        EdgeLayer::new(self.clone())
    }

    /// The station before anything is claimed: errors answered instead of the service.
    pub fn errors(&self) -> ErrorsLayer<Everything, O> {
        ErrorsLayer::new(self.clone())
    }
}

impl<O: Observe<Event>> Chaos<O> {
    /// How long the handler is to wait, if at all.
    pub(crate) fn delays(&self) -> Option<Duration> {
        let wait = self.stormy()?.wait()?;
        self.observer.observe(&Event::Delayed(wait));
        Some(wait)
    }

    /// Whether the connection is to be cut before anything runs.
    pub(crate) fn cuts_before(&self) -> Option<Cut> {
        let live = self.stormy()?;
        let event = live.drops()?;
        self.observer.observe(&event);
        Some(Cut::BEFORE)
    }

    /// Whether the answer that was just made is to be lost.
    pub(crate) fn loses_answer(&self) -> Option<Cut> {
        let live = self.stormy()?;
        if !live.loses() {
            return None;
        }
        self.observer.observe(&Event::Lost);
        Some(Cut::AFTER)
    }

    /// What to answer instead of the service, if anything.
    pub(crate) fn fails(&self) -> Option<Fault> {
        let fault = self.stormy()?.fails()?;
        self.observer.observe(&fault.event());
        Some(fault)
    }
}

impl Live {
    fn drops(&self) -> Option<Event> {
        if self.knobs.down {
            return Some(Event::Down);
        }
        let dropped = self.dice.drop.roll().chance(self.knobs.drop_connection_rate);
        dropped.then_some(Event::Dropped)
    }

    fn loses(&self) -> bool {
        // A promised loss is taken before a random one, so that "the next n" are exactly n.
        let one_less = |left: u32| left.checked_sub(1);
        let promised =
            self.lose_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok();
        promised || self.dice.lose.roll().chance(self.knobs.lose_response_rate)
    }

    fn fails(&self) -> Option<Fault> {
        if let Some(capacity) = &self.capacity {
            if !capacity.admit(time::now()) {
                return Some(Fault::OverCapacity);
            }
        }
        let failed = self.dice.error.roll().chance(self.knobs.error_rate);
        failed.then_some(Fault::Injected(self.knobs.status()))
    }

    fn wait(&self) -> Option<Duration> {
        let (least, jitter) = self.knobs.latency();
        let wait = least + self.dice.latency.roll().up_to(jitter);
        (!wait.is_zero()).then_some(wait)
    }
}

impl Stations {
    fn seeded(seed: u64) -> Self {
        let station = |index| Dice::seeded(Rng::stream(seed, index).bits());
        Self { drop: station(1), error: station(2), latency: station(3), lose: station(4) }
    }
}

impl Default for Chaos {
    fn default() -> Self {
        Self::new()
    }
}

impl<O> fmt::Debug for Chaos<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos").field("knobs", &self.knobs()).finish_non_exhaustive()
    }
}
