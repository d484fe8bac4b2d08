//! The last good answer.

mod directives;
mod freshness;
mod keep;
mod key;
mod refreshed;
mod service;
mod status;
mod store;
mod watch;

pub use refreshed::{Refreshed, RefreshedFuture};
pub(crate) use watch::{Tee, Watch};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::time::Instant;
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri, header};

use crate::last_good::freshness::Freshness;
use crate::last_good::key::{Target, Variant};
use crate::last_good::store::{Room, Store};
use crate::missed::Missed;
use crate::rules::Intent;

/// Answers reads with their last good answer, while that is good enough.
///
/// It is a fallback, and what [keeps](crate::FallbackLayer::keeps) the answers for it; clones are one
/// cache, and a handle to evict from it.
///
/// ```
/// use std::time::Duration;
/// use aplomb_fallback::{FallbackLayer, LastGood};
///
/// // Two seconds are as good as now. For half a minute more, old is better than nothing.
/// let last_good = LastGood::new(Duration::from_secs(2)).stale_for(Duration::from_secs(30));
/// let layer = FallbackLayer::last_good(last_good.clone());
///
/// last_good.evict(&http::Uri::from_static("http://stock:7001/products/mug"));
/// # let _ = layer;
/// ```
///
/// When it has nothing good enough, another fallback may answer:
///
/// ```
/// # use std::time::Duration;
/// use aplomb_core::DegradedKind;
/// use aplomb_fallback::{Computed, FallbackLayer, LastGood, OrElse};
///
/// let number = LastGood::new(Duration::from_secs(2));
/// let no_number = Computed::new(DegradedKind::Approximate, |_| {
///     Ok(http::Response::new(r#"{"available":null,"degraded":true}"#.into()))
/// });
/// let layer = FallbackLayer::new(OrElse::new(number.clone(), no_number)).keeps(number);
/// # let _ = layer;
/// ```
///
/// # Which answers are kept
///
/// Whole, successful answers to GET and HEAD, up to the [cap](Self::body_cap), under authority, path,
/// query, the [chosen headers](Self::headers), and who asked: the
/// [`Principal`](aplomb_core::Principal) in the request's extensions and its `Authorization` and
/// `Cookie`. Not what says `no-store`, `no-cache` or gives a cookie; not what is `private` under a key
/// that names no caller; not what varies by a header that was not chosen. `must-revalidate` and
/// `stale-if-error` (RFC 5861) of an answer shorten the rule, and never lengthen it. An answer is kept
/// once its caller has read it to the end.
///
/// # How long
///
/// | age | served |
/// |---|---|
/// | up to `fresh_for` | as it was, with `Age` and `Cache-Status` |
/// | up to [`stale_for`](Self::stale_for) | only where [old is safe](Self::safe_when), marked [`Degraded`](aplomb_core::Degraded) |
/// | older | never |
///
/// An age is counted from when the request was sent, and from the `Age` that the answer came with. A
/// caller's own `no-cache`, `no-store` and `max-age` are obeyed.
///
/// # What is evicted
///
/// - The target of a write through the layer that was done, or may have been, whoever asked for it,
///   with what its answer's `Location` and `Content-Location` name on the same host (RFC 9111, section
///   4.4). A write through another client is not seen: use [`evict`](Self::evict).
/// - What a newer answer contradicts: a 404, a 403, or one that may not be kept.
/// - What [`evict_when`](Self::evict_when) says.
///
/// A read that was on its way during an eviction is not kept: it may have seen what was so before.
#[derive(Clone)]
#[must_use]
pub struct LastGood {
    settings: Arc<Settings>,
    store: Arc<Store>,
}

#[derive(Clone)]
struct Settings {
    rule: Freshness,
    room: Room,
    body_cap: usize,
    headers: Vec<HeaderName>,
    is_shared: bool,
    name: &'static str,
    safe_when: Option<Arc<SafeWhen>>,
    evict_when: Option<Arc<EvictWhen>>,
}

type SafeWhen = dyn Fn(&Request<Missed>) -> bool + Send + Sync;
type EvictWhen = dyn Fn(&Exchange<'_>) -> Evict + Send + Sync;

/// A request, and what was answered to it.
///
/// ```
/// use aplomb_fallback::{Evict, Exchange};
///
/// /// A rule for `evict_when`: what was ordered changes the stock.
/// fn rule(seen: &Exchange<'_>) -> Evict {
///     match seen.request.uri().path() {
///         "/orders" if seen.status.is_success() => Evict::Target,
///         _ => Evict::Nothing,
///     }
/// }
/// # let _ = rule;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The request, without its body.
    pub request: &'a Request<()>,
    /// The status of its answer.
    pub status: StatusCode,
    /// The headers of its answer.
    pub headers: &'a HeaderMap,
}

/// What an answer makes untrue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evict {
    /// Nothing.
    Nothing,
    /// The answers to this very target.
    Target,
    /// Those of this one; without an authority, on the same host.
    Uri(Uri),
    /// Those of all targets that begin like this: see [`LastGood::evict_prefix`].
    Prefix(String),
    /// Everything.
    Everything,
}

