//! How the store can fail, beside what Redis itself says.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aplomb_idempotency::StoreError;
use redis::RedisError;

/// The server makes room by evicting keys: it would forget claims and answers, and what had been
/// done once would be done again.
///
/// ```
/// use aplomb_core::cause;
/// use aplomb_idempotency_redis::{Busy, Contended, EvictingPolicy, PolicyUnreadable, Unreadable};
///
/// /// What to do about an error of the store.
/// fn advice(error: &(dyn std::error::Error + 'static)) -> &'static str {
///     if cause::<EvictingPolicy>(error).is_some() {
///         return "set maxmemory-policy noeviction";
///     }
///     if cause::<PolicyUnreadable>(error).is_some() {
///         return "let it say CONFIG GET, or trust_policy";
///     }
///     if cause::<Busy>(error).is_some() || cause::<Contended>(error).is_some() {
///         return "give it more connections, or fewer callers";
///     }
///     if cause::<Unreadable>(error).is_some() {
///         return "another version wrote it: wait until the deploy is through";
///     }
///     "look at its source"
/// }
/// assert_eq!(advice(&std::fmt::Error), "look at its source");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictingPolicy {
    /// Its `maxmemory-policy`.
    pub policy: String,
}

impl fmt::Display for EvictingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        write!(f, "the server evicts keys ({policy}); set its maxmemory-policy to noeviction")
    }
}

impl Error for EvictingPolicy {}

/// The server does not say whether it evicts keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyUnreadable;

impl fmt::Display for PolicyUnreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server's maxmemory-policy cannot be read; allow its user `CONFIG GET` or `INFO`, \
             or promise that it is noeviction with `trust_policy`",
        )
    }
}

impl Error for PolicyUnreadable {}

/// A key holds something that this version did not write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Which key.
    pub key: String,
}

impl Unreadable {
    pub(crate) fn at(key: &[u8]) -> StoreError {
        StoreError::corrupt(Self { key: String::from_utf8_lossy(key).into_owned() })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        write!(f, "{key} was not written by this version; read it with the one that wrote it")
    }
}

impl Error for Unreadable {}

/// No connection came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Busy {
    /// How long was waited.
    pub waited: Duration,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.waited;
        write!(f, "no connection to Redis came free in {waited:?}; allow the store more of them")
    }
}

impl Error for Busy {}

/// Others changed the record every time this caller was about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contended;

impl fmt::Display for Contended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record kept changing under this step; ask again later")
    }
}

impl Error for Contended {}

/// What a refusal by the server means for a step in which nothing was written.
pub(crate) fn refused(error: RedisError) -> StoreError {
    if is_oom(&error) { StoreError::full() } else { StoreError::unavailable(error) }
}

/// Whether the server refused a command because it has no memory left.
pub(crate) fn is_oom(error: &RedisError) -> bool {
    let aborted_for_it = || error.detail().is_some_and(|detail| detail.contains("OOM "));
    error.code() == Some("OOM") || (error.code() == Some("EXECABORT") && aborted_for_it())
}
