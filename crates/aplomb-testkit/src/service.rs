use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use aplomb_core::BoxError;
use tower_service::Service;

use crate::act::{Act, PANIC, ProbeError, Readiness, reset};
use crate::apply::{Request, Response};
use crate::probe::{Probe, Violation};

/// A service that follows the script of its [`Probe`], and never forgives.
///
/// Readiness belongs to one clone and to one call, as with a concurrency limit or a buffer. A call
/// on a clone that is not ready is recorded as a [`Violation`] and fails.
#[derive(Debug)]
pub struct ProbeService {
    probe: Probe,
    ready: bool,
    polls: u32,
}

impl ProbeService {
    pub(crate) fn new(probe: Probe) -> Self {
        Self { probe, ready: false, polls: 0 }
    }
}

impl Clone for ProbeService {
    fn clone(&self) -> Self {
        self.probe.lock().counts.clones += 1;
        Self::new(self.probe.clone())
    }
}

impl Service<Request> for ProbeService {
    type Response = Response;
    type Error = BoxError;
    type Future = ProbeFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.probe.lock();
        match state.readiness {
            Readiness::Fails => return Poll::Ready(Err(ProbeError::Readiness.into())),
            Readiness::Pending => {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Readiness::Ready => {}
        }
        if self.polls < state.readiness_polls {
            self.polls += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ProbeFuture {
        self.polls = 0;
        let was_ready = mem::take(&mut self.ready);
        if !was_ready {
            self.probe.violated(Violation::CalledUnready);
        }
        let mut state = self.probe.lock();
        state.counts.calls += 1;
        state.request = Some(request);
        let (call, steps) = (state.counts.calls, state.steps);
        let act = state.act(call);
        drop(state);
        if act == Act::PanicInCall {
            panic_quietly();
        }
        let todo = if was_ready { Todo::Act(act) } else { Todo::Refuse };
        ProbeFuture::new(self.probe.clone(), call, steps, todo)
    }
}

/// The answer of a [`ProbeService`].
///
/// Polled after it has ended, it records a [`Violation`] and panics, as an `async fn` does.
#[derive(Debug)]
pub struct ProbeFuture {
    probe: Probe,
    call: u64,
    steps: u32,
    todo: Todo,
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum Todo {
    Act(Act),
    Refuse,
    Nothing,
}

impl ProbeFuture {
    fn new(probe: Probe, call: u64, steps: u32, todo: Todo) -> Self {
        let mut state = probe.lock();
        let counts = &mut state.counts;
        counts.live += 1;
        counts.live_max = counts.live_max.max(counts.live);
        drop(state);
        Self { probe, call, steps, todo, begun: false }
    }
}

impl Future for ProbeFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        if self.steps > 0 {
            self.steps -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let todo = self.todo;
        if let Todo::Act(Act::Hang) = todo {
            return Poll::Pending;
        }
        self.todo = todo.done(&self.probe);
        match todo {
            Todo::Act(Act::Answer(status)) => Poll::Ready(Ok(Act::answer(status, self.call))),
            Todo::Act(Act::Fail) => Poll::Ready(Err(ProbeError::Call.into())),
            Todo::Act(Act::Reset) => Poll::Ready(Err(reset().into())),
            Todo::Act(_) => panic_quietly(),
            Todo::Refuse => Poll::Ready(Err(ProbeError::Unready.into())),
            Todo::Nothing => panic!("{}", Violation::PolledAfterEnd),
        }
    }
}

impl Todo {
    /// Takes note of the end, or of a poll that comes after it.
    fn done(self, probe: &Probe) -> Self {
        match self {
            Self::Nothing => probe.violated(Violation::PolledAfterEnd),
            _ => probe.lock().counts.ended += 1,
        }
        Self::Nothing
    }
}

impl Drop for ProbeFuture {
    fn drop(&mut self) {
        let mut state = self.probe.lock();
        state.counts.live -= 1;
        if !matches!(self.todo, Todo::Nothing) {
            state.counts.dropped += 1;
            state.counts.interrupted += u64::from(self.begun);
        }
    }
}

/// Panics without a word on the standard error, where a hundred of them would hide a real one.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new(PANIC))
}
