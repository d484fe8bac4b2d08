//! Letters in memory: what the sinks of one process share.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use serde::{Deserialize, Serialize};

use crate::machine::{self, Change, Filing, Refused, Step};
use crate::operator::{AuditEntry, Listing, Which};
use crate::{Letter, LetterId, Record, SinkError, Timestamp};

/// Letters, and what was done to them. It plans each change before it makes it, so that the plan can
/// be written down in between.
#[derive(Debug)]
pub(crate) struct Shelf {
    letters: BTreeMap<LetterId, Record>,
    audit: VecDeque<AuditEntry>,
    fence: u64,
    bytes: usize,
    most: Room,
}

/// How much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) letters: usize,
    pub(crate) bytes: usize,
}

/// A change of a shelf.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
// What a later version writes is not skipped as if it were nothing.
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) put: Option<Record>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forget: Vec<LetterId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<AuditEntry>,
    /// The last fence drawn, where no letter says so any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fence: Option<u64>,
}

impl Shelf {
    pub(crate) fn new(most: Room) -> Self {
        let (letters, audit) = (BTreeMap::new(), VecDeque::new());
        Self { letters, audit, fence: 0, bytes: 0, most }
    }

    /// What storing a letter changes; nothing when it lies there already.
    pub(crate) fn store(&self, letter: &Letter, now: Timestamp) -> Result<Option<Plan>, SinkError> {
        match machine::store(self.letters.get(&letter.id), letter, now) {
            Filing::There => Ok(None),
            Filing::Reopened(change) => Ok(Some(change.into())),
            Filing::New(record) => {
                let forget = self.make_room(weight(&record)).ok_or(SinkError::full())?;
                Ok(Some(Plan { put: Some(record), forget, ..Plan::default() }))
            }
        }
    }

    /// The letter after a step, and what the step changes.
    pub(crate) fn step(
        &self,
        id: LetterId,
        step: &Step,
        now: Timestamp,
    ) -> Result<(Record, Option<Plan>), Refused> {
        let record = self.letters.get(&id).ok_or(Refused::Unknown)?;
        let change = machine::apply(record, step, self.fence.saturating_add(1), now)?;
        let record = change.record.clone();
        Ok((record, change.entry.is_some().then(|| change.into())))
    }

    /// The letters to forget that ended longer than `keep` ago.
    pub(crate) fn sweep(&self, keep: Duration, most: usize, now: Timestamp) -> Vec<LetterId> {
        let ended = self
            .letters
            .iter()
            .filter(|(_, record)| record.state.ended_at().is_some_and(|at| at.plus(keep) <= now));
        ended.map(|(id, _)| *id).take(most).collect()
    }

    pub(crate) fn change(&mut self, plan: Plan) {
        for id in plan.forget {
            if let Some(record) = self.letters.remove(&id) {
                self.bytes -= weight(&record);
            }
        }
        self.fence = self.fence.max(plan.fence.unwrap_or_default());
        if let Some(record) = plan.put {
            self.fence = self.fence.max(record.fence);
            self.bytes += weight(&record);
            if let Some(old) = self.letters.insert(record.letter.id, record) {
                self.bytes -= weight(&old);
            }
        }
        if let Some(entry) = plan.audit {
            self.audit.push_front(entry);
            self.audit.truncate(AUDIT_MAX);
        }
    }

    pub(crate) fn get(&self, id: LetterId) -> Option<Record> {
        self.letters.get(&id).cloned()
    }

    pub(crate) fn list(&self, listing: &Listing) -> Vec<Record> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = listing.after.map_or(Unbounded, Excluded);
        let wanted = self.letters.range((from, Unbounded)).map(|(_, record)| record);
        let wanted = wanted.filter(|record| match listing.which {
            Which::Dead => !record.is_ended(),
            Which::Ended => record.is_ended(),
            Which::All => true,
        });
        wanted.take(listing.most).cloned().collect()
    }

    pub(crate) fn audit(&self, of: Option<LetterId>, most: usize) -> Vec<AuditEntry> {
        let wanted = self.audit.iter().filter(|entry| of.is_none_or(|of| entry.id == of));
        wanted.take(most).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    /// The shortest list of plans that makes a shelf like this one.
    pub(crate) fn plans(&self) -> impl Iterator<Item = Plan> {
        let fence = Plan { fence: Some(self.fence), ..Plan::default() };
        let put = |record: &Record| Plan { put: Some(record.clone()), ..Plan::default() };
        let told = |entry: &AuditEntry| Plan { audit: Some(entry.clone()), ..Plan::default() };
        let audit = self.audit.iter().rev().map(told);
        std::iter::once(fence).chain(self.letters.values().map(put)).chain(audit)
    }

    /// The ended letters to forget, the oldest first, so that another one fits; `None` when it does
    /// not even then.
    fn make_room(&self, bytes: usize) -> Option<Vec<LetterId>> {
        let fits = |letters: usize, held: usize| {
            letters < self.most.letters && held + bytes <= self.most.bytes
        };
        let (mut letters, mut held, mut forget) = (self.letters.len(), self.bytes, Vec::new());
        if fits(letters, held) {
            return Some(forget);
        }
        let ended = self
            .letters
            .iter()
            .filter_map(|(id, record)| Some((record.state.ended_at()?, *id, weight(record))));
        let mut ended: Vec<_> = ended.collect();
        ended.sort_unstable();
        for (_, id, weight) in ended {
            (letters, held) = (letters - 1, held - weight);
            forget.push(id);
            if fits(letters, held) {
                return Some(forget);
            }
        }
        None
    }
}

impl From<Change> for Plan {
    fn from(Change { record, entry }: Change) -> Self {
        Self { put: Some(record), audit: entry, ..Self::default() }
    }
}

/// The clock of a sink in this process: the calendar's, carried on by the one that can be paused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    calendar: Timestamp,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: time::now(), calendar: time::wall().into() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.calendar.plus(time::now().saturating_duration_since(self.start))
    }
}

/// About how many bytes a letter takes.
fn weight(record: &Record) -> usize {
    let letter = &record.letter;
    LETTER_BYTES + letter.key.len() + letter.last_failure.detail.len() + letter.request.weight()
}

/// How many lines of the audit a sink in this process keeps.
pub const AUDIT_MAX: usize = 10_000;
/// What a letter takes besides its strings and its body, rounded up.
const LETTER_BYTES: usize = 512;
