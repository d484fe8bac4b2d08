//! The six questions that have an answer before a retry is allowed.

use std::error::Error;
use std::fmt;

/// A question that a policy answers before it is built.
///
/// ```
/// use aplomb::core::OperationClass;
/// use aplomb::policy::{Open, Policy, Question};
///
/// let unanswered = Policy::preset(OperationClass::KeyedWrite).build().unwrap_err();
/// let open: &[Open] = unanswered.open();
/// assert_eq!(open[0].question, Question::Repeat);
/// assert_eq!(Question::ALL.len(), 6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are six")]
pub enum Question {
    /// Which failures pass by themselves?
    Transient,
    /// Does twice have the effect of once?
    Repeat,
    /// Which hop retries?
    Owner,
    /// How often, how long, with what waits, at what price?
    Policy,
    /// What does the caller get then?
    Exhausted,
    /// Who notices?
    Observed,
}

impl Question {
    /// All six, in the order in which they are asked.
    pub const ALL: [Self; 6] =
        [Self::Transient, Self::Repeat, Self::Owner, Self::Policy, Self::Exhausted, Self::Observed];

    /// The question.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "is the failure transient?",
            Self::Repeat => "is the operation safe to repeat?",
            Self::Owner => "who owns the retry?",
            Self::Policy => "what is the policy?",
            Self::Exhausted => "what happens when retries fail?",
            Self::Observed => "how is it observed?",
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a policy does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Open {
    /// The question that is left open.
    pub question: Question,
    /// What would answer it: a key of a policy file, and a method of the builder.
    pub missing: &'static str,
}

impl Open {
    pub(crate) const fn new(question: Question, missing: &'static str) -> Self {
        Self { question, missing }
    }
}

/// The policy was not built, because it leaves questions open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    open: Vec<Open>,
}

impl Unanswered {
    pub(crate) const fn new(open: Vec<Open>) -> Self {
        Self { open }
    }

    /// What it does not say, question by question.
    pub fn open(&self) -> &[Open] {
        &self.open
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy leaves open: ")?;
        for question in Question::ALL {
            let mut missing =
                self.open.iter().filter(|open| open.question == question).map(|open| open.missing);
            let Some(first) = missing.next() else { continue };
            let is_first = self.open.first().is_some_and(|open| open.question == question);
            write!(f, "{}{question} (give {first}", if is_first { "" } else { "; " })?;
            missing.try_for_each(|other| write!(f, ", {other}"))?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Error for Unanswered {}
