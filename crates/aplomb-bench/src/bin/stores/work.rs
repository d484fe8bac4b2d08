//! What callers do with a store.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aplomb_bench::sheet::Limit;
use aplomb_core::{BoxError, Principal};
use aplomb_idempotency::{
    Begin, Begun, Fingerprint, Held, Identity, Keep, Key, Lapsed, RecordId, Scope, Settled, Store,
    StoredAnswer, Ticket,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::rounds::Item;

pub(crate) type Result<T> = std::result::Result<T, BoxError>;

/// Does something for a caller, and says how often.
pub(crate) type Work = Arc<dyn Fn(Call) -> Doing + Send + Sync>;
type Doing = Pin<Box<dyn Future<Output = Result<u32>> + Send>>;

/// Which call it is.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) round: usize,
    pub(crate) in_flight: usize,
    pub(crate) caller: usize,
    pub(crate) number: usize,
}

impl Call {
    /// A key that no other call has.
    pub(crate) fn key(self, item: &str) -> String {
        let Self { round, in_flight, caller, number } = self;
        format!("{item}-{round}-{in_flight}-{caller}-{number}")
    }

    /// Where the record of such a key lies.
    pub(crate) fn new_id(self) -> Result<RecordId> {
        Ok(begin(&self.key("map"))?.identity.id())
    }

    /// One of the keys that were answered beforehand.
    fn known(self) -> String {
        known((self.caller * 7 + self.number) % KNOWN)
    }

    /// Where that key's record lies.
    pub(crate) fn known_id(self) -> Result<RecordId> {
        Ok(begin(&self.known())?.identity.id())
    }
}

pub(crate) fn work<F, D>(doing: F) -> Work
where
    F: Fn(Call) -> D + Send + Sync + 'static,
    D: Future<Output = Result<u32>> + Send + 'static,
{
    Arc::new(move |call| Box::pin(doing(call)))
}

/// First calls of a store.
pub(crate) fn firsts<S: Store>(store: &Arc<S>) -> Work {
    let store = Arc::clone(store);
    work(move |call| {
        let store = Arc::clone(&store);
        async move { first(&*store, &call.key("first")).await }
    })
}

/// Claims that nobody completes.
pub(crate) fn begins<S: Store>(store: &Arc<S>) -> Work {
    let store = Arc::clone(store);
    work(move |call| {
        let store = Arc::clone(&store);
        // Two stores on one server must not meet.
        let key = format!("{:p}-{}", Arc::as_ptr(&store), call.key("begin"));
        async move { claim(&*store, &key).await.map(|_| 1) }
    })
}

/// Replays of keys that [`answered`] answered.
pub(crate) fn replays<S: Store>(store: &Arc<S>) -> Work {
    let store = Arc::clone(store);
    work(move |call| {
        let store = Arc::clone(&store);
        async move {
            match store.begin(&begin(&call.known())?).await? {
                Begun::Replay(_) => Ok(1),
                other => Err(format!("an answered key was told {other:?}").into()),
            }
        }
    })
}

/// Answers the keys that are then replayed.
pub(crate) async fn answered<S: Store>(store: &S) -> Result<()> {
    for number in 0..KNOWN {
        first(store, &known(number)).await?;
    }
    Ok(())
}

/// What is measured of a store whatever it is on: first calls, replays.
pub(crate) fn both<S: Store>(
    store: &Arc<S>,
    in_flight: usize,
    first: (&'static str, Option<Limit>),
    read: &'static str,
) -> [Item; 2] {
    let (one, other) = (Arc::clone(store), Arc::clone(store));
    [
        Item::new("first call", in_flight, move || firsts(&one)).beside(first.0, first.1),
        Item::new("replay", in_flight, move || replays(&other))
            .beside(read, Some(Limit::least(0.9).goal(1.0))),
    ]
}

async fn first<S: Store>(store: &S, key: &str) -> Result<u32> {
    let held = claim(store, key).await?;
    let body = Some(Bytes::from_static(BODY));
    let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), body, BODY.len());
    match store.complete(held, &answer, Keep { answer: DAY, key: DAY }).await? {
        Settled::Done => Ok(1),
        Settled::Lost => Err("nobody else had the claim, but it was lost".into()),
    }
}

async fn claim<S: Store>(store: &S, key: &str) -> Result<Held> {
    let begin = begin(key)?;
    match store.begin(&begin).await? {
        Begun::Claimed(started) => Ok(Held { id: begin.identity.id(), fence: started.fence }),
        other => Err(format!("a new key was told {other:?}").into()),
    }
}

fn begin(key: &str) -> Result<Begin> {
    let scope = Scope::Principal(Principal::new("shop"));
    let (method, uri) = (Method::POST, Uri::from_static("/orders"));
    let fingerprint = Fingerprint::of(&method, &uri, &HeaderMap::new(), &[], b"");
    Ok(Begin {
        identity: Identity::new(scope, method, "/orders", Key::try_from(key)?),
        fingerprint,
        lease: DAY,
        lapsed: Lapsed::Unknown,
        ticket: Ticket::unique(),
    })
}

fn known(number: usize) -> String {
    format!("known-{number}")
}

/// How many are in flight.
pub(crate) const LEVELS: [usize; 3] = [1, 32, 256];
pub(crate) const BODY: &[u8] = &[b'x'; 1024];
const KNOWN: usize = 256;
const DAY: Duration = Duration::from_secs(86_400);
