use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aplomb_core::time::Instant;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::last_good::freshness::Freshness;
use crate::last_good::key::{Target, Variant};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// The kept answers.
///
/// Every target has a generation, drawn when it is first asked for; answers lie under it. Evicting a
/// target forgets its generation, so that all its answers are out of reach at once, whoever they were
/// for, and so is one that is still on its way: it will be stored under a generation that nobody looks
/// for any more. What is out of reach is the first to make room.
#[derive(Debug)]
pub(crate) struct Store {
    targets: Cache<Target, u64>,
    answers: Cache<Key, Entry>,
    generations: AtomicU64,
}

/// One answer's place: for one generation of a target, in one form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    generation: u64,
    variant: Variant,
}

impl Key {
    pub(crate) fn names_a_caller(&self) -> bool {
        self.variant.names_a_caller
    }
}

/// What is known under a key, by a request that was sent then.
#[derive(Clone, Debug)]
struct Entry {
    sent: Instant,
    // None: what was there is gone.
    answer: Option<Arc<Kept>>,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When it was true: when it was asked for, less the age that it came with.
    pub(crate) sent: Instant,
    pub(crate) came_with: Duration,
    pub(crate) rule: Freshness,
}

impl Kept {
    /// At least as old as it is said to be: the time that it was on its way counts (RFC 9111, section
    /// 4.2.3).
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.sent).saturating_add(self.came_with)
    }

    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        self.body.len() + headers.sum::<usize>()
    }
}

impl Store {
    pub(crate) fn new(room: Room) -> Self {
        let least = (room.bytes / room.entries.max(1)).max(1);
        let weight = move |key: &Key, entry: &Entry| {
            let answer = entry.answer.as_ref().map_or(0, |answer| answer.size());
            let size = (OVERHEAD + key.variant.len() + answer) as u64;
            // As many as there is room for, each of its share at least: so many bytes, and so many.
            u32::try_from(size.max(least)).unwrap_or(u32::MAX)
        };
        // Least recently used, not least frequently: what is new must be let in.
        let answers = Cache::builder()
            .max_capacity(room.bytes)
            .weigher(weight)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let targets = Cache::builder()
            .max_capacity(room.bytes.min(room.entries.saturating_mul(TARGET_SHARE)))
            .weigher(|target: &Target, _| {
                u32::try_from(OVERHEAD + target.len()).unwrap_or(u32::MAX)
            })
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { targets, answers, generations: AtomicU64::new(0) }
    }

    /// Where the answer to a request that goes out now will lie.
    pub(crate) fn place(&self, target: &Target, variant: Variant) -> Key {
        let next = || self.generations.fetch_add(1, Ordering::Relaxed);
        let generation = self.targets.get_with_by_ref(target, next);
        Key { generation, variant }
    }

    /// What is kept for a request.
    pub(crate) fn find(&self, target: &Target, variant: Variant) -> Option<Arc<Kept>> {
        let generation = self.targets.get(target)?;
        self.answers.get(&Key { generation, variant })?.answer
    }

    /// Keeps an answer, or the news that what was there is gone, unless a later request has brought
    /// news already.
    pub(crate) fn put(&self, key: Key, sent: Instant, answer: Option<Arc<Kept>>) {
        let entry = Entry { sent, answer };
        self.answers.entry(key).and_compute_with(|known| match known {
            Some(known) if known.value().sent > sent => Op::Nop,
            _ => Op::Put(entry),
        });
    }

    pub(crate) fn evict(&self, target: &Target) {
        self.targets.invalidate(target);
    }

    pub(crate) fn evict_where(&self, is_meant: impl Fn(&Target) -> bool) {
        for (target, _) in &self.targets {
            if is_meant(&target) {
                self.targets.invalidate(&*target);
            }
        }
    }

    /// How many answers are kept, and how many bytes they take, about.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.answers.run_pending_tasks();
        (self.answers.entry_count(), self.answers.weighted_size())
    }
}

/// What an entry takes beside its bytes, about.
const OVERHEAD: usize = 256;
/// What a target takes, about.
const TARGET_SHARE: u64 = 512;
