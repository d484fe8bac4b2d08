//! How a request failed last, in words that survive a store.

use std::error::Error;
use std::fmt;

use aplomb_core::{Failure, FailureKind, Outcome, Reason};
use http::StatusCode;

/// How a request failed last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastFailure {
    /// What kind of failure it was; `None` when the request was refused, or never let out.
    pub kind: Option<FailureKind>,
    /// The status of the answer, if there was one.
    pub status: Option<StatusCode>,
    /// Why the retrying ended, if a layer inside said so.
    pub reason: Option<Reason>,
    /// For people: at most 500 characters.
    pub detail: Box<str>,
}

impl LastFailure {
    /// What an answer of this status, or an error, was to a classifier.
    pub fn new(outcome: Outcome, seen: Result<StatusCode, &(dyn Error + 'static)>) -> Self {
        let kind = outcome.failure().map(|failure| failure.kind);
        let (status, detail) = match seen {
            Ok(status) => (Some(status), status.to_string()),
            Err(error) => (None, told(error)),
        };
        Self { kind, status, reason: None, detail: cut(&detail) }
    }

    /// With why the retrying ended.
    #[must_use]
    pub fn reason(mut self, reason: Option<Reason>) -> Self {
        self.reason = reason;
        self
    }

    /// For stores: a failure from its columns; `None` when a word is not one of this version's.
    pub fn from_words(
        word: &str,
        status: Option<u16>,
        reason: Option<&str>,
        detail: &str,
    ) -> Option<Self> {
        let kind = match word {
            REFUSED | HELD_BACK => None,
            word => Some(*KINDS.iter().find(|kind| kind.as_str() == word)?),
        };
        let status = status.map(StatusCode::from_u16).transpose().ok()?;
        let known = |word| Reason::ALL.iter().copied().find(|reason| reason.as_str() == word);
        let reason = match reason {
            Some(word) => Some(known(word)?),
            None => None,
        };
        Some(Self { kind, status, reason, detail: cut(detail) })
    }

    /// A word for columns, labels and people: the failure's kind, `refused`, or `held_back`.
    pub fn word(&self) -> &'static str {
        match (self.kind, self.status) {
            (Some(kind), _) => kind.as_str(),
            (None, Some(_)) => REFUSED,
            (None, None) => HELD_BACK,
        }
    }

    /// What another send is to be paid for as.
    pub fn as_failure(&self) -> Failure {
        Failure::new(self.kind.unwrap_or(FailureKind::Transient))
    }
}

impl fmt::Display for LastFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.detail)?;
        match self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Why a letter was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "trying longer would help or it would not")]
pub enum Cause {
    /// It failed until its job's horizon ended: the dependency's problem.
    Exhausted,
    /// It will never be taken as it is (a 422), or the failure will not pass by itself: somebody
    /// has to look at it.
    Refused,
}

impl Cause {
    /// Its word in columns and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
        }
    }

    /// The cause of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Exhausted, Self::Refused].into_iter().find(|cause| cause.as_str() == word)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its causes, which say what the error itself often does not.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()).take(CAUSES_MAX) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn cut(text: &str) -> Box<str> {
    // No text column of Postgres holds a NUL.
    text.chars().filter(|&c| c != '\0').take(DETAIL_MAX).collect::<String>().into()
}

const REFUSED: &str = "refused";
const HELD_BACK: &str = "held_back";
const KINDS: [FailureKind; 6] = [
    FailureKind::Unsent,
    FailureKind::Timeout,
    FailureKind::Transient,
    FailureKind::Throttled,
    FailureKind::Pending,
    FailureKind::Permanent,
];
const DETAIL_MAX: usize = 500;
/// A chain longer than this is a cycle or a mistake.
const CAUSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_comes_back_from_its_words() {
        let outcomes = KINDS.map(|kind| Outcome::Failure(Failure::new(kind)));
        for outcome in outcomes.into_iter().chain([Outcome::Neutral]) {
            let error = std::io::Error::other("reset");
            for seen in [Ok(StatusCode::UNPROCESSABLE_ENTITY), Err(&error as _)] {
                let failure = LastFailure::new(outcome, seen).reason(Some(Reason::Budget));
                let status = failure.status.map(|status| status.as_u16());
                let again = LastFailure::from_words(
                    failure.word(),
                    status,
                    Some("budget"),
                    &failure.detail,
                );
                assert_eq!(again, Some(failure));
            }
        }
    }

    #[test]
    fn a_word_of_another_version_is_not_guessed_at() {
        assert_eq!(LastFailure::from_words("cosmic", None, None, ""), None);
        assert_eq!(LastFailure::from_words("timeout", Some(7), None, ""), None);
        assert_eq!(LastFailure::from_words("timeout", None, Some("moon"), ""), None);
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_cut() {
        let error = std::io::Error::other(std::io::Error::other("é".repeat(600)));
        let failure = LastFailure::new(Outcome::Neutral, Err(&error));
        assert_eq!(failure.detail.chars().count(), 500);
        assert_eq!(failure.word(), "held_back");
    }
}
