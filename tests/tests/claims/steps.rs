use crate::course::Heard;
use crate::world::{Process, Protocol, World};

/// One thing that happens. The number is a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A caller's request arrives, once more.
    Send {
        caller: u8,
        process: usize,
    },
    /// The store is asked for the key, and answers.
    Begin(usize),
    /// The store is asked for the key, and its answer is lost.
    BeginUnheard(usize),
    /// The lease is held for longer.
    Renew(usize),
    /// The process does what comes next.
    Proceed(usize),
    /// The handler ends without an effect.
    GiveUp(usize),
    /// The commit is carried out, and its answer is lost.
    CommitUnheard(usize),
    /// The connection is cut before anybody knows of the commit.
    CommitCut(usize),
    /// The answer is lost on its way to the caller.
    LoseAnswer(usize),
    /// The process dies.
    Crash(usize),
    /// The database ends a transaction that nobody waits for.
    Settle {
        commits: bool,
    },
    /// An operator finds out what became of a claim that no process has.
    Resolve,
    Sweep,
    Tick,
}

impl Action {
    /// What may happen, and more: what makes no difference is no step.
    pub(crate) fn all(protocol: &Protocol, world: &World) -> Vec<Self> {
        let mut actions = Vec::new();
        for process in 0..world.processes.len() {
            // Equal processes stand side by side, and one of them is enough.
            if process > 0 && world.processes[process] == world.processes[process - 1] {
                continue;
            }
            if world.processes[process] == Process::Idle {
                actions.extend([0, 1].map(|caller| Self::Send { caller, process }));
                continue;
            }
            let steps = [
                Self::Begin,
                Self::BeginUnheard,
                Self::Renew,
                Self::Proceed,
                Self::GiveUp,
                Self::CommitUnheard,
                Self::CommitCut,
                Self::LoseAnswer,
                Self::Crash,
            ];
            actions.extend(steps.map(|step| step(process)));
        }
        actions.extend([Self::Settle { commits: true }, Self::Settle { commits: false }]);
        actions.extend([Self::Sweep, Self::Resolve]);
        if world.now < protocol.horizon {
            actions.push(Self::Tick);
        }
        actions
    }

    /// The world after it, or `None` where it cannot happen.
    pub(crate) fn take(self, protocol: &Protocol, world: &World) -> Option<World> {
        let mut after = world.clone();
        self.step(protocol, &mut after)?;
        after.processes.sort_unstable();
        Some(after)
    }

    fn step(self, protocol: &Protocol, world: &mut World) -> Option<()> {
        match self {
            Self::Send { caller, process } => world.send(protocol, caller, process),
            Self::Begin(process) => world.begin(protocol, process, true),
            Self::BeginUnheard(process) => world.begin(protocol, process, false),
            Self::Renew(process) => world.renew(process),
            Self::Proceed(process) => world.proceed(protocol, process),
            Self::GiveUp(process) => world.give_up(process),
            Self::CommitUnheard(process) => world.commit(process, Heard::No),
            Self::CommitCut(process) => world.commit(process, Heard::Cut),
            Self::LoseAnswer(process) => world.lose_answer(process),
            Self::Crash(process) => world.crash(process),
            Self::Settle { commits } => world.settle(commits),
            Self::Resolve => world.resolve(protocol),
            Self::Sweep => world.sweep(),
            Self::Tick => {
                world.now += 1;
                Some(())
            }
        }
    }
}
