use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Observe};
use http::HeaderName;
use tower_layer::Layer;

use crate::recover::Recover;
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::typed::{Plain, Transactional};
use crate::wait::Waiters;
use crate::{
    Bare, Claim, Drain, Idempotency, IdempotencyEvent, Lapsed, Recovered, Seal, ServerErrors,
    Waiting,
};

/// Runs each key once: see the [crate's documentation](crate).
///
/// Clones and everything they are applied to share the store and the count of what is running. What
/// it goes around, its last parameter says: any service, or once it is
/// [transactional](Self::transactional) those alone whose answers are typed.
pub struct IdempotencyLayer<St, O = (), M = Plain> {
    shared: Arc<Shared<St, O>>,
    mode: PhantomData<fn() -> M>,
}

/// Everything that a service of this layer needs.
pub(crate) struct Shared<St, O> {
    pub(crate) store: Arc<St>,
    pub(crate) observer: Arc<O>,
    pub(crate) running: Drain,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) settings: Settings,
}

impl<St> IdempotencyLayer<St> {
    /// Keeps records in `store`, with the defaults that the crate's documentation lists.
    pub fn new(store: St) -> Self {
        Self::of(Shared {
            store: Arc::new(store),
            observer: Arc::new(()),
            running: Drain::default(),
            waiters: Arc::default(),
            settings: Settings::default(),
        })
    }
}

/// What becomes of a key whose handler may or may not have had its effect: one of these, or the
/// outcome is unknown and a person resolves it.
impl<St, O> IdempotencyLayer<St, O, Plain> {
    /// Declares that the handlers record their answers in the transactions of their effects
    /// (with a store's `complete_in`). When a claim's lease ends, the handler then runs again.
    ///
    /// From then on the layer takes only what cannot answer a success that it did not record:
    /// services whose response is a `Result<Recorded, Refusal>`, and with the feature `axum` such
    /// handlers, by `post`, `patch` and `on`.
    #[must_use]
    pub fn transactional(self) -> IdempotencyLayer<St, O, Transactional> {
        let this = self.with(|settings| {
            settings.lapsed = Lapsed::RunAgain;
            settings.recover = None;
        });
        IdempotencyLayer { shared: this.shared, mode: PhantomData }
    }

    /// Asks `hook` what became of the effect: before the handler runs under a claim that took the
    /// key from one whose lease had ended, and when a handler panics or fails.
    ///
    /// The hook looks the effect up where it would be, by [`Claim::key`] or whatever the handler
    /// passed on, and says what it found. Its lease is renewed while it looks. A hook that panics
    /// does not know.
    ///
    /// ```
    /// use aplomb_idempotency::{Claim, IdempotencyLayer, MemoryStore, Recovered};
    /// # #[derive(Clone)] struct Bank;
    /// # impl Bank {
    /// #     async fn find(&self, _: &str) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// # }
    /// # let bank = Bank;
    ///
    /// let layer = IdempotencyLayer::new(MemoryStore::new()).recover(move |claim: Claim| {
    ///     let bank = bank.clone();
    ///     async move {
    ///         // The handler gave the key to the bank as the transfer's reference.
    ///         match bank.find(claim.key()).await {
    ///             Ok(Some(transfer)) => Recovered::Applied(http::Response::new(transfer.into())),
    ///             Ok(None) => Recovered::NotApplied,
    ///             Err(_) => Recovered::DontKnow,
    ///         }
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn recover<F, Fut>(self, hook: F) -> Self
    where
        F: Fn(Claim) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Recovered> + Send + 'static,
    {
        self.with(|settings| {
            settings.lapsed = Lapsed::Recover;
            settings.recover = Some(Recover::new(hook));
        })
    }

    /// Lets the handler run again when a claim's lease has ended, or when it panicked or failed,
    /// though its effect may have happened: twice is no worse than once here.
    #[must_use]
    pub fn at_least_once(self) -> Self {
        self.with(|settings| {
            settings.lapsed = Lapsed::AtLeastOnce;
            settings.recover = None;
        })
    }

    /// What a 5xx of the handler says, unless it is a 503, which says that nothing happened.
    #[must_use]
    pub fn server_errors(self, errors: ServerErrors) -> Self {
        self.with(|settings| settings.server_errors = errors)
    }
}

