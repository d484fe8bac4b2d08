//! What each step makes of the world: what a process, its store, its database does.

use aplomb_idempotency::machine::{self, Expiry, Step, Verdict};
use aplomb_idempotency::operator::Resolution;
use aplomb_idempotency::{Begun, Lapsed, Settled, State};

use crate::world::{
    Broken, KEEP, Kept, Process, Protocol, TICK, Transaction, World, answer, effect_of, fence,
    number,
};

/// What a process knows of the commit that it asked for.
#[derive(Clone, Copy)]
pub(crate) enum Heard {
    Yes,
    No,
    Cut,
}

impl World {
    pub(crate) fn send(&mut self, protocol: &Protocol, caller: u8, process: usize) -> Option<()> {
        let sender = &mut self.callers[usize::from(caller)];
        sender.sends = sender.sends.checked_sub(1)?;
        let ticket = caller * protocol.sends + sender.sends + 1;
        self.processes[process] = Process::Asked { caller, ticket };
        Some(())
    }

    /// The record's step waits while a transaction holds the record.
    fn unheld(&self) -> Option<()> {
        self.transaction.is_none().then_some(())
    }

    pub(crate) fn begin(
        &mut self,
        protocol: &Protocol,
        process: usize,
        is_heard: bool,
    ) -> Option<()> {
        let Process::Asked { caller, ticket } = self.processes[process] else { return None };
        self.unheld()?;
        let payload = self.payload(caller);
        let (begin, existing) = (protocol.begin(payload, ticket), self.record());
        let begun = match machine::judge(existing.as_ref(), &begin, self.time()) {
            Verdict::Claim(turn) => {
                self.fences += 1;
                let started = machine::started(&begin, fence(self.fences), turn, self.time());
                self.record = Kept(Some((payload, State::Started(started))));
                Begun::Claimed(started)
            }
            Verdict::Doubt(state) => {
                self.write(state);
                Begun::Unknown
            }
            Verdict::Answer(_) if !is_heard => return None,
            Verdict::Answer(begun) => begun,
        };
        if is_heard {
            self.processes[process] = self.hear(protocol, caller, begun);
        }
        Some(())
    }

    fn hear(&mut self, protocol: &Protocol, caller: u8, begun: Begun) -> Process {
        match begun {
            Begun::Claimed(started) => {
                let fence = number(started.fence);
                if protocol.policy == Lapsed::Recover && started.after_lapse {
                    return Process::Recovering { caller, fence };
                }
                Process::Running { caller, fence }
            }
            Begun::Replay(answer) => {
                Process::Answering { caller, effect: effect_of(&answer), is_replay: true }
            }
            Begun::Gone => {
                self.callers[usize::from(caller)].told_gone = true;
                Process::Idle
            }
            Begun::Mismatch | Begun::InFlight | Begun::Unknown => Process::Idle,
        }
    }

    pub(crate) fn renew(&mut self, process: usize) -> Option<()> {
        let by = self.processes[process].fence()?;
        self.unheld()?;
        match machine::renew(self.state(), fence(by), TICK, self.time()) {
            Step::To(state) => self.write_by(by, state),
            Step::Stay(_) => return None,
        }
        Some(())
    }

    pub(crate) fn proceed(&mut self, protocol: &Protocol, process: usize) -> Option<()> {
        self.processes[process] = match self.processes[process] {
            Process::Idle | Process::Asked { .. } => return None,
            Process::Recovering { caller, fence } => self.recover(caller, fence),
            Process::Running { caller, fence } if protocol.policy == Lapsed::RunAgain => {
                self.write_in_transaction(protocol, caller, fence)?
            }
            Process::Running { caller, fence } => self.act(protocol, caller, fence),
            Process::Acted { caller, fence, effect } => self.complete(caller, fence, effect)?,
            Process::Written { .. } => return self.commit(process, Heard::Yes),
            Process::InDoubt { .. } => return self.give_up(process),
            Process::Lost { caller, .. } => self.reread(caller),
            Process::Answering { caller, effect, .. } => {
                self.tell(caller, effect);
                Process::Idle
            }
        };
        Some(())
    }

    fn recover(&mut self, caller: u8, fence: u8) -> Process {
        self.seen = self.seen.max(fence);
        match self.effects.first() {
            Some(&effect) => Process::Acted { caller, fence, effect },
            None => Process::Running { caller, fence },
        }
    }

    /// The effect of a route that is not transactional: at once, for good.
    fn act(&mut self, protocol: &Protocol, caller: u8, fence: u8) -> Process {
        if protocol.is_fence_passed_on && fence < self.seen {
            return Process::Lost { caller, fence };
        }
        self.seen = self.seen.max(fence);
        self.effects.push(fence);
        Process::Acted { caller, fence, effect: fence }
    }

    fn complete(&mut self, caller: u8, by: u8, effect: u8) -> Option<Process> {
        self.unheld()?;
        Some(match machine::complete(self.state(), fence(by), answer(effect), KEEP, self.time()) {
            Step::To(state) => {
                self.write_by(by, state);
                Process::Answering { caller, effect, is_replay: effect != by }
            }
            Step::Stay(Settled::Done) => Process::Answering { caller, effect, is_replay: false },
            Step::Stay(Settled::Lost) => Process::Lost { caller, fence: by },
        })
    }

