use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use aplomb_core::BoxError;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::Full;
use tokio::runtime;
use tower_layer::Layer;
use tower_service::Service;

use crate::apply::{Inner, LayerValue, Make, Request};
use crate::clause::{Breach, Clause};
use crate::sharing::{Applied, Proof};
use crate::trial::{self, Trial};

/// A layer, and what it says of itself, to be judged by tower's contract.
///
/// ```
/// use aplomb_testkit::{Clause, Contract};
/// use tower::layer::layer_fn;
///
/// let nothing = Contract::new("nothing", || layer_fn(|inner| inner));
/// assert_eq!(nothing.judge(Clause::ResponsesPass), Ok(()));
/// nothing.check();
/// ```
#[must_use = "nothing is judged before `check` or `judge`"]
pub struct Contract {
    name: String,
    make: Make,
    requests: Requests,
    refused: Option<Requests>,
    sent: AtomicU64,
    proof: Option<Proof>,
    exceptions: Vec<(Clause, &'static str)>,
    pub(crate) detached: bool,
    pub(crate) answers_panics: bool,
    pub(crate) answers_errors: bool,
}

type Requests = Box<dyn Fn(u64) -> Request>;

impl Contract {
    /// The contract of the layers that `make` makes: a new one, with state of its own, each time.
    ///
    /// `make` runs inside a runtime, so it may spawn. A layer with a bound of its own on how many
    /// calls run at once is best made with room for a hundred, or the clauses about clones and
    /// crowds meet that bound instead of a fault. To judge what is not a layer value, wrap a
    /// closure in [`layer_fn`](tower::layer::layer_fn).
    pub fn new<L, S, B>(name: impl Into<String>, make: impl Fn() -> L + 'static) -> Self
    where
        L: Layer<Inner, Service = S> + Clone + Send + Sync + 'static,
        S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError> + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            make: Box::new(move || LayerValue::new(make())),
            requests: Box::new(plain),
            refused: None,
            sent: AtomicU64::new(0),
            proof: None,
            exceptions: Vec::new(),
            detached: false,
            answers_panics: false,
            answers_errors: false,
        }
    }

    /// The work inside is finished even when the caller hangs up: then it must complete instead
    /// of being dropped.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// A panic inside becomes an error or a 5xx answer instead of reaching the caller.
    pub fn answers_panics(mut self) -> Self {
        self.answers_panics = true;
        self
    }

    /// An error inside becomes a 5xx answer instead of reaching the caller.
    pub fn answers_errors(mut self) -> Self {
        self.answers_errors = true;
        self
    }

    /// The calls carry these requests: number 1, 2, and so on. By default they are a GET.
    pub fn requests(mut self, requests: impl Fn(u64) -> Request + 'static) -> Self {
        self.requests = Box::new(requests);
        self
    }

    /// The layer answers these requests itself, without a call inside. Without them, the clause
    /// about refusals holds.
    pub fn refuses(mut self, requests: impl Fn(u64) -> Request + 'static) -> Self {
        self.refused = Some(Box::new(requests));
        self
    }

    /// Proves that all applications of a layer value share its state: `proof` changes the state by
    /// some calls and shows by others that it was changed, or fails with what it saw instead.
    ///
    /// It runs once for each way in which services come to be made of one layer value. Without a
    /// proof that clause holds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aplomb_testkit::{Act, Applied, Clause, Contract};
    /// use tokio::time::timeout;
    /// use tower::limit::GlobalConcurrencyLimitLayer;
    ///
    /// let limit = Contract::new("one at a time", || GlobalConcurrencyLimitLayer::new(1));
    /// let limit = limit.shares_state(|applied: Applied| async move {
    ///     applied.probe().next([Act::Hang, Act::OK]);
    ///     let mut first = Box::pin(applied.call());
    ///     assert!(timeout(SECOND, &mut first).await.is_err(), "it hangs, as scripted");
    ///     match timeout(SECOND, applied.call()).await {
    ///         Ok(_) => Err("two at a time".into()),
    ///         Err(_) => Ok(()),
    ///     }
    /// });
    /// assert_eq!(limit.judge(Clause::StateIsShared), Ok(()));
    /// # const SECOND: Duration = Duration::from_secs(1);
    /// ```
    pub fn shares_state<F>(mut self, proof: impl Fn(Applied) -> F + 'static) -> Self
    where
        F: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.proof = Some(Box::new(move |applied| Box::pin(proof(applied))));
        self
    }