impl<St, O, M> IdempotencyLayer<St, O, M> {
    /// How long a claim holds after its process died; renewed at a quarter of it meanwhile.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        self.with(|settings| settings.lease = lease)
    }

    /// How long an answer is kept and replayed.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        self.with(|settings| settings.keep.answer = keep)
    }

    /// How long a key is refused with 410 after its answer has expired, instead of running again
    /// for a caller that comes very late.
    #[must_use]
    pub fn retire(self, retire: Duration) -> Self {
        self.with(|settings| settings.keep.key = retire)
    }

    /// How many bytes a request's body may have, and an answer's body that is kept.
    #[must_use]
    pub fn body_cap(self, bytes: usize) -> Self {
        self.with(|settings| settings.body_cap = bytes)
    }

    /// How long a request's body may take to arrive, whole; then it is refused with 408 and nothing
    /// was begun.
    #[must_use]
    pub fn upload(self, time: Duration) -> Self {
        self.with(|settings| settings.upload = time)
    }

    /// Seals what the store keeps of answers.
    #[must_use]
    pub fn seal(self, seal: impl Seal) -> Self {
        self.with(|settings| settings.sealer = Sealer::new(seal))
    }

    /// Lets a duplicate of what is in flight wait for the outcome instead of a 409.
    #[must_use]
    pub fn wait(self, waiting: Waiting) -> Self {
        self.with(|settings| settings.waiting = Some(waiting))
    }

    /// Refuses keys without quotes.
    #[must_use]
    pub fn strict_keys(self) -> Self {
        self.with(|settings| settings.bare = Bare::Refused)
    }

    /// Lets all callers without a [`Principal`](aplomb_core::Principal) share the keys of this
    /// name. Only where whoever guesses a key may see its answer.
    #[must_use]
    pub fn global_scope(self, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        self.with(|settings| settings.global_scope = Some(name))
    }

    /// Headers that make a request another one when they differ, such as a tenant's.
    #[must_use]
    pub fn fingerprint_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().collect();
        self.with(|settings| settings.fingerprinted = names)
    }

    /// When a caller is asked to come back while its key is in flight or the store is down, before
    /// jitter.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.with(|settings| settings.retry_after = wait)
    }

    /// The dice that jitter is rolled with.
    #[must_use]
    pub fn dice(self, dice: Dice) -> Self {
        self.with(|settings| settings.dice = dice)
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observe<P: Observe<IdempotencyEvent>>(self, observer: P) -> IdempotencyLayer<St, P, M> {
        IdempotencyLayer::of(Shared {
            store: Arc::clone(&self.shared.store),
            observer: Arc::new(observer),
            running: self.shared.running.clone(),
            waiters: Arc::clone(&self.shared.waiters),
            settings: self.shared.settings.clone(),
        })
    }

    /// Waits for handlers at shutdown.
    pub fn drain(&self) -> Drain {
        self.shared.running.clone()
    }

    pub(crate) fn shared(&self) -> Arc<Shared<St, O>> {
        Arc::clone(&self.shared)
    }

    fn of(shared: Shared<St, O>) -> Self {
        Self { shared: Arc::new(shared), mode: PhantomData }
    }

    /// The same around any service, for those in this crate who know what it answers.
    #[cfg(feature = "axum")]
    pub(crate) fn untyped(&self) -> IdempotencyLayer<St, O, Plain> {
        IdempotencyLayer { shared: Arc::clone(&self.shared), mode: PhantomData }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).settings);
        self
    }
}

impl<S, St, O> Layer<S> for IdempotencyLayer<St, O, Plain> {
    type Service = Idempotency<S, St, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Idempotency::new(inner, self.shared())
    }
}

impl<St, O, M> Clone for IdempotencyLayer<St, O, M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), mode: PhantomData }
    }
}

impl<St, O, M> fmt::Debug for IdempotencyLayer<St, O, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl<St, O> Clone for Shared<St, O> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            observer: Arc::clone(&self.observer),
            running: self.running.clone(),
            waiters: Arc::clone(&self.waiters),
            settings: self.settings.clone(),
        }
    }
}
