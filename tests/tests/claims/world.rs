use std::hash::{Hash, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

use aplomb_idempotency::record::LAPSED_KEPT;
use aplomb_idempotency::{
    Begin, Fence, Fingerprint, Identity, Keep, Key, Lapsed, Record, Scope, State, StoredAnswer,
    Ticket, Timestamp,
};
use http::{HeaderMap, Method, StatusCode};

/// What is checked: a route's policy, with what may go wrong and how often.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) policy: Lapsed,
    /// What each of the two callers asks for under the one key.
    pub(crate) payloads: [u8; 2],
    /// How often each caller sends its request, over as many processes as are free.
    pub(crate) sends: u8,
    pub(crate) crashes: u8,
    /// Until when time passes, in [`TICK`]s.
    pub(crate) horizon: u8,
    /// Whether the effect's own resource refuses a smaller fence than it has seen.
    pub(crate) is_fence_passed_on: bool,
    /// Which rule of the protocol is left out, to see that the checker misses it.
    pub(crate) broken: Option<Broken>,
}

/// Rules that the checker must miss when they are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The record is written whatever the fence.
    FenceIgnored,
    /// The effect commits before its record does.
    RecordAfterEffect,
    /// An operator who knows that the last process is gone declares that nothing happened.
    OperatorHasty,
}

/// Everything there is: the record, the processes that may hold claims of it, those who ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) record: Kept,
    /// A transaction that has written the record and was not committed; it holds the record.
    pub(crate) transaction: Option<Transaction>,
    /// In ascending order: which process is which makes no difference.
    pub(crate) processes: [Process; 3],
    pub(crate) callers: [Caller; 2],
    /// The claims whose effect happened, in order.
    pub(crate) effects: Vec<u8>,
    /// The greatest fence that the effect's own resource has been shown.
    pub(crate) seen: u8,
    pub(crate) fences: u8,
    pub(crate) now: u8,
    pub(crate) crashes: u8,
    /// A process changed a record that another claim had made.
    pub(crate) stale_write: bool,
    /// Two answers to one payload were different.
    pub(crate) two_answers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Process {
    Idle,
    /// Has a request, about to begin under this ticket.
    Asked {
        caller: u8,
        ticket: u8,
    },
    /// Asks the hook what became of an earlier claim's effect.
    Recovering {
        caller: u8,
        fence: u8,
    },
    /// The handler runs: no effect so far.
    Running {
        caller: u8,
        fence: u8,
    },
    /// The effect happened and is not on record.
    Acted {
        caller: u8,
        fence: u8,
        effect: u8,
    },
    /// The effect and its record are written and not committed.
    Written {
        caller: u8,
        fence: u8,
    },
    /// Whether the transaction was committed was not heard.
    InDoubt {
        caller: u8,
        fence: u8,
    },
    /// Another claim has the key: the record says what to answer.
    Lost {
        caller: u8,
        fence: u8,
    },
    /// About to answer.
    Answering {
        caller: u8,
        effect: u8,
        is_replay: bool,
    },
}

/// A transaction in the database's hands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transaction {
    pub(crate) fence: u8,
    pub(crate) to: Kept,
    /// Nobody waits for it any more: the database ends it, one way or the other.
    pub(crate) is_orphan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) payload: u8,
    pub(crate) sends: u8,
    /// The success it was told.
    pub(crate) told: Option<u8>,
    pub(crate) told_gone: bool,
}

/// The record, as one value to hash.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept(pub(crate) Option<(u8, State)>);

impl Protocol {
    pub(crate) const fn new(policy: Lapsed) -> Self {
        Self {
            policy,
            payloads: [1, 1],
            sends: 2,
            crashes: 1,
            horizon: 3,
            is_fence_passed_on: true,
            broken: None,
        }
    }

    pub(crate) fn begin(&self, payload: u8, ticket: u8) -> Begin {
        let mut bytes = [0; 16];
        bytes[0] = ticket;
        Begin {
            identity: identity(),
            fingerprint: fingerprint(payload),
            lease: TICK,
            lapsed: self.policy,
            ticket: Ticket::from_bytes(bytes),
        }
    }
}

impl World {
    pub(crate) fn new(protocol: &Protocol) -> Self {
        let caller =
            |payload| Caller { payload, sends: protocol.sends, told: None, told_gone: false };
        Self {
            record: Kept(None),
            transaction: None,
            processes: [Process::Idle; 3],
            callers: protocol.payloads.map(caller),
            effects: Vec::new(),
            seen: 0,
            fences: 0,
            now: 0,
            crashes: protocol.crashes,
            stale_write: false,
            two_answers: false,
        }
    }

    pub(crate) fn state(&self) -> Option<&State> {
        self.record.0.as_ref().map(|(_, state)| state)
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(0).plus(TICK * u32::from(self.now))
    }

    pub(crate) fn record(&self) -> Option<Record> {
        let (payload, state) = self.record.0.clone()?;
        let created = Timestamp::from_millis(0);
        Some(Record::new(identity(), fingerprint(payload), created, state))
    }

    pub(crate) fn payload(&self, caller: u8) -> u8 {
        self.callers[usize::from(caller)].payload
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Some((payload, state)) = &self.0 else { return hasher.write_u8(0) };
        (payload, state.as_str(), state.fence(), state.due()).hash(hasher);
        match state {
            State::Started(started) => {
                (started.attempt, started.ticket, started.after_lapse).hash(hasher);
            }
            State::Completed { answer, retired_until, .. } => {
                (effect_of(answer), retired_until).hash(hasher);
            }
            State::Unknown { attempt, since, .. } => (attempt, since).hash(hasher),
            State::Released { attempt, .. } => attempt.hash(hasher),
            State::Tombstone { .. } => {}
        }
    }
}

pub(crate) fn fence(number: u8) -> Fence {
    Fence::new(number.into()).expect("fences are drawn from 1")
}

pub(crate) fn number(fence: Fence) -> u8 {
    u8::try_from(fence.get()).expect("few claims are made")
}

/// The answer that tells which claim's effect it is about.
pub(crate) fn answer(effect: u8) -> StoredAnswer {
    let status = StatusCode::from_u16(200 + u16::from(effect)).expect("few claims are made");
    StoredAnswer::new(status, &HeaderMap::new(), None, 0)
}

pub(crate) fn effect_of(answer: &StoredAnswer) -> u8 {
    u8::try_from(answer.status().as_u16() - 200).expect("`answer` made it")
}

fn identity() -> Identity {
    static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
        let key = Key::try_from("order_1_line_1_reservation").expect("it is a key");
        Identity::new(Scope::Global("model".into()), Method::POST, "/reservations", key)
    });
    IDENTITY.clone()
}

fn fingerprint(payload: u8) -> Fingerprint {
    let mut bytes = [payload; 33];
    bytes[0] = 1;
    Fingerprint::from_bytes(&bytes).expect("a fingerprint is a version and a digest")
}

/// As long as a sweep leaves a lapsed claim alone, so that it comes into the time that is checked.
pub(crate) const TICK: Duration = LAPSED_KEPT;
/// Answers expire within the time that is checked, keys do not: whoever comes after the key is
/// forgotten runs again by design.
pub(crate) const KEEP: Keep = Keep { answer: TICK, key: Duration::from_secs(365 * 24 * 3600) };
