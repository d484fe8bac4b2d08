//! Lets time pass: not by moving the server's clock, but by moving every time it has written down.

use std::time::Duration;

use aplomb_idempotency::record::millis;
use aplomb_idempotency::{Record, Started, State, Timestamp};

use crate::pool::{commands, next};
use crate::{RedisStore, codec, plan};

/// Makes all records of a store older, and when Redis forgets them nearer.
pub(super) async fn age(store: &RedisStore, by: Duration) {
    for key in record_keys(store).await {
        let mut get = commands();
        get.cmd("GET").arg(&key);
        let (mut link, replies) = store.pool.begin(&get).await.unwrap();
        let raw: Option<Vec<u8>> = next(&mut replies.into_iter()).unwrap();
        if let Some(raw) = raw {
            let record = codec::record_from_bytes(raw.into()).unwrap();
            let mut put = commands();
            for write in plan::put(&store.keys, &older(record, by)) {
                put.add_command(write);
            }
            let replies = link.ask(&put).await.unwrap();
            assert!(replies.iter().all(Result::is_ok), "{replies:?}");
        }
        link.give_back();
    }
}

/// A record as it would be had it been written earlier.
pub(super) fn older(record: Record, by: Duration) -> Record {
    let back = |at: Timestamp| Timestamp::from_millis(at.as_millis() - millis(by));
    let state = match record.state {
        State::Started(started) => {
            State::Started(Started { lease_until: back(started.lease_until), ..started })
        }
        State::Completed { fence, answer, expires, retired_until } => State::Completed {
            fence,
            answer,
            expires: back(expires),
            retired_until: back(retired_until),
        },
        State::Unknown { fence, attempt, since } => {
            State::Unknown { fence, attempt, since: back(since) }
        }
        State::Released { fence, attempt, expires } => {
            State::Released { fence, attempt, expires: back(expires) }
        }
        State::Tombstone { fence, expires } => State::Tombstone { fence, expires: back(expires) },
    };
    Record::new(record.identity, record.fingerprint, back(record.created), state)
}

async fn record_keys(store: &RedisStore) -> Vec<Vec<u8>> {
    let any = store.keys.record(aplomb_idempotency::RecordId::from_bytes([0; 32]));
    let pattern = [&any[..any.len() - 64], b"*"].concat();
    let mut keys = commands();
    keys.cmd("KEYS").arg(pattern);
    let (link, replies) = store.pool.begin(&keys).await.unwrap();
    link.give_back();
    next(&mut replies.into_iter()).unwrap()
}
