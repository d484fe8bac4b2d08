use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Response;
use tokio::sync::Notify;

use crate::seal::Sealer;
use crate::{Fence, Held, Identity, Keep, RecordId, Started, StoredAnswer};

/// The right to do a unit of work, in the extensions of the request that its handler gets.
///
/// Cheap to clone. It does not hold the key by itself: the layer renews the lease while the
/// handler runs.
#[derive(Clone)]
pub struct Claim {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    started: Started,
    terms: Terms,
    sealer: Sealer,
    is_lost: AtomicBool,
    // Rung when it is lost; never, when the layer is done with it before.
    bell: Notify,
}

/// How a claim's answer is kept.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a store must know")]
pub struct Terms {
    /// For how long.
    pub keep: Keep,
    /// Up to how many bytes of body.
    pub body_cap: usize,
}

impl Claim {
    /// A claim that a store has given, and the means to say that it was lost.
    ///
    /// Layers make these, and tests of handlers.
    pub fn new(identity: Identity, started: Started, terms: Terms) -> (Self, Loss) {
        Self::sealing(identity, started, terms, Sealer::default())
    }

    pub(crate) fn sealing(
        identity: Identity,
        started: Started,
        terms: Terms,
        sealer: Sealer,
    ) -> (Self, Loss) {
        let (is_lost, bell) = (AtomicBool::new(false), Notify::new());
        let shared = Arc::new(Shared { identity, started, terms, sealer, is_lost, bell });
        (Self { shared: Arc::clone(&shared) }, Loss(shared))
    }

    /// Its number, greater than that of every earlier claim of the store. Pass it on to systems
    /// that can refuse a smaller one than they have seen.
    pub fn fence(&self) -> Fence {
        self.shared.started.fence
    }

    /// Which claim of this key it is: 1 unless earlier ones had no effect.
    pub fn attempt(&self) -> u32 {
        self.shared.started.attempt
    }

    /// The key, without quotes.
    pub fn key(&self) -> &str {
        self.shared.identity.key.as_str()
    }

    /// The caller's name, or that of the global scope.
    pub fn caller(&self) -> &str {
        self.shared.identity.scope.name()
    }

    /// All that the key names.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Where its record lies.
    pub fn id(&self) -> RecordId {
        self.shared.identity.id()
    }

    /// How a store names it.
    pub fn held(&self) -> Held {
        Held { id: self.id(), fence: self.fence() }
    }

    /// How its answer is kept.
    pub fn terms(&self) -> Terms {
        self.shared.terms
    }

    /// What a store keeps of an answer to it, sealed where the layer has a seal.
    pub fn stored(&self, response: &Response<Bytes>) -> StoredAnswer {
        let body = Some(response.body().clone());
        let cap = self.shared.terms.body_cap;
        self.seal(StoredAnswer::new(response.status(), response.headers(), body, cap))
    }

    pub(crate) fn seal(&self, answer: StoredAnswer) -> StoredAnswer {
        self.shared.sealer.seal(self.id(), answer)
    }

    /// Whether it took the key from a claim whose lease had ended, and which may have had its
    /// effect as far as the store knows.
    pub fn is_after_lapse(&self) -> bool {
        self.shared.started.after_lapse
    }

    /// Returns once the key is known to belong to another claim, and never otherwise.
    ///
    /// Work that the store's transaction does not cover should stop then: its answer will not be
    /// recorded. Dropping the future has no effect.
    pub async fn lost(&self) {
        let rung = self.shared.bell.notified();
        // Listens before it looks, so that no loss between the two is missed.
        if !self.shared.is_lost.load(Ordering::Acquire) {
            rung.await;
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("id", &self.id())
            .field("started", &self.shared.started)
            .finish_non_exhaustive()
    }
}

/// Tells a [`Claim`]'s handler that it was lost.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::Principal;
/// use aplomb_idempotency::record::{Fence, Keep, Lapsed, Started, Ticket, Timestamp};
/// use aplomb_idempotency::{Claim, Identity, Key, Loss, Scope, Terms};
///
/// let key = Key::try_from("order_123")?;
/// let scope = Scope::Principal(Principal::new("shop"));
/// let identity = Identity::new(scope, http::Method::POST, "/orders", key);
/// let started = Started {
///     fence: Fence::new(1).unwrap(),
///     attempt: 1,
///     lease_until: Timestamp::from_millis(10_000),
///     ticket: Ticket::unique(),
///     lapsed: Lapsed::Unknown,
///     after_lapse: false,
/// };
/// let keep = Keep { answer: Duration::from_secs(60), key: Duration::from_secs(60) };
/// let (claim, loss): (Claim, Loss) =
///     Claim::new(identity, started, Terms { keep, body_cap: 64 * 1024 });
/// assert_eq!((claim.key(), claim.caller()), ("order_123", "shop"));
/// // The lease could not be renewed: `claim.lost()` ends, and the handler may stop.
/// loss.fire();
/// # Ok::<(), aplomb_idempotency::MalformedKey>(())
/// ```
pub struct Loss(Arc<Shared>);

impl Loss {
    /// Fires [`Claim::lost`].
    pub fn fire(&self) {
        self.0.is_lost.store(true, Ordering::Release);
        self.0.bell.notify_waiters();
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss").finish_non_exhaustive()
    }
}
