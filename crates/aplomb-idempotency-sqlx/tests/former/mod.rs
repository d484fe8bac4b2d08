//! The program of the first schema: its statements and its rules, as they were.
//!
//! On SQLite that is the store before keys were retired, before operators and before a claim said
//! what its lapse means (`0002_operators.sql`). On Postgres no other schema than today's was ever
//! shipped, so that it is the first store on that one: what is held here still is its wording, which
//! a newer store need not have. Its routes are transactional: what lapsed runs again.

mod postgres;
mod sqlite;

use aplomb_idempotency::{Begin, Held};
use bytes::Bytes;

use crate::common::Shop;

/// A process of the first version, with connections of its own.
pub(crate) trait Former: Clone + Send + Sync + 'static {
    /// Asks for a key.
    fn begin(&self, call: &Begin) -> impl Future<Output = sqlx::Result<Said>> + Send;

    /// The effect of a reservation, with a body as its answer, in one transaction: `false` when the
    /// claim was lost, and nothing was done.
    fn reserve(
        &self,
        key: &str,
        held: Held,
        body: &str,
    ) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Holds a claim for an hour from now: `false` when it was lost.
    fn renew(&self, held: Held) -> impl Future<Output = sqlx::Result<bool>> + Send;
}

/// A shop that has seen both versions.
pub(crate) trait Rolling: Shop {
    type Former: Former;

    /// Empty, with the tables of the first version alone.
    fn as_it_was() -> impl Future<Output = Self> + Send;

    fn former(&self) -> impl Future<Output = Self::Former> + Send;

    /// A new process, which has not looked at the tables yet.
    fn process(&self) -> impl Future<Output = Self> + Send;
}

/// What a process of the first version says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Claimed(Held),
    InFlight,
    Replay(Bytes),
    Mismatch,
    Unknown,
    Gone,
}

/// What it knows of a key.
struct Row {
    state: String,
    fingerprint: Vec<u8>,
    attempt: i64,
    created_at: i64,
    lease_until: i64,
    body: Option<Vec<u8>>,
    expires_at: Option<i64>,
}

enum Judged {
    Claim { attempt: i64, created_at: i64 },
    Say(Said),
}

/// Its rules.
fn judge(row: Option<&Row>, call: &Begin, now: i64) -> Judged {
    let anew = Judged::Claim { attempt: 1, created_at: now };
    let Some(row) = row else { return anew };
    if row.expires_at.is_some_and(|expires| expires <= now) {
        return anew;
    }
    let again = Judged::Claim { attempt: row.attempt + 1, created_at: row.created_at };
    let said = match row.state.as_str() {
        "released" => return again,
        "tombstone" => Said::Gone,
        _ if row.fingerprint != call.fingerprint.to_bytes() => Said::Mismatch,
        "completed" => Said::Replay(row.body.clone().unwrap_or_default().into()),
        "unknown" => Said::Unknown,
        _ if now < row.lease_until => Said::InFlight,
        _ => return again,
    };
    Judged::Say(said)
}

fn number(held: Held) -> i64 {
    i64::try_from(held.fence.get()).unwrap()
}

/// How it wrote an answer that has no headers.
const NO_HEADERS: &[u8] = &[1];
const HOUR: i64 = 3_600_000;
