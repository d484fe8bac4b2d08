use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aplomb_core::Principal;
use http::Method;

use crate::Key;
use crate::digest::Digest;

/// Whose keys they are. Two callers that choose the same key never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// An authenticated caller's own.
    Principal(Principal),
    /// Shared by all callers of a service that says so, by this name.
    Global(Arc<str>),
}

impl Scope {
    /// The caller's name, or the global scope's.
    pub fn name(&self) -> &str {
        match self {
            Self::Principal(principal) => principal.as_str(),
            Self::Global(name) => name,
        }
    }

    /// `principal` or `global`: what keeps a caller from taking a global scope by its name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Principal(_) => "principal",
            Self::Global(_) => "global",
        }
    }

    /// The scope of a kind and name, as a store wrote them.
    pub fn from_parts(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "principal" => Some(Self::Principal(Principal::new(name))),
            "global" => Some(Self::Global(name.into())),
            _ => None,
        }
    }
}

/// What a key names: one caller's unit of work on one operation.
#[derive(Clone)]
#[non_exhaustive]
pub struct Identity {
    /// Whose key it is.
    pub scope: Scope,
    /// The operation's method.
    pub method: Method,
    /// The operation's route template, such as `/orders/{id}`.
    pub route: Arc<str>,
    /// The key.
    pub key: Key,
    // Worked out when it is asked for: a store that finds the record without it saves the hash.
    id: Known,
}

impl Identity {
    /// The identity of these parts.
    pub fn new(scope: Scope, method: Method, route: impl Into<Arc<str>>, key: Key) -> Self {
        Self { scope, method, route: route.into(), key, id: Known::default() }
    }

    /// Where a store keeps its record.
    pub fn id(&self) -> RecordId {
        self.id.or_work_out(|| {
            let digest = Digest::of("record/1").part(self.scope.kind()).part(self.scope.name());
            let digest = digest.part(self.method.as_str()).part(&*self.route);
            RecordId(digest.part(self.key.as_str()).finish())
        })
    }

    fn parts(&self) -> (&Key, &Scope, &str, &Method) {
        (&self.key, &self.scope, &self.route, &self.method)
    }
}

/// An id, once somebody has asked for it. Whoever works it out at the same time finds the same, so
/// nobody waits for anybody: `OnceLock`, which makes them wait, took 306 instructions to be set, out
/// of the 27,000 of a whole first call.
#[derive(Default)]
struct Known {
    words: [AtomicU64; 4],
    is_known: AtomicBool,
}

impl Known {
    fn get(&self) -> Option<RecordId> {
        if !self.is_known.load(Ordering::Acquire) {
            return None;
        }
        let mut id = [0; 32];
        for (bytes, word) in id.chunks_exact_mut(8).zip(&self.words) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        Some(RecordId(id))
    }

    fn set(&self, RecordId(id): RecordId) {
        for (word, bytes) in self.words.iter().zip(id.chunks_exact(8)) {
            let mut part = [0; 8];
            part.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(part), Ordering::Relaxed);
        }
        self.is_known.store(true, Ordering::Release);
    }

    fn or_work_out(&self, id: impl FnOnce() -> RecordId) -> RecordId {
        self.get().unwrap_or_else(|| {
            let id = id();
            self.set(id);
            id
        })
    }
}

impl Clone for Known {
    fn clone(&self) -> Self {
        let clone = Self::default();
        if let Some(id) = self.get() {
            clone.set(id);
        }
        clone
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    /// By what tells most of them apart: the rest would cost as much again.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        state.write(self.scope.name().as_bytes());
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("scope", &self.scope)
            .field("method", &self.method)
            .field("route", &self.route)
            .field("key", &self.key)
            .field("id", &self.id())
            .finish()
    }
}

/// Where a record lies: a hash of its identity, so that stores need one short column to find it.
///
/// Shown as hexadecimal, it is the reference that a caller with an unknown outcome quotes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 32]);

impl RecordId {
    /// The id of these bytes, as a store wrote them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for RecordId {
    type Err = MalformedReference;

    /// Reads the reference that a caller quotes.
    ///
    /// ```
    /// use aplomb_idempotency::RecordId;
    ///
    /// let id = RecordId::from_bytes([0xab; 32]);
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// ```
    fn from_str(reference: &str) -> Result<Self, MalformedReference> {
        let digits = reference.trim().as_bytes();
        if digits.len() != 64 {
            return Err(MalformedReference);
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Ok(Self(id))
    }
}

fn hex(digit: u8) -> Result<u8, MalformedReference> {
    let value = char::from(digit).to_digit(16).ok_or(MalformedReference)?;
    u8::try_from(value).map_err(|_| MalformedReference)
}

/// What an operator was given is no reference of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MalformedReference;

impl fmt::Display for MalformedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference is 64 hexadecimal digits: copy it whole from the problem")
    }
}

impl Error for MalformedReference {}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_tells_records_apart() {
        let ids: std::collections::HashSet<_> = [
            identity("principal", "a", Method::POST, "/x", "k"),
            identity("global", "a", Method::POST, "/x", "k"),
            identity("principal", "ab", Method::POST, "/x", "k"),
            identity("principal", "a", Method::PATCH, "/x", "k"),
            identity("principal", "a", Method::POST, "/xk", "k"),
            identity("principal", "a", Method::POST, "/x", "kk"),
        ]
        .iter()
        .map(Identity::id)
        .collect();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn an_id_is_the_same_in_every_process() {
        // Written down so that an upgrade cannot move the records of keys in use.
        let id = identity("principal", "shop", Method::POST, "/orders", "k1").id();
        let written = "1461fdf5a1bf8f52629d2819fbf95113ed3ffb9671ae90b90557f374beb9fb46";
        assert_eq!(id.to_string(), written);
    }

    #[test]
    fn a_reference_is_read_whole_or_not_at_all() {
        let id = identity("principal", "shop", Method::POST, "/orders", "k1").id();
        let written = id.to_string();
        assert_eq!(written.parse(), Ok(id));
        assert_eq!(format!(" {} ", written.to_uppercase()).parse(), Ok(id));
        for wrong in ["", &written[1..], &format!("{written}0"), &written.replace('1', "g")] {
            assert_eq!(wrong.parse::<RecordId>(), Err(MalformedReference), "{wrong}");
        }
    }

    fn identity(kind: &str, name: &str, method: Method, route: &str, key: &str) -> Identity {
        let scope = Scope::from_parts(kind, name).unwrap();
        Identity::new(scope, method, route, Key::try_from(key).unwrap())
    }
}
