//! What callers do: begin, send, wait, give up, try again.

use aplomb_core::{Failure, FailureKind, Pushback, Reason};
use aplomb_retry::{BodyIs, RetryEvent};

use crate::call::{Call, Ticket};
use crate::model::{Ownership, Start};
use crate::queue::Kind;
use crate::simulation::Simulation;
use crate::watch::{Step, Watch, What};

impl<W: Watch> Simulation<'_, W> {
    pub(crate) fn arrive(&mut self, client: u32) {
        if self.model.start == Start::Open {
            self.schedule_arrival(client);
        }
        self.measures.at(self.now).calls += 1;
        self.begin(client, 1, None);
    }

    /// A caller begins a call: a client, or a service that serves an attempt.
    pub(crate) fn begin(&mut self, client: u32, layer: u8, parent: Option<Ticket>) {
        self.budgets.call_begins(client, self.now);
        let place = self.calls.begin(Call {
            progress: self.rules.begin(self.get, None, self.instant()),
            began: self.now,
            generation: 0,
            client,
            parent,
            layer,
            version: 0,
        });
        self.tell(client, || What::Begins);
        self.send(place);
    }

    fn send(&mut self, place: u32) {
        let Call { generation, layer, client, .. } = *self.calls.at(place);
        if layer == self.model.layers {
            self.measures.at(self.now).attempts += 1;
        }
        let delay = self.delay(client);
        self.queue.push(self.now + delay, Kind::Reach, place, generation);
        if let Some(timeout) = self.model.attempt_timeout {
            let at = self.ticked(self.now + timeout);
            self.queue.push(at, Kind::Timeout, place, generation);
        }
    }

    pub(crate) fn wake(&mut self, place: u32) {
        let call = self.calls.at(place);
        call.progress.resent();
        let (client, attempt) = (call.client, call.progress.attempt());
        self.tell(client, || What::Retry(RetryEvent::Resent { attempt }));
        self.send(place);
    }

    /// A good answer, for whoever still waits for it.
    pub(crate) fn answer(&mut self, place: u32, generation: u32) {
        let Some(call) = self.calls.awaiting(place, generation) else {
            self.measures.at(self.now).wasted += 1;
            return;
        };
        let (client, attempt) = (call.client, call.progress.attempt());
        self.measures.at(self.now).useful += 1;
        if attempt.is_first() {
            self.budgets.first_try_succeeded(client);
        } else {
            self.budgets.retry_succeeded(client);
        }
        self.tell(client, || What::Retry(RetryEvent::Done { attempt, success: true }));
        self.end(place, true);
    }

    pub(crate) fn refused(&mut self, place: u32, generation: u32) {
        self.failed(place, generation, Failure::new(FailureKind::Transient));
    }

    /// The service below has tried all it could.
    pub(crate) fn stopped(&mut self, place: u32, generation: u32) {
        let failure = Failure::new(FailureKind::Transient).pushback(Pushback::Stop);
        self.failed(place, generation, failure);
    }

    pub(crate) fn time_out(&mut self, place: u32, generation: u32) {
        self.failed(place, generation, Failure::new(FailureKind::Timeout));
    }

    /// An attempt failed: the retry machine decides, then the budget.
    fn failed(&mut self, place: u32, generation: u32, failure: Failure) {
        let now = self.instant();
        let Some(call) = self.calls.awaiting(place, generation) else {
            return;
        };
        call.generation = generation.wrapping_add(1);
        let (client, attempt) = (call.client, call.progress.attempt());
        if !attempt.is_first() {
            self.budgets.retry_failed(client);
        }
        let mut rng = self.clients.of(client).roll();
        let allowed = self.rules.allow(&mut call.progress, failure, BodyIs::Kept, now, &mut rng);
        let paid = allowed.and_then(|wait| {
            let paid = self.budgets.withdraw(client, &failure, self.now);
            if paid { Ok(wait) } else { Err(Reason::Budget) }
        });
        match paid {
            Ok(wait) => {
                self.tell(client, || {
                    What::Retry(RetryEvent::Waiting { failed: attempt, failure, wait })
                });
                let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                let at = self.ticked(self.now.saturating_add(wait));
                self.queue.push(at, Kind::Wake, place, 0);
            }
            Err(reason) => {
                self.tell(client, || What::Retry(RetryEvent::Refused { attempt, failure, reason }));
                self.end(place, false);
            }
        }
    }

    fn end(&mut self, place: u32, success: bool) {
        let call = self.calls.end(place);
        if let Some(parent) = call.parent {
            let kind = match (success, self.model.ownership) {
                (true, _) => Kind::Answer,
                (false, Ownership::Every) => Kind::Refuse,
                (false, Ownership::Lowest) => Kind::Stop,
            };
            let at = self.now + self.model.network_delay;
            self.queue.push(at, kind, parent.call, parent.generation);
            return;
        }
        self.measures.last_end = self.now;
        let began = self.measures.at(call.began);
        if success {
            began.calls_succeeded += 1;
            self.measures.at(self.now).successes += 1;
            self.measures.latency.record(self.now - call.began);
        } else {
            began.calls_failed += 1;
        }
    }

    fn tell(&mut self, client: u32, what: impl FnOnce() -> What) {
        if W::SEES {
            self.watch.step(Step {
                at: self.now,
                client,
                what: what(),
                balance: self.budgets.balance(client),
            });
        }
    }
}
