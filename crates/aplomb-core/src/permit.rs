use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

/// Lends permits, and takes them back.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use aplomb_core::{Lender, Permit};
///
/// struct Places(AtomicU32);
///
/// impl Lender for Places {
///     fn take_back(self: Arc<Self>) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let places = Arc::new(Places(AtomicU32::new(0)));
/// let permit = Permit::new(places.clone());
/// drop(permit);
/// assert_eq!(places.0.load(Ordering::Relaxed), 1);
/// ```
pub trait Lender: Send + Sync {
    /// Takes one permit back. Called once for each permit, wherever it is dropped: it must neither
    /// block nor panic.
    fn take_back(self: Arc<Self>);
}

/// The right to run, lent for one piece of work. Dropping it gives it back.
#[must_use = "dropped, it is given back"]
pub struct Permit {
    lender: Arc<dyn Lender>,
    // Lent further out for the same work; held and given back with this one.
    outer: Option<Box<Permit>>,
}

impl Permit {
    /// A permit that goes back to `lender` when it is dropped.
    pub fn new(lender: Arc<dyn Lender>) -> Self {
        Self { lender, outer: None }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        Arc::clone(&self.lender).take_back();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("outer", &self.outer).finish_non_exhaustive()
    }
}

/// The permit under which a request runs, in its extensions.
///
/// The layer that lent it takes it back when its own response future ends or is dropped. Work that
/// goes on after that future takes the permit along, and work that is over earlier releases it:
///
/// ```
/// use aplomb_core::HeldPermit;
///
/// # fn look_up(_: &http::Request<()>) -> bool { true }
/// # fn run_to_its_end(_: http::Request<()>, _: Option<aplomb_core::Permit>) {}
/// fn serve(request: http::Request<()>) {
///     // From here on it is ours: dropping it gives it back.
///     let permit = HeldPermit::of(request.extensions()).and_then(HeldPermit::take);
///     if look_up(&request) {
///         return;
///     }
///     run_to_its_end(request, permit);
/// }
/// # serve(http::Request::default());
/// ```
///
/// Clones are one permit: only one of them can take it. Where two layers lend one each, around a
/// router and around one of its routes, both are taken and released together.
#[derive(Clone)]
pub struct HeldPermit {
    permit: Arc<Mutex<Option<Permit>>>,
    outer: Option<Box<HeldPermit>>,
}

impl HeldPermit {
    /// Puts a permit into a request's extensions. For the layer that lends it: it
    /// [takes it back](Self::take_back) if nobody took it.
    pub fn put(permit: Permit, extensions: &mut Extensions) -> Self {
        let outer = extensions.get::<Self>().cloned().map(Box::new);
        let held = Self { permit: Arc::new(Mutex::new(Some(permit))), outer };
        extensions.insert(held.clone());
        held
    }

    /// The one in a request's extensions.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Takes the permit, if it was neither taken nor released before. It is then held until it is
    /// dropped, whatever becomes of the request.
    pub fn take(&self) -> Option<Permit> {
        let outer = self.outer.as_ref().and_then(|outer| outer.take());
        let Some(mut permit) = self.lock().take() else { return outer };
        permit.outer = outer.map(Box::new);
        Some(permit)
    }

    /// Gives the permit back now, if nobody took it.
    pub fn release(&self) {
        drop(self.take());
    }

    /// Takes back what [`put`](Self::put) lent, if nobody took it, and leaves what was lent further out
    /// to its own layer. For the layer that lent it, when its response future is over.
    pub fn take_back(&self) {
        // Given back outside of the lock: whoever waits for it may be woken by that.
        let permit = self.lock().take();
        drop(permit);
    }

    /// Whether it was neither taken nor released yet.
    pub fn is_held(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Permit>> {
        // Nothing that could panic happens under this lock.
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HeldPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldPermit").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Desk(AtomicU32);

    impl Lender for Desk {
        fn take_back(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Desk {
        fn lend(self: &Arc<Self>) -> Permit {
            let lender: Arc<dyn Lender> = self.clone();
            Permit::new(lender)
        }

        fn taken_back(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_permit_that_nobody_took_is_released_by_its_layer_once() {
        let (desk, mut extensions) = (Arc::new(Desk::default()), Extensions::new());
        let held = HeldPermit::put(desk.lend(), &mut extensions);
        assert!(held.is_held());
        held.release();
        held.release();
        drop(extensions);
        assert_eq!(desk.taken_back(), 1);
        assert!(!held.is_held());
    }

    #[test]
    fn a_permit_that_was_taken_outlives_the_request_and_its_layer() {
        let (desk, mut extensions) = (Arc::new(Desk::default()), Extensions::new());
        let held = HeldPermit::put(desk.lend(), &mut extensions);
        let taken = HeldPermit::of(&extensions).and_then(HeldPermit::take);
        held.release();
        drop((held, extensions));
        assert_eq!(desk.taken_back(), 0);
        drop(taken);
        assert_eq!(desk.taken_back(), 1);
    }

    #[test]
    fn only_one_clone_takes_it() {
        let (desk, mut extensions) = (Arc::new(Desk::default()), Extensions::new());
        let held = HeldPermit::put(desk.lend(), &mut extensions);
        let first = held.clone().take();
        assert!(first.is_some() && held.take().is_none());
        drop(first);
        assert_eq!(desk.taken_back(), 1);
    }

    #[test]
    fn what_two_layers_lent_moves_together() {
        let (outer, inner) = (Arc::new(Desk::default()), Arc::new(Desk::default()));
        let mut extensions = Extensions::new();
        let first = HeldPermit::put(outer.lend(), &mut extensions);
        let second = HeldPermit::put(inner.lend(), &mut extensions);
        let taken = HeldPermit::of(&extensions).and_then(HeldPermit::take);
        second.release();
        first.release();
        assert_eq!((outer.taken_back(), inner.taken_back()), (0, 0));
        drop(taken);
        assert_eq!((outer.taken_back(), inner.taken_back()), (1, 1));
    }

    #[test]
    fn an_outer_permit_can_be_taken_after_the_inner_one_was_given_back() {
        let (outer, inner) = (Arc::new(Desk::default()), Arc::new(Desk::default()));
        let mut extensions = Extensions::new();
        let _first = HeldPermit::put(outer.lend(), &mut extensions);
        let second = HeldPermit::put(inner.lend(), &mut extensions);
        drop(second.lock().take());
        assert_eq!((outer.taken_back(), inner.taken_back()), (0, 1));
        drop(second.take());
        assert_eq!((outer.taken_back(), inner.taken_back()), (1, 1));
    }
}
