//! The commands that write a record together with everything that names it.

use aplomb_idempotency::operator::AuditEntry;
use aplomb_idempotency::record::LAPSED_KEPT;
use aplomb_idempotency::{Identity, Record, RecordId, Scope, State, Timestamp};
use redis::{Cmd, cmd};

use crate::codec;
use crate::keys::Keys;

/// Writes a record and puts it where it belongs in every index.
pub(crate) fn put(keys: &Keys, record: &Record) -> Vec<Cmd> {
    let mut set = cmd("SET");
    set.arg(keys.record(record.identity.id())).arg(codec::record_to_bytes(record));
    if let Some(at) = forgotten_at(&record.state) {
        set.arg("PXAT").arg(at.as_millis());
    }
    let mut commands = vec![set];
    commands.extend(index(keys, record));
    commands
}

/// Puts a record that is not written where it belongs in every index.
pub(crate) fn index(keys: &Keys, record: &Record) -> [Cmd; 3] {
    let identity = &record.identity;
    let (id, member) = (identity.id(), codec::due_member(identity));
    let due = match record.state.due() {
        Some(due) => add(keys.due(), due.as_millis(), &member),
        None => remove(keys.due(), &member),
    };
    let open = match record.state {
        State::Started(_) | State::Unknown { .. } => add(keys.open(), 0, id.as_bytes()),
        _ => remove(keys.open(), id.as_bytes()),
    };
    [due, open, add(keys.of(&identity.scope), 0, id.as_bytes())]
}

/// Removes a record and what names it.
pub(crate) fn forget(keys: &Keys, identity: &Identity) -> Vec<Cmd> {
    let mut delete = cmd("DEL");
    delete.arg(keys.record(identity.id()));
    let mut commands = vec![delete];
    commands.extend(unindex(keys, identity.id(), &identity.scope, &codec::due_member(identity)));
    commands
}

/// Removes what names a record that is gone.
pub(crate) fn unindex(keys: &Keys, id: RecordId, scope: &Scope, member: &[u8]) -> [Cmd; 3] {
    [
        remove(keys.due(), member),
        remove(keys.open(), id.as_bytes()),
        remove(keys.of(scope), id.as_bytes()),
    ]
}

/// Removes a record that is gone from an index by id.
pub(crate) fn unlist(index: &[u8], id: RecordId) -> [Cmd; 1] {
    [remove(index.to_vec(), id.as_bytes())]
}

/// Writes a line into the audit, and lets the oldest go.
pub(crate) fn note(keys: &Keys, entry: &AuditEntry) -> [Cmd; 2] {
    let (mut push, mut trim) = (cmd("LPUSH"), cmd("LTRIM"));
    push.arg(keys.audit()).arg(codec::audit_to_bytes(entry));
    trim.arg(keys.audit()).arg(0).arg(AUDIT_MAX - 1);
    [push, trim]
}

fn add(index: Vec<u8>, score: i64, member: &[u8]) -> Cmd {
    let mut add = cmd("ZADD");
    add.arg(index).arg(score).arg(member);
    add
}

fn remove(index: Vec<u8>, member: &[u8]) -> Cmd {
    let mut remove = cmd("ZREM");
    remove.arg(index).arg(member);
    remove
}

/// When Redis forgets a record by itself, should no sweep have come. Never a claim or an unknown
/// outcome; and not at once, so that a sweep comes first and the indexes stay true.
fn forgotten_at(state: &State) -> Option<Timestamp> {
    let at = state.expires()?.plus(LAPSED_KEPT);
    (at.as_millis() < END_OF_TIME).then_some(at)
}

/// How many lines of the audit are kept.
pub const AUDIT_MAX: usize = 10_000;
/// The year 10000: what is kept for longer than that, Redis is not told to forget.
const END_OF_TIME: i64 = 253_402_300_800_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aplomb_idempotency::{Fence, machine};
    use aplomb_testkit::store::{answer, begin};

    use super::*;

    #[test]
    fn redis_is_never_told_to_forget_a_claim_or_a_doubt() {
        let keys = Keys::with_prefix("test");
        let set = |state: State| {
            let begin = begin("k");
            let record = Record::new(begin.identity, begin.fingerprint, at(0), state);
            let set = put(&keys, &record).swap_remove(0);
            String::from_utf8_lossy(&set.get_packed_command()).into_owned()
        };
        let fence = Fence::new(1).unwrap();
        let turn = machine::Turn { attempt: 1, after_lapse: false };
        let started = machine::started(&begin("k"), fence, turn, at(0));
        assert!(!set(State::Started(started)).contains("PXAT"));
        assert!(!set(State::Unknown { fence, attempt: 1, since: at(0) }).contains("PXAT"));
        let for_ever = at(0).plus(Duration::MAX);
        assert!(!set(State::Tombstone { fence, expires: for_ever }).contains("PXAT"));
        let answer = answer("done");
        let done = State::Completed { fence, answer, expires: at(1), retired_until: at(5) };
        assert!(set(done).contains("PXAT\r\n$7\r\n3600005\r\n"));
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }
}
