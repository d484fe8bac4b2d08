//! How a bench of rates tells its table: a line a row, cells between tabs.

use std::fmt;

/// One line of a table.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "what a line is made of")]
pub struct Row {
    /// What it says, the first cell naming it.
    pub cells: Vec<String>,
    /// How it stands beside another row.
    pub stand: Option<Stand>,
}

/// How a row stands beside another.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "what a comparison is made of")]
pub struct Stand {
    /// The share.
    pub share: f64,
    /// What it is a share of.
    pub of: String,
    /// What it must be, if anything.
    pub limit: Option<Limit>,
}

/// What a share must be, and what it is meant to be.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "two bounds on one side")]
pub struct Limit {
    /// Whether both are bounds from below, as for rates, or from above, as for costs.
    pub is_least: bool,
    /// What must hold.
    pub must: f64,
    /// What is meant.
    pub goal: Option<f64>,
}

impl Limit {
    /// A share that must be at least this.
    pub const fn least(must: f64) -> Self {
        Self { is_least: true, must, goal: None }
    }

    /// A share that must be at most this.
    pub const fn most(must: f64) -> Self {
        Self { is_least: false, must, goal: None }
    }

    /// What is meant.
    #[must_use]
    pub const fn goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }
}

impl Row {
    /// A row that is compared with none.
    pub fn new(cells: impl Into<Vec<String>>) -> Self {
        Self { cells: cells.into(), stand: None }
    }

    /// Beside another row.
    #[must_use]
    pub fn beside(self, share: f64, of: impl Into<String>, limit: Option<Limit>) -> Self {
        Self { stand: Some(Stand { share, of: of.into(), limit }), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cells.join("\t"))?;
        let Some(Stand { share, of, limit }) = &self.stand else { return Ok(()) };
        write!(f, "\t|\t{share:.4}\t{of}\t")?;
        let Some(Limit { is_least, must, goal }) = limit else { return f.write_str("-\t-\t-") };
        let side = if *is_least { "least" } else { "most" };
        let goal = goal.map_or("-".to_owned(), |goal| goal.to_string());
        write!(f, "{side}\t{must}\t{goal}")
    }
}

/// The middle one.
///
/// # Panics
///
/// When there is none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median of what each figure is of the one that was taken in the same round.
///
/// # Panics
///
/// When there are none.
pub fn share(figures: &[f64], of: &[f64]) -> f64 {
    median(&figures.iter().zip(of).map(|(one, other)| one / other).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_cells_between_tabs() {
        let row = Row::new(["ours".to_owned(), "7".to_owned()]);
        assert_eq!(row.to_string(), "ours\t7");
        let least = row.clone().beside(0.84, "bare", Some(Limit::least(0.8).goal(1.0)));
        assert_eq!(least.to_string(), "ours\t7\t|\t0.8400\tbare\tleast\t0.8\t1");
        let most = row.clone().beside(0.84, "bare", Some(Limit::most(1.2)));
        assert_eq!(most.to_string(), "ours\t7\t|\t0.8400\tbare\tmost\t1.2\t-");
        assert_eq!(row.beside(2.0, "bare", None).to_string(), "ours\t7\t|\t2.0000\tbare\t-\t-\t-");
    }

    #[test]
    fn one_bad_round_moves_no_median() {
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        // The machine was busy in the second round, for both alike.
        assert!((share(&[8.0, 1.0, 8.0], &[10.0, 2.0, 10.0]) - 0.8).abs() < 1e-9);
    }
}
