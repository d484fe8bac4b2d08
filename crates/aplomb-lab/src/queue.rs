//! The calendar: what happens next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::mem;

use crate::units::{SECOND, count, index};

/// What happens, as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client begins a call.
    Arrive,
    /// An attempt reaches its service.
    Reach,
    /// A worker finishes.
    Finish,
    /// A good answer reaches the caller.
    Answer,
    /// A bad answer reaches the caller.
    Refuse,
    /// A bad answer that says not to try again reaches the caller.
    Stop,
    /// The caller's patience with an attempt ends.
    Timeout,
    /// The wait before a retry ends.
    Wake,
    /// A fault begins or ends.
    Turn,
    /// A row is to be written.
    Write,
    /// An answer that says when to come back reaches the caller.
    Later,
    /// The answer of a server that is too busy, with leave to come back, reaches the caller.
    Busy,
    /// The caller learns that its attempt never reached the server.
    Unreached,
    /// An attempt without an answer is sent a second time.
    Hedge,
    /// A request has waited for admission for as long as it may.
    GiveUp,
}

/// One entry: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: u64,
    /// Its number in the order of scheduling, then its kind in the low byte.
    order: u64,
    /// The call that it belongs to, or the client that begins one.
    pub(crate) of: u32,
    pub(crate) generation: u32,
}

impl Event {
    pub(crate) fn kind(&self) -> Kind {
        KINDS[index(self.order & KIND_MASK)]
    }

    /// Its number in the order of scheduling.
    pub(crate) fn sequence(&self) -> u64 {
        self.order >> KIND_BITS
    }
}

/// Events in order of (time, sequence): what was scheduled first happens first.
///
/// Time is cut into slots. Events of the slot under way lie in a heap, later ones unsorted in
/// their slots, those beyond the last slot in one pile that is looked through now and
/// then. With a few events to a slot, pushing and popping cost the same however many wait.
#[derive(Debug)]
pub(crate) struct Queue {
    near: BinaryHeap<Event>,
    slots: Box<[Vec<Event>]>,
    far: Vec<Event>,
    /// The number of the slot that `near` holds, counted from time 0.
    slot: u64,
    /// A slot is this many doublings of a nanosecond long.
    doublings: u32,
    /// How many events lie in `slots`.
    slotted: u64,
    sequence: u64,
    end: u64,
}

impl Queue {
    /// For so many events a second with so many waiting at once. Nothing happens at `end` or
    /// later.
    pub(crate) fn new(per_second: u64, waiting: u64, end: u64) -> Self {
        let length = (SECOND * PER_SLOT / per_second.max(1)).clamp(1, SECOND);
        let slots = (waiting / 2).clamp(SLOTS_MIN, SLOTS_MAX).next_power_of_two();
        Self {
            near: BinaryHeap::new(),
            slots: (0..slots).map(|_| Vec::new()).collect(),
            far: Vec::new(),
            slot: 0,
            doublings: length.ilog2(),
            slotted: 0,
            sequence: 0,
            end,
        }
    }

    /// Schedules an event, now or later.
    pub(crate) fn push(&mut self, at: u64, kind: Kind, of: u32, generation: u32) {
        if at >= self.end {
            return;
        }
        let order = self.sequence << KIND_BITS | kind as u64;
        self.sequence += 1;
        self.put(Event { at, order, of, generation });
    }

