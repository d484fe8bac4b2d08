use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aplomb_circuit_breaker::{BreakerEvent, Circuit, State};

use crate::catalogue;
use crate::maker::Maker;
use crate::recorder::Series;

/// How the circuits of one operation are, as gauges.
///
/// Keys may be many, and chosen by strangers. [`CIRCUITS_MAX`] of them have series of their own; when
/// one more changes its state, it takes the place of a closed one, and while there is none it is
/// counted under `other`. A circuit that was forgotten, or has been closed and gave way, has no series.
#[derive(Debug)]
pub(crate) struct Circuits {
    maker: Maker,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    named: BTreeMap<String, Named>,
    // Those without a series of their own that are not closed.
    others: BTreeMap<String, Shown>,
}

#[derive(Debug)]
struct Named {
    shown: Shown,
    series: [Series; Shown::ALL.len()],
}

/// The states as they are shown: an open circuit that rejects nothing is not an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Closed,
    HalfOpen,
    Open,
    WouldBeOpen,
}

impl Shown {
    const ALL: [Self; 4] = [Self::Closed, Self::HalfOpen, Self::Open, Self::WouldBeOpen];

    const fn of(state: State, enforced: bool) -> Self {
        match state {
            State::Closed => Self::Closed,
            State::HalfOpen => Self::HalfOpen,
            State::Open if enforced => Self::Open,
            State::Open => Self::WouldBeOpen,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
            Self::WouldBeOpen => "would_be_open",
        }
    }

    const fn state(self) -> State {
        match self {
            Self::Closed => State::Closed,
            Self::HalfOpen => State::HalfOpen,
            Self::Open | Self::WouldBeOpen => State::Open,
        }
    }
}

impl Circuits {
    pub(crate) fn new(maker: Maker) -> Self {
        Self { maker, known: Mutex::default() }
    }

    /// Shows a change of state. Takes a lock, which is held for no more than that.
    pub(crate) fn hear(&self, event: &BreakerEvent<'_>) {
        match *event {
            BreakerEvent::Changed { circuit, change, enforced } => {
                let shown = Shown::of(change.to, enforced);
                self.known().change(&self.maker, &circuit.to_string(), shown);
            }
            BreakerEvent::Forgotten { circuit } => {
                self.known().forget(&self.maker, &circuit.to_string());
            }
            _ => {}
        }
    }

    /// How the circuit for all calls was last.
    pub(crate) fn whole(&self) -> Option<State> {
        let known = self.known();
        known.named.get(&Circuit::Whole.to_string()).map(|named| named.shown.state())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn change(&mut self, maker: &Maker, circuit: &str, shown: Shown) {
        if circuit.len() <= NAME_MAX && !self.named.contains_key(circuit) {
            self.make_room(maker);
            if self.named.len() < CIRCUITS_MAX {
                let series = Shown::ALL.map(|shown| series(maker, circuit, shown));
                self.named.insert(circuit.to_owned(), Named { shown, series });
                self.others.remove(circuit);
                self.show_others(maker);
            }
        }
        match self.named.get_mut(circuit) {
            Some(named) => named.show(shown),
            None if shown == Shown::Closed => _ = self.others.remove(circuit),
            None if self.others.len() < OTHERS_MAX => {
                self.others.insert(circuit.to_owned(), shown);
            }
            None => {}
        }
        if !self.named.contains_key(circuit) {
            self.show_others(maker);
        }
    }

    fn forget(&mut self, maker: &Maker, circuit: &str) {
        if self.named.remove(circuit).is_some() {
            hide(maker, circuit);
        } else if self.others.remove(circuit).is_some() {
            self.show_others(maker);
        }
    }

    /// A closed circuit gives way when all places are taken.
    fn make_room(&mut self, maker: &Maker) {
        if self.named.len() < CIRCUITS_MAX {
            return;
        }
        let closed = self.named.iter().find(|(_, named)| named.shown == Shown::Closed);
        let Some(circuit) = closed.map(|(circuit, _)| circuit.clone()) else { return };
        self.named.remove(&circuit);
        hide(maker, &circuit);
    }

    fn show_others(&self, maker: &Maker) {
        for shown in [Shown::HalfOpen, Shown::Open, Shown::WouldBeOpen] {
            let count = self.others.values().filter(|other| **other == shown).count();
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if count > 0 {
                series(maker, OTHER, shown).write(count.into());
            } else {
                maker.forget_circuit(OTHER, shown.as_str());
            }
        }
    }
}

impl Named {
    fn show(&mut self, shown: Shown) {
        self.shown = shown;
        for (state, series) in Shown::ALL.iter().zip(&self.series) {
            series.write(if *state == shown { 1.0 } else { 0.0 });
        }
    }
}

fn series(maker: &Maker, circuit: &str, shown: Shown) -> Series {
    let labels = [&maker.dependency, &*maker.operation, circuit, shown.as_str()];
    maker.recorder.series(&catalogue::CIRCUITS, &labels)
}

fn hide(maker: &Maker, circuit: &str) {
    for shown in Shown::ALL {
        maker.forget_circuit(circuit, shown.as_str());
    }
}

impl Maker {
    fn forget_circuit(&self, circuit: &str, state: &str) {
        let labels = [&self.dependency, &*self.operation, circuit, state];
        self.recorder.forget(&catalogue::CIRCUITS, &labels);
    }
}

/// So many circuits of one operation have series of their own: more than a person looks at.
pub const CIRCUITS_MAX: usize = 64;
/// The name of all others.
pub const OTHER: &str = "other";
/// A longer key has no series of its own.
const NAME_MAX: usize = 128;
/// So many of the others are told apart, four times what a breaker keeps by default.
const OTHERS_MAX: usize = 4_096;
