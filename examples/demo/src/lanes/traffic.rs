//! Orders at a steady rate, each through all three lanes at once.
//!
//! The rate is what it is, however slow the answers are: customers do not wait for each other. What
//! is under way is bounded; an order over the bound is shed, which is counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aplomb_core::{Rng, time};
use tokio::task::JoinSet;

use super::{Cart, Gauge, Lane, Lanes, Reading, Told};

/// The generated orders. Clones are the same.
#[derive(Clone)]
pub(crate) struct Traffic {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Lanes,
    /// Tells this run's skus from those of an earlier one in the same directory.
    run: String,
    rate: AtomicU32,
    is_paused: AtomicBool,
    under_way: [AtomicUsize; 3],
    gauges: [Mutex<Gauge>; 3],
    latest: Mutex<VecDeque<Placed>>,
}

/// An order of the aplomb lane.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) what: String,
    pub(crate) told: Told,
}

impl Traffic {
    pub(crate) fn new(lanes: Lanes, run: String, rate: u32) -> Self {
        Self {
            shared: Arc::new(Shared {
                lanes,
                run,
                rate: AtomicU32::new(rate),
                is_paused: AtomicBool::new(false),
                under_way: Default::default(),
                gauges: Default::default(),
                latest: Mutex::default(),
            }),
        }
    }

    /// What a lane's orders are for: a product of its own, so that each lane's books are its own.
    pub(crate) fn sku(&self, lane: Lane) -> String {
        format!("mug-{}-{}", lane.name(), self.shared.run)
    }

    /// Orders a second; 0 is none.
    pub(crate) fn rate(&self) -> u32 {
        self.shared.rate.load(Ordering::Relaxed)
    }

    pub(crate) fn set_rate(&self, rate: u32) {
        self.shared.rate.store(rate, Ordering::Relaxed);
    }

    /// Places no more orders, and waits until those under way are answered.
    pub(crate) async fn pause(&self) -> Paused<'_> {
        let paused = Paused(&self.shared.is_paused);
        self.shared.is_paused.store(true, Ordering::Relaxed);
        while self.shared.under_way.iter().any(|count| count.load(Ordering::Relaxed) > 0) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        paused
    }

    /// Places orders, for ever. Dropping the future abandons those under way.
    pub(crate) async fn run(&self, seed: u64) {
        let mut customers = JoinSet::new();
        let mut number = 0;
        loop {
            let rate = self.rate();
            if rate == 0 || self.shared.is_paused.load(Ordering::Relaxed) {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            tokio::time::sleep(Duration::from_secs(1) / rate).await;
            while customers.try_join_next().is_some() {}
            // A pause may have begun meanwhile.
            if self.shared.is_paused.load(Ordering::Relaxed) {
                continue;
            }
            number += 1;
            let quantity = 1 + u32::from(Rng::stream(seed, number).below(4) == 0);
            for lane in Lane::ALL {
                let name = format!("{}-{}-{number}", lane.name(), self.shared.run);
                let cart = Cart { name, sku: self.sku(lane), quantity };
                if let Some(place) = self.enter(lane) {
                    let traffic = self.clone();
                    customers.spawn(async move { traffic.order(place, lane, &cart).await });
                } else {
                    self.gauge(lane).shed();
                }
            }
        }
    }

    /// One more customer: it counts like all others.
    pub(crate) async fn click(&self, lane: Lane, cart: &Cart) -> Told {
        let told = self.shared.lanes.place(lane, cart).await;
        self.note(lane, cart, told);
        told
    }

    /// The customers' clients.
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.shared.lanes
    }

    /// How a lane's customers fare.
    pub(crate) fn read(&self, lane: Lane) -> Reading {
        self.gauge(lane).read(time::now())
    }

    /// The latest orders of the aplomb lane, the newest first.
    pub(crate) fn latest(&self) -> Vec<Placed> {
        lock(&self.shared.latest).iter().rev().cloned().collect()
    }

    async fn order(&self, _place: Place, lane: Lane, cart: &Cart) {
        self.click(lane, cart).await;
    }

    fn note(&self, lane: Lane, cart: &Cart, told: Told) {
        self.gauge(lane).told(&told, time::now());
        if lane != Lane::Aplomb {
            return;
        }
        let mut latest = lock(&self.shared.latest);
        if latest.len() == LATEST_MAX {
            latest.pop_front();
        }
        latest.push_back(Placed { what: format!("{} × {}", cart.quantity, cart.sku), told });
    }

    fn gauge(&self, lane: Lane) -> MutexGuard<'_, Gauge> {
        lock(&self.shared.gauges[lane.index()])
    }

    fn enter(&self, lane: Lane) -> Option<Place> {
        let count = &self.shared.under_way[lane.index()];
        if count.load(Ordering::Relaxed) >= UNDER_WAY_MAX {
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(Place { shared: Arc::clone(&self.shared), lane })
    }
}

/// No orders are placed until this is dropped.
pub(crate) struct Paused<'a>(&'a AtomicBool);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// One order under way.
struct Place {
    shared: Arc<Shared>,
    lane: Lane,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.under_way[self.lane.index()].fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ten seconds of orders at ten a second, all of them hanging.
const UNDER_WAY_MAX: usize = 128;
const LATEST_MAX: usize = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
