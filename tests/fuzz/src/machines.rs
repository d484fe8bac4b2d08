use aplomb_circuit_breaker::{Breaker, Ended, Settings, State as Circuit};
use aplomb_core::time::{self, Duration};
use aplomb_core::{Dice, Failure, FailureKind, Outcome, Pushback, Ratio};
use aplomb_idempotency::machine::{self, Expiry, Step, Verdict};
use aplomb_idempotency::{
    Begin, Fence, Fingerprint, Identity, Keep, Key, Lapsed, Record, Scope, State, StoredAnswer,
    Ticket, Timestamp,
};
use aplomb_retry::{Cost, Terms};
use http::{HeaderMap, Method, StatusCode};

use crate::bytes::Bytes;

/// Any calls of a store in any order, at any time: only the last claim changes its record, an
/// answer stays what it is, and no unknown outcome is forgotten.
pub(crate) fn claims(bytes: &[u8]) {
    let mut program = Bytes::new(bytes);
    let (mut record, mut now, mut fences): (Option<Record>, i64, u64) = (None, 0, 0);
    while let Some(order) = program.next() {
        let before = record.as_ref().map(|record| record.state.clone());
        let state = before.as_ref();
        let at = Timestamp::from_millis(now);
        let Some(argument) = program.next() else { return };
        let fence = Fence::new(u64::from(argument).clamp(1, fences.max(1)));
        let fence = fence.expect("it is at least one");
        let step = match order % 8 {
            0 => {
                now = now.saturating_add(i64::from(argument) * 1_000);
                continue;
            }
            1 | 2 => {
                begin(&mut record, argument, at, &mut fences);
                continue;
            }
            3 => machine::renew(state, fence, LEASE, at),
            4 => machine::complete(state, fence, answer(argument), KEEP, at),
            5 => machine::abandon(state, fence, LEASE, at),
            6 => machine::mark_unknown(state, fence, at),
            _ => {
                sweep(&mut record, at);
                continue;
            }
        };
        if let (Step::To(state), Some(record)) = (step, &mut record) {
            assert_eq!(record.state.fence(), fence, "a stale fence changes nothing");
            assert!(matches!(record.state, State::Started(_)), "what has ended stays");
            record.state = state;
        }
    }
}

fn begin(record: &mut Option<Record>, argument: u8, at: Timestamp, fences: &mut u64) {
    let key = Key::try_from("k").expect("it is a key");
    let begin = Begin {
        identity: Identity::new(Scope::Global("fuzz".into()), Method::POST, "/", key),
        fingerprint: Fingerprint::from_bytes(&[argument % 2; 33]).expect("33 bytes are one"),
        lease: LEASE,
        lapsed: [Lapsed::Unknown, Lapsed::RunAgain, Lapsed::Recover][usize::from(argument) % 3],
        ticket: Ticket::from_bytes([argument; 16]),
    };
    match machine::judge(record.as_ref(), &begin, at) {
        Verdict::Answer(_) => {}
        Verdict::Doubt(state) => {
            record.as_mut().expect("a doubt is about a record").state = state;
        }
        Verdict::Claim(turn) => {
            let state = record.as_ref().map(|record| &record.state);
            let is_held = state.is_some_and(|state| match state {
                State::Started(started) => !started.has_lapsed(at),
                State::Unknown { .. } => true,
                State::Completed { retired_until, .. } => at < *retired_until,
                State::Released { .. } | State::Tombstone { .. } => false,
            });
            assert!(!is_held, "a key that is held is not given away: {record:?}");
            *fences += 1;
            let fence = Fence::new(*fences).expect("they are drawn from one");
            let started = machine::started(&begin, fence, turn, at);
            *record = Some(machine::record(record.as_ref(), &begin, started, at));
        }
    }
}

