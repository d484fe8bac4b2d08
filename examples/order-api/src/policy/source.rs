use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aplomb::policy::{PolicyFile, Watcher};
use aplomb_inventory_service::StartError;

use super::operation::Operation;

/// Where the policies come from: the demo's own, unless others are given.
///
/// ```
/// use aplomb_order_api::Policies;
///
/// let own = Policies::watched("aplomb.toml");
/// # let _ = own;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Policies {
    source: Source,
    every: Duration,
}

#[derive(Clone, Debug)]
enum Source {
    Fixed(Arc<PolicyFile>),
    Watched(PathBuf),
}

/// What is in force first, and what says that it changed.
pub(crate) struct Opened {
    pub(crate) file: Arc<PolicyFile>,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) every: Duration,
}

impl Policies {
    /// Those of a file, which is looked at once a second for as long as this serves or ships. A new
    /// text changes what is done from then on; one that is no policy changes nothing and is told in
    /// the log, in the metrics and at `/policies`.
    pub fn watched(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::Watched(path.into()), every: EVERY }
    }

    /// Looks at the file this often.
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    pub(crate) fn open(&self) -> Result<Opened, StartError> {
        let wrong = |error: Box<dyn Error + Send + Sync>| {
            StartError::setting("the policy file", MEND, error)
        };
        let (file, watcher) = match &self.source {
            Source::Fixed(file) => (Arc::clone(file), None),
            Source::Watched(path) => {
                let watcher = Watcher::open(path).map_err(|error| wrong(error.into()))?;
                (Arc::clone(watcher.current()), Some(watcher))
            }
        };
        is_complete(&file).map_err(|error| wrong(error.into()))?;
        Ok(Opened { file, watcher, every: self.every })
    }
}

/// Whether a file says all that is asked of it.
pub(crate) fn is_complete(file: &PolicyFile) -> Result<(), Incomplete> {
    match Operation::missing(file) {
        None => Ok(()),
        Some(missing) => Err(Incomplete { missing }),
    }
}

impl Default for Policies {
    /// Those of the demo, which do not change.
    fn default() -> Self {
        let file = PolicyFile::parse("aplomb.toml", DEMO);
        file.expect("a test reads the demo's policies").into()
    }
}

impl From<PolicyFile> for Policies {
    /// These, which do not change.
    fn from(file: PolicyFile) -> Self {
        Self { source: Source::Fixed(Arc::new(file)), every: EVERY }
    }
}

/// A policy file that is silent about something that is done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incomplete {
    missing: Operation,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dependency, name) = self.missing.names();
        write!(
            f,
            "it says nothing of {}: write [dependency.{dependency}.operation.{name}]",
            self.missing
        )
    }
}

impl Error for Incomplete {}

const DEMO: &str = include_str!("../../../demo/aplomb.toml");
const EVERY: Duration = Duration::from_secs(1);
const MEND: &str =
    "mend it, `aplomb lint` shows where, or leave it out for the demo's own policies";

#[cfg(test)]
mod tests {
    use aplomb::policy::{Severity, lint};

    use super::*;

    #[test]
    fn the_demos_policies_say_all_that_is_asked_and_the_lint_finds_nothing() {
        let opened = Policies::default().open().unwrap();
        let findings = lint(&opened.file);
        assert!(
            findings.iter().all(|finding| finding.severity < Severity::Warning),
            "{findings:?}"
        );
    }

    #[test]
    fn a_file_that_is_silent_about_something_is_refused_and_says_about_what() {
        let silent = DEMO.replace("operation.settle]", "operation.settel]");
        let policies = Policies::from(PolicyFile::parse("aplomb.toml", &silent).unwrap());
        let Err(error) = policies.open() else { panic!("it is refused") };
        let told = error.to_string();
        assert!(told.contains("[dependency.inventory.operation.settle]"), "{told}");
    }
}
