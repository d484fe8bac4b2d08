//! The callers' circuits: the breaker that ships, told the time.

use aplomb_circuit_breaker::{Breaker, Ended, Permit, Settings, State};
use aplomb_core::time::{Duration, Instant};
use aplomb_core::{Dice, Outcome};

use crate::client::{Purpose, numbers};
use crate::model::Model;
use crate::units::index;
use crate::words::Circuit;

/// All circuits: one a caller, or one for each shard that it calls.
#[derive(Debug, Default)]
pub(crate) struct Circuits {
    settings: Settings,
    per_caller: u32,
    breakers: Vec<Breaker>,
    dice: Vec<Dice>,
    permits: Vec<Option<Permit>>,
}

impl Circuits {
    pub(crate) fn new(model: &Model, seed: u64, origin: Instant) -> Self {
        let per_caller = per_caller(model);
        let dice = |number| Dice::seeded(Purpose::Circuit.stream(seed, number).bits());
        let callers = numbers(model).filter(|_| per_caller > 0);
        let dice: Vec<Dice> = callers.map(dice).collect();
        let circuits = dice.len() * index(per_caller.into());
        Self {
            settings: model.circuit(),
            per_caller,
            breakers: (0..circuits).map(|_| Breaker::new(origin)).collect(),
            dice,
            permits: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn are_none(&self) -> bool {
        self.breakers.is_empty()
    }

    /// Lets an attempt out, or tells how long it is of no use to try.
    pub(crate) fn admit(
        &mut self,
        place: u32,
        caller: u32,
        shard: u16,
        now: Instant,
    ) -> Result<(), Duration> {
        let circuit = self.circuit(caller, shard);
        let (permit, _) = self.breakers[circuit].admit(&self.settings, now)?;
        let place = index(place.into());
        if place >= self.permits.len() {
            self.permits.resize_with(place + 1, || None);
        }
        self.permits[place] = Some(permit);
        Ok(())
    }

    /// Is told how an attempt ended, if it was let out.
    pub(crate) fn settle(
        &mut self,
        place: u32,
        caller: u32,
        shard: u16,
        now: Instant,
        outcome: Outcome,
    ) {
        let permit = self.permits.get_mut(index(place.into())).and_then(Option::take);
        let Some(permit) = permit else { return };
        let circuit = self.circuit(caller, shard);
        let dice = &self.dice[index(caller.into())];
        let ended = Ended::With(outcome);
        self.breakers[circuit].settle(&self.settings, permit, now, ended, dice);
    }

    /// Whether a second send may follow the first: where a circuit probes, one is enough.
    pub(crate) fn is_closed(&self, caller: u32, shard: u16) -> bool {
        self.are_none() || self.breakers[self.circuit(caller, shard)].state() == State::Closed
    }

    /// Whether any circuit of a caller is not closed.
    pub(crate) fn is_any_open(&self, caller: u32) -> bool {
        let first = self.circuit(caller, 0);
        let own = self.breakers.get(first..first + index(self.per_caller.into()));
        own.unwrap_or_default().iter().any(|breaker| breaker.state() != State::Closed)
    }

    /// Bytes a caller.
    pub(crate) fn bytes(model: &Model) -> u64 {
        u64::from(per_caller(model)) * (size_of::<Breaker>() + size_of::<Dice>() + DICE_HEAP) as u64
    }

    fn circuit(&self, caller: u32, shard: u16) -> usize {
        let shard = if self.per_caller > 1 { shard } else { 0 };
        index(u64::from(caller) * u64::from(self.per_caller) + u64::from(shard))
    }
}

fn per_caller(model: &Model) -> u32 {
    match model.breaker {
        Circuit::None => 0,
        Circuit::Together => 1,
        Circuit::PerShard => model.shards,
    }
}

/// What a die points to.
const DICE_HEAP: usize = 32;
