//! Tables that the benches print, each row with how it stands.

use std::fmt::{self, Write as _};

/// A table with what must hold beside each row.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One line of it. The first cell names it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) stand: Option<Stand>,
}

/// How a row stands beside another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stand {
    pub(super) share: f64,
    /// What it is a share of.
    pub(super) of: String,
    pub(super) limit: Option<Limit>,
}

/// What the share must be, and what it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) side: Side,
    pub(super) must: f64,
    pub(super) goal: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Least,
    Most,
}

impl Sheet {
    /// The sheet that a bench printed: cells between tabs, those of the first line being the head;
    /// after a cell `|` how the row stands.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let head = lines.next().ok_or("the bench printed nothing")?;
        let head: Vec<String> = head.split('\t').map(str::to_owned).collect();
        let rows = lines.map(|line| {
            let row = Row::parse(line).ok_or_else(|| format!("the bench printed {line:?}"))?;
            let (has, wants) = (row.cells.len(), head.len());
            let whole = has == wants;
            whole.then_some(row).ok_or(format!("{line:?} has {has} cells, not {wants}"))
        });
        let rows = rows.collect::<Result<_, _>>()?;
        Ok(Self { head, rows })
    }

    /// What is missed, with the reason that is known for it: the first whose words all stand in
    /// the row's cells.
    pub(super) fn misses(&self, why: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|row| row.verdict() == "missed") {
            let name = row.cells.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(", ");
            let holds = |words: &str| words.split(' ').all(|word| name.contains(word));
            let reason = why.iter().find(|(words, _)| holds(words));
            let reason = reason.map_or("not looked into yet", |(_, reason)| reason);
            let _ = writeln!(text, "- **{name}**: {reason}.");
        }
        text
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let cells = |text: &str| text.split('\t').map(str::to_owned).collect();
        let Some((named, stand)) = line.split_once("\t|\t") else {
            return Some(Self { cells: cells(line), stand: None });
        };
        let [share, of, side, must, goal] = stand.split('\t').collect::<Vec<_>>()[..] else {
            return None;
        };
        let side = match side {
            "least" => Some(Side::Least),
            "most" => Some(Side::Most),
            "-" => None,
            _ => return None,
        };
        let limit = match side {
            None => None,
            Some(side) => Some(Limit { side, must: must.parse().ok()?, goal: goal.parse().ok() }),
        };
        let stand = Stand { share: share.parse().ok()?, of: of.to_owned(), limit };
        Some(Self { cells: cells(named), stand: Some(stand) })
    }

    pub(super) fn verdict(&self) -> &'static str {
        let Some(Stand { share, limit: Some(limit), .. }) = &self.stand else { return "" };
        if limit.goal.is_some_and(|goal| limit.side.holds(*share, goal)) {
            "goal"
        } else if limit.side.holds(*share, limit.must) {
            "must"
        } else {
            "missed"
        }
    }
}

impl Side {
    /// Whether a share is on the right side of a bound, in the two digits that are printed.
    fn holds(self, share: f64, bound: f64) -> bool {
        let share = (share * 100.0).round() / 100.0;
        match self {
            Self::Least => share >= bound,
            Self::Most => share <= bound,
        }
    }

    const fn sign(self) -> char {
        match self {
            Self::Least => '≥',
            Self::Most => '≤',
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head.join(" | ");
        writeln!(f, "| {head} | beside | must | goal | |")?;
        writeln!(f, "|{}", "---|".repeat(self.head.len() + 4))?;
        self.rows.iter().try_for_each(|row| row.fmt(f))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | ", self.cells.join(" | "))?;
        let Some(Stand { share, of, limit }) = &self.stand else { return writeln!(f, "| | | |") };
        let Some(Limit { side, must, goal }) = limit else {
            return writeln!(f, "{share:.2} of {of} | | | |");
        };
        let sign = side.sign();
        let goal = goal.map(|goal| format!("{sign} {goal}")).unwrap_or_default();
        writeln!(f, "{share:.2} of {of} | {sign} {must} | {goal} | {} |", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "what\tin flight\ta second\n\
        bare\t32\t1000\n\
        ours\t32\t700\t|\t0.7\tbare\tleast\t0.8\t1\n\
        other\t1\t5\t|\t1.2\tbare\t-\t-\t-\n";

    #[test]
    fn what_a_bench_printed_becomes_a_table() {
        assert_eq!(
            Sheet::parse(PRINTED).unwrap().to_string(),
            "| what | in flight | a second | beside | must | goal | |\n\
             |---|---|---|---|---|---|---|\n\
             | bare | 32 | 1000 | | | | |\n\
             | ours | 32 | 700 | 0.70 of bare | ≥ 0.8 | ≥ 1 | missed |\n\
             | other | 1 | 5 | 1.20 of bare | | | |\n"
        );
    }

    #[test]
    fn a_miss_is_told_with_the_reason_whose_words_stand_in_the_row() {
        let sheet = Sheet::parse(PRINTED).unwrap();
        let why = [("theirs 32", "no"), ("ours 32", "its key is drawn twice")];
        assert_eq!(sheet.misses(&why), "- **ours, 32**: its key is drawn twice.\n");
        assert_eq!(sheet.misses(&[]), "- **ours, 32**: not looked into yet.\n");
    }

    #[test]
    fn a_rate_must_be_reached_and_a_cost_not_exceeded() {
        let verdict = |share, side| {
            let limit = Limit { side, must: 0.8, goal: Some(1.0) };
            let stand = Stand { share, of: "bare".into(), limit: Some(limit) };
            Row { cells: Vec::new(), stand: Some(stand) }.verdict()
        };
        assert_eq!([0.79, 0.8, 1.0].map(|share| verdict(share, Side::Least)), LEAST);
        let limit = Limit { side: Side::Most, must: 1.2, goal: Some(1.0) };
        let cost = |share| {
            let stand = Stand { share, of: "bare".into(), limit: Some(limit) };
            Row { cells: Vec::new(), stand: Some(stand) }.verdict()
        };
        assert_eq!([1.21, 1.2, 1.0].map(cost), LEAST);
    }

    const LEAST: [&str; 3] = ["missed", "must", "goal"];

    #[test]
    fn a_line_that_cannot_be_read_is_told() {
        for printed in
            ["", "what\tin\nours", "what\nours\t|\t0.7", "what\nours\t|\tx\tb\tmost\t1\t-"]
        {
            assert!(Sheet::parse(printed).is_err(), "{printed:?}");
        }
    }
}
