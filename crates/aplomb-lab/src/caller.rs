//! What callers do: begin, send, wait, give up, try again.

use aplomb_core::{Failure, FailureKind, Outcome, Pushback, Reason, retry_after};
use aplomb_retry::{BodyIs, RetryEvent};
use http::HeaderMap;

use crate::call::{Call, Ticket};
use crate::model::nanos;
use crate::queue::Kind;
use crate::simulation::Simulation;
use crate::watch::{Step, Watch, What};
use crate::words::{Heed, Ownership, Start};

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
        if self.model.hedge_after.is_some() {
            self.hedges.deposit(client);
        }
        let shard = match self.model.shards {
            1 => 0,
            _ if layer < self.model.layers => 0,
            shards => {
                let shard = self.clients.rare(client).shard.below(shards.into());
                u16::try_from(shard).unwrap_or(0)
            }
        };
        let progress = self.rules.begin(self.get, None, self.instant());
        let mut call = Call::new(progress, self.now, client);
        (call.layer, call.parent, call.shard) = (layer, parent, shard);
        let place = self.calls.begin(call);
        self.tell(client, || What::Begins);
        self.send(place);
    }

    fn send(&mut self, place: u32) {
        let Call { generation, client, shard, .. } = *self.calls.at(place);
        if !self.circuits.are_none() {
            let now = self.instant();
            if let Err(wait) = self.circuits.admit(place, client, shard, now) {
                self.measures.at(self.now).held_back += 1;
                let failure = Failure::held_back().pushback(Pushback::After(wait));
                return self.failed(place, generation, failure);
            }
        }
        self.launch(place);
        if let Some(timeout) = self.model.attempt_timeout {
            let at = self.ticked(self.now + timeout);
            self.queue.push(at, Kind::Timeout, place, generation);
        }
        if let Some(wait) = self.model.hedge_after {
            let at = self.ticked(self.now + wait);
            self.queue.push(at, Kind::Hedge, place, generation);
        }
    }

    /// One send of the attempt under way leaves.
    fn launch(&mut self, place: u32) {
        let call = self.calls.at(place);
        call.open = call.open.saturating_add(1);
        let Call { generation, client, layer, work, .. } = *call;
        self.calls.hold(work);
        if layer == self.model.layers {
            self.measures.at(self.now).attempts += 1;
        }
        let delay = self.delay(client);
        self.queue.push(self.now + delay, Kind::Reach, work, generation);
    }

    /// An attempt has no answer yet: it is sent a second time, if that was earned.
    pub(crate) fn hedge(&mut self, place: u32, generation: u32) {
        let Some(call) = self.calls.awaiting(place, generation) else { return };
        let (client, shard) = (call.client, call.shard);
        if self.circuits.is_closed(client, shard) && self.hedges.withdraw(client) {
            self.measures.at(self.now).hedges += 1;
            self.launch(place);
        }
    }

    pub(crate) fn wake(&mut self, place: u32) {
        let call = self.calls.at(place);
        call.progress.resent();
        call.is_retry = true;
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
        let Call { client, shard, paid, is_retry, .. } = *call;
        let attempt = call.progress.attempt();
        self.measures.at(self.now).useful += 1;
        self.settle(place, client, shard, Outcome::Success);
        if is_retry {
            self.budgets.retry_succeeded(client, paid);
        } else {
            self.budgets.first_try_succeeded(client);
        }
        self.tell(client, || What::Retry(RetryEvent::Done { attempt, success: true }));
        self.end(place, true);
    }

    /// A bad answer.
    pub(crate) fn refused(&mut self, place: u32, generation: u32, kind: Kind) {
        let Some(call) = self.calls.awaiting(place, generation) else { return };
        if call.open > 1 {
            // Another send of this attempt is still out.
            call.open -= 1;
            return;
        }
        let client = call.client;
        let failure = self.read_failure(client, kind);
        self.failed(place, generation, failure);
    }

    fn read_failure(&mut self, client: u32, kind: Kind) -> Failure {
        match kind {
            Kind::Stop => Failure::new(FailureKind::Transient).pushback(Pushback::Stop),
            Kind::Unreached => Failure::new(FailureKind::Unsent),
            Kind::Later => {
                let asked = self
                    .model
                    .retry_after
                    .map_or(Pushback::None, |wait| Pushback::After(nanos(wait)));
                Failure::new(FailureKind::Throttled).pushback(asked)
            }
            Kind::Busy => {
                let mut headers = HeaderMap::new();
                let pushback = &mut self.clients.rare(client).pushback;
                retry_after::write(&mut headers, BUSY_FOR, pushback);
                Failure::new(FailureKind::Throttled).pushback(retry_after::pushback(&headers))
            }
            _ => Failure::new(FailureKind::Transient),
        }
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
        call.open = 0;
        let (Call { client, shard, is_retry, .. }, attempt) = (*call, call.progress.attempt());
        if !failure.held_back {
            self.settle(place, client, shard, Outcome::Failure(failure));
            self.budgets.failed(client, is_retry);
        }
        let mut rng = self.clients.of(client).roll();
        let call = self.calls.at(place);
        let heard = heeded(self.model.heed, failure);
        let allowed = self.rules.allow(&mut call.progress, heard, BodyIs::Kept, now, &mut rng);
        let cost = call.progress.cost(&heard);
        let paid = allowed.and_then(|wait| {
            let paid = self.budgets.withdraw(client, &heard, cost, self.now);
            Ok((wait, paid.ok_or(Reason::Budget)?))
        });
        match paid {
            Ok((wait, paid)) => {
                call.paid = paid;
                let wait = match (self.model.heed, heard.pushback) {
                    (Heed::Exactly, Pushback::After(asked)) if !heard.held_back => asked,
                    _ => wait,
                };
                self.tell(client, || {
                    What::Retry(RetryEvent::Waiting { failed: attempt, failure: heard, wait })
                });
                let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
                let at = self.ticked(self.now.saturating_add(wait));
                self.queue.push(at, Kind::Wake, place, 0);
            }
            Err(reason) => {
                self.tell(client, || {
                    What::Retry(RetryEvent::Refused { attempt, failure: heard, reason })
                });
                self.end(place, false);
            }
        }
    }

    fn settle(&mut self, place: u32, client: u32, shard: u16, outcome: Outcome) {
        if !self.circuits.are_none() {
            let now = self.instant();
            self.circuits.settle(place, client, shard, now, outcome);
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

/// The failure as a caller hears it who may be deaf to what servers ask for.
fn heeded(heed: Heed, failure: Failure) -> Failure {
    match failure.pushback {
        Pushback::After(_) if heed == Heed::No && !failure.held_back => {
            failure.pushback(Pushback::None)
        }
        _ => failure,
    }
}

/// `aplomb-admission`'s default, before jitter.
const BUSY_FOR: aplomb_core::time::Duration = aplomb_core::time::Duration::from_secs(1);
