//! The rules, against a model that is too simple to be wrong.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::machine::{self, Step, Verdict};
use aplomb_idempotency::{
    Begin, Begun, Fence, Fingerprint, Identity, Key, Lapsed, Record, Scope, Settled, State,
    StoredAnswer, Ticket, Timestamp,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use proptest::prelude::*;

/// What may happen to a key. Holders are named by how many claims ago theirs was given.
#[derive(Clone, Debug)]
enum Move {
    Begin { payload: u8, again: bool },
    Renew { holder: usize },
    Complete { holder: usize },
    Abandon { holder: usize },
    MarkUnknown { holder: usize },
    Wait { millis: u64 },
}

proptest! {
    #[test]
    fn the_laws_hold_whatever_happens(moves in prop::collection::vec(moves(), 1..80)) {
        let mut world = World::default();
        for next in moves {
            world.take(&next);
        }
    }
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0_u8..2, any::<bool>()).prop_map(|(payload, again)| Move::Begin { payload, again }),
        1 => (0_usize..3).prop_map(|holder| Move::Renew { holder }),
        2 => (0_usize..3).prop_map(|holder| Move::Complete { holder }),
        1 => (0_usize..3).prop_map(|holder| Move::Abandon { holder }),
        1 => (0_usize..3).prop_map(|holder| Move::MarkUnknown { holder }),
        2 => (0_u64..2_000).prop_map(|millis| Move::Wait { millis }),
    ]
}

/// A store of one record, and what the model knows beside it.
#[derive(Default)]
struct World {
    now: i64,
    last_fence: u64,
    record: Option<Record>,
    /// Every claim ever given, the last one last.
    claims: Vec<Fence>,
    /// The one claim that may still change the record.
    live: Option<Fence>,
    /// What was completed, and until when it must be replayed.
    completed: Option<(StoredAnswer, i64)>,
    unknown: bool,
}

impl World {
    fn take(&mut self, next: &Move) {
        match *next {
            Move::Begin { payload, again } => self.begin(payload, again),
            Move::Wait { millis } => self.now += i64::try_from(millis).unwrap(),
            Move::Renew { holder } => {
                self.step(holder, |state, fence, now| machine::renew(state, fence, LEASE, now));
            }
            Move::Complete { holder } => self.complete(holder),
            Move::Abandon { holder } => {
                let step =
                    |state: Option<&State>, fence, now| machine::abandon(state, fence, KEEP, now);
                if self.step(holder, step) {
                    self.live = None;
                }
            }
            Move::MarkUnknown { holder } => {
                if self.step(holder, machine::mark_unknown) {
                    self.live = None;
                    self.unknown = true;
                }
            }
        }
        self.check();
    }

    fn begin(&mut self, payload: u8, again: bool) {
        let lapsed = if again { Lapsed::RunAgain } else { Lapsed::Unknown };
        let begin = begin(payload, lapsed);
        let now = Timestamp::from_millis(self.now);
        match machine::judge(self.record.as_ref(), &begin, now) {
            Verdict::Claim { attempt } => {
                assert!(self.completed.as_ref().is_none_or(|(_, until)| *until <= self.now));
                assert!(!self.unknown, "an unknown outcome is never run again");
                assert!(self.live.is_none() || again, "a live claim is overtaken only by policy");
                self.last_fence += 1;
                let fence = Fence::new(self.last_fence).unwrap();
                let started = machine::started(&begin, fence, attempt, now);
                self.record = Some(machine::record(self.record.as_ref(), &begin, started, now));
                self.claims.push(fence);
                self.live = Some(fence);
                self.completed = None;
            }
            Verdict::Doubt(state) => {
                assert!(!again);
                self.record.as_mut().unwrap().state = state;
                self.live = None;
                self.unknown = true;
            }
            Verdict::Answer(Begun::Replay(answer)) => {
                assert_eq!(Some(answer), self.completed.clone().map(|(answer, _)| answer));
            }
            Verdict::Answer(Begun::Mismatch) => {
                let record = self.record.as_ref().unwrap();
                assert_ne!(record.fingerprint, begin.fingerprint);
            }
            Verdict::Answer(Begun::InFlight) => assert!(self.live.is_some()),
            Verdict::Answer(Begun::Unknown) => assert!(self.unknown),
            Verdict::Answer(other) => panic!("nobody made {other:?} possible"),
        }
    }

    fn complete(&mut self, holder: usize) {
        let answer = answer(self.last_fence, self.now);
        let kept = answer.clone();
        let step = move |state: Option<&State>, fence, now| {
            machine::complete(state, fence, answer, KEEP, now)
        };
        if self.step(holder, step) {
            self.live = None;
            self.completed = Some((kept, self.now + aplomb_idempotency::record::millis(KEEP)));
        }
    }

    /// Whether the step changed the record.
    fn step(
        &mut self,
        holder: usize,
        step: impl FnOnce(Option<&State>, Fence, Timestamp) -> Step,
    ) -> bool {
        let Some(at) = self.claims.len().checked_sub(holder + 1) else {
            return false;
        };
        let fence = self.claims[at];
        let state = self.record.as_ref().map(|record| &record.state);
        match step(state, fence, Timestamp::from_millis(self.now)) {
            Step::To(state) => {
                assert_eq!(self.live, Some(fence), "a stale fence changes nothing");
                self.record.as_mut().unwrap().state = state;
                true
            }
            Step::Stay(Settled::Lost) => {
                assert_ne!(self.live, Some(fence), "the holder of the key is never turned away");
                false
            }
            Step::Stay(Settled::Done) => {
                assert_eq!(state.map(State::fence), Some(fence));
                false
            }
        }
    }

    fn check(&self) {
        assert!(self.claims.is_sorted_by(|a, b| a < b), "fences strictly increase");
        let Some(record) = &self.record else {
            return;
        };
        let started = matches!(record.state, State::Started(_));
        assert_eq!(self.live, started.then(|| record.state.fence()));
        if let (State::Completed { answer, .. }, Some((kept, _))) = (&record.state, &self.completed)
        {
            assert_eq!(answer, kept, "a completed record never changes");
        }
    }
}

fn begin(payload: u8, lapsed: Lapsed) -> Begin {
    let uri = Uri::from_static("/orders");
    let key = Key::try_from("k").unwrap();
    let scope = Scope::Principal(Principal::new("shop"));
    Begin {
        identity: Identity::new(scope, Method::POST, "/orders", key),
        fingerprint: Fingerprint::of(&Method::POST, &uri, &HeaderMap::new(), &[], &[payload]),
        lease: LEASE,
        lapsed,
        ticket: Ticket::unique(),
    }
}

fn answer(fence: u64, now: i64) -> StoredAnswer {
    let body = Bytes::from(format!("{fence} at {now}"));
    StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), Some(body), 64)
}

const LEASE: Duration = Duration::from_secs(1);
const KEEP: Duration = Duration::from_secs(3);
