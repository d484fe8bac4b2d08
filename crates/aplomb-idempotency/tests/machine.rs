//! The rules, against a model that is too simple to be wrong.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod model;

use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::machine::{self, Expiry, Step, Turn, Verdict};
use aplomb_idempotency::operator::Resolution;
use aplomb_idempotency::{
    Begin, Begun, Fence, Fingerprint, Identity, Keep, Key, Lapsed, Record, Scope, Settled, State,
    StoredAnswer, Ticket, Timestamp,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use proptest::prelude::*;

use model::{Answered, Model};

/// What may happen. Keys are numbered, each with a policy of its own; holders are named by how many
/// claims of their key ago theirs was given.
#[derive(Clone, Debug)]
enum Move {
    Begin {
        key: usize,
        payload: u8,
    },
    Hold {
        key: usize,
        holder: usize,
        act: Act,
    },
    Resolve {
        key: usize,
        holder: usize,
        applied: bool,
    },
    Purge {
        key: usize,
    },
    Sweep,
    /// The store's clock goes on, or is set back.
    Time {
        millis: i64,
    },
}

/// What a claim's holder does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Renew,
    Complete,
    Abandon,
    MarkUnknown,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_laws_hold_whatever_happens(moves in prop::collection::vec(moves(), 1..120)) {
        let mut world = World::default();
        for next in moves {
            world.take(&next);
            world.check();
        }
    }
}

fn moves() -> impl Strategy<Value = Move> {
    let act = prop_oneof![
        Just(Act::Renew),
        Just(Act::Complete),
        Just(Act::Complete),
        Just(Act::Abandon),
        Just(Act::MarkUnknown)
    ];
    let (key, holder) = (0..POLICIES.len(), 0_usize..3);
    prop_oneof![
        6 => (key.clone(), 0_u8..2).prop_map(|(key, payload)| Move::Begin { key, payload }),
        5 => (key.clone(), holder.clone(), act)
            .prop_map(|(key, holder, act)| Move::Hold { key, holder, act }),
        2 => (key.clone(), holder, any::<bool>())
            .prop_map(|(key, holder, applied)| Move::Resolve { key, holder, applied }),
        1 => key.prop_map(|key| Move::Purge { key }),
        2 => Just(Move::Sweep),
        3 => (-1_500_i64..4_000).prop_map(|millis| Move::Time { millis }),
        1 => (3_000_000_i64..4_000_000).prop_map(|millis| Move::Time { millis }),
    ]
}

/// A store of one record a key, and the model of each.
#[derive(Default)]
struct World {
    now: i64,
    last_fence: u64,
    keys: [Entry; POLICIES.len()],
}

#[derive(Default)]
struct Entry {
    record: Option<Record>,
    model: Model,
    /// Every claim ever given, the last one last.
    claims: Vec<Fence>,
}

impl World {
    fn take(&mut self, next: &Move) {
        match *next {
            Move::Begin { key, payload } => self.begin(key, payload),
            Move::Hold { key, holder, act } => self.hold(key, holder, act),
            Move::Resolve { key, holder, applied } => self.resolve(key, holder, applied),
            Move::Purge { key } => {
                let entry = &mut self.keys[key];
                let purged = entry.record.as_ref().and_then(|record| machine::purge(&record.state));
                assert_eq!(purged.is_some(), entry.model.purge());
                entry.write(purged);
            }
            Move::Sweep => (0..POLICIES.len()).for_each(|key| self.expire(key)),
            Move::Time { millis } => self.now += millis,
        }
    }

    fn begin(&mut self, key: usize, payload: u8) {
        let begin = begin(key, payload);
        let (now, entry) = (Timestamp::from_millis(self.now), &mut self.keys[key]);
        let verdict = machine::judge(entry.record.as_ref(), &begin, now);
        let expected = entry.model.begin(begin.lapsed, payload, self.now);
        match verdict {
            Verdict::Claim(turn) => {
                self.last_fence += 1;
                let fence = Fence::new(self.last_fence).unwrap();
                let after_lapse = expected == Answered::ClaimedAfterLapse;
                assert!(after_lapse || expected == Answered::Claimed, "{expected:?}");
                let attempt = entry.model.claimed(fence, payload, self.now + millis(LEASE));
                assert_eq!(turn, Turn { attempt, after_lapse });
                let started = machine::started(&begin, fence, turn, now);
                entry.record = Some(machine::record(entry.record.as_ref(), &begin, started, now));
                entry.claims.push(fence);
            }
            Verdict::Doubt(state) => {
                assert_eq!(expected, Answered::Doubted);
                entry.write(Some(state));
            }
            Verdict::Answer(begun) => assert_eq!(expected, Answered::of(begun)),
        }
    }

