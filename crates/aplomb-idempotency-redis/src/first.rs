//! Most keys are new or answered: those take one round trip, on a connection that all callers share.
//!
//! A script looks for the record and, where there is none, writes that of a claim. It knows no rule:
//! what a record means, and every change of one, is decided by [`machine`] in a [`step`](crate::step).
//! Whatever keeps the script from its work, the step is taken instead, which is always right: a call
//! of `begin` that was made already is known by its ticket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aplomb_idempotency::machine::{self, Turn, Verdict};
use aplomb_idempotency::record::{LAPSED_KEPT, millis};
use aplomb_idempotency::{Begin, Begun, Fence, Lapsed, StoreError, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, RedisError, Value, cmd, from_redis_value};

use crate::keys::Keys;
use crate::pool::{Limits, connect};
use crate::{codec, step};

/// The connection that all callers share, with the script loaded.
pub(crate) struct Shared {
    client: Client,
    line: Mutex<Option<Line>>,
    connecting: tokio::sync::Mutex<()>,
    /// Scripts may not be run here, or shall not be.
    is_refused: AtomicBool,
}

#[derive(Clone)]
struct Line {
    connection: MultiplexedConnection,
    /// What the server calls the script.
    script: Arc<str>,
}

impl Shared {
    pub(crate) fn new(client: Client) -> Self {
        let (line, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { client, line, connecting, is_refused: AtomicBool::new(false) }
    }

    /// Leaves everything to steps from now on.
    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Asks for a key. `None` when a step must be taken.
    pub(crate) async fn begin(
        &self,
        keys: &Keys,
        limits: &Limits,
        begin: &Begin,
    ) -> Result<Option<Begun>, StoreError> {
        let Verdict::Claim(turn) = machine::judge(None, begin, NOT_YET) else {
            return Ok(None);
        };
        if self.is_refused.load(Ordering::Relaxed) || millis(begin.lease) > LEASE_MAX {
            return Ok(None);
        }
        let Some(mut line) = self.line(limits).await? else {
            return Ok(None);
        };
        let call = call(&line.script, keys, begin, turn);
        match call.query_async(&mut line.connection).await {
            Ok(answer) => read(keys, begin, turn, answer),
            // It may still be carried out, and a step would wait for a server that answers nobody.
            Err(error) if error.is_timeout() => Err(StoreError::uncertain(error)),
            Err(error) => {
                self.failed(&line, &error);
                Ok(None)
            }
        }
    }

    async fn line(&self, limits: &Limits) -> Result<Option<Line>, StoreError> {
        if let Some(line) = &*self.lock() {
            return Ok(Some(line.clone()));
        }
        let _alone = self.connecting.lock().await;
        if let Some(line) = &*self.lock() {
            return Ok(Some(line.clone()));
        }
        let mut connection = connect(&self.client, limits).await?;
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(FIRST);
        match load.query_async::<String>(&mut connection).await {
            Ok(script) => {
                let line = Line { connection, script: script.into() };
                *self.lock() = Some(line.clone());
                Ok(Some(line))
            }
            Err(error) if error.is_timeout() => Err(StoreError::unavailable(error)),
            Err(error) => {
                self.note_refusal(&error);
                Ok(None)
            }
        }
    }

    /// A connection that was lost, or whose server has forgotten the script, is made anew.
    fn failed(&self, line: &Line, error: &RedisError) {
        self.note_refusal(error);
        let is_answer = error.code().is_some_and(|code| code != "NOSCRIPT");
        if is_answer {
            return;
        }
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.script, &line.script)) {
            *current = None;
        }
    }

    fn note_refusal(&self, error: &RedisError) {
        if error.code() == Some("NOPERM") {
            self.refuse();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The script's call: where everything lies, and the record around what only the server knows.
fn call(script: &str, keys: &Keys, begin: &Begin, turn: Turn) -> Cmd {
    let Begin { identity, lapsed, lease, .. } = begin;
    let id = identity.id();
    let started = machine::started(begin, NOT_DRAWN, turn, NOT_YET);
    let record = codec::record_to_bytes(&machine::record(None, begin, started, NOT_YET));
    let mut call = cmd("EVALSHA");
    call.arg(script).arg(5).arg(keys.record(id)).arg(keys.fence()).arg(keys.due());
    call.arg(keys.open()).arg(keys.of(&identity.scope));
    for part in codec::around_numbers(&record, &started) {
        call.arg(part);
    }
    call.arg(millis(*lease)).arg(id.as_bytes()).arg(codec::due_member(identity));
    match lapsed {
        // Only its next caller ends it.
        Lapsed::Recover => call.arg("never"),
        Lapsed::Unknown | Lapsed::RunAgain | Lapsed::AtLeastOnce => call.arg(millis(LAPSED_KEPT)),
    };
    call
}

/// What the script found or did. A record that must change is left to a step.
fn read(
    keys: &Keys,
    begin: &Begin,
    turn: Turn,
    answer: Vec<Value>,
) -> Result<Option<Begun>, StoreError> {
    let mut answer = answer.into_iter();
    let (Some(first), Some(second)) = (answer.next(), answer.next()) else {
        return Err(StoreError::uncertain("the script was not answered with a list"));
    };
    let number = |value| from_redis_value::<i64>(value).map_err(StoreError::corrupt);
    let Some(third) = answer.next() else {
        let fence = u64::try_from(number(first)?).ok().and_then(Fence::new);
        let fence = fence.ok_or_else(|| StoreError::corrupt("a fence is not a number"))?;
        let now = Timestamp::from_millis(number(second)?);
        return Ok(Some(Begun::Claimed(machine::started(begin, fence, turn, now))));
    };
    let raw = from_redis_value::<Vec<u8>>(first).map_err(StoreError::corrupt)?;
    let record = step::read(keys, begin.identity.id(), raw)?;
    let micros = number(second)?.saturating_mul(1_000_000).saturating_add(number(third)?);
    let now = Timestamp::from_millis(micros / 1_000);
    match machine::judge(Some(&record), begin, now) {
        Verdict::Answer(answer) => Ok(Some(answer)),
        Verdict::Claim(_) | Verdict::Doubt(_) => Ok(None),
    }
}

/// `KEYS`: the record, the fences, what is due, what is open, what the caller has. `ARGV`: the record
/// around the numbers that are drawn here, the lease, the members of the indexes, for how long after
/// its lease a sweep leaves the claim alone. The record comes last: should an index not take its
/// member, there is no claim.
const FIRST: &str = "local found = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
if found then return {found, time[1], time[2]} end
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
redis.call('ZADD', KEYS[2], 'GT', string.format('%.0f', micros), 'fence')
local fence = redis.call('ZINCRBY', KEYS[2], 1, 'fence')
if tonumber(fence) >= 9007199254740992 then return redis.error_reply('the fences are used up') end
local lease_until = now + ARGV[5]
if ARGV[8] == 'never' then
    redis.call('ZREM', KEYS[3], ARGV[7])
else
    redis.call('ZADD', KEYS[3], string.format('%.0f', lease_until + ARGV[8]), ARGV[7])
end
redis.call('ZADD', KEYS[4], 0, ARGV[6])
redis.call('ZADD', KEYS[5], 0, ARGV[6])
local number = function(value) return struct.pack('>l', value) end
redis.call('SET', KEYS[1], ARGV[1] .. number(now) .. ARGV[2] .. number(tonumber(fence)) .. ARGV[3]
    .. number(lease_until) .. ARGV[4])
return {fence, string.format('%.0f', now)}";

/// What stands in a record until the server has drawn its fence and read its clock.
const NOT_DRAWN: Fence = Fence::new(1).expect("it is not zero");
const NOT_YET: Timestamp = Timestamp::from_millis(0);
/// The script's numbers are doubles, which hold times as long as this beside today's.
const LEASE_MAX: i64 = 1 << 51;
