//! A dependency of the service, with what all its operations share.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Ratio;
use http::Method;

use super::answers::BudgetTerms;
use super::index::{Conflict, Index};
use super::layers::ClientLayer;
use super::operation::{Operation, OperationName};
use super::position::{Marks, Position};

/// A dependency: whom its operations call, and the state that they share.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use aplomb::core::{OperationClass, Ratio};
/// use aplomb::policy::{
///     BreakerTerms, BudgetTerms, Conflict, Dependency, DependencyTerms, Hop, InFlight, Operation, Policy,
///     PolicyFile, RequestPattern, Service,
/// };
///
/// let three = NonZeroU32::new(3).unwrap();
/// let mut terms = DependencyTerms::default();
/// terms.authority = Some("stock.internal:7001".into());
/// terms.budget = Some(BudgetTerms::earning(Ratio::percent(20)));
/// terms.breaker = Some(BreakerTerms::default());
/// terms.in_flight = Some(InFlight::new(NonZeroU32::new(16).unwrap(), Duration::from_millis(100)));
/// // A mesh on the way sends three times as well: the lint multiplies by it.
/// terms.hops = vec![Hop::new("mesh", three)];
///
/// let read = Policy::preset(OperationClass::Read).build().unwrap();
/// let look = Operation::new("look", read).matching(http::Method::GET, "/stock/{sku}");
/// let RequestPattern { path, .. } = &look.patterns()[0];
/// assert_eq!(&**path, "/stock/{sku}");
/// let stock = Dependency::new("stock", terms).operation(look)?;
/// let file = PolicyFile::new(Service::new("shop").fleet(40), [stock]);
/// assert!(file.at_authority("stock.internal:7001").is_some());
/// # Ok::<(), Conflict>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dependency {
    pub(super) name: Arc<str>,
    pub(super) terms: DependencyTerms,
    pub(super) operations: BTreeMap<Arc<str>, Operation>,
    pub(super) index: Index,
    pub(super) marks: Marks,
}

/// What a policy file says of a dependency, its operations aside.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DependencyTerms {
    /// Host and port; without it, requests find the dependency by its name.
    pub authority: Option<Arc<str>>,
    /// What retries are paid from: one budget for each class of operation.
    pub budget: Option<BudgetTerms>,
    /// Its breaker, if it has one.
    pub breaker: Option<BreakerTerms>,
    /// The bulkhead, if there is one.
    pub in_flight: Option<InFlight>,
    /// How many attempts a second it can serve, from all processes together.
    pub capacity_per_second: Option<f64>,
    /// How many calls a second go to it, from all processes together.
    pub calls_per_second: Option<f64>,
    /// Who else may send a call again on its way.
    pub hops: Vec<Hop>,
    /// The layers around its client, outermost first, where the file names them.
    pub layers: Option<Vec<ClientLayer>>,
}

impl Dependency {
    /// A dependency of this name, without operations.
    pub fn new(name: impl Into<Arc<str>>, terms: DependencyTerms) -> Self {
        Self {
            name: name.into(),
            terms,
            operations: BTreeMap::new(),
            index: Index::default(),
            marks: Marks::default(),
        }
    }

    /// With this operation.
    ///
    /// # Errors
    ///
    /// When a request could be meant for this operation and for one that is there already.
    pub fn operation(mut self, operation: Operation) -> Result<Self, Conflict> {
        self.add(operation)?;
        Ok(self)
    }

    pub(super) fn add(&mut self, operation: Operation) -> Result<(), Conflict> {
        for request in &operation.matches {
            self.index.insert(request, &operation.name)?;
        }
        self.operations.insert(Arc::clone(&operation.name), operation);
        Ok(())
    }

    /// Its name: what its shared state is kept under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its operations share.
    pub const fn terms(&self) -> &DependencyTerms {
        &self.terms
    }

    /// Where its file says this of it, such as `budget`; nowhere when nothing was said, or no file was
    /// read.
    pub fn written_at(&self, key: &str) -> Option<Position> {
        self.marks.own(key)
    }

    /// Its operations, by name.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// The operation of this name.
    pub fn named(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// The operation of a request: the one that it names, else the one whose method and path it
    /// has.
    ///
    /// One step down a trie for each piece of the path, however many operations there are.
    pub fn find(
        &self,
        named: Option<&OperationName>,
        method: &Method,
        path: &str,
    ) -> Option<&Operation> {
        let own = named.and_then(|name| name.within(&self.name));
        let name = match own {
            Some(name) => name,
            None => self.index.find(method, path)?,
        };
        self.named(name)
    }
}

/// When the breaker of a dependency opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerTerms {
    /// It opens when this share of the calls in the window failed.
    pub failure_ratio: Ratio,
    /// How far back it looks.
    pub window: Duration,
    /// Ratios count for nothing before so many calls are in the window.
    pub minimum_calls: NonZeroU32,
    /// It opens when so many calls in a row never reached the server.
    pub unsent_in_a_row: NonZeroU32,
    /// It opens when so many calls in a row failed.
    pub failures_in_a_row: NonZeroU32,
    /// A call is slow from this time on.
    pub slow_after: Option<Duration>,
    /// It opens when this share of the calls in the window was slow.
    pub slow_ratio: Option<Ratio>,
    /// Its first open time, and the longest.
    pub open_for: (Duration, Duration),
}

impl Default for BreakerTerms {
    /// The defaults of the breaker's crate: half of at least 20 calls in ten seconds, five unsent in
    /// a row, ten failed in a row; open for one second, doubling up to a minute.
    fn default() -> Self {
        const fn count(count: u32) -> NonZeroU32 {
            match NonZeroU32::new(count) {
                Some(count) => count,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            failure_ratio: Ratio::percent(50),
            window: Duration::from_secs(10),
            minimum_calls: count(20),
            unsent_in_a_row: count(5),
            failures_in_a_row: count(10),
            slow_after: None,
            slow_ratio: None,
            open_for: (Duration::from_secs(1), Duration::from_secs(10)),
        }
    }
}

/// How many calls to a dependency may be under way in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// So many.
    pub limit: NonZeroU32,
    /// How long another waits for its turn.
    pub wait: Duration,
}

impl InFlight {
    /// So many at once; another waits so long for its turn.
    pub const fn new(limit: NonZeroU32, wait: Duration) -> Self {
        Self { limit, wait }
    }
}

/// Somebody else on the way to a dependency who may send a call again: a mesh, an SDK, a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// Its name.
    pub name: Arc<str>,
    /// How many sends it makes of one, the first included.
    pub attempts: NonZeroU32,
    /// What it pays for them, if it has a budget.
    pub budget: Option<Ratio>,
}

impl Hop {
    /// A hop that makes so many sends of one, and pays for none of them.
    pub fn new(name: impl Into<Arc<str>>, attempts: NonZeroU32) -> Self {
        Self { name: name.into(), attempts, budget: None }
    }

    /// Earning so much of a retry with each success.
    #[must_use]
    pub const fn budget(mut self, ratio: Ratio) -> Self {
        self.budget = Some(ratio);
        self
    }

    /// Whether it sends again at all.
    pub const fn retries(&self) -> bool {
        self.attempts.get() > 1
    }
}
