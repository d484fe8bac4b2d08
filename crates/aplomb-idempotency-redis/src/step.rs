//! One step on one record: `WATCH`, look, decide, `MULTI` … `EXEC`.

use aplomb_idempotency::operator::AuditEntry;
use aplomb_idempotency::{Fence, Record, RecordId, State, StoreError, Timestamp};
use bytes::Bytes;
use redis::{Arg, Cmd, RedisError, Value, cmd};

use crate::error::{Unreadable, is_oom};
use crate::keys::Keys;
use crate::pool::{Link, Pool, Reply, commands, next};
use crate::{codec, plan};

/// A record that is watched: what is decided of it comes true only if nobody else changed it in
/// the meantime.
pub(crate) struct Seen<'a> {
    link: Link<'a>,
    keys: &'a Keys,
    key: Vec<u8>,
    raw: Option<Bytes>,
    micros: i64,
    /// The server's clock, read after the record was watched.
    pub(crate) now: Timestamp,
    /// The record, if there is one.
    pub(crate) record: Option<Record>,
}

/// Whether a step came true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// Somebody else changed the record first: look again.
    No,
}

/// What to do about a server whose memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Refuse,
    /// Go over its bound by a little: a claim that is there already must come to its end.
    Exceed,
}

impl<'a> Seen<'a> {
    /// Watches a record and reads it.
    pub(crate) async fn watch(
        pool: &'a Pool,
        keys: &'a Keys,
        id: RecordId,
    ) -> Result<Self, StoreError> {
        let key = keys.record(id);
        let mut look = commands();
        look.cmd("WATCH").arg(&key).cmd("TIME").cmd("GET").arg(&key);
        let (link, replies) = pool.begin(&look).await?;
        let mut replies = replies.into_iter();
        next::<()>(&mut replies)?;
        let (seconds, micros): (i64, i64) = next(&mut replies)?;
        let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
        let raw = next::<Option<Vec<u8>>>(&mut replies)?.map(Bytes::from);
        let record = raw.clone().map(|raw| readable(&key, raw, id)).transpose()?;
        let now = Timestamp::from_millis(micros / 1_000);
        Ok(Self { link, keys, key, raw, micros, now, record })
    }

    pub(crate) fn state(&self) -> Option<&State> {
        self.record.as_ref().map(|record| &record.state)
    }

    /// The record in another state; `None` when there is no record.
    pub(crate) fn moved_to(&self, state: State) -> Option<Record> {
        self.record.as_ref().map(|record| moved(record, state))
    }

    /// Draws a fence, greater than every one before it.
    ///
    /// The number is the server's clock in microseconds, or one more than the last where that is
    /// greater: a bare counter that a crash or a failover has set back would give the numbers of
    /// the claims that were lost with it to others, and their zombies could complete those.
    pub(crate) async fn draw_fence(&mut self) -> Result<Fence, StoreError> {
        let before = self.state().map_or(0, |state| state.fence().get());
        let least = u64::try_from(self.micros).unwrap_or(0).max(before);
        let fences = self.keys.fence();
        let mut draw = commands();
        draw.cmd("ZADD").arg(&fences).arg("GT").arg(least).arg("fence");
        draw.cmd("ZINCRBY").arg(&fences).arg(1).arg("fence");
        let replies = self.link.ask(&draw).await.map_err(StoreError::unavailable)?;
        let mut replies = replies.into_iter();
        next::<i64>(&mut replies)?;
        let fence: u64 = next(&mut replies)?;
        let fence = Fence::new(fence).filter(|fence| fence.get() < FENCE_MAX);
        fence.ok_or_else(|| StoreError::corrupt("the fences are used up"))
    }

    /// Ends the step without a change.
    pub(crate) async fn leave(mut self) {
        let mut unwatch = commands();
        unwatch.cmd("UNWATCH");
        let replies = self.link.ask(&unwatch).await;
        if replies.is_ok_and(|replies| replies.iter().all(Result::is_ok)) {
            self.link.give_back();
        }
    }

    /// Ends the step by writing the record, and a line of the audit with it.
    pub(crate) async fn write(
        mut self,
        mut record: Record,
        note: Option<&AuditEntry>,
        when_full: WhenFull,
    ) -> Result<Written, StoreError> {
        let keys = self.keys;
        let writes_of = |record: &Record| {
            let mut writes = plan::put(keys, record);
            writes.extend(note.into_iter().flat_map(|entry| plan::note(keys, entry)));
            writes
        };
        match self.execute(&writes_of(&record)).await? {
            Executed::Written(written) => Ok(self.end(written)),
            Executed::Full if when_full == WhenFull::Exceed => {
                if let State::Completed { answer, .. } = &mut record.state {
                    answer.drop_body();
                }
                self.exceed(&writes_of(&record)).await
            }
            Executed::Full => Err(StoreError::full()),
        }
    }

