//! Sweeps: load against the length of the fault.

use aplomb_core::Ratio;

use crate::error::{BadScenario, WrongKey};
use crate::experiment::Experiment;
use crate::scenario::{Case, Scenario};
use crate::units::SECOND;
use crate::value::{share, time, written};
use crate::words::Fault;

/// A grid to run a scenario's policies on: shares of the capacity, and lengths of the fault.
///
/// ```
/// use aplomb_lab::Grid;
///
/// // Loads as shares of the capacity, by lengths of the fault.
/// let grid = Grid::new(&["0.5", "0.8"], &["10s", "60s"])?;
/// # let _ = grid;
/// # Ok::<(), aplomb_lab::WrongKey>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grid {
    pub(crate) loads: Vec<f64>,
    pub(crate) faults: Vec<u64>,
}

impl Grid {
    /// Reads a grid: loads such as `50%`, lengths such as `10s`.
    ///
    /// # Errors
    ///
    /// When there is none of either, or when one of them is no share above 0 or no time above 0.
    pub fn new<T: AsRef<str>>(loads: &[T], faults: &[T]) -> Result<Self, WrongKey> {
        let wrong =
            |key, value: &str, takes| WrongKey::Value { key, value: value.to_owned(), takes };
        let loads = loads.iter().map(|text| {
            let load = share(text.as_ref()).map(Ratio::as_f64).filter(|&load| load > 0.0);
            load.ok_or_else(|| wrong("loads", text.as_ref(), LOADS))
        });
        let faults = faults.iter().map(|text| {
            let length = time(text.as_ref()).filter(|&length| length > 0);
            length.ok_or_else(|| wrong("faults", text.as_ref(), LENGTHS))
        });
        let grid = Self {
            loads: loads.collect::<Result<_, _>>()?,
            faults: faults.collect::<Result<_, _>>()?,
        };
        if grid.loads.is_empty() {
            return Err(wrong("loads", "", LOADS));
        }
        if grid.faults.is_empty() {
            return Err(wrong("faults", "", LENGTHS));
        }
        Ok(grid)
    }
}

impl Experiment {
    /// Every policy of a scenario on every point of a grid. The time after the fault stays as long
    /// as the scenario has it.
    ///
    /// # Errors
    ///
    /// When settings contradict each other, or when the scenario has no fault that ends, no workers
    /// that can be too few, or varies a setting by itself.
    pub fn sweep(scenario: Scenario, grid: &Grid) -> Result<Self, BadScenario> {
        let mut cases = Vec::new();
        for case in scenario.cases()? {
            if scenario.vary.is_some() || case.model.fault == Fault::None {
                return Err(BadScenario::NoMap(NO_FAULT));
            }
            let capacity =
                case.model.capacity_per_second().ok_or(BadScenario::NoMap(NO_CAPACITY))?;
            let after = case.model.horizon.saturating_sub(case.model.fault_end()).max(SECOND);
            for &length in &grid.faults {
                for &load in &grid.loads {
                    let mut model = case.model.clone();
                    model.arrivals_per_second = load * capacity;
                    model.fault_seconds = length;
                    model.horizon = model.fault_end().saturating_add(after);
                    model.check()?;
                    let at = format!("load={:.0}% fault={}", 100.0 * load, written(length));
                    cases.push(Case { name: format!("{} {at}", case.name), model });
                }
            }
        }
        Ok(Self::of(scenario, cases))
    }
}

const LOADS: &str = "shares of the capacity, from above 0 to 100%";
const LENGTHS: &str = "times above 0";
const NO_FAULT: &str = "a phase map needs a fault whose length can be changed, and no [vary]";
const NO_CAPACITY: &str = "a phase map needs workers that can be too few; set servers";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_stands_on_every_point() {
        let grid = Grid::new(&["50%", "0.9"], &["1s", "10"]).unwrap();
        let mut scenario = Scenario::named("pause").unwrap();
        scenario.keep(&["none", "aplomb"]).unwrap();
        let sweep = Experiment::sweep(scenario, &grid).unwrap();
        let names: Vec<&str> = sweep.cases().iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(names[1], "none load=90% fault=1s");
        let model = &sweep.cases()[1].model;
        assert_eq!(model.get("arrivals_per_second").unwrap(), "1125");
        assert_eq!(model.get("horizon").unwrap(), "231s", "200 seconds after a fault of 1");
    }

    #[test]
    fn what_has_no_map_is_refused_with_the_reason() {
        let grid = Grid::new(&["50%"], &["1s"]).unwrap();
        for (name, why) in [("free", "a fault"), ("fleet-size", "[vary]"), ("dead-shard", "")] {
            let swept = Experiment::sweep(Scenario::named(name).unwrap(), &grid);
            match swept {
                Ok(_) => assert!(why.is_empty(), "{name}"),
                Err(error) => assert!(error.to_string().contains(why), "{name}: {error}"),
            }
        }
        for (loads, faults) in [("150%", "1s"), ("0", "1s"), ("50%", "soon"), ("50%", "0")] {
            assert!(Grid::new(&[loads], &[faults]).is_err(), "{loads} {faults}");
        }
    }
}
