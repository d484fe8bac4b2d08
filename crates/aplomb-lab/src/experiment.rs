//! Runs every case of a scenario with every seed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::figures::figures;
use crate::report::{Outcome, Report, Run};
use crate::scenario::{Case, Scenario};
use crate::series::Series;
use crate::simulation::{Control, simulate};

/// A scenario's cases, ready to run.
#[derive(Debug)]
pub struct Experiment {
    scenario: Scenario,
    cases: Vec<Case>,
}

impl Experiment {
    /// All cases of a scenario.
    ///
    /// # Errors
    ///
    /// When settings contradict each other.
    pub fn new(scenario: Scenario) -> Result<Self, crate::BadScenario> {
        let cases = scenario.cases()?;
        Ok(Self { scenario, cases })
    }

    pub(crate) fn of(scenario: Scenario, cases: Vec<Case>) -> Self {
        Self { scenario, cases }
    }

    /// Its cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// How much virtual time all runs take together, in nanoseconds.
    pub fn length(&self) -> u64 {
        let length = |case: &Case| case.model.horizon.saturating_mul(case.model.seeds.into());
        self.cases.iter().map(length).fold(0, u64::saturating_add)
    }

    /// Runs them all on so many threads, which change nothing but the time it takes.
    ///
    /// A run that `control` ends early counts only when its policy has no other.
    ///
    /// # Panics
    ///
    /// When a run does, which is a defect of the lab.
    pub fn run(self, threads: usize, control: &Control) -> Report {
        let jobs: Vec<(usize, u64)> = self
            .cases
            .iter()
            .enumerate()
            .flat_map(|(place, case)| {
                let seeds = 0..u64::from(case.model.seeds);
                seeds.map(move |n| (place, case.model.seed.wrapping_add(n)))
            })
            .collect();
        let next = AtomicUsize::new(0);
        let done: Vec<Mutex<Option<Run>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, jobs.len().max(1)) {
                scope.spawn(|| {
                    while !control.is_stopped() {
                        let job = next.fetch_add(1, Ordering::Relaxed);
                        let Some(&(case, seed)) = jobs.get(job) else {
                            return;
                        };
                        let run = run(&self.cases[case], seed, control);
                        *done[job].lock().expect("nothing panics under this lock") = Some(run);
                    }
                });
            }
        });
        let runs = jobs.iter().zip(done).filter_map(|(&(case, _), run)| {
            Some((case, run.into_inner().expect("nothing panics under this lock")?))
        });
        self.report(runs.collect())
    }

    fn report(self, runs: Vec<(usize, Run)>) -> Report {
        let mut outcomes: Vec<Outcome> = self.cases.into_iter().map(Outcome::new).collect();
        for (case, run) in runs {
            outcomes[case].runs.push(run);
        }
        Report::new(&self.scenario, outcomes)
    }
}

fn run(case: &Case, seed: u64, control: &Control) -> Run {
    let model = &case.model;
    let measures = simulate(model, seed, &mut (), control);
    Run {
        seed,
        figures: figures().iter().map(|figure| figure.of(model, &measures)).collect(),
        events: measures.events,
        reached: measures.reached,
        is_complete: measures.reached == model.horizon,
        series: Series::of(&measures),
    }
}
