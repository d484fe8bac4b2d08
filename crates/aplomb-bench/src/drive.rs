use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Waker};

use tower_service::Service;

/// Makes calls one after the other, inside a runtime that only lends its clock.
pub struct Driver {
    runtime: tokio::runtime::Runtime,
}

impl Driver {
    /// A driver with a runtime of its own.
    ///
    /// # Panics
    ///
    /// When the system has no room for a runtime.
    pub fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().expect("a machine that benches has room");
        Self { runtime }
    }

    /// Runs what an item needs before its calls.
    pub(crate) fn wait_for<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Makes `calls` calls with a fresh request each.
    pub(crate) fn drive<Req, S: Service<Req>>(
        &self,
        service: &mut S,
        request: impl Fn() -> Req,
        calls: u64,
    ) {
        let _clock = self.runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..calls {
            let ready = pin!(poll_fn(|cx| service.poll_ready(cx)));
            assert!(ready.poll(&mut cx).is_ready(), "the inner services are always ready");
            let mut answer = pin!(service.call(request()));
            // A future that is not ready yet is by the second poll.
            while answer.as_mut().poll(&mut cx).is_pending() {}
        }
    }
}

impl Default for Driver {
    fn default() -> Self {
        Self::new()
    }
}
