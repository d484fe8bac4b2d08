//! What happened to the latest orders, as this process saw it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aplomb_core::Observe;
use serde_json::{Value, json};

use crate::desk::Clock;
use crate::journal::{Entry, Journal, Step};
use crate::order::OrderId;
use crate::orders::millis;

/// A bounded journal, a page for each order. Clones are the same journal.
#[derive(Clone)]
pub(crate) struct Chronicle {
    pages: Arc<Mutex<BTreeMap<OrderId, Page>>>,
    clock: Clock,
    /// Hears of everything as well.
    also: Journal,
}

/// What is remembered of one order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    notes: VecDeque<Note>,
    /// How many earlier notes there is no room for.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Note {
    at: SystemTime,
    entry: Entry,
}

impl Chronicle {
    pub(crate) fn new(clock: Clock, also: Journal) -> Self {
        Self { pages: Arc::default(), clock, also }
    }

    /// What is remembered of this order.
    pub(crate) fn page(&self, order: OrderId) -> Page {
        self.pages().get(&order).cloned().unwrap_or_default()
    }

    fn note(&self, entry: Entry) {
        let at = (self.clock)();
        let mut pages = self.pages();
        pages.entry(entry.order).or_default().note(Note { at, entry });
        if pages.len() > ORDERS_MAX {
            // Names of orders begin with the time, so this is the oldest.
            pages.pop_first();
        }
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<OrderId, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe<Entry> for Chronicle {
    fn observe(&self, entry: &Entry) {
        self.note(*entry);
        self.also.observe(entry);
    }
}

impl Page {
    fn note(&mut self, note: Note) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
            self.forgotten += 1;
        }
        self.notes.push_back(note);
    }

    /// Each note, and all of them in one sentence.
    pub(crate) fn document(&self) -> Value {
        let told = self.told();
        let entries = self.notes.iter().zip(&told);
        let entries: Vec<_> = entries.map(|(note, told)| note.document(told)).collect();
        json!({
            "entries": entries,
            "forgotten": self.forgotten,
            "sentence": self.sentence(&told),
        })
    }

    /// `attempt 1 response lost → waited 31 ms → attempt 2 replayed 201`; where more than one line
    /// is spoken of, it says of which.
    fn sentence(&self, told: &[Told]) -> String {
        let mut subjects: Vec<_> = self.subjects().collect();
        subjects.sort_unstable();
        subjects.dedup();
        let is_one = subjects.len() <= 1;
        let (mut sentence, mut spoken_of) = (String::new(), None);
        for (note, told) in self.notes.iter().zip(told) {
            if !sentence.is_empty() {
                sentence.push_str(" → ");
            }
            let subject = note.entry.subject();
            if !is_one && subject.is_some() && subject != spoken_of {
                let Entry { line, operation, .. } = note.entry;
                sentence.extend(["line ", &line.to_string(), " ", operation, ": "]);
                spoken_of = subject;
            }
            sentence.push_str(&told.text);
        }
        sentence
    }

    fn subjects(&self) -> impl Iterator<Item = (u32, &'static str)> {
        self.notes.iter().filter_map(|note| note.entry.subject())
    }

    fn told(&self) -> Vec<Told> {
        let mut attempts = BTreeMap::<_, u32>::new();
        let told = self.notes.iter().map(|Note { entry, .. }| {
            let step = entry.step;
            if !matches!(step, Step::Answered { .. } | Step::Unanswered(_)) {
                return Told { attempt: None, text: step.to_string() };
            }
            let attempt = attempts.entry((entry.line, entry.operation)).or_default();
            *attempt += 1;
            Told { attempt: Some(*attempt), text: format!("attempt {attempt} {step}") }
        });
        told.collect()
    }
}

/// A note in words.
struct Told {
    /// Which attempt at the operation it was.
    attempt: Option<u32>,
    text: String,
}

