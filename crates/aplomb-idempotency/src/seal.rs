//! Stored answers that only this service can read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aplomb_core::BoxError;
use bytes::Bytes;

use crate::{Record, RecordId, State, StoredAnswer};

/// Seals what a store keeps of answers, so that whoever reads the store does not read them.
///
/// Headers and body are sealed before the store sees them and opened when they are replayed. The
/// status, the caller's name, the route and the key stay in clear: stores and operators need them.
/// Answers that were recorded before there was a seal are replayed as they are.
///
/// Called where a handler's answer is recorded: an implementation computes, it does not wait. With
/// the crate `chacha20poly1305`:
///
/// ```
/// use aplomb_idempotency::{RecordId, Seal, Unsealable};
/// use chacha20poly1305::aead::{Aead, Generate, Payload};
/// use chacha20poly1305::{XChaCha20Poly1305, XNonce};
///
/// struct Sealed(XChaCha20Poly1305);
///
/// impl Seal for Sealed {
///     fn seal(&self, id: RecordId, plain: &[u8]) -> Vec<u8> {
///         // 24 random bytes: so many never meet twice under one key.
///         let nonce = XNonce::generate();
///         // Bound to its record: a sealed answer that is copied to another key does not open.
///         let payload = Payload { msg: plain, aad: id.as_bytes() };
///         let sealed = self.0.encrypt(&nonce, payload).expect("an answer fits in memory");
///         [nonce.as_slice(), &sealed].concat()
///     }
///
///     fn open(&self, id: RecordId, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
///         let (nonce, sealed) =
///             sealed.split_first_chunk().ok_or_else(|| Unsealable::new("cut short"))?;
///         let payload = Payload { msg: sealed, aad: id.as_bytes() };
///         let opened = self.0.decrypt(&XNonce::from(*nonce), payload);
///         opened.map_err(|_| Unsealable::new("sealed with another key, or tampered with"))
///     }
/// }
///
/// # use aplomb_idempotency::{IdempotencyLayer, MemoryStore};
/// # use chacha20poly1305::KeyInit;
/// # let key = [7; 32];
/// let seal = Sealed(XChaCha20Poly1305::new(&key.into()));
/// let layer = IdempotencyLayer::new(MemoryStore::new()).seal(seal);
/// ```
pub trait Seal: Send + Sync + 'static {
    /// Seals what belongs to the record `id`.
    fn seal(&self, id: RecordId, plain: &[u8]) -> Vec<u8>;

    /// Opens it again.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] for what was sealed with a key that is gone, belongs to another record, or
    /// was tampered with. The caller then gets [`problems::RECORD_UNREADABLE`], and its work is not
    /// done again.
    ///
    /// [`problems::RECORD_UNREADABLE`]: crate::problems::RECORD_UNREADABLE
    fn open(&self, id: RecordId, sealed: &[u8]) -> Result<Vec<u8>, Unsealable>;
}

/// A sealed answer that cannot be opened.
#[derive(Debug)]
pub struct Unsealable(BoxError);

impl Unsealable {
    /// It cannot be opened for this reason.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

impl fmt::Display for Unsealable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sealed answer cannot be opened; keep old keys for as long as answers")
    }
}

impl Error for Unsealable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// The layer's seal, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Sealer(Option<Arc<dyn Seal>>);

impl Sealer {
    pub(crate) fn new(seal: impl Seal) -> Self {
        Self(Some(Arc::new(seal)))
    }

    /// What the store gets to see of an answer.
    pub(crate) fn seal(&self, id: RecordId, answer: StoredAnswer) -> StoredAnswer {
        let Some(seal) = self.0.as_deref().filter(|_| !answer.is_sealed()) else {
            return answer;
        };
        let status = answer.status();
        let head = [&[HEAD], &status.as_u16().to_be_bytes()[..], &answer.headers_to_bytes()];
        let head = seal.seal(id, &head.concat());
        let body = answer.body().map(|body| seal.seal(id, &[&[BODY], &body[..]].concat()));
        StoredAnswer::sealed(status, head.into(), body.map(Bytes::from))
    }

    /// The answer as it was.
    pub(crate) fn open(
        &self,
        id: RecordId,
        answer: StoredAnswer,
    ) -> Result<StoredAnswer, Unsealable> {
        let Some(head) = answer.sealed_head() else {
            return Ok(answer);
        };
        let seal = self.0.as_deref().ok_or_else(|| Unsealable::new("this layer has no seal"))?;
        let other = || Unsealable::new("it was sealed as something else");
        let status = answer.status().as_u16();
        let head = seal.open(id, head)?;
        let head = head.strip_prefix(&[HEAD]).ok_or_else(other)?;
        let head = head.strip_prefix(&status.to_be_bytes()).ok_or_else(other)?;
        let body = answer.body().map(|sealed| seal.open(id, sealed)).transpose()?;
        let body = match body {
            Some(body) => {
                Some(Bytes::copy_from_slice(body.strip_prefix(&[BODY]).ok_or_else(other)?))
            }
            None => None,
        };
        StoredAnswer::from_columns(status, head, body).map_err(Unsealable::new)
    }
}

impl Sealer {
    /// A record with its answer as it was.
    pub(crate) fn open_record(&self, mut record: Record) -> Result<Record, Unsealable> {
        let id = record.identity.id();
        if let State::Completed { answer, .. } = &mut record.state {
            *answer = self.open(id, answer.clone())?;
        }
        Ok(record)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sealer(..)" } else { "Sealer(none)" })
    }
}

/// What a sealed part is, inside the seal: a body that is put where the headers were does not pass
/// for them.
const HEAD: u8 = b'h';
const BODY: u8 = b'b';
