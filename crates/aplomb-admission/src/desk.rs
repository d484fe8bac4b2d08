//! The shell around the gate: permits that give themselves back, and waits that end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aplomb_core::{Deadline, Lender, Permit, Request, time};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep_until};

use crate::gate::{Arrival, Gate};
use crate::job::Job;
use crate::limit::Limit;
use crate::line::{Terms, Ticket};
use crate::rejection::Rejection;

/// Where permits are lent: the state that is shared, under the terms of one layer value.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) state: Arc<State>,
    pub(crate) terms: Terms,
}

/// What everything made of one layer value shares.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) gate: Gate<Waiter>,
    pub(crate) only_observes: AtomicBool,
}

/// How one who waits is told. What is told is dropped where nobody listens any more, and with it
/// the permit goes to the next.
type Waiter = oneshot::Sender<Result<Granted, Rejection>>;

/// The end of a wait.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) permit: Permit,
    pub(crate) wait: Duration,
}

/// What became of a call.
pub(crate) enum Admit {
    Now(Permit),
    Later(Pin<Box<Waiting>>),
    Rejected(Rejection),
}

impl State {
    pub(crate) fn new(limit: Limit) -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(limit), only_observes: AtomicBool::new(false) })
    }

    pub(crate) fn only_observes(&self) -> bool {
        self.only_observes.load(Ordering::Relaxed)
    }
}

impl Desk {
    pub(crate) fn admit(self: &Arc<Self>, request: &impl Request) -> Admit {
        // What nearly every call meets takes no time to tell: there is no deadline, and room.
        let deadline = Deadline::of_call(request, time::now);
        if deadline.is_some_and(|deadline| self.terms.is_hopeless(deadline, time::now())) {
            return Admit::Rejected(Rejection::expired(request.class(), Duration::ZERO));
        }
        if self.state.gate.enter() {
            return Admit::Now(self.lend());
        }
        let now = time::now();
        self.queue(Job::of(request, now), now)
    }

    #[cold]
    fn queue(self: &Arc<Self>, job: Job, now: time::Instant) -> Admit {
        let (waiter, verdict) = oneshot::channel();
        match self.state.gate.arrive(job, &self.terms, now, waiter) {
            Arrival::Admitted => Admit::Now(self.lend()),
            Arrival::Rejected(rejection) => Admit::Rejected(rejection),
            Arrival::Waits { ticket, displaced } => {
                // Held before anybody else is woken, so that it is left whatever happens.
                let place = InLine { desk: Arc::clone(self), ticket: Some(ticket) };
                if let Some((other, rejection)) = displaced {
                    let _ = other.send(Err(rejection));
                }
                let bell = sleep_until(ticket.until());
                Admit::Later(Box::pin(Waiting { verdict, bell, place }))
            }
        }
    }

    /// Tells whoever is next.
    pub(crate) fn call_next(self: &Arc<Self>) {
        let now = time::now();
        while let Some((waiter, verdict)) = self.state.gate.next(&self.terms, now) {
            // Whoever has just gone drops what it was sent, outside of every lock.
            let _ = waiter.send(verdict.map(|wait| Granted { permit: self.lend(), wait }));
        }
    }

    fn lend(self: &Arc<Self>) -> Permit {
        let lender: Arc<dyn Lender> = self.clone();
        Permit::new(lender)
    }
}

impl Lender for Desk {
    fn take_back(self: Arc<Self>) {
        if self.state.gate.finish() {
            self.call_next();
        }
    }
}

pin_project! {
    /// The wait for a permit. Dropping it leaves the queue, and gives a permit that was just granted
    /// to the next.
    pub(crate) struct Waiting {
        verdict: oneshot::Receiver<Result<Granted, Rejection>>,
        #[pin]
        bell: Sleep,
        place: InLine,
    }
}

impl Future for Waiting {
    type Output = Result<Granted, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A permit that is there counts, even when it came with the bell.
        if let Poll::Ready(verdict) = Pin::new(this.verdict).poll(cx) {
            this.place.ticket = None;
            return Poll::Ready(verdict.expect("the gate tells everybody who waits"));
        }
        ready!(this.bell.poll(cx));
        match this.place.give_up() {
            Some(rejection) => Poll::Ready(Err(rejection)),
            // Somebody took it out of the queue and is about to tell it why.
            None => Poll::Pending,
        }
    }
}

/// A place in the queue, left when it is dropped.
struct InLine {
    desk: Arc<Desk>,
    ticket: Option<Ticket>,
}

impl InLine {
    fn give_up(&mut self) -> Option<Rejection> {
        let ticket = self.ticket.take()?;
        let Desk { state, terms } = &*self.desk;
        state.gate.give_up(ticket, terms, time::now()).map(|(_, rejection)| rejection)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.desk.state.gate.leave(ticket);
        }
    }
}