    /// How many events were scheduled: the number that the next one gets.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next event.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        while self.near.is_empty() {
            self.turn()?;
        }
        self.near.pop()
    }

    fn put(&mut self, event: Event) {
        let slot = event.at >> self.doublings;
        if slot <= self.slot {
            self.near.push(event);
        } else if slot - self.slot < count(self.slots.len()) {
            self.slotted += 1;
            let place = self.place(slot);
            self.slots[place].push(event);
        } else {
            self.far.push(event);
        }
    }

    /// Moves on to the next slot; `None` when nothing waits any more.
    fn turn(&mut self) -> Option<()> {
        if self.slotted == 0 {
            // Nothing lies in any slot: leap to the first of what lies beyond them.
            self.slot = self.far.iter().map(|event| event.at).min()? >> self.doublings;
            self.bring_near();
            return Some(());
        }
        self.slot += 1;
        // Half a round early, so that none of them is ever overtaken.
        if self.slot % (count(self.slots.len()) / 2) == 0 {
            self.bring_near();
        }
        let place = self.place(self.slot);
        if !self.slots[place].is_empty() {
            self.slotted -= count(self.slots[place].len());
            // The empty heap's memory becomes the slot's, so that turning allocates nothing.
            let emptied = mem::take(&mut self.near).into_vec();
            self.near = BinaryHeap::from(mem::replace(&mut self.slots[place], emptied));
        }
        Some(())
    }

    fn bring_near(&mut self) {
        let beyond = self.slot + count(self.slots.len());
        let mut kept = 0;
        for i in 0..self.far.len() {
            let event = self.far[i];
            if event.at >> self.doublings < beyond {
                self.put(event);
            } else {
                self.far[kept] = event;
                kept += 1;
            }
        }
        self.far.truncate(kept);
    }

    fn place(&self, slot: u64) -> usize {
        index(slot) & (self.slots.len() - 1)
    }
}

impl Ord for Event {
    /// The earlier event is the greater one, since `BinaryHeap` pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

const KINDS: [Kind; 15] = [
    Kind::Arrive,
    Kind::Reach,
    Kind::Finish,
    Kind::Answer,
    Kind::Refuse,
    Kind::Stop,
    Kind::Timeout,
    Kind::Wake,
    Kind::Turn,
    Kind::Write,
    Kind::Later,
    Kind::Busy,
    Kind::Unreached,
    Kind::Hedge,
    Kind::GiveUp,
];
const KIND_BITS: u32 = 4;
const KIND_MASK: u64 = (1 << KIND_BITS) - 1;

/// Few enough that the heap of a slot stays in the fastest cache.
const PER_SLOT: u64 = 32;
const SLOTS_MIN: u64 = 1 << 12;
/// More of them lie too far apart in memory: with a million clients a push costs half as much again.
const SLOTS_MAX: u64 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_scheduled_first_happens_first() {
        let mut queue = Queue::new(1000, 10, u64::MAX);
        for client in 0..100 {
            queue.push(5, Kind::Arrive, client, 0);
        }
        let order: Vec<_> = std::iter::from_fn(|| Some(queue.pop()?.of)).collect();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_happens_after_the_end() {
        let mut queue = Queue::new(1000, 10, SECOND);
        for at in [SECOND - 1, SECOND, u64::MAX] {
            queue.push(at, Kind::Arrive, 0, 0);
        }
        assert_eq!(queue.pop().map(|event| event.at), Some(SECOND - 1));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn every_kind_is_read_back() {
        assert!(KINDS.iter().enumerate().all(|(i, &kind)| kind as usize == i));
    }

    #[test]
    fn an_event_is_24_bytes() {
        assert_eq!(size_of::<Event>(), 24);
    }

    proptest! {
        #[test]
        fn events_come_out_in_order(
            rate in 1_u64..10_000_000,
            delays in proptest::collection::vec(
                prop_oneof![Just(0), 0_u64..1000, 0..SECOND, 0..10_000 * SECOND], 1..400)
        ) {
            let mut queue = Queue::new(rate, 1, u64::MAX);
            let (mut expected, mut order) = (Vec::new(), 0);
            let mut now = (0, 0);
            for delay in delays {
                queue.push(now.0 + delay, Kind::Wake, order, 0);
                expected.push((now.0 + delay, order));
                order += 1;
                if order % 3 == 0 {
                    let event = queue.pop().unwrap();
                    let first = expected.iter().position(|e| Some(e) == expected.iter().min());
                    now = expected.swap_remove(first.unwrap());
                    prop_assert_eq!((event.at, event.of), now);
                }
            }
            expected.sort_unstable();
            for due in expected {
                let event = queue.pop().unwrap();
                prop_assert_eq!((event.at, event.of), due);
            }
            prop_assert!(queue.pop().is_none());
        }
    }
}
