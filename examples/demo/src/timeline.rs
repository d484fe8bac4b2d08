//! Remembers what went over the wire, and tells it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aplomb_core::Observe;
use aplomb_order_api::{Entry, OrderId, Step};

/// The latest entries of the Order API's journal, and how many of each kind there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<VecDeque<Entry>>,
    sends: AtomicU64,
    replays: AtomicU64,
}

impl Timeline {
    /// How many attempts ended.
    pub(crate) fn sends(&self) -> u64 {
        self.shared.sends.load(Ordering::Relaxed)
    }

    /// How many of them were answered with what had been answered before.
    pub(crate) fn replays(&self) -> u64 {
        self.shared.replays.load(Ordering::Relaxed)
    }

    /// What happened to a line of an order, as
    /// `attempt 1 response lost → waited 31 ms → attempt 2 replayed 201`.
    pub(crate) fn tell(&self, order: OrderId, line: u32) -> String {
        let latest = self.latest();
        let steps = latest
            .iter()
            .filter(|entry| entry.order == order && entry.line == line)
            .map(|entry| entry.step);
        let mut attempt = 0;
        let told = steps.map(|step| match step {
            Step::Answered { .. } | Step::Unanswered(_) => {
                attempt += 1;
                format!("attempt {attempt} {step}")
            }
            step => step.to_string(),
        });
        told.collect::<Vec<_>>().join(" → ")
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry>> {
        let latest = self.shared.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe<Entry> for Timeline {
    fn observe(&self, entry: &Entry) {
        match entry.step {
            Step::Answered { replayed, .. } => {
                self.shared.sends.fetch_add(1, Ordering::Relaxed);
                self.shared.replays.fetch_add(replayed.into(), Ordering::Relaxed);
            }
            Step::Unanswered(_) => {
                self.shared.sends.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        let mut latest = self.latest();
        if latest.len() == ENTRIES_MAX {
            latest.pop_front();
        }
        latest.push_back(*entry);
    }
}

/// Enough for every order that somebody could still look at.
const ENTRIES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_order_api::Silence;
    use http::StatusCode;
    use std::time::Duration;

    #[test]
    fn a_lost_response_is_told_in_one_line() {
        let timeline = Timeline::default();
        let order = OrderId::parse("01a20cba-3f80-7378-b5b2-5742b208b7b2").unwrap();
        let replay = Step::Answered { status: StatusCode::CREATED, replayed: true };
        for (line, step) in [
            (1, Step::Unanswered(Silence::Lost)),
            (2, Step::Unanswered(Silence::Late)),
            (1, Step::Waiting(Duration::from_millis(31))),
            (1, replay),
        ] {
            timeline.observe(&Entry::new(order, line, "reserve", step));
        }
        let told = "attempt 1 response lost → waited 31 ms → attempt 2 replayed 201";
        assert_eq!(timeline.tell(order, 1), told);
        assert_eq!((timeline.sends(), timeline.replays()), (3, 1));
    }
}