    /// Ends the step with commands that free memory or mend an index. A full server refuses these
    /// too when they come in a transaction.
    pub(crate) async fn commit(mut self, writes: &[Cmd]) -> Result<Written, StoreError> {
        match self.execute(writes).await? {
            Executed::Written(written) => Ok(self.end(written)),
            Executed::Full => self.exceed(writes).await,
        }
    }

    /// `EXEC` was answered, so nothing is watched any more.
    fn end(self, written: Written) -> Written {
        self.link.give_back();
        written
    }

    async fn execute(&mut self, writes: &[Cmd]) -> Result<Executed, StoreError> {
        let mut transaction = commands();
        transaction.cmd("MULTI");
        for write in writes {
            transaction.add_command(write.clone());
        }
        transaction.cmd("EXEC");
        // Sent it was, and perhaps carried out.
        let mut replies = self.link.ask(&transaction).await.map_err(StoreError::uncertain)?;
        match replies.pop().unwrap_or(Ok(Value::Nil)) {
            Ok(Value::Nil) => Ok(Executed::Written(Written::No)),
            Ok(Value::Array(done)) => {
                all_done(&self.key, done)?;
                Ok(Executed::Written(Written::Yes))
            }
            Ok(_) => Err(StoreError::uncertain("EXEC was not answered with a list")),
            Err(error) if is_oom(&error) || replies.iter().any(is_full) => Ok(Executed::Full),
            Err(error) => Err(StoreError::unavailable(first_error(replies).unwrap_or(error))),
        }
    }

    /// Writes what a full server refuses, by the only means it leaves: a script that may. It
    /// compares the whole record instead of watching it, which is as good here: records that hold
    /// the same bytes are the same claim in the same state, and where there is none, no claim is
    /// written.
    async fn exceed(mut self, writes: &[Cmd]) -> Result<Written, StoreError> {
        let mut exceed = commands();
        exceed.add_command(script(&self.key, self.raw.as_deref().unwrap_or_default(), writes));
        let replies = self.link.ask(&exceed).await.map_err(StoreError::uncertain)?;
        match replies.into_iter().next() {
            Some(Ok(Value::Int(1))) => Ok(self.end(Written::Yes)),
            Some(Ok(Value::Int(_))) => Ok(self.end(Written::No)),
            // Scripts may be forbidden, or be run by a server that knows no such permission.
            _ => Err(StoreError::full()),
        }
    }
}

enum Executed {
    Written(Written),
    Full,
}

fn readable(key: &[u8], raw: Bytes, id: RecordId) -> Result<Record, StoreError> {
    let record = codec::record_from_bytes(raw);
    record.filter(|record| record.identity.id() == id).ok_or_else(|| Unreadable::at(key))
}

/// A record as [`Seen`] reads it, without watching it.
pub(crate) fn read(keys: &Keys, id: RecordId, raw: Vec<u8>) -> Result<Record, StoreError> {
    readable(&keys.record(id), raw.into(), id)
}

/// A record in another state.
pub(crate) fn moved(record: &Record, state: State) -> Record {
    Record::new(record.identity.clone(), record.fingerprint, record.created, state)
}

/// A command that fails inside of a transaction does not undo the others: something that is not
/// the store's lies under one of its keys.
fn all_done(key: &[u8], done: Vec<Value>) -> Result<(), StoreError> {
    for value in done {
        if let Value::ServerError(error) = value {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(StoreError::corrupt(format!("{key} was written in part: {error}")));
        }
    }
    Ok(())
}

fn is_full(reply: &Reply) -> bool {
    reply.as_ref().is_err_and(is_oom)
}

fn first_error(replies: Vec<Reply>) -> Option<RedisError> {
    replies.into_iter().find_map(Result::err)
}

fn script(key: &[u8], raw: &[u8], writes: &[Cmd]) -> Cmd {
    let writes: Vec<Vec<&[u8]>> = writes.iter().map(words).collect();
    let mut eval = cmd("EVAL");
    // A cluster wants to know all keys beforehand; that of a command is its first argument.
    eval.arg(EXCEED).arg(1 + writes.len()).arg(key);
    for write in &writes {
        eval.arg(write.get(1).copied().unwrap_or_default());
    }
    eval.arg(raw);
    for write in &writes {
        eval.arg(write.len()).arg(&write[..]);
    }
    eval
}

fn words(command: &Cmd) -> Vec<&[u8]> {
    let words = command.args_iter().filter_map(|arg| match arg {
        Arg::Simple(word) => Some(word),
        _ => None,
    });
    words.collect()
}

/// `ARGV` is the record as it was seen, nothing for none, then each command as the number of its words and those.
const EXCEED: &str = "#!lua flags=allow-oom
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local at = 2
while at <= #ARGV do
    local words = tonumber(ARGV[at])
    redis.call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
end
return 1";

/// Scores are doubles, which count to here without a gap: the year 2255 in microseconds.
const FENCE_MAX: u64 = 1 << 53;
