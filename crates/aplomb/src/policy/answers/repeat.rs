use std::sync::Arc;
use std::time::Duration;

/// Whether an operation is safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// As its method says: GET, HEAD, OPTIONS, TRACE, PUT and DELETE are (RFC 9110, section 9.2.2).
    ByMethod,
    /// With its idempotency key, which the dependency honours; as its method says besides.
    WithKey(Key),
    /// Always: a POST that only reads.
    Always,
    /// Never, whatever its method.
    Never,
}

impl Repeat {
    /// The key, if there is one.
    pub const fn key(&self) -> Option<&Key> {
        match self {
            Self::WithKey(key) => Some(key),
            _ => None,
        }
    }

    /// The word for it in a policy file.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ByMethod => "by-method",
            Self::WithKey(_) => "with-key",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// What makes a write run once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    from: Arc<str>,
    kept: Duration,
}

impl Key {
    /// A key made from this (`order line`), which the dependency remembers for so long.
    pub fn new(from: impl Into<Arc<str>>, kept: Duration) -> Self {
        Self { from: from.into(), kept }
    }

    /// What it is made from, in words.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// For how long the dependency remembers it.
    pub const fn kept(&self) -> Duration {
        self.kept
    }
}