    fn hold(&mut self, key: usize, holder: usize, act: Act) {
        let (now, entry) = (Timestamp::from_millis(self.now), &mut self.keys[key]);
        let Some(fence) = entry.claim(holder) else { return };
        let answer = answer(&format!("{} by {}", self.now, fence.get()));
        let state = entry.record.as_ref().map(|record| &record.state);
        let step = match act {
            Act::Renew => machine::renew(state, fence, LEASE, now),
            Act::Complete => machine::complete(state, fence, answer.clone(), KEEP, now),
            Act::Abandon => machine::abandon(state, fence, KEEP.answer, now),
            Act::MarkUnknown => machine::mark_unknown(state, fence, now),
        };
        let changed = match act {
            Act::Renew => entry.model.renew(fence, self.now + millis(LEASE)),
            Act::Complete => entry.model.complete(fence, answer, ends(self.now)),
            Act::Abandon => entry.model.abandon(fence, self.now + millis(KEEP.answer)),
            Act::MarkUnknown => entry.model.mark_unknown(fence),
        };
        entry.step(step, fence, changed);
    }

    fn resolve(&mut self, key: usize, holder: usize, applied: bool) {
        let (now, entry) = (Timestamp::from_millis(self.now), &mut self.keys[key]);
        let Some(fence) = entry.claim(holder) else { return };
        let answer = answer("an operator found it");
        let resolution = if applied {
            Resolution::Applied { answer: answer.clone(), keep: KEEP }
        } else {
            Resolution::NotApplied { keep: KEEP.answer }
        };
        let state = entry.record.as_ref().map(|record| &record.state);
        let step = machine::resolve(state, fence, &resolution, now);
        let found = applied.then(|| (answer, ends(self.now)));
        let until = self.now + millis(KEEP.answer);
        let changed = entry.model.resolve(fence, self.now, found, until);
        entry.step(step, fence, changed);
    }

    fn expire(&mut self, key: usize) {
        let (now, entry) = (Timestamp::from_millis(self.now), &mut self.keys[key]);
        let Some(record) = &entry.record else { return };
        let expiry = machine::expire(&record.state, now);
        let is_due = record.state.due().is_some_and(|due| due <= now);
        assert_eq!(is_due, expiry != Expiry::Keep, "a store finds by its due time what to sweep");
        entry.model.sweep(POLICIES[key], self.now);
        match expiry {
            Expiry::Keep => {}
            Expiry::To(state) => entry.write(Some(state)),
            Expiry::Forget => entry.record = None,
        }
    }

    fn check(&self) {
        for (entry, policy) in self.keys.iter().zip(POLICIES) {
            entry.model.check(entry.record.as_ref().map(|record| &record.state), policy);
            assert!(entry.claims.is_sorted_by(|a, b| a < b), "fences strictly increase");
        }
    }
}

impl Entry {
    fn claim(&self, holder: usize) -> Option<Fence> {
        Some(self.claims[self.claims.len().checked_sub(holder + 1)?])
    }

    fn step(&mut self, step: Step, fence: Fence, changed: bool) {
        match step {
            Step::To(state) => {
                assert!(changed, "{fence:?} may not change this any more: {state:?}");
                self.write(Some(state));
            }
            Step::Stay(settled) => {
                assert!(!changed, "{fence:?} was turned away");
                let made = self.record.as_ref().is_some_and(|record| record.state.fence() == fence);
                assert!(settled == Settled::Lost || made, "only who did it hears that it is done");
            }
        }
    }

    fn write(&mut self, state: Option<State>) {
        if let (Some(record), Some(state)) = (&mut self.record, state) {
            record.state = state;
        }
    }
}

fn begin(key: usize, payload: u8) -> Begin {
    let uri = Uri::from_static("/orders");
    let name = Key::derived(("key", key)).unwrap();
    let scope = Scope::Principal(Principal::new("shop"));
    Begin {
        identity: Identity::new(scope, Method::POST, "/orders", name),
        fingerprint: Fingerprint::of(&Method::POST, &uri, &HeaderMap::new(), &[], &[payload]),
        lease: LEASE,
        lapsed: POLICIES[key],
        ticket: Ticket::unique(),
    }
}

fn answer(body: &str) -> StoredAnswer {
    let body = Bytes::copy_from_slice(body.as_bytes());
    StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), Some(body), 64)
}

fn ends(now: i64) -> (i64, i64) {
    (now + millis(KEEP.answer), now + millis(KEEP.answer) + millis(KEEP.key))
}

fn millis(time: Duration) -> i64 {
    aplomb_idempotency::record::millis(time)
}

impl Answered {
    fn of(begun: Begun) -> Self {
        match begun {
            Begun::Claimed(_) => panic!("no ticket is used twice here"),
            Begun::Replay(answer) => Self::Replay(answer),
            Begun::Mismatch => Self::Mismatch,
            Begun::InFlight => Self::InFlight,
            Begun::Unknown => Self::Unknown,
            Begun::Gone => Self::Gone,
        }
    }
}

const POLICIES: [Lapsed; 4] =
    [Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover, Lapsed::AtLeastOnce];
const LEASE: Duration = Duration::from_secs(1);
const KEEP: Keep = Keep { answer: Duration::from_secs(3), key: Duration::from_secs(2) };
