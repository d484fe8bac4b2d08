use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aplomb_core::{Dice, Observe, time};

use crate::errors::Fault;
use crate::live::{Live, Stations};
use crate::{
    BodyLayer, ConnectLayer, Cut, DelayLayer, EdgeLayer, ErrorsLayer, Event, Everything, Knobs,
    Refused, StationLayer, body, connect, delay, edge, errors,
};

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

impl Chaos {
    /// Calm, with dice that nobody can foretell.
    pub fn new() -> Self {
        Self::seeded(Dice::from_entropy().roll().bits())
    }

    /// Calm, with dice that fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        let live = Live::new(Knobs::default(), Stations::seeded(seed), time::now());
        let live = RwLock::new(Arc::new(live));
        Self { shared: Arc::new(Shared { calm: AtomicBool::new(true), live }), observer: () }
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
        *live = Arc::new(Live::new(knobs, dice, time::now()));
        self.shared.calm.store(knobs.is_calm(), Ordering::Release);
    }

    /// The knobs as they stand; `lose_next` is what is left of it.
    pub fn knobs(&self) -> Knobs {
        let live = self.live();
        Knobs { lose_next: live.lose_next(), ..live.knobs }
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
    /// The station at the very outside: connections cut or left without an answer before anything
    /// runs, answers lost after all was done.
    pub fn edge(&self) -> EdgeLayer<Everything, O> {
        StationLayer::new(self.clone(), edge::AtEdge)
    }

    /// The station where a body leaves: answers that break off in the middle.
    pub fn body(&self) -> BodyLayer<Everything, O> {
        StationLayer::new(self.clone(), body::AtBody)
    }

    /// The station before anything is claimed: errors answered instead of the service.
    pub fn errors(&self) -> ErrorsLayer<Everything, O> {
        StationLayer::new(self.clone(), errors::AtErrors)
    }

    /// The station before a service: calls that come late, or wait for their turn.
    pub fn delay(&self) -> DelayLayer<Everything, O> {
        StationLayer::new(self.clone(), delay::AtDelay)
    }

    /// The station around whatever connects: connections that are refused.
    pub fn connect(&self) -> ConnectLayer<Everything, O> {
        StationLayer::new(self.clone(), connect::AtConnect)
    }
}

impl<O: Observe<Event>> Chaos<O> {
    /// How long the call is to wait, if at all.
    pub(crate) fn delays(&self) -> Option<Duration> {
        let wait = self.stormy()?.wait(time::now())?;
        self.observer.observe(&Event::Delayed(wait));
        Some(wait)
    }

    /// What stops the call before anything runs, if anything.
    pub(crate) fn stops(&self) -> Option<Event> {
        let event = self.stormy()?.stops()?;
        self.observer.observe(&event);
        Some(event)
    }

    /// Whether the answer that was just made is to be lost.
    pub(crate) fn loses_answer(&self) -> Option<Cut> {
        self.happens(Event::Lost, Live::loses)?;
        Some(Cut::AFTER)
    }

    /// Whether the connection is to be refused.
    pub(crate) fn refuses(&self) -> Option<Refused> {
        self.happens(Event::Refused, Live::refuses)?;
        Some(Refused::NOW)
    }

    /// Whether the body that was just begun is to break off.
    pub(crate) fn cuts_short(&self) -> Option<Cut> {
        self.happens(Event::CutShort, Live::cuts_short)?;
        Some(Cut::AFTER)
    }

    /// What to answer instead of the service, if anything.
    pub(crate) fn fails(&self) -> Option<Fault> {
        let live = self.stormy()?;
        let fault = if live.is_over_capacity(time::now()) {
            Fault::OverCapacity(live.spread())
        } else if live.fails() {
            Fault::Injected(live.knobs.status())
        } else {
            return None;
        };
        self.observer.observe(&fault.event());
        Some(fault)
    }

    fn happens(&self, event: Event, does: fn(&Live) -> bool) -> Option<()> {
        let live = self.stormy()?;
        does(&live).then(|| self.observer.observe(&event))
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
