//! What stands outside the calls: who answers when they fail, who keeps them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "last-good")]
use aplomb_fallback::LastGood;
use aplomb_fallback::{Conditions, Fallback, FallbackLayer};
use tower_layer::Layer;

use super::judge::Judge;
use super::observe::ObserveCalls;
use crate::policy::{Mode, Policy, WhenExhausted};

/// The layers that an operation has outside its calls, by what its policy says of their failure.
///
/// ```
/// use aplomb::core::{DegradedKind, OperationClass};
/// use aplomb::dead_letter::DeadLetterLayer;
/// use aplomb::fallback::Fixed;
/// use aplomb::policy::Policy;
/// use aplomb::stack::{Answered, Answers, Bare, Calls, Lettered, Remembered, Stack, Whole};
///
/// // A stack says in its type what stands around its calls; whoever wraps stacks names the traits.
/// fn is_plain<T: Answers + Calls>() {}
/// is_plain::<Bare>();
/// let read = || Policy::preset(OperationClass::Read).build();
/// let remembers: Stack<_, _, Remembered<Bare>, _> = Stack::new(read()?).last_good();
/// let few = Fixed::new(DegradedKind::Approximate, http::Response::new("a few".into()));
/// let answers: Stack<_, _, Answered<Bare, _>, _> = Stack::new(read()?).fallback(few);
/// let keeps: Stack<_, _, Lettered<Bare, _, _, _>, _> =
///     Stack::new(read()?).dead_letters(DeadLetterLayer::hand_over());
/// let hears: Stack<_, _, Whole<Bare, _>, _> =
///     Stack::new(read()?).calls(|_: &()| tower::layer::util::Identity::new());
/// # let _ = (remembers, answers, keeps, hears);
/// # Ok::<(), aplomb::policy::Unanswered>(())
/// ```
pub trait Around<S, O> {
    /// The service with them.
    type Service;

    /// Puts them around the operation of this name, which is unique among those of a stack.
    fn around(&self, name: &str, policy: &Policy, observer: &O, inner: S) -> Self::Service;
}

/// What answers instead of a call that failed. Kept letters stand outside it, and what hears of a
/// call as a whole outside those.
pub trait Answers {}

/// What may have a layer around it that hears of each call as a whole: everything but such a layer.
pub trait Calls {}

/// Nothing: a failure is the caller's to see.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds nothing")]
pub struct Bare;

impl Answers for Bare {}

impl Calls for Bare {}

impl<S, O> Around<S, O> for Bare {
    type Service = S;

    fn around(&self, _: &str, _: &Policy, _: &O, inner: S) -> S {
        inner
    }
}

/// A second service answers. Made by `fallback`.
#[derive(Clone)]
pub struct Answered<A, F> {
    inner: A,
    fallback: F,
    /// The operation that it answers for, unless for all.
    only: Option<Box<str>>,
    kept: Kept<FallbackLayer<F, Judge>>,
}

impl<A, F> Answered<A, F> {
    pub(crate) fn new(inner: A, fallback: F, only: Option<Box<str>>) -> Self {
        Self { inner, fallback, only, kept: Kept::default() }
    }
}

impl<A, F> Answers for Answered<A, F> {}

impl<A, F> Calls for Answered<A, F> {}

impl<S, O, A, F> Around<S, O> for Answered<A, F>
where
    A: Around<S, O>,
    F: Clone,
    O: ObserveCalls,
{
    type Service = Fallback<A::Service, F, Judge, O>;

    fn around(&self, name: &str, policy: &Policy, observer: &O, inner: S) -> Self::Service {
        let inner = self.inner.around(name, policy, observer, inner);
        let layer = self.kept.of(name, policy, || {
            let layer = match policy.when_exhausted() {
                WhenExhausted::Pending { .. } => FallbackLayer::pending(self.fallback.clone()),
                _ => FallbackLayer::new(self.fallback.clone()),
            };
            let is_meant = self.only.as_deref().is_none_or(|only| only == name);
            let layer = match policy.when_exhausted() {
                _ if !is_meant => layer.on(Conditions::NONE),
                WhenExhausted::Call { time, .. } => layer.slice(*time),
                WhenExhausted::Fail | WhenExhausted::Drop | WhenExhausted::DeadLetter { .. } => {
                    layer.on(Conditions::NONE)
                }
                _ => layer,
            };
            act(layer, policy)
        });
        layer.observe(observer.clone()).layer(inner)
    }
}

