/// Is told what a layer did.
///
/// Layers say what happened in one small `Copy` event. The default observer is `()`, which hears
/// nothing and costs nothing. An observer runs on the path of the call: it must neither block nor
/// panic.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use aplomb_core::Observe;
///
/// let heard = AtomicU32::new(0);
/// let observer = |event: &u32| { heard.fetch_add(*event, Ordering::Relaxed); };
/// observer.observe(&2);
/// assert_eq!(heard.into_inner(), 2);
/// ```
pub trait Observe<E> {
    /// Hears one event.
    fn observe(&self, event: &E);
}

impl<E> Observe<E> for () {
    fn observe(&self, _: &E) {}
}

impl<E, F: Fn(&E)> Observe<E> for F {
    fn observe(&self, event: &E) {
        self(event);
    }
}

/// Two observers hear the same events, in this order.
impl<E, A: Observe<E>, B: Observe<E>> Observe<E> for (A, B) {
    fn observe(&self, event: &E) {
        self.0.observe(event);
        self.1.observe(event);
    }
}
