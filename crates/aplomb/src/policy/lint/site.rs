//! What a check looks at, and how it reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::super::dependency::Dependency;
use super::super::file::PolicyFile;
use super::super::operation::Operation;
use super::super::value::Policy;
use super::finding::{Code, Finding, Severity};
use super::worst::Worst;

/// One operation, with what stands around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) file: &'a PolicyFile,
    pub(crate) dependency: &'a Dependency,
    pub(crate) operation: &'a Operation,
    /// The retries in store for each call of the dependency.
    pub(crate) store: f64,
    pub(crate) fallbacks: &'a Fallbacks<'a>,
}

/// Which dependencies each dependency's fallbacks call.
pub(crate) type Fallbacks<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

impl<'a> Site<'a> {
    pub(crate) fn policy(&self) -> &'a Policy {
        self.operation.policy()
    }

    pub(crate) fn worst(&self) -> Worst {
        Worst::with_store(self.store, self.dependency, self.operation)
    }

    /// A finding about this operation, at one of its keys.
    pub(crate) fn finding(
        &self,
        (code, severity): (Code, Severity),
        key: &str,
        what: impl fmt::Display,
        mend: impl fmt::Display,
    ) -> Finding {
        Finding {
            code,
            severity,
            file: self.file.name().into(),
            at: self.operation.marks.of(key),
            dependency: Some(Arc::clone(&self.dependency.name)),
            operation: Some(Arc::clone(&self.operation.name)),
            what: what.to_string(),
            mend: mend.to_string(),
            numbers: Vec::new(),
        }
    }
}

/// A finding about a whole dependency, at one of its keys.
pub(crate) fn about(
    file: &PolicyFile,
    dependency: &Dependency,
    (code, severity): (Code, Severity),
    key: &str,
    what: impl fmt::Display,
    mend: impl fmt::Display,
) -> Finding {
    Finding {
        code,
        severity,
        file: file.name().into(),
        at: dependency.marks.of(key),
        dependency: Some(Arc::clone(&dependency.name)),
        operation: None,
        what: what.to_string(),
        mend: mend.to_string(),
        numbers: Vec::new(),
    }
}

/// A number for people: no more digits than matter.
pub(crate) fn short(number: f64) -> String {
    let digits = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    let written = format!("{number:.digits$}");
    let is_fraction = written.contains('.');
    if is_fraction {
        written.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        written
    }
}

#[test]
fn numbers_are_shown_with_the_digits_that_matter() {
    for (number, shown) in [(2.5, "2.5"), (1.0 / 3.0, "0.33"), (27.0, "27"), (12_345.6, "12346")] {
        assert_eq!(short(number), shown);
    }
}
