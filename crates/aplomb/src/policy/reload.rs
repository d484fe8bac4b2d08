//! What a new policy file changes, decided before anything is touched.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::dependency::Dependency;
use super::error::Errors;
use super::file::PolicyFile;

/// A new policy file beside the one in force: what changed, and whose state is kept.
///
/// Budgets, breakers and pacers belong to dependencies, under their names. A dependency that is in
/// both files keeps its state though its terms, or its operations, change; one that is renamed is a
/// new one.
///
/// ```
/// use aplomb::policy::{Change, PolicyFile, Reload};
///
/// let text = |attempts: u32| format!(
///     "version = 1\n[service]\nname = 'shop'\n[dependency.stock.operation.look]\n\
///      class = 'read'\nmatch = 'GET /stock/{{sku}}'\nattempts = {attempts}\n",
/// );
/// let old = PolicyFile::parse("aplomb.toml", &text(2))?;
/// let reload = Reload::of(&old, &text(1))?;
/// assert_eq!(reload.to_string(), "stock.look changed");
/// assert_eq!(reload.kept().collect::<Vec<_>>(), ["stock"]);
///
/// // A bad file changes nothing, and says why.
/// let errors = Reload::of(&old, "version = 2").unwrap_err();
/// assert!(errors.to_string().starts_with("aplomb.toml:1:"), "{errors}");
/// # Ok::<(), aplomb::policy::Errors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reload {
    file: Arc<PolicyFile>,
    changes: Vec<Change>,
    kept: Vec<Arc<str>>,
}

/// One difference between two policy files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Change {
    /// The service: its name, fleet, rate or layers.
    Service,
    /// A dependency that was not there.
    DependencyAdded(Arc<str>),
    /// A dependency that is gone, with its operations and its state.
    DependencyRemoved(Arc<str>),
    /// What its operations share: budget, breaker, authority, hops. Its state is kept.
    DependencyChanged(Arc<str>),
    /// An operation that was not there.
    OperationAdded(Arc<str>, Arc<str>),
    /// An operation that is gone.
    OperationRemoved(Arc<str>, Arc<str>),
    /// An operation whose policy, or whose requests, changed.
    OperationChanged(Arc<str>, Arc<str>),
}

impl Reload {
    /// Reads the new text of a policy file, and compares.
    ///
    /// # Errors
    ///
    /// When the text is no policy file. The old one stays in force.
    pub fn of(old: &PolicyFile, text: &str) -> Result<Self, Errors> {
        let new = PolicyFile::parse(old.name(), text)?;
        Ok(Self::between(old, Arc::new(new)))
    }

    /// Compares two policy files.
    pub fn between(old: &PolicyFile, new: Arc<PolicyFile>) -> Self {
        let mut changes = Vec::new();
        if !old.service().says_the_same(new.service()) {
            changes.push(Change::Service);
        }
        let names: BTreeSet<&Arc<str>> =
            old.dependencies().chain(new.dependencies()).map(|one| &one.name).collect();
        let mut kept = Vec::new();
        for name in names {
            match (old.dependency(name), new.dependency(name)) {
                (Some(before), Some(after)) => {
                    kept.push(Arc::clone(name));
                    changes.extend(differences(before, after));
                }
                (Some(_), None) => changes.push(Change::DependencyRemoved(Arc::clone(name))),
                _ => changes.push(Change::DependencyAdded(Arc::clone(name))),
            }
        }
        Self { file: new, changes, kept }
    }

    /// The new policies.
    pub const fn file(&self) -> &Arc<PolicyFile> {
        &self.file
    }

    /// What changed, dependency by dependency.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing changed but words.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The dependencies whose shared state is kept, by name.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(|name| &**name)
    }
}

fn differences(before: &Dependency, after: &Dependency) -> Vec<Change> {
    let mut changes = Vec::new();
    let name = || Arc::clone(&after.name);
    if before.terms != after.terms {
        changes.push(Change::DependencyChanged(name()));
    }
    let names: BTreeSet<&Arc<str>> =
        before.operations().chain(after.operations()).map(|one| &one.name).collect();
    for operation in names {
        let own = Arc::clone(operation);
        match (before.named(operation), after.named(operation)) {
            (Some(before), Some(after)) if before.says_the_same(after) => {}
            (Some(_), Some(_)) => changes.push(Change::OperationChanged(name(), own)),
            (Some(_), None) => changes.push(Change::OperationRemoved(name(), own)),
            _ => changes.push(Change::OperationAdded(name(), own)),
        }
    }
    changes
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.changes.split_first() else {
            return f.write_str("nothing changed");
        };
        first.fmt(f)?;
        rest.iter().try_for_each(|change| write!(f, ", {change}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service changed"),
            Self::DependencyAdded(name) => write!(f, "{name} added"),
            Self::DependencyRemoved(name) => write!(f, "{name} removed"),
            Self::DependencyChanged(name) => write!(f, "{name} changed"),
            Self::OperationAdded(of, name) => write!(f, "{of}.{name} added"),
            Self::OperationRemoved(of, name) => write!(f, "{of}.{name} removed"),
            Self::OperationChanged(of, name) => write!(f, "{of}.{name} changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "version = 1\n[service]\nname = 'shop'\nfleet = 2\n\
        [dependency.stock]\nbudget = { ratio = 0.2 }\n\
        [dependency.stock.operation.look]\nclass = 'read'\n\
        [dependency.stock.operation.count]\nclass = 'read'\n\
        [dependency.ships.operation.ship]\nclass = 'confirm'\n";

    fn reload(new: &str) -> String {
        let old = PolicyFile::parse("aplomb.toml", OLD).unwrap();
        Reload::of(&old, new).unwrap().to_string()
    }

    #[test]
    fn words_alone_change_nothing() {
        assert_eq!(reload(&format!("# a comment\n{OLD}\n")), "nothing changed");
        let old = PolicyFile::parse("aplomb.toml", OLD).unwrap();
        assert!(Reload::of(&old, OLD).unwrap().is_empty());
    }

    #[test]
    fn each_difference_is_told() {
        for (from, to, told) in [
            ("fleet = 2", "fleet = 3", "service changed"),
            (
                "ratio = 0.2",
                "ratio = 0.1",
                "stock changed, stock.count changed, stock.look changed",
            ),
            ("operation.count", "operation.sum", "stock.count removed, stock.sum added"),
            ("dependency.ships", "dependency.boats", "boats added, ships removed"),
            ("'confirm'", "'confirm'\nattempt_timeout = '1s'", "ships.ship changed"),
            ("'confirm'", "'confirm'\nmatch = 'POST /x'", "ships.ship changed"),
        ] {
            let new = OLD.replace(from, to);
            assert_ne!(new, OLD);
            assert_eq!(reload(&new), told);
        }
    }

    #[test]
    fn state_is_kept_by_name() {
        let old = PolicyFile::parse("aplomb.toml", OLD).unwrap();
        let new = OLD.replace("dependency.ships", "dependency.boats").replace("0.2", "0.5");
        let reload = Reload::of(&old, &new).unwrap();
        assert_eq!(reload.kept().collect::<Vec<_>>(), ["stock"]);
    }
}
