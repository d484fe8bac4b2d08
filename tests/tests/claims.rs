//! The claim protocol, checked exhaustively.
//!
//! Two callers share a key and send it to three processes, each request more than once. Processes
//! stop for as long as they like between any two steps, die, come back too late; the store's
//! answers are lost, commits are carried out after whoever asked for them is gone, leases end,
//! answers expire, sweeps pass. Every order of all that is tried, on the same pure machine that
//! every store follows, and in each state that comes up the laws hold.
//!
//! The checker is only worth what it can miss: the last tests leave a rule out and see that it
//! finds the two effects.

#[path = "claims/course.rs"]
mod course;
#[path = "claims/healing.rs"]
mod healing;
#[path = "claims/steps.rs"]
mod steps;
#[path = "claims/world.rs"]
mod world;

use aplomb_idempotency::{Lapsed, State};
use stateright::{Checker, HasDiscoveries, Model, Property};

use steps::Action;
use world::{Broken, Process, Protocol, World};

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(Action::all(self, world));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        action.take(self, world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_EFFECT, |_, world: &World| world.effects.len() <= 1),
            Property::always(TRUE_ANSWER, |_, world: &World| {
                let told = world.callers.iter().filter_map(|caller| caller.told);
                told.into_iter().all(|told| world.effects.contains(&told))
            }),
            Property::always(SAME_ANSWER, |_, world: &World| !world.two_answers),
            Property::always(STALE, |_, world: &World| !world.stale_write),
            Property::always(ENDS, healing::ends_well),
            // What must come up, or the laws above would hold of a world where nothing happens.
            Property::sometimes("a zombie is fenced out", |_, world: &World| {
                world.processes.iter().any(|process| matches!(process, Process::Lost { .. }))
            }),
            Property::sometimes("an answer is replayed", |_, world: &World| {
                let replayed =
                    |p: &Process| matches!(p, Process::Answering { is_replay: true, .. });
                world.processes.iter().any(replayed)
            }),
            Property::sometimes("an answer expires", |_, world: &World| {
                matches!(world.state(), Some(State::Tombstone { .. }))
            }),
        ];
        if self.policy == Lapsed::Unknown {
            properties.push(Property::sometimes("an outcome is unknown", |_, world: &World| {
                matches!(world.state(), Some(State::Unknown { .. }))
            }));
        } else {
            properties.push(Property::sometimes(
                "two processes hold claims",
                |_, world: &World| {
                    world.processes.iter().filter(|process| process.fence().is_some()).count() > 1
                },
            ));
        }
        properties
    }
}

#[test]
fn a_transactional_key_has_one_effect_whatever_fails() {
    hold(Protocol::new(Lapsed::RunAgain));
}

#[test]
fn a_key_whose_outcome_may_be_unknown_has_one_effect_whatever_fails() {
    hold(Protocol::new(Lapsed::Unknown));
}

#[test]
fn a_recovered_key_has_one_effect_where_the_effect_knows_the_fence() {
    hold(Protocol::new(Lapsed::Recover));
}

#[test]
fn a_second_payload_never_gets_the_answer_to_the_first() {
    hold(Protocol { payloads: [1, 2], ..Protocol::new(Lapsed::RunAgain) });
}

#[test]
fn the_checker_finds_the_second_effect_of_a_route_that_asked_for_it() {
    find(Protocol::new(Lapsed::AtLeastOnce), ONE_EFFECT);
}

#[test]
fn the_checker_finds_the_zombie_whose_effect_does_not_know_the_fence() {
    let protocol = Protocol { is_fence_passed_on: false, ..Protocol::new(Lapsed::Recover) };
    find(protocol, ONE_EFFECT);
}

#[test]
fn the_checker_finds_an_effect_that_commits_before_its_record() {
    let broken = Some(Broken::RecordAfterEffect);
    find(Protocol { broken, ..Protocol::new(Lapsed::RunAgain) }, ONE_EFFECT);
}

#[test]
fn the_checker_finds_a_record_that_is_written_without_its_fence() {
    let broken = Some(Broken::FenceIgnored);
    find(Protocol { broken, ..Protocol::new(Lapsed::RunAgain) }, STALE);
}

#[test]
fn the_checker_finds_the_zombie_that_an_operator_forgot() {
    let broken = Some(Broken::OperatorHasty);
    find(Protocol { broken, ..Protocol::new(Lapsed::Recover) }, ONE_EFFECT);
}

/// The laws hold in every state, and each kind of trouble comes up.
fn hold(protocol: Protocol) {
    // A world without the laws goes on for longer than anybody waits.
    let finished = HasDiscoveries::AnyFailures;
    let checker = protocol.checker().threads(THREADS).finish_when(finished).spawn_bfs().join();
    println!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// A broken protocol is found out, by the law that should find it.
fn find(protocol: Protocol, law: &'static str) {
    let finished = HasDiscoveries::AnyOf([law].into());
    let checker = protocol.checker().threads(THREADS).finish_when(finished).spawn_bfs().join();
    let path = checker.assert_any_discovery(law);
    println!("{law}: not after {:?}", path.into_actions());
}

const THREADS: usize = 2;

const ONE_EFFECT: &str = "a key has one effect at most";
const TRUE_ANSWER: &str = "who is told of a success has its effect";
const SAME_ANSWER: &str = "one payload, one answer";
const STALE: &str = "a stale fence changes nothing";
const ENDS: &str = "once nothing fails any more, every caller is told how it ended";
