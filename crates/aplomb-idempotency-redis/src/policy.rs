//! Whether the server may throw keys away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use aplomb_idempotency::StoreError;
use redis::from_redis_value;

use crate::error::{EvictingPolicy, PolicyUnreadable};
use crate::pool::{Pool, Reply, commands};

pub(crate) struct Policy {
    /// What to make of a server that does not say.
    pub(crate) trusted: bool,
    pub(crate) every: Duration,
    found_well: Mutex<Option<Instant>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { trusted: false, every: POLICY_CHECKED_EVERY, found_well: Mutex::new(None) }
    }
}

impl Policy {
    /// Asks the server, unless it was asked a short while ago.
    pub(crate) async fn recheck(&self, pool: &Pool) -> Result<(), StoreError> {
        let now = time::now();
        let last = *self.found_well.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            return Ok(());
        }
        self.check(pool).await
    }

    /// Asks the server.
    pub(crate) async fn check(&self, pool: &Pool) -> Result<(), StoreError> {
        let now = time::now();
        match ask(pool).await? {
            Some(policy) if policy != NEVER => {
                return Err(StoreError::unavailable(EvictingPolicy { policy }));
            }
            None if !self.trusted => return Err(StoreError::unavailable(PolicyUnreadable)),
            Some(_) | None => {}
        }
        *self.found_well.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

/// The server's policy, unless it will not say.
async fn ask(pool: &Pool) -> Result<Option<String>, StoreError> {
    let mut ask = commands();
    ask.cmd("CONFIG").arg("GET").arg(SETTING).cmd("INFO").arg("memory");
    let (link, replies) = pool.begin(&ask).await?;
    link.give_back();
    let mut replies = replies.into_iter();
    let configured = replies.next().and_then(configured);
    Ok(configured.or_else(|| replies.next().and_then(informed)))
}

fn configured(reply: Reply) -> Option<String> {
    let settings: HashMap<String, String> = from_redis_value(reply.ok()?).ok()?;
    settings.get(SETTING).cloned()
}

fn informed(reply: Reply) -> Option<String> {
    let info: String = from_redis_value(reply.ok()?).ok()?;
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    policy.map(|policy| policy.trim().to_owned())
}

const SETTING: &str = "maxmemory-policy";
const NEVER: &str = "noeviction";
/// How often a store looks whether the policy was changed under it, unless told otherwise.
pub const POLICY_CHECKED_EVERY: Duration = Duration::from_secs(30);
