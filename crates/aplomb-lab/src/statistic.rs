//! A mean over seeds, with how sure it is.

use crate::units::{count, float};

/// A figure over all seeds.
///
/// ```
/// use aplomb_lab::{Control, Experiment, Report, Scenario, Statistic};
///
/// let mut small = Scenario::named("fleet-size")?;
/// small.keep(&["aplomb"])?;
/// small.set("clients", "10")?;
/// small.set("seeds", "2")?;
/// let report: Report = Experiment::new(small)?.run(1, &Control::default());
/// let sends: Statistic = report.figure("aplomb", "amplification_during").unwrap();
/// println!("{:?} ± {:?}", sends.mean, sends.ci95);
/// assert_eq!(sends.per_seed.len(), 2);
/// # Ok::<(), aplomb_lab::BadScenario>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistic {
    /// The mean; nothing when any seed has no value.
    pub mean: Option<f64>,
    /// Half the width of the 95 % confidence interval (Student's t); nothing with a single seed.
    pub ci95: Option<f64>,
    /// The value of each seed.
    pub per_seed: Vec<Option<f64>>,
}

impl Statistic {
    pub(crate) fn of(per_seed: Vec<Option<f64>>) -> Self {
        let values: Option<Vec<f64>> = per_seed.iter().copied().collect();
        let values = values.filter(|values| !values.is_empty());
        let mean = values.as_deref().map(mean);
        let ci95 = values.as_deref().and_then(half_width);
        Self { mean, ci95, per_seed }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(count(values.len()))
}

fn half_width(values: &[f64]) -> Option<f64> {
    let n = float(count(values.len()));
    let freedom = values.len().checked_sub(1).filter(|&n| n > 0)?;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some(student(freedom) * (squares / (n - 1.0) / n).sqrt())
}

/// The 97.5 % point of Student's t: exact to three digits, by table and beyond it by the first
/// terms of Fisher's expansion.
fn student(freedom: usize) -> f64 {
    if let Some(t) = STUDENT.get(freedom - 1) {
        return *t;
    }
    let (z, n) = (1.959_964_f64, float(count(freedom)));
    let z3 = z * z * z;
    let z5 = z3 * z * z;
    z + (z3 + z) / (4.0 * n) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * n * n)
}

const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_values_have_the_interval_of_four_degrees_of_freedom() {
        let statistic = Statistic::of([1.0, 2.0, 3.0, 4.0, 5.0].map(Some).to_vec());
        assert_eq!(statistic.mean, Some(3.0));
        // 2.776 · √2.5 / √5
        assert!((statistic.ci95.unwrap() - 1.963).abs() < 0.001);
    }

    #[test]
    fn one_seed_tells_no_interval() {
        let statistic = Statistic::of(vec![Some(7.0)]);
        assert_eq!((statistic.mean, statistic.ci95), (Some(7.0), None));
    }

    #[test]
    fn a_seed_without_a_value_leaves_no_mean() {
        assert_eq!(Statistic::of(vec![Some(7.0), None]).mean, None);
    }

    #[test]
    fn the_table_goes_on_smoothly() {
        assert!((student(31) - 2.040).abs() < 0.002);
        assert!((student(1_000_000) - 1.960).abs() < 0.001);
    }
}