fn sweep(record: &mut Option<Record>, at: Timestamp) {
    let Some(kept) = record else { return };
    match machine::expire(&kept.state, at) {
        Expiry::Keep => {}
        Expiry::To(state) => kept.state = state,
        Expiry::Forget => {
            assert!(!matches!(kept.state, State::Unknown { .. }), "a doubt is never forgotten");
            *record = None;
        }
    }
}

/// A budget holds no more than its cap, and gives nothing that it does not hold.
pub(crate) fn budget(bytes: &[u8]) {
    let mut program = Bytes::new(bytes);
    let Some(percent) = program.below(101) else { return };
    let Some(cap) = program.next() else { return };
    let terms = Terms::earning(Ratio::percent(percent.into())).cap(u32::from(cap) + 1);
    let mut account = terms.open();
    while let Some(order) = program.next() {
        let before = account.balance();
        account = match order % 5 {
            0 => account.deposit(&terms),
            1 => account.retry_succeeded(),
            2 => account.retry_failed(),
            _ => {
                let Some((left, paid)) = account.withdraw(COSTS[usize::from(order) % 3]) else {
                    continue;
                };
                let paid_retries = f64::from(paid) / 1e6;
                assert!(paid_retries <= before + 1e-6, "{paid_retries} of {before}");
                if order % 5 == 4 { left.give_back(&terms, paid) } else { left }
            }
        };
        assert!((0.0..=f64::from(cap) + 1.0).contains(&account.balance()), "{account:?}");
    }
}

/// Whatever calls come and however they end, in whatever time: while it is open nothing goes out,
/// and once its open time is over something does.
pub(crate) fn breaker(bytes: &[u8]) {
    let mut program = Bytes::new(bytes);
    let (settings, dice, start) = (Settings::default(), Dice::seeded(7), time::now());
    let (breaker, mut millis, mut out) = (Breaker::new(start), 0_u64, Vec::new());
    while let Some(order) = program.next() {
        let now = start + Duration::from_millis(millis);
        match order % 4 {
            0 => {
                let Some(passed) = program.next() else { return };
                millis += u64::from(passed) * 40;
            }
            1 | 2 => {
                let before = breaker.snapshot(&settings, now);
                let admitted = breaker.admit(&settings, now);
                if before.state == Circuit::Open {
                    assert_eq!(admitted.is_ok(), before.retry_after.is_zero(), "{before:?}");
                }
                if let Ok((permit, _)) = admitted {
                    out.push(permit);
                }
            }
            _ => {
                let Some(how) = program.next() else { return };
                if !out.is_empty() {
                    let permit = out.swap_remove(usize::from(how) % out.len());
                    breaker.settle(&settings, permit, now, ended(how), &dice);
                }
            }
        }
        if out.len() > OUT_MAX {
            return;
        }
    }
}

fn ended(how: u8) -> Ended {
    let failed = |kind| Ended::With(Outcome::Failure(Failure::new(kind)));
    match how % 8 {
        0 | 1 => Ended::With(Outcome::Success),
        2 => failed(FailureKind::Transient),
        3 => failed(FailureKind::Unsent),
        4 => failed(FailureKind::Timeout),
        5 => Ended::Dropped,
        6 => Ended::Panicked,
        _ => {
            let pushback = Pushback::After(Duration::from_secs(how.into()));
            Ended::With(Outcome::Failure(Failure::new(FailureKind::Throttled).pushback(pushback)))
        }
    }
}

fn answer(argument: u8) -> StoredAnswer {
    let status = StatusCode::from_u16(200 + u16::from(argument)).expect("a code below 500");
    StoredAnswer::new(status, &HeaderMap::new(), None, 0)
}

const LEASE: Duration = Duration::from_secs(10);
const KEEP: Keep = Keep { answer: Duration::from_secs(60), key: Duration::from_secs(600) };
const COSTS: [Cost; 3] = [Cost::FREE, Cost::ONE, Cost::of(&Failure::new(FailureKind::Timeout))];
/// As many calls as are out at a time.
const OUT_MAX: usize = 1_000;
