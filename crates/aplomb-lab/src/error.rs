use std::error::Error;
use std::fmt;

use crate::model::Model;

/// A key or a value that no model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WrongKey {
    /// There is no such key.
    Unknown {
        /// What was written.
        key: String,
        /// The known key that is spelt most like it.
        nearest: &'static str,
    },
    /// The key does not take this value.
    Value {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, nearest } => {
                write!(
                    f,
                    "there is no key `{key}`; the nearest is `{nearest}` (`aplomb lab keys` lists them)"
                )
            }
            Self::Value { key, value, takes } => {
                write!(f, "`{key}` cannot be `{value}`; it takes {takes}")
            }
        }
    }
}

impl Error for WrongKey {}

/// Settings that contradict each other.
///
/// ```
/// use aplomb_lab::{Experiment, Impossible, Scenario};
///
/// fn told(error: &aplomb_lab::BadScenario) -> String {
///     error.to_string()
/// }
/// fn is_shown(impossible: &Impossible) -> String {
///     format!("these settings contradict each other: {impossible}")
/// }
/// let unknown = Scenario::named("no-such-question").err().unwrap();
/// assert!(!told(&unknown).is_empty());
/// # let _ = (is_shown, Experiment::new);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    settings: String,
    why: &'static str,
}

impl Impossible {
    pub(crate) fn new(model: &Model, keys: &[&'static str], why: &'static str) -> Self {
        let settings: Vec<String> =
            keys.iter().filter_map(|key| Some(format!("{key}={}", model.get(key)?))).collect();
        Self { settings: settings.join(" with "), why }
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "impossible: {}: {}", self.settings, self.why)
    }
}

impl Error for Impossible {}

/// A scenario that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadScenario {
    /// There is no such scenario.
    Unknown {
        /// What was asked for.
        name: String,
        /// The known scenario that is spelt most like it.
        nearest: &'static str,
    },
    /// It is not the TOML that a scenario is.
    Toml(String),
    /// A key or a value in it is wrong.
    Key(WrongKey),
    /// Its settings contradict each other.
    Impossible(Impossible),
    /// It has no phase map, and why.
    NoMap(&'static str),
    /// There is no such policy in it.
    Policy {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
}

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest } => write!(
                f,
                "there is no scenario `{name}`; the nearest is `{nearest}` (`aplomb lab list` lists them; a file is given by its path)"
            ),
            Self::Toml(why) => write!(f, "this is no scenario: {why}"),
            Self::Key(wrong) => wrong.fmt(f),
            Self::Impossible(impossible) => impossible.fmt(f),
            Self::NoMap(why) => f.write_str(why),
            Self::Policy { name, known } => {
                write!(f, "there is no policy `{name}` in it; it has {known}")
            }
        }
    }
}

impl Error for BadScenario {}

impl From<WrongKey> for BadScenario {
    fn from(wrong: WrongKey) -> Self {
        Self::Key(wrong)
    }
}

impl From<Impossible> for BadScenario {
    fn from(impossible: Impossible) -> Self {
        Self::Impossible(impossible)
    }
}

/// The known word that is spelt most like `word`.
pub(crate) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    known.min_by_key(|other| distance(word, other)).unwrap_or_default()
}

/// How many letters must change (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_needs_the_fewest_changes() {
        let known = ["clients", "attempts", "horizon"];
        assert_eq!(nearest("atempt", known.into_iter()), "attempts");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
