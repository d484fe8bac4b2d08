use aplomb_core::{Rng, Rolls};

use crate::model::Model;
use crate::units::index;
use crate::words::Guard;

/// What each stream of random numbers is for. Every client has one of each, so that adding a
/// client, or a draw for one purpose, never changes another.
///
/// ```
/// use aplomb_lab::Purpose;
///
/// // The same seed and client give the same numbers, whatever else is drawn.
/// let (mut one, mut other) = (Purpose::Dice.stream(7, 3), Purpose::Dice.stream(7, 3));
/// assert_eq!(one.bits(), other.bits());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// When its calls begin.
    Arrivals,
    /// How long its retries wait: the seed of its [`Dice`](aplomb_core::Dice).
    Dice,
    /// Whether a fault hits its request.
    Fault,
    /// How long a worker takes for it.
    Service,
    /// How long the network takes.
    Network,
    /// Which shard a call belongs to.
    Shard,
    /// How long its circuits stay open: the seed of their [`Dice`](aplomb_core::Dice).
    Circuit,
    /// When a busy server tells it to come back.
    Pushback,
}

impl Purpose {
    /// The stream of a client for this purpose.
    pub fn stream(self, seed: u64, client: u32) -> Rng {
        Rng::stream(seed, u64::from(client) * PURPOSES + self as u64)
    }
}

/// What the lab keeps of a client between its calls: 40 bytes.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) arrivals: Rng,
    pub(crate) fault: Rng,
    pub(crate) service: Rng,
    pub(crate) network: Rng,
    dice: Rolls,
}

/// What few models need of a client: kept apart, so that the others stay small.
#[derive(Debug)]
pub(crate) struct Rare {
    pub(crate) shard: Rng,
    pub(crate) pushback: Rng,
}

impl Client {
    pub(crate) fn new(seed: u64, number: u32) -> Self {
        Self {
            arrivals: Purpose::Arrivals.stream(seed, number),
            fault: Purpose::Fault.stream(seed, number),
            service: Purpose::Service.stream(seed, number),
            network: Purpose::Network.stream(seed, number),
            dice: Rolls::seeded(Purpose::Dice.stream(seed, number).bits()),
        }
    }

    /// What its `Dice` would roll.
    pub(crate) fn roll(&mut self) -> Rng {
        self.dice.roll()
    }
}

/// All callers: the clients, then the services of a chain, which call each other.
#[derive(Debug)]
pub(crate) struct Clients {
    all: Vec<Client>,
    rare: Vec<Rare>,
}

impl Clients {
    pub(crate) fn new(model: &Model, seed: u64) -> Self {
        let rare = |number| Rare {
            shard: Purpose::Shard.stream(seed, number),
            pushback: Purpose::Pushback.stream(seed, number),
        };
        let is_rare = model.shards > 1 || model.admission != Guard::None;
        Self {
            all: numbers(model).map(|number| Client::new(seed, number)).collect(),
            rare: numbers(model).filter(|_| is_rare).map(rare).collect(),
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, caller: u32) -> &mut Client {
        &mut self.all[index(caller.into())]
    }

    /// Only where there are shards or admission.
    pub(crate) fn rare(&mut self, caller: u32) -> &mut Rare {
        &mut self.rare[index(caller.into())]
    }
}

/// The numbers that callers take their streams from. Services take theirs from the far end, so that
/// more clients leave them alone.
pub(crate) fn numbers(model: &Model) -> impl Iterator<Item = u32> {
    let services = (1..model.layers).map(|service| u32::MAX - u32::from(service));
    (0..model.clients).chain(services)
}

const PURPOSES: u64 = 8;