/// The last good answer of each operation whose policy says `last-good`. Made by `last_good`.
#[cfg(feature = "last-good")]
#[derive(Clone)]
pub struct Remembered<A> {
    inner: A,
    kept: Kept<FallbackLayer<LastGood, Judge>>,
    refine: Arc<Refine>,
}

/// Makes what an operation of this name keeps out of what its policy says.
#[cfg(feature = "last-good")]
type Refine = dyn Fn(&str, LastGood) -> LastGood + Send + Sync;

#[cfg(feature = "last-good")]
impl<A> Remembered<A> {
    pub(crate) fn new(
        inner: A,
        refine: impl Fn(&str, LastGood) -> LastGood + Send + Sync + 'static,
    ) -> Self {
        Self { inner, kept: Kept::default(), refine: Arc::new(refine) }
    }
}

#[cfg(feature = "last-good")]
impl<A> Answers for Remembered<A> {}

#[cfg(feature = "last-good")]
impl<A> Calls for Remembered<A> {}

#[cfg(feature = "last-good")]
impl<S, O, A> Around<S, O> for Remembered<A>
where
    A: Around<S, O>,
    O: ObserveCalls,
{
    type Service = Fallback<A::Service, LastGood, Judge, O>;

    fn around(&self, name: &str, policy: &Policy, observer: &O, inner: S) -> Self::Service {
        let inner = self.inner.around(name, policy, observer, inner);
        let layer = self.kept.of(name, policy, || {
            let layer = match policy.when_exhausted() {
                WhenExhausted::LastGood { fresh_for, stale_for } => {
                    let kept = LastGood::new(*fresh_for).stale_for(*stale_for);
                    FallbackLayer::last_good((self.refine)(name, kept))
                }
                // It keeps nothing and is asked for nothing.
                _ => FallbackLayer::new(LastGood::new(std::time::Duration::ZERO).entries(0))
                    .on(Conditions::NONE),
            };
            act(layer, policy)
        });
        layer.observe(observer.clone()).layer(inner)
    }
}

/// Something that hears of each call as a whole. Made by `calls`.
#[derive(Clone)]
pub struct Whole<A, F> {
    inner: A,
    make: F,
}

impl<A, F> Whole<A, F> {
    pub(crate) const fn new(inner: A, make: F) -> Self {
        Self { inner, make }
    }
}

impl<S, O, A, F, L> Around<S, O> for Whole<A, F>
where
    A: Around<S, O>,
    F: Fn(&O) -> L,
    L: Layer<A::Service>,
{
    type Service = L::Service;

    fn around(&self, name: &str, policy: &Policy, observer: &O, inner: S) -> Self::Service {
        (self.make)(observer).layer(self.inner.around(name, policy, observer, inner))
    }
}

fn act<F>(layer: FallbackLayer<F>, policy: &Policy) -> FallbackLayer<F, Judge> {
    let layer = match policy.mode() {
        Mode::Enforce => layer,
        Mode::Observe => layer.observe_only(),
    };
    layer.classify(Judge::of_health(policy.transient()))
}

/// One layer for each operation, which outlives a reload that leaves what it depends on as it was.
#[derive(Debug)]
struct Kept<L>(Arc<Mutex<Known<L>>>);

/// By the name of its operation: what it depends on, and the layer.
type Known<L> = BTreeMap<Box<str>, (WhenExhausted, Mode, L)>;

impl<L: Clone> Kept<L> {
    fn of(&self, name: &str, policy: &Policy, make: impl FnOnce() -> L) -> L {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let then = policy.when_exhausted();
        match known.get(name) {
            Some((known, mode, layer)) if known == then && *mode == policy.mode() => layer.clone(),
            _ => {
                let layer = make();
                let entry = (then.clone(), policy.mode(), layer.clone());
                known.insert(name.into(), entry);
                layer
            }
        }
    }
}

impl<L> Clone for Kept<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L> Default for Kept<L> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<A: fmt::Debug, F> fmt::Debug for Answered<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(feature = "last-good")]
impl<A: fmt::Debug> fmt::Debug for Remembered<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<A: fmt::Debug, F> fmt::Debug for Whole<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("inner", &self.inner).finish_non_exhaustive()
    }
}
