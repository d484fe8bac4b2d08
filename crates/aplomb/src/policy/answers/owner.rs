use std::sync::Arc;

/// Who retries the calls of an operation.
///
/// One hop alone: three hops with three attempts each are twenty-seven sends at the bottom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "here, or somebody else")]
pub enum Owner {
    /// This service.
    Here,
    /// A hop or a caller of this name; this service sends once.
    Elsewhere(Arc<str>),
}

impl Owner {
    /// The hop or caller of this name.
    pub fn elsewhere(name: impl Into<Arc<str>>) -> Self {
        Self::Elsewhere(name.into())
    }

    /// Its name, where this service is called `me`.
    pub fn name<'a>(&'a self, me: &'a str) -> &'a str {
        match self {
            Self::Here => me,
            Self::Elsewhere(name) => name,
        }
    }
}