    /// The effect and the record go into one transaction, which holds the record from now on.
    fn write_in_transaction(&mut self, protocol: &Protocol, caller: u8, by: u8) -> Option<Process> {
        self.unheld()?;
        if protocol.broken == Some(Broken::RecordAfterEffect) {
            return Some(self.act(protocol, caller, by));
        }
        let holder = match protocol.broken {
            Some(Broken::FenceIgnored) => self.state()?.fence(),
            _ => fence(by),
        };
        let step = machine::complete(self.state(), holder, answer(by), KEEP, self.time());
        Some(match step {
            Step::To(state) => {
                let to = Kept(Some((self.payload(caller), state)));
                self.transaction = Some(Transaction { fence: by, to, is_orphan: false });
                Process::Written { caller, fence: by }
            }
            Step::Stay(_) => Process::Lost { caller, fence: by },
        })
    }

    pub(crate) fn commit(&mut self, process: usize, heard: Heard) -> Option<()> {
        let Process::Written { caller, fence } = self.processes[process] else { return None };
        self.processes[process] = match heard {
            Heard::Yes => Process::Answering { caller, effect: fence, is_replay: false },
            Heard::No | Heard::Cut => Process::InDoubt { caller, fence },
        };
        match heard {
            Heard::Cut => self.transaction.as_mut()?.is_orphan = true,
            Heard::Yes | Heard::No => self.end_transaction(true)?,
        }
        Some(())
    }

    pub(crate) fn settle(&mut self, commits: bool) -> Option<()> {
        if !self.transaction.as_ref()?.is_orphan {
            return None;
        }
        self.end_transaction(commits)
    }

    fn end_transaction(&mut self, commits: bool) -> Option<()> {
        let Transaction { fence, to, .. } = self.transaction.take()?;
        if commits {
            self.stale_write |= self.state().is_none_or(|state| number(state.fence()) != fence);
            self.record = to;
            self.effects.push(fence);
        }
        Some(())
    }

    /// No effect, as far as the handler knows; a transaction in doubt is waited for.
    pub(crate) fn give_up(&mut self, process: usize) -> Option<()> {
        let (Process::Running { caller, fence: by } | Process::InDoubt { caller, fence: by }) =
            self.processes[process]
        else {
            return None;
        };
        self.unheld()?;
        self.processes[process] = match machine::abandon(self.state(), fence(by), TICK, self.time())
        {
            Step::To(state) => {
                self.write_by(by, state);
                Process::Idle
            }
            Step::Stay(Settled::Done) => Process::Idle,
            Step::Stay(Settled::Lost) => Process::Lost { caller, fence: by },
        };
        Some(())
    }

    /// The answer on record, whoever made it; without one the caller is asked to come again.
    fn reread(&mut self, caller: u8) -> Process {
        match &self.record.0 {
            Some((payload, State::Completed { answer, .. }))
                if *payload == self.payload(caller) =>
            {
                Process::Answering { caller, effect: effect_of(answer), is_replay: true }
            }
            _ => Process::Idle,
        }
    }

    fn tell(&mut self, caller: u8, effect: u8) {
        let payload = self.payload(caller);
        let alike = self.callers.iter().filter(|other| other.payload == payload);
        let other = alike.filter_map(|other| other.told).any(|told| told != effect);
        self.two_answers |= other;
        self.callers[usize::from(caller)].told = Some(effect);
    }

    pub(crate) fn lose_answer(&mut self, process: usize) -> Option<()> {
        let Process::Answering { .. } = self.processes[process] else { return None };
        self.processes[process] = Process::Idle;
        Some(())
    }

    pub(crate) fn crash(&mut self, process: usize) -> Option<()> {
        self.crashes = self.crashes.checked_sub(1)?;
        if let Process::Written { .. } = self.processes[process] {
            self.transaction.as_mut()?.is_orphan = true;
        }
        self.processes[process] = Process::Idle;
        Some(())
    }

    /// An operator looks once every process that ever had the key is known to be gone, and tells
    /// the truth. That the last one is gone is not enough: the checker found how an earlier one
    /// comes back.
    pub(crate) fn resolve(&mut self, protocol: &Protocol) -> Option<()> {
        self.unheld()?;
        let by = self.state()?.fence();
        let is_hasty = protocol.broken == Some(Broken::OperatorHasty);
        let matters = |fence| !is_hasty || fence == number(by);
        if self.processes.iter().filter_map(|process| process.fence()).any(matters) {
            return None;
        }
        let found = match self.effects.first() {
            Some(&effect) => Resolution::Applied { answer: answer(effect), keep: KEEP },
            None => Resolution::NotApplied { keep: TICK },
        };
        match machine::resolve(self.state(), by, &found, self.time()) {
            Step::To(state) => self.write(state),
            Step::Stay(_) => return None,
        }
        Some(())
    }

    pub(crate) fn sweep(&mut self) -> Option<()> {
        self.unheld()?;
        match machine::expire(self.state()?, self.time()) {
            Expiry::Keep => return None,
            Expiry::To(state) => self.write(state),
            Expiry::Forget => self.record = Kept(None),
        }
        Some(())
    }

    /// What a process writes under its claim must be its own claim's.
    fn write_by(&mut self, by: u8, state: State) {
        self.stale_write |= self.state().is_none_or(|current| number(current.fence()) != by);
        self.write(state);
    }

    fn write(&mut self, to: State) {
        if let Some((_, state)) = &mut self.record.0 {
            *state = to;
        }
    }
}

impl Process {
    /// The claim that it works under.
    pub(crate) const fn fence(self) -> Option<u8> {
        match self {
            Self::Recovering { fence, .. }
            | Self::Running { fence, .. }
            | Self::Acted { fence, .. }
            | Self::Written { fence, .. }
            | Self::InDoubt { fence, .. } => Some(fence),
            Self::Idle | Self::Asked { .. } | Self::Lost { .. } | Self::Answering { .. } => None,
        }
    }
}
