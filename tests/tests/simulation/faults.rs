use std::time::Duration;

use aplomb_core::Rng;

use crate::world::World;

/// The trouble that one seed makes: what, from when, for how long.
pub(crate) struct Faults {
    faults: Vec<Fault>,
    rng: Rng,
}

#[derive(Debug)]
struct Fault {
    kind: Kind,
    begins: Duration,
    ends: Duration,
    is_begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Requests get there, answers do not; or the other way round.
    OneWay(&'static str, &'static str),
    Partition(&'static str, &'static str),
    /// What is sent is kept back, and all of it arrives late.
    Hold(&'static str, &'static str),
    Crash(&'static str),
    /// A host reaches everything but its records: its leases end while it works on.
    CutOff(&'static str),
}

impl Faults {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, 1);
        let count = 4 + rng.below(8);
        let faults = (0..count).map(|_| {
            let begins = rng.up_to(TROUBLE);
            let lasts = Duration::from_millis(100) + rng.up_to(Duration::from_secs(3));
            Fault {
                kind: kind(&mut rng),
                begins,
                ends: (begins + lasts).min(TROUBLE),
                is_begun: false,
            }
        });
        Self { faults: faults.collect(), rng: Rng::stream(seed, 2) }
    }

    /// Begins and ends what is due now.
    pub(crate) fn step(&mut self, sim: &mut turmoil::Sim<'_>, world: &World) {
        let now = sim.elapsed();
        for host in world.doomed() {
            let kind = Kind::Crash(host);
            let ends = (now + self.rng.up_to(Duration::from_secs(2))).min(TROUBLE);
            self.faults.push(Fault { kind, begins: now, ends, is_begun: false });
        }
        let mut left = Vec::new();
        for mut fault in self.faults.drain(..) {
            if !fault.is_begun && fault.begins <= now {
                world.note_at(now.as_millis(), format_args!("begins: {:?}", fault.kind));
                begin(fault.kind, sim, world);
                fault.is_begun = true;
            }
            if fault.is_begun && fault.ends <= now {
                world.note_at(now.as_millis(), format_args!("ends: {:?}", fault.kind));
                end(fault.kind, sim, world);
                continue;
            }
            left.push(fault);
        }
        self.faults = left;
    }
}

fn kind(rng: &mut Rng) -> Kind {
    let pick = |rng: &mut Rng, names: &[&'static str]| {
        let index = rng.below(names.len() as u64);
        names[usize::try_from(index).expect("there are few hosts")]
    };
    let link = |rng: &mut Rng| {
        let links = LINKS.len() as u64;
        LINKS[usize::try_from(rng.below(links)).expect("there are few links")]
    };
    let (a, b) = link(rng);
    match rng.below(7) {
        0 => Kind::OneWay(a, b),
        1 => Kind::OneWay(b, a),
        2 => Kind::Partition(a, b),
        3 => Kind::Hold(a, b),
        4 => Kind::CutOff(pick(rng, &MORTALS)),
        _ => Kind::Crash(pick(rng, &MORTALS)),
    }
}

fn begin(kind: Kind, sim: &mut turmoil::Sim<'_>, world: &World) {
    match kind {
        Kind::OneWay(from, to) => {
            world.saw("a link was cut one way");
            sim.partition_oneway(from, to);
        }
        Kind::Partition(a, b) => {
            world.saw("a link was cut");
            sim.partition(a, b);
        }
        Kind::Hold(a, b) => {
            world.saw("messages were kept back");
            sim.hold(a, b);
        }
        Kind::CutOff(host) => {
            world.saw("a host lost sight of its records");
            world.cut_off(host, true);
        }
        Kind::Crash(host) => crash(host, sim, world),
    }
}

fn crash(host: &'static str, sim: &mut turmoil::Sim<'_>, world: &World) {
    if sim.is_host_running(host) {
        world.saw("a host died");
        sim.crash(host);
    }
}

fn end(kind: Kind, sim: &mut turmoil::Sim<'_>, world: &World) {
    match kind {
        Kind::OneWay(from, to) => sim.repair_oneway(from, to),
        Kind::Partition(a, b) => sim.repair(a, b),
        Kind::Hold(a, b) => sim.release(a, b),
        Kind::CutOff(host) => world.cut_off(host, false),
        // Two faults may have had it; the first to end brings it back.
        Kind::Crash(host) if sim.is_host_running(host) => {}
        Kind::Crash(host) => sim.bounce(host),
    }
}

/// Who talks to whom.
const LINKS: [(&str, &str); 6] = [
    ("web-1", "orders"),
    ("web-2", "orders"),
    ("orders", "inventory-1"),
    ("orders", "inventory-2"),
    ("inventory-1", "warehouse"),
    ("inventory-2", "warehouse"),
];
const MORTALS: [&str; 4] = ["orders", "inventory-1", "inventory-2", "warehouse"];
/// When all trouble has ended.
pub(crate) const TROUBLE: Duration = Duration::from_secs(14);
