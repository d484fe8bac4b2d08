//! What becomes of one key, told as plainly as it can be.

use aplomb_idempotency::record::{LAPSED_KEPT, millis};
use aplomb_idempotency::{Fence, Lapsed, State, StoredAnswer};

/// One key, from its first claim until it is forgotten, and then again.
#[derive(Default)]
pub(crate) struct Model {
    standing: Standing,
    /// The claims of its present life.
    claims: Vec<Claim>,
}

struct Claim {
    fence: Fence,
    /// It is known that it had no effect: it said so, or an operator found out.
    effectless: bool,
    /// Its answer was recorded by itself, with its effect if the route is transactional.
    recorded: bool,
}

#[derive(Default)]
enum Standing {
    #[default]
    Absent,
    Live {
        payload: u8,
        until: i64,
    },
    Done {
        payload: u8,
        answer: StoredAnswer,
        /// Until when it is replayed, and refused.
        ends: (i64, i64),
    },
    Unknown {
        payload: u8,
    },
    Free {
        until: i64,
    },
    Retired {
        until: i64,
    },
}

/// What a caller with a key is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answered {
    Claimed,
    ClaimedAfterLapse,
    Doubted,
    Replay(StoredAnswer),
    Mismatch,
    InFlight,
    Unknown,
    Gone,
}

impl Model {
    pub(crate) fn begin(&mut self, policy: Lapsed, payload: u8, now: i64) -> Answered {
        let ended = match self.standing {
            Standing::Free { until } | Standing::Retired { until } => until <= now,
            Standing::Done { ends: (_, refused), .. } => refused <= now,
            _ => false,
        };
        if ended {
            self.forget();
        }
        match &self.standing {
            Standing::Absent | Standing::Free { .. } => Answered::Claimed,
            Standing::Retired { .. } => Answered::Gone,
            Standing::Done { ends: (replayed, _), .. } if *replayed <= now => Answered::Gone,
            Standing::Done { payload: by, .. }
            | Standing::Unknown { payload: by }
            | Standing::Live { payload: by, .. }
                if *by != payload =>
            {
                Answered::Mismatch
            }
            Standing::Done { answer, .. } => Answered::Replay(answer.clone()),
            Standing::Unknown { .. } => Answered::Unknown,
            Standing::Live { until, .. } if now < *until => Answered::InFlight,
            Standing::Live { .. } if policy == Lapsed::Unknown => {
                self.standing = Standing::Unknown { payload };
                Answered::Doubted
            }
            Standing::Live { .. } => Answered::ClaimedAfterLapse,
        }
    }

    /// Which claim of this life it is.
    pub(crate) fn claimed(&mut self, fence: Fence, payload: u8, until: i64) -> u32 {
        self.claims.push(Claim { fence, effectless: false, recorded: false });
        self.standing = Standing::Live { payload, until };
        u32::try_from(self.claims.len()).unwrap()
    }

    pub(crate) fn renew(&mut self, fence: Fence, to: i64) -> bool {
        let is_last = self.is_last(fence);
        match &mut self.standing {
            Standing::Live { until, .. } if is_last => *until = to,
            _ => return false,
        }
        true
    }

    pub(crate) fn complete(
        &mut self,
        fence: Fence,
        answer: StoredAnswer,
        ends: (i64, i64),
    ) -> bool {
        let Some(payload) = self.live(fence) else { return false };
        self.standing = Standing::Done { payload, answer, ends };
        self.last().recorded = true;
        true
    }

    pub(crate) fn abandon(&mut self, fence: Fence, until: i64) -> bool {
        if self.live(fence).is_none() {
            return false;
        }
        self.standing = Standing::Free { until };
        self.last().effectless = true;
        true
    }

    pub(crate) fn mark_unknown(&mut self, fence: Fence) -> bool {
        let Some(payload) = self.live(fence) else { return false };
        self.standing = Standing::Unknown { payload };
        true
    }

    /// An operator found this answer, or that there was no effect.
    pub(crate) fn resolve(
        &mut self,
        fence: Fence,
        now: i64,
        found: Option<(StoredAnswer, (i64, i64))>,
        until: i64,
    ) -> bool {
        let payload = match self.standing {
            Standing::Unknown { payload } => payload,
            Standing::Live { payload, until } if until <= now => payload,
            _ => return false,
        };
        if !self.is_last(fence) {
            return false;
        }
        let Some((answer, ends)) = found else {
            self.standing = Standing::Free { until };
            self.last().effectless = true;
            return true;
        };
        self.standing = Standing::Done { payload, answer, ends };
        true
    }

    pub(crate) fn purge(&mut self) -> bool {
        let Standing::Done { ends: (_, until), .. } = self.standing else { return false };
        self.standing = Standing::Retired { until };
        true
    }

    pub(crate) fn sweep(&mut self, policy: Lapsed, now: i64) {
        match self.standing {
            Standing::Free { until } | Standing::Retired { until } if until <= now => self.forget(),
            Standing::Done { ends: (_, until), .. } if until <= now => self.forget(),
            Standing::Done { ends: (replayed, until), .. } if replayed <= now => {
                self.standing = Standing::Retired { until };
            }
            Standing::Live { payload, until } if until + millis(LAPSED_KEPT) <= now => match policy
            {
                Lapsed::Unknown => self.standing = Standing::Unknown { payload },
                Lapsed::RunAgain | Lapsed::AtLeastOnce => self.forget(),
                Lapsed::Recover => {}
            },
            _ => {}
        }
    }

    /// The laws, which are what all this is for.
    pub(crate) fn check(&self, state: Option<&State>, policy: Lapsed) {
        match (&self.standing, state) {
            (Standing::Absent, None)
            | (Standing::Unknown { .. }, Some(State::Unknown { .. }))
            | (Standing::Free { .. }, Some(State::Released { .. }))
            | (Standing::Retired { .. }, Some(State::Tombstone { .. })) => {}
            (Standing::Live { .. }, Some(State::Started(started))) => {
                assert!(self.is_last(started.fence), "the one live claim is the last one given");
            }
            (Standing::Done { answer, .. }, Some(State::Completed { answer: stored, .. })) => {
                assert_eq!(answer, stored, "a completed answer never changes");
            }
            (_, state) => panic!("nobody made {state:?} possible"),
        }
        let may_have_acted = match policy {
            // Whoever had the key may have had its effect, at any time since.
            Lapsed::Unknown => self.claims.iter().filter(|claim| !claim.effectless).count(),
            // The effect is committed with the record or not at all.
            Lapsed::RunAgain => self.claims.iter().filter(|claim| claim.recorded).count(),
            // Here the hook, or nobody, keeps it to one.
            Lapsed::Recover | Lapsed::AtLeastOnce => 0,
        };
        assert!(may_have_acted <= 1, "one key has one effect");
    }

    fn forget(&mut self) {
        self.standing = Standing::Absent;
        self.claims.clear();
    }

    /// The payload of the live claim, if this is it.
    fn live(&self, fence: Fence) -> Option<u8> {
        match self.standing {
            Standing::Live { payload, .. } if self.is_last(fence) => Some(payload),
            _ => None,
        }
    }

    fn is_last(&self, fence: Fence) -> bool {
        self.claims.last().is_some_and(|claim| claim.fence == fence)
    }

    fn last(&mut self) -> &mut Claim {
        self.claims.last_mut().unwrap()
    }
}
