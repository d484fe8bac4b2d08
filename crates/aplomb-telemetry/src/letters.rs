use aplomb_dead_letter::DeadLetterEvent;

use crate::catalogue;
use crate::maker::Maker;
use crate::recorder::{By, Series};

/// Counts what happens to dead letters.
#[derive(Debug)]
pub(crate) struct Letters {
    written: Series,
    events: By<&'static str>,
}

impl Letters {
    pub(crate) fn new(maker: &Maker) -> Self {
        let written = maker.of_call(&catalogue::LETTERS);
        let event = |word| maker.of_call_with(&catalogue::LETTER_EVENTS, word);
        Self { written, events: By::each(&EVENTS, event) }
    }

    pub(crate) fn hear(&self, event: &DeadLetterEvent) {
        if matches!(event, DeadLetterEvent::Stored { .. } | DeadLetterEvent::HandedOver { .. }) {
            self.written.one_more();
        }
        self.events.one_more(event.as_str());
    }
}

const EVENTS: [&str; 12] = [
    "misused",
    "rescheduled",
    "stored",
    "handed_over",
    "not_stored",
    "retracted",
    "redriving",
    "redelivered",
    "failed_again",
    "refused",
    "budget_empty",
    "discarded",
];