impl LastGood {
    /// Answers up to this age are as good as new, and older ones are not served.
    pub fn new(fresh_for: Duration) -> Self {
        let room = Room { entries: ENTRIES, bytes: BYTES };
        let settings = Settings {
            rule: Freshness { fresh_for, stale_for: fresh_for },
            room,
            body_cap: BODY_CAP,
            headers: CHOSEN.to_vec(),
            is_shared: false,
            name: "aplomb",
            safe_when: None,
            evict_when: None,
        };
        Self { settings: Arc::new(settings), store: Arc::new(Store::new(room)) }
    }

    /// Says that old is safe: answers that are no longer fresh are served up to this age, marked
    /// degraded. Older ones never are.
    pub fn stale_for(mut self, age: Duration) -> Self {
        self.set().rule.stale_for = age;
        self
    }

    /// Old is safe for these requests alone. It takes [`stale_for`](Self::stale_for) too.
    pub fn safe_when<P>(mut self, is_safe: P) -> Self
    where
        P: Fn(&Request<Missed>) -> bool + Send + Sync + 'static,
    {
        self.set().safe_when = Some(Arc::new(is_safe));
        self
    }

    /// An answer may depend on these headers of its request, which become a part of the key
    /// (`Accept`, `Accept-Encoding` and `Accept-Language` by default).
    pub fn headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.set().headers = headers.into_iter().collect();
        self
    }

    /// Declares that answers do not depend on who asks: one is kept for all callers. What is
    /// `private` is not kept then.
    pub fn shared(mut self) -> Self {
        self.set().is_shared = true;
        self
    }

    /// Keeps at most so many answers (10,000 by default, at least 1), those used last.
    pub fn entries(mut self, entries: u64) -> Self {
        self.set().room.entries = entries.max(1);
        self.make_room()
    }

    /// Keeps at most so many bytes, about (64 MiB by default), of the answers used last.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.set().room.bytes = bytes;
        self.make_room()
    }

    /// Keeps no answer that is longer than so many bytes (64 KiB by default).
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.set().body_cap = bytes;
        self
    }

    /// What this cache calls itself in `Cache-Status` (`aplomb` by default), in printable ASCII.
    pub fn name(mut self, name: &'static str) -> Self {
        self.set().name = name;
        self
    }

    /// Looks at every answer that passes through the layer, whatever its status, and says what it
    /// makes untrue: a 409 for what is sold out, on a target of its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aplomb_fallback::{Evict, LastGood};
    ///
    /// let last_good = LastGood::new(Duration::from_secs(2)).evict_when(|seen| {
    ///     match seen.headers.get("x-sold-out").and_then(|sku| sku.to_str().ok()) {
    ///         Some(sku) => Evict::Prefix(format!("/products/{sku}/")),
    ///         None => Evict::Nothing,
    ///     }
    /// });
    /// # let _ = last_good;
    /// ```
    pub fn evict_when<P>(mut self, rule: P) -> Self
    where
        P: Fn(&Exchange<'_>) -> Evict + Send + Sync + 'static,
    {
        self.set().evict_when = Some(Arc::new(rule));
        self
    }

    /// A fallback that asks a second source, as good as the first, when nothing fresh is kept: see
    /// [`Refreshed`].
    pub fn refreshed_by<S>(self, source: S) -> Refreshed<S> {
        Refreshed::new(self, source)
    }

    /// Evicts the answers to this target, to everybody. Without an authority, on every host, which
    /// looks at every target that is kept.
    ///
    /// Done when it returns: nothing that was asked for before is served afterwards.
    pub fn evict(&self, uri: &Uri) {
        let meant = Target::named(uri);
        if uri.authority().is_some() {
            self.store.evict(&meant);
        } else {
            self.store.evict_where(|target| target.path() == meant.path());
        }
    }

    /// Evicts the answers to every target that begins like this: `/products/mug` on every host,
    /// `stock:7001/products` on one. Looks at every target that is kept.
    pub fn evict_prefix(&self, prefix: &str) {
        self.store.evict_where(|target| target.starts_with(prefix));
    }

    /// Evicts everything.
    pub fn evict_all(&self) {
        self.store.evict_where(|_| true);
    }

    /// How many entries are kept, and how many bytes they take, about.
    pub fn size(&self) -> (u64, u64) {
        self.store.size()
    }

    pub(crate) fn watch(&self, asked: &Request<()>, intent: Intent, sent: Instant) -> Watch {
        Watch::new(self.clone(), asked, intent, sent)
    }

    fn variant<T>(&self, request: &Request<T>) -> Variant {
        Variant::of(request, &self.settings.headers, self.settings.is_shared)
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Nothing is kept yet while the options are set.
    fn make_room(mut self) -> Self {
        self.store = Arc::new(Store::new(self.settings.room));
        self
    }
}

impl fmt::Debug for LastGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastGood")
            .field("rule", &self.settings.rule)
            .field("room", &self.settings.room)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// What a server negotiates by.
const CHOSEN: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];
/// More products than most shops have on a page in a minute.
const ENTRIES: u64 = 10_000;
/// As much as a process has to spare.
const BYTES: u64 = 64 * 1024 * 1024;
/// The longest body that is kept.
const BODY_CAP: usize = 64 * 1024;
