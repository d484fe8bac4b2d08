//! The store in memory, beside a map under a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aplomb_bench::sheet::Limit;
use aplomb_idempotency::{MemoryStore, RecordId};
use bytes::Bytes;

use crate::rounds::{Item, Prepared};
use crate::work::{BODY, Call, LEVELS, Result, Work, answered, firsts, replays, work};

pub(crate) async fn prepared() -> Result<Prepared> {
    let known = Arc::new(MemoryStore::new());
    answered(&*known).await?;
    let mut items = Vec::new();
    for in_flight in LEVELS {
        items.push(Item::new(MAP, in_flight, pairs));
        // A new one for each round, so that no round fills it.
        let new = || firsts(&Arc::new(MemoryStore::bounded(usize::MAX, usize::MAX)));
        items.push(Item::new("first call", in_flight, new).beside(MAP, None));
        let known = Arc::clone(&known);
        items.push(Item::new("replay", in_flight, move || replays(&known)).beside(MAP, NONE));
    }
    Ok(Prepared::new("memory", items, ()))
}

/// An insert, then an update, of a key that is hashed as the store's is.
fn pairs() -> Work {
    let map = Arc::new(Mutex::new(HashMap::<RecordId, Option<Bytes>>::new()));
    work(move |call: Call| {
        let map = Arc::clone(&map);
        async move {
            let id = call.new_id()?;
            let insert =
                |value| map.lock().unwrap_or_else(PoisonError::into_inner).insert(id, value);
            insert(None);
            insert(Some(Bytes::from_static(BODY)));
            Ok(1)
        }
    })
}

const MAP: &str = "two inserts into a map";
const NONE: Option<Limit> = None;