impl Note {
    fn document(&self, told: &Told) -> Value {
        let Entry { line, operation, step, .. } = self.entry;
        let mut document = json!({
            "at_ms": millis(self.at),
            "operation": operation,
            "text": told.text,
        });
        if line > 0 {
            document["line"] = line.into();
        }
        if let Some(attempt) = told.attempt {
            document["attempt"] = attempt.into();
        }
        document["event"] = match step {
            Step::Answered { status, replayed } => {
                document["status"] = status.as_u16().into();
                document["replayed"] = replayed.into();
                "answered"
            }
            Step::Unanswered(silence) => {
                document["silence"] = silence.to_string().into();
                "unanswered"
            }
            Step::Waiting(wait) => {
                document["wait_ms"] = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into();
                "waited"
            }
            Step::GivenUp(reason) => {
                document["reason"] = reason.to_string().into();
                "given_up"
            }
            Step::Pending => "fallback",
        }
        .into();
        document
    }
}

/// Enough for every order that somebody could still look at.
const ORDERS_MAX: usize = 2_048;
/// As much as a hundred lines take when all goes well; of less lucky orders, the end.
const NOTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Silence;
    use aplomb_core::Rng;
    use http::StatusCode;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_lost_response_is_told_in_one_sentence() {
        let chronicle = chronicle();
        let order = order(1);
        for step in [LOST, Step::Waiting(Duration::from_millis(31)), replayed()] {
            chronicle.observe(&Entry::new(order, 1, "reserve", step));
        }
        let document = chronicle.page(order).document();
        let told = "attempt 1 response lost → waited 31 ms → attempt 2 replayed 201";
        assert_eq!(document["sentence"], told);
        let last = json!({
            "at_ms": 5, "line": 1, "operation": "reserve", "event": "answered", "attempt": 2,
            "status": 201, "replayed": true, "text": "attempt 2 replayed 201",
        });
        assert_eq!(document["entries"][2], last);
    }

    #[test]
    fn a_sentence_about_several_lines_says_which() {
        let chronicle = chronicle();
        let order = order(1);
        for (line, operation, step) in [
            (1, "reserve", replayed()),
            (2, "reserve", LOST),
            (1, "release", LOST),
            (0, "place", Step::Pending),
            (1, "release", LOST),
        ] {
            chronicle.observe(&Entry::new(order, line, operation, step));
        }
        let told = "line 1 reserve: attempt 1 replayed 201 → line 2 reserve: attempt 1 response lost \
                    → line 1 release: attempt 1 response lost → answered pending → attempt 2 response \
                    lost";
        assert_eq!(chronicle.page(order).document()["sentence"], told);
    }

    #[test]
    fn a_page_keeps_the_latest_notes_and_says_how_many_it_forgot() {
        let chronicle = chronicle();
        for _ in 0..NOTES_MAX + 3 {
            chronicle.observe(&Entry::new(order(1), 1, "reserve", LOST));
        }
        let document = chronicle.page(order(1)).document();
        assert_eq!(document["forgotten"], 3);
        assert_eq!(document["entries"].as_array().unwrap().len(), NOTES_MAX);
    }

    #[test]
    fn the_oldest_order_makes_room_for_the_newest() {
        let chronicle = chronicle();
        for number in 0..=ORDERS_MAX as u64 {
            chronicle.observe(&Entry::new(order(number), 1, "reserve", LOST));
        }
        assert_eq!(chronicle.page(order(0)), Page::default());
        assert_ne!(chronicle.page(order(1)), Page::default());
        assert_eq!(chronicle.pages().len(), ORDERS_MAX);
    }

    fn chronicle() -> Chronicle {
        Chronicle::new(Arc::new(|| UNIX_EPOCH + Duration::from_millis(5)), Arc::new(()))
    }

    fn order(millis: u64) -> OrderId {
        OrderId::new(UNIX_EPOCH + Duration::from_millis(millis), &mut Rng::seeded(1))
    }

    fn replayed() -> Step {
        Step::Answered { status: StatusCode::CREATED, replayed: true }
    }

    const LOST: Step = Step::Unanswered(Silence::Lost);
}
