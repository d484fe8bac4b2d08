use aplomb_idempotency::{Lapsed, State};

use crate::world::{Process, Protocol, World};

/// Whether, once nothing fails any more, each caller that keeps asking is told how it ended.
///
/// What still runs comes to its end, the database decides what it left open, time passes. An
/// unknown outcome is an end for its caller where the route declared no better; there it must be
/// one that an operator can settle.
pub(crate) fn ends_well(protocol: &Protocol, world: &World) -> bool {
    let mut world = world.clone();
    for process in 0..world.processes.len() {
        finish(protocol, &mut world, process);
    }
    for caller in [0, 1] {
        if !is_told(protocol, &mut world, caller) {
            return false;
        }
    }
    !world.stale_write && !world.two_answers && world.effects.len() <= 1
}

/// Asks until there is an answer, later each time.
fn is_told(protocol: &Protocol, world: &mut World, caller: u8) -> bool {
    for _ in 0..ASKS_MAX {
        let asked = World { processes: [Process::Idle; 3], ..world.clone() };
        *world = asked;
        world.callers[usize::from(caller)].told = None;
        world.processes[0] = Process::Asked { caller, ticket: u8::MAX };
        finish(protocol, world, 0);
        let told = world.callers[usize::from(caller)];
        if told.told.is_some() || told.told_gone {
            return true;
        }
        // Another payload has the key: 422, for good.
        if other_payload(world, caller) {
            return true;
        }
        let is_unknown = matches!(world.state(), Some(State::Unknown { .. }));
        let is_promised = protocol.policy == Lapsed::RunAgain;
        if is_unknown && (is_promised || world.resolve(protocol).is_none()) {
            return false;
        }
        world.now += 1;
    }
    false
}

fn other_payload(world: &World, caller: u8) -> bool {
    world.record.0.as_ref().is_some_and(|(payload, _)| *payload != world.payload(caller))
}

/// Lets a process do all that it has to do.
fn finish(protocol: &Protocol, world: &mut World, process: usize) {
    for _ in 0..STEPS_MAX {
        if world.settle(true).is_some() {
            continue;
        }
        let begins = matches!(world.processes[process], Process::Asked { .. });
        let went = if begins {
            world.begin(protocol, process, true)
        } else {
            world.proceed(protocol, process)
        };
        if went.is_some() {
            continue;
        }
        // Somebody else's transaction holds the record.
        let holder = world.processes.iter().position(|p| matches!(p, Process::Written { .. }));
        match holder {
            Some(holder) if holder != process => world.proceed(protocol, holder),
            _ => return,
        };
    }
    unreachable!("a process has few steps to go: {world:?}")
}

/// All that a process does for one request.
const STEPS_MAX: u32 = 24;
/// More than a lease, and what else may have to pass.
const ASKS_MAX: u32 = 8;
