use aplomb_core::{Rng, Rolls};

use crate::units::index;

/// What each stream of random numbers is for. Every client has one of each, so that adding a
/// client, or a draw for one purpose, never changes another.
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
pub(crate) struct Clients(Vec<Client>);

impl Clients {
    pub(crate) fn new(seed: u64, clients: u32, layers: u8) -> Self {
        // Services take their streams from the far end, so that more clients leave them alone.
        let services = (1..layers).map(|service| u32::MAX - u32::from(service));
        Self((0..clients).chain(services).map(|number| Client::new(seed, number)).collect())
    }

    pub(crate) fn of(&mut self, caller: u32) -> &mut Client {
        &mut self.0[index(caller.into())]
    }
}

const PURPOSES: u64 = 8;
