use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Dice, Observe};
use http::HeaderName;
use tower_layer::Layer;

use crate::{Bare, Drain, Idempotency, IdempotencyEvent, Lapsed};

/// Runs each key once: see the [crate's documentation](crate).
///
/// Clones and everything they are applied to share the store and the count of what is running.
pub struct IdempotencyLayer<St, O = ()> {
    shared: Arc<Shared<St, O>>,
}

/// Everything that a service of this layer needs.
pub(crate) struct Shared<St, O> {
    pub(crate) store: Arc<St>,
    pub(crate) observer: Arc<O>,
    pub(crate) running: Drain,
    pub(crate) settings: Settings,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) lapsed: Lapsed,
    pub(crate) lease: Duration,
    pub(crate) keep: Duration,
    pub(crate) body_cap: usize,
    pub(crate) bare: Bare,
    pub(crate) global_scope: Option<Arc<str>>,
    pub(crate) fingerprinted: Vec<HeaderName>,
    pub(crate) retry_after: Duration,
    pub(crate) dice: Dice,
}

impl<St> IdempotencyLayer<St> {
    /// Keeps records in `store`, with the defaults that the crate's documentation lists.
    pub fn new(store: St) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Arc::new(store),
                observer: Arc::new(()),
                running: Drain::default(),
                settings: Settings::default(),
            }),
        }
    }
}

impl<St, O> IdempotencyLayer<St, O> {
    /// Declares that the handlers record their answers in the transactions of their effects
    /// (with a store's `complete_in`). When a claim's lease ends, the handler then runs again;
    /// otherwise the outcome is unknown.
    #[must_use]
    pub fn transactional(self) -> Self {
        self.with(|settings| settings.lapsed = Lapsed::RunAgain)
    }

    /// How long a claim holds after its process died; renewed at a quarter of it meanwhile.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        self.with(|settings| settings.lease = lease)
    }

    /// How long an outcome is kept.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        self.with(|settings| settings.keep = keep)
    }

    /// How many bytes a request's body may have, and an answer's body that is kept.
    #[must_use]
    pub fn body_cap(self, bytes: usize) -> Self {
        self.with(|settings| settings.body_cap = bytes)
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
    pub fn observe<P: Observe<IdempotencyEvent>>(self, observer: P) -> IdempotencyLayer<St, P> {
        IdempotencyLayer {
            shared: Arc::new(Shared {
                store: Arc::clone(&self.shared.store),
                observer: Arc::new(observer),
                running: self.shared.running.clone(),
                settings: self.shared.settings.clone(),
            }),
        }
    }

    /// Waits for handlers at shutdown.
    pub fn drain(&self) -> Drain {
        self.shared.running.clone()
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).settings);
        self
    }
}

impl<S, St, O> Layer<S> for IdempotencyLayer<St, O> {
    type Service = Idempotency<S, St, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Idempotency::new(inner, Arc::clone(&self.shared))
    }
}

impl<St, O> Clone for IdempotencyLayer<St, O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<St, O> fmt::Debug for IdempotencyLayer<St, O> {
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
            settings: self.settings.clone(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lapsed: Lapsed::Unknown,
            lease: Duration::from_secs(10),
            keep: Duration::from_secs(24 * 3600),
            body_cap: 64 * 1024,
            bare: Bare::Taken,
            global_scope: None,
            fingerprinted: Vec::new(),
            retry_after: Duration::from_secs(1),
            dice: Dice::default(),
        }
    }
}
