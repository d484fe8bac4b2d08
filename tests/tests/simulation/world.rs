use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aplomb_core::{Dice, Ratio, Rng};

use crate::database::Database;
use crate::meter::Meter;

/// Everything that outlives a host: what lies on disks, what customers were told, what happened.
#[derive(Clone)]
pub(crate) struct World {
    shared: Arc<Shared>,
    /// Where it is seen from.
    host: &'static str,
}

struct Shared {
    seed: u64,
    rng: Mutex<Rng>,
    trace: Mutex<String>,
    is_trouble: AtomicBool,
    is_late: AtomicBool,
    told: Mutex<BTreeMap<String, Vec<Told>>>,
    meters: Mutex<BTreeMap<&'static str, Meter>>,
    circuits: Mutex<BTreeMap<String, bool>>,
    seen: Mutex<BTreeMap<&'static str, u64>>,
    /// Hosts that are about to die, in the midst of what they do.
    doomed: Mutex<Vec<&'static str>>,
    /// Hosts that do not reach their records.
    cut_off: Mutex<BTreeSet<&'static str>>,
    orders: Database<Orders>,
    stock: Database<Stock>,
    picks: Database<Picks>,
}

/// The Order API's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders(pub(crate) BTreeMap<String, Order>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) pieces: u64,
    pub(crate) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nobody knows yet what Inventory has done.
    Pending,
    Reserved,
    SoldOut,
}

/// Inventory's rows.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    pub(crate) left: u64,
    /// Each a reservation that was made: nothing but the idempotency layer keeps an order from
    /// having two.
    pub(crate) reservations: Vec<Reservation>,
}

#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) order: String,
    pub(crate) pieces: u64,
    pub(crate) is_picked: bool,
}

/// The Warehouse's rows: the orders that were picked, one row each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picks(pub(crate) Vec<String>);

/// What a customer was told in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Reserved(String),
    SoldOut(String),
    /// The answer was forgotten: too late.
    Gone,
    /// The key was used for another order.
    Mismatch,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let shared = Shared {
            seed,
            rng: Mutex::new(Rng::stream(seed, 0)),
            trace: Mutex::default(),
            is_trouble: AtomicBool::new(true),
            is_late: AtomicBool::new(false),
            told: Mutex::default(),
            meters: Mutex::default(),
            circuits: Mutex::default(),
            seen: Mutex::default(),
            orders: Database::new(Orders::default()),
            stock: Database::new(Stock { left: STOCK, reservations: Vec::new() }),
            doomed: Mutex::default(),
            cut_off: Mutex::default(),
            picks: Database::new(Picks::default()),
        };
        Self { shared: Arc::new(shared), host: "" }
    }

    /// The world, seen from this host.
    pub(crate) fn on(&self, host: &'static str) -> Self {
        Self { shared: Arc::clone(&self.shared), host }
    }

    /// Now and then this host dies at this very point.
    pub(crate) fn may_die(&self) {
        if self.chance(4) {
            held(&self.shared.doomed).push(self.host);
        }
    }

    pub(crate) fn doomed(&self) -> Vec<&'static str> {
        std::mem::take(&mut *held(&self.shared.doomed))
    }

    pub(crate) fn cut_off(&self, host: &'static str, is_cut_off: bool) {
        let mut hosts = held(&self.shared.cut_off);
        if is_cut_off {
            hosts.insert(host)
        } else {
            hosts.remove(host)
        };
    }

    /// For a while this host does not reach its records: its leases end while it works on.
    pub(crate) async fn lose_sight(&self) {
        self.saw("a host lost sight of its records");
        self.cut_off(self.host, true);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        self.pause(1_000).await;
        self.cut_off(self.host, false);
    }

    /// This host starts, and has new connections.
    pub(crate) fn start(&self) {
        self.cut_off(self.host, false);
    }

    /// Whether this host does not reach its records.
    pub(crate) fn is_cut_off(&self) -> bool {
        held(&self.shared.cut_off).contains(self.host)
    }

    pub(crate) fn orders(&self) -> &Database<Orders> {
        &self.shared.orders
    }

    pub(crate) fn stock(&self) -> &Database<Stock> {
        &self.shared.stock
    }

    pub(crate) fn picks(&self) -> &Database<Picks> {
        &self.shared.picks
    }

    /// Writes a line of what happened, with its time.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        let at = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        self.note_at(at, line);
    }

    pub(crate) fn note_at(&self, millis: u128, line: impl std::fmt::Display) {
        let mut trace = held(&self.shared.trace);
        writeln!(trace, "{millis:>6} {:11} {line}", self.host)
            .expect("a string takes all that is written");
    }

    pub(crate) fn trace(&self) -> String {
        held(&self.shared.trace).clone()
    }

    /// Counts a kind of trouble, so that a run over many seeds can say whether it came up.
    pub(crate) fn saw(&self, what: &'static str) {
        *held(&self.shared.seen).entry(what).or_default() += 1;
    }

    pub(crate) fn seen(&self) -> BTreeMap<&'static str, u64> {
        held(&self.shared.seen).clone()
    }

    /// Dice for a layer, the same for the same seed; each start of a host rolls anew.
    pub(crate) fn dice(&self) -> Dice {
        Dice::seeded(held(&self.shared.rng).bits())
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        held(&self.shared.rng).below(bound)
    }

    /// Happens so often while there is trouble, and not once it has ended.
    pub(crate) fn chance(&self, percent: u32) -> bool {
        self.is_trouble() && held(&self.shared.rng).chance(Ratio::percent(percent))
    }

    /// Work takes up to so many milliseconds.
    pub(crate) async fn pause(&self, millis: u64) {
        let time = self.below(millis + 1);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }

    pub(crate) fn is_trouble(&self) -> bool {
        self.shared.is_trouble.load(Ordering::Relaxed)
    }

    pub(crate) fn heal(&self) {
        held(&self.shared.cut_off).clear();
        self.shared.is_trouble.store(false, Ordering::Relaxed);
    }

    /// Whether it is so late that answers have expired.
    pub(crate) fn is_late(&self) -> bool {
        self.shared.is_late.load(Ordering::Relaxed)
    }

    pub(crate) fn grow_late(&self) {
        self.shared.is_late.store(true, Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, key: &str, told: Told) {
        held(&self.shared.told).entry(key.to_owned()).or_default().push(told);
    }

    pub(crate) fn told(&self) -> BTreeMap<String, Vec<Told>> {
        held(&self.shared.told).clone()
    }

    /// The meter of one client, which a restart of its host keeps.
    pub(crate) fn meter<T>(&self, client: &'static str, read: impl FnOnce(&mut Meter) -> T) -> T {
        read(held(&self.shared.meters).entry(client).or_default())
    }

    pub(crate) fn meters(&self) -> BTreeMap<&'static str, Meter> {
        held(&self.shared.meters).clone()
    }

    /// Writes down whether a client's circuit lets calls through.
    pub(crate) fn circuit(&self, name: String, is_closed: bool) {
        held(&self.shared.circuits).insert(name, is_closed);
    }

    pub(crate) fn circuits(&self) -> BTreeMap<String, bool> {
        held(&self.shared.circuits).clone()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.shared.seed
    }
}

/// A lock that one thread alone takes.
pub(crate) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().expect("no panic happens under this lock")
}

/// Fewer pieces than are asked for, so that some orders find them gone.
pub(crate) const STOCK: u64 = 9;
/// How many orders are made, of one or two pieces each.
pub(crate) const ORDERS: u64 = 8;