    /// The layer breaks this clause on purpose, and `reason` says why.
    ///
    /// [`check`](Self::check) fails when it turns out to hold, so that no exception outlives its
    /// reason.
    pub fn except(mut self, clause: Clause, reason: &'static str) -> Self {
        self.exceptions.push((clause, reason));
        self
    }

    /// Judges all clauses.
    ///
    /// # Panics
    ///
    /// When one is broken, with the clause and what was seen, and inside another runtime.
    #[track_caller]
    pub fn check(&self) {
        let breaches = self.breaches();
        let mut complaints: Vec<_> = breaches.iter().map(Breach::to_string).collect();
        for &(clause, reason) in &self.exceptions {
            if self.judge(clause).is_ok() {
                let name = &self.name;
                complaints.push(format!(
                    "the layer `{name}` keeps {clause}\n  remove the exception: {reason}"
                ));
            }
        }
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// Judges one clause, excepted or not.
    ///
    /// # Panics
    ///
    /// When it is broken, with the clause and what was seen, and inside another runtime.
    #[track_caller]
    pub fn check_only(&self, clause: Clause) {
        if let Err(breach) = self.judge(clause) {
            panic!("{breach}");
        }
    }

    /// Judges all clauses but the excepted ones; a clause that is broken in several ways is named
    /// once.
    ///
    /// # Panics
    ///
    /// Inside another runtime.
    pub fn breaches(&self) -> Vec<Breach> {
        let excepted = |clause| self.exceptions.iter().any(|&(known, _)| known == clause);
        let mut breaches: Vec<Breach> = Vec::new();
        for clause in Clause::ALL.into_iter().filter(|&clause| !excepted(clause)) {
            let Err(breach) = self.judge(clause) else {
                continue;
            };
            let known = breaches.iter().any(|known| known.clause == breach.clause);
            if !known && !excepted(breach.clause) {
                breaches.push(breach);
            }
        }
        breaches
    }

    /// Judges one clause.
    ///
    /// # Errors
    ///
    /// The breach: of this clause, or of one that every clause implies
    /// ([`OnlyTheReadyAreCalled`](Clause::OnlyTheReadyAreCalled),
    /// [`EndedFuturesRest`](Clause::EndedFuturesRest)).
    ///
    /// # Panics
    ///
    /// Inside another runtime.
    pub fn judge(&self, clause: Clause) -> Result<(), Breach> {
        let trial = Trial::new(self);
        let verdict = runtime().block_on(async {
            let examined = AssertUnwindSafe(clause.examine(&trial)).catch_unwind();
            let verdict = examined.await;
            // What goes on in tasks of the layer's own is seen too.
            trial::settle().await;
            verdict.unwrap_or_else(|panic| Err(format!("it panicked: {}", trial::text(&*panic))))
        });
        let breach = |clause, seen| Breach { layer: self.name.clone(), clause, seen };
        match (trial.violation(), verdict) {
            (Some(violation), _) => Err(breach(violation.clause(), violation.to_string())),
            (None, Err(seen)) => Err(breach(clause, seen)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// The request of the next call.
    pub(crate) fn request(&self) -> Request {
        (self.requests)(self.number())
    }

    /// A request that the layer answers itself, if it does.
    pub(crate) fn refused(&self) -> Option<Request> {
        self.refused.as_ref().map(|refused| refused(self.number()))
    }

    fn number(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn layer_value(&self) -> LayerValue {
        (self.make)()
    }

    pub(crate) fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("name", &self.name)
            .field("detached", &self.detached)
            .field("answers_panics", &self.answers_panics)
            .field("answers_errors", &self.answers_errors)
            .field("exceptions", &self.exceptions)
            .finish_non_exhaustive()
    }
}

fn plain(number: u64) -> Request {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = format!("http://probe.test/shelf?number={number}")
        .parse()
        .expect("a number is a valid query");
    request
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime with nothing but a clock needs nothing of the system")
}
