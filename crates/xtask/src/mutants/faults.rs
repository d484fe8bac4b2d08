/// A fault that somebody could make.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// What stands there, once.
    pub(crate) sound: &'static str,
    /// What stands there in its place.
    pub(crate) faulty: &'static str,
    /// The suite that should notice.
    pub(crate) suite: Suite,
}

/// Tests of one target of one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suite {
    pub(crate) package: &'static str,
    pub(crate) test: &'static str,
    /// Which of them, in the test program's own words.
    pub(crate) tests: &'static [&'static str],
    pub(crate) env: &'static [(&'static str, &'static str)],
}

impl Fault {
    /// The source with the fault in it.
    pub(crate) fn put_into(&self, source: &str) -> Result<String, String> {
        match source.matches(self.sound).count() {
            1 => Ok(source.replacen(self.sound, self.faulty, 1)),
            times => {
                let Self { name, file, sound, .. } = self;
                Err(format!("{name}: {file} has {times} times `{sound}`; say where it is now"))
            }
        }
    }
}

impl Suite {
    const fn of(package: &'static str, test: &'static str) -> Self {
        Self { package, test, tests: &[], env: &[] }
    }

    /// What cargo builds for it.
    pub(crate) const fn target(&self) -> [&'static str; 4] {
        ["--package", self.package, "--test", self.test]
    }

    pub(crate) fn said(&self) -> String {
        format!("{} {}", self.package, self.test)
    }
}

/// A few seeds of the shop on a simulated network.
const SIMULATION: Suite = Suite {
    tests: &["--exact", "prints_the_seeds_that_are_asked_for"],
    env: &[("APLOMB_SEEDS", "0..6")],
    ..Suite::of("aplomb-tests", "simulation")
};
/// The protocol of a route whose outcome may be unknown, checked exhaustively.
const UNKNOWN: Suite = Suite {
    tests: &["--exact", "a_key_whose_outcome_may_be_unknown_has_one_effect_whatever_fails"],
    ..Suite::of("aplomb-tests", "claims")
};
/// That of a transactional one. A world without its laws is larger than the sound one, so that each
/// fault is given to the route that it breaks first.
const TRANSACTIONAL: Suite = Suite {
    tests: &["--exact", "a_transactional_key_has_one_effect_whatever_fails"],
    ..Suite::of("aplomb-tests", "claims")
};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "duplicates run again",
        file: "crates/aplomb-idempotency/src/machine.rs",
        sound: "State::Completed { answer, .. } => Verdict::Answer(Begun::Replay(answer.clone())),",
        faulty: "State::Completed { .. } => Verdict::Claim(Turn::FIRST),",
        suite: SIMULATION,
    },
    Fault {
        name: "a claim is given while another holds the key",
        file: "crates/aplomb-idempotency/src/machine.rs",
        sound: "        return Verdict::Answer(Begun::InFlight);",
        faulty: "        return Verdict::Claim(Turn::FIRST);",
        suite: UNKNOWN,
    },
    Fault {
        name: "a stale fence completes",
        file: "crates/aplomb-idempotency/src/machine.rs",
        sound: "Some(State::Started(started)) if started.fence == fence => Step::To(to(*started)),",
        faulty: "Some(State::Started(started)) => Step::To(to(*started)),",
        suite: TRANSACTIONAL,
    },
    Fault {
        name: "a claim that lapsed with its outcome unknown runs again",
        file: "crates/aplomb-idempotency/src/machine.rs",
        sound: "            Verdict::Doubt(doubt(started, now))",
        faulty: "            Verdict::Claim(Turn::after(started.attempt, true))",
        suite: UNKNOWN,
    },
    Fault {
        name: "a key for each attempt",
        file: "tests/tests/simulation/services.rs",
        sound: r#"Key::derived(("order", key, "reservation"))"#,
        faulty: r#"Key::derived(("order", key, self.next.load(Ordering::Relaxed)))"#,
        suite: SIMULATION,
    },
    Fault {
        name: "the record comes after the effect",
        file: "tests/tests/simulation/database.rs",
        sound: "        let committed = self.commit(claim, effect);",
        faulty: "        let response = self.write(effect);
        world.pause(400).await;
        let committed = self.commit(claim, move |_| response);",
        suite: SIMULATION,
    },
    Fault {
        name: "a breaker that never lets a probe through",
        file: "crates/aplomb-circuit-breaker/src/breaker.rs",
        sound: "                Phase::Open { until } if millis < until => {",
        faulty: "                Phase::Open { .. } if millis < u64::MAX => {
                    let until = u64::MAX;",
        suite: Suite::of("aplomb-circuit-breaker", "recovering"),
    },
    Fault {
        name: "a budget that never refuses",
        file: "crates/aplomb-retry/src/budget.rs",
        sound: "        match self.held().checked_sub(price) {",
        faulty: "        match Some(self.held().saturating_sub(price)) {",
        suite: SIMULATION,
    },
    Fault {
        name: "a POST without a key is sent again",
        file: "crates/aplomb-retry/src/rules.rs",
        sound: "Safety::Unsafe => self.only_reads || call.keyed && self.honours_keys,",
        faulty: "Safety::Unsafe => true,",
        suite: Suite::of("aplomb-retry", "what_may_be_repeated"),
    },
    Fault {
        name: "a server whose queue has no bound in length",
        file: "crates/aplomb-admission/src/line.rs",
        sound: "        if self.waiting.len() >= terms.waiters_max {",
        faulty: "        if self.waiting.len() >= usize::MAX {",
        suite: Suite::of("aplomb-admission", "hostile"),
    },
    Fault {
        name: "a server whose queue has no bound in time",
        file: "crates/aplomb-admission/src/line.rs",
        sound: "        let bound = Deadline::after(now, self.longest_wait).instant();",
        faulty: "        let bound = Deadline::after(now, Duration::from_secs(3600)).instant();",
        suite: Suite::of("aplomb-admission", "server"),
    },
    Fault {
        name: "a server that takes on without bound",
        file: "crates/aplomb-admission/src/gate.rs",
        sound: "        self.limit.load(Ordering::Acquire)",
        faulty: "        self.limit.load(Ordering::Acquire).saturating_mul(1_000)",
        suite: Suite::of("aplomb-admission", "overload"),
    },
];
