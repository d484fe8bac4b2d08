use std::sync::Arc;
use std::time::Duration;

use aplomb_idempotency::{
    Begin, Begun, Fingerprint, Held, IdempotencyLayer, Identity, Keep, Key, Lapsed, MemoryStore,
    Scope, Settled, Store, StoredAnswer, Ticket,
};
use axum::Router;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::idempotency::{ask, keyed, route};
use crate::drive::Driver;

/// A keyed route whose store in memory holds many answers.
pub struct Keyed {
    routes: Router,
    asked: u32,
}

impl Keyed {
    /// One whose store holds so many.
    ///
    /// # Panics
    ///
    /// When the store refuses one.
    pub fn filled(driver: &Driver, keys: u32) -> Self {
        let store = Arc::new(MemoryStore::bounded(2_000_000, usize::MAX));
        driver.wait_for(async {
            for number in 0..keys {
                answered(&*store, number).await;
            }
        });
        let routes = route().layer(IdempotencyLayer::new(store).global_scope("bench"));
        Self { routes, asked: 0 }
    }

    /// Makes so many calls with a new key each.
    pub fn first(&mut self, driver: &Driver, calls: u32) {
        let before = self.asked;
        self.asked += calls;
        ask(driver, &self.routes, calls.into(), |number| {
            keyed(&format!("key-{}", u64::from(before) + number))
        });
    }

    /// Makes so many calls with keys that it has answered already.
    pub fn replay(&self, driver: &Driver, calls: u32) {
        ask(driver, &self.routes, calls.into(), |number| keyed(&format!("key-{number}")));
    }
}

/// Claims a key and answers it.
async fn answered(store: &impl Store, number: u32) {
    let uri = Uri::from_static("/orders");
    let key = Key::try_from(format!("before-{number}").as_str()).expect("a short key is sound");
    let begin = Begin {
        identity: Identity::new(Scope::Global("bench".into()), Method::POST, "/orders", key),
        fingerprint: Fingerprint::of(&Method::POST, &uri, &HeaderMap::new(), &[], b""),
        lease: DAY,
        lapsed: Lapsed::Unknown,
        ticket: Ticket::unique(),
    };
    let Ok(Begun::Claimed(started)) = store.begin(&begin).await else {
        panic!("a new key in a store with room is claimed");
    };
    let held = Held { id: begin.identity.id(), fence: started.fence };
    let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), None, 0);
    let settled = store.complete(held, &answer, Keep { answer: DAY, key: DAY }).await;
    assert!(matches!(settled, Ok(Settled::Done)), "nobody else has the claim");
}

const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_calls_are_replayed_from_a_store_that_was_filled_before() {
        let driver = Driver::new();
        let mut keyed = Keyed::filled(&driver, 10);
        keyed.first(&driver, 5);
        keyed.first(&driver, 5);
        keyed.replay(&driver, 10);
    }
}
