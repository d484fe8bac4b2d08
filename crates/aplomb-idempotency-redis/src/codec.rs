//! Records and lines of the audit as bytes.
//!
//! The first byte is the version of the layout. Numbers are big-endian; what has no fixed length
//! stands behind its length.

use std::str;

use aplomb_idempotency::operator::{Action, AuditEntry, Note};
use aplomb_idempotency::{
    Fence, Fingerprint, Identity, Key, Lapsed, Record, RecordId, Scope, Started, State,
    StoredAnswer, Ticket, Timestamp,
};
use bytes::{Buf, BufMut, Bytes};
use http::Method;

pub(crate) fn record_to_bytes(record: &Record) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.put_slice(&record.fingerprint.to_bytes());
    bytes.put_i64(record.created.as_millis());
    put_scope(&mut bytes, &record.identity.scope);
    put(&mut bytes, record.identity.method.as_str());
    put(&mut bytes, &*record.identity.route);
    put(&mut bytes, record.identity.key.as_str());
    bytes.put_u8(match record.state {
        State::Started(_) => STARTED,
        State::Completed { .. } => COMPLETED,
        State::Unknown { .. } => UNKNOWN,
        State::Released { .. } => RELEASED,
        State::Tombstone { .. } => TOMBSTONE,
    });
    bytes.put_u64(record.state.fence().get());
    put_state(&mut bytes, &record.state);
    bytes
}

/// The bytes of a record of this claim around three numbers of eight bytes: when it was created, its
/// fence, when its lease ends.
pub(crate) fn around_numbers<'a>(record: &'a [u8], started: &Started) -> [&'a [u8]; 4] {
    let mut state = Vec::new();
    put_state(&mut state, &State::Started(*started));
    let (created, lease) = (1 + FINGERPRINT, record.len() - state.len() + ATTEMPT);
    let fence = record.len() - state.len() - NUMBER;
    [
        &record[..created],
        &record[created + NUMBER..fence],
        &record[fence + NUMBER..lease],
        &record[lease + NUMBER..],
    ]
}

/// The record of these bytes; `None` for those of another version.
pub(crate) fn record_from_bytes(mut bytes: Bytes) -> Option<Record> {
    let bytes = &mut bytes;
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let fingerprint = Fingerprint::from_bytes(&split(bytes, FINGERPRINT)?)?;
    let created = timestamp(bytes)?;
    let scope = scope(bytes)?;
    let method = Method::from_bytes(&part(bytes)?).ok()?;
    let route = text(bytes)?;
    let key = Key::try_from(text(bytes)?.as_str()).ok()?;
    let tag = bytes.try_get_u8().ok()?;
    let fence = Fence::new(bytes.try_get_u64().ok()?)?;
    let state = state(bytes, tag, fence)?;
    let identity = Identity::new(scope, method, route, key);
    bytes.is_empty().then(|| Record::new(identity, fingerprint, created, state))
}

pub(crate) fn audit_to_bytes(entry: &AuditEntry) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.put_i64(entry.at.as_millis());
    put(&mut bytes, entry.action.as_str());
    bytes.put_slice(entry.id.as_bytes());
    bytes.put_u64(entry.fence.get());
    put(&mut bytes, &*entry.note.by);
    put(&mut bytes, &*entry.note.why);
    bytes
}

pub(crate) fn audit_from_bytes(bytes: Vec<u8>) -> Option<AuditEntry> {
    let bytes = &mut Bytes::from(bytes);
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let at = timestamp(bytes)?;
    let action = Action::from_word(&text(bytes)?)?;
    let id = RecordId::from_bytes(split(bytes, 32)?.as_ref().try_into().ok()?);
    let fence = Fence::new(bytes.try_get_u64().ok()?)?;
    let note = Note::new(&text(bytes)?, &text(bytes)?);
    bytes.is_empty().then_some(AuditEntry { at, note, action, id, fence })
}

/// A record's name in the index of what is due: its id, then its scope, so that whoever finds the
/// record gone knows every index that still names it.
pub(crate) fn due_member(identity: &Identity) -> Vec<u8> {
    let mut member = identity.id().as_bytes().to_vec();
    put_scope(&mut member, &identity.scope);
    member
}

pub(crate) fn due_from_member(member: &[u8]) -> Option<(RecordId, Scope)> {
    let id = id_from_member(member.get(..32)?)?;
    let rest = &mut Bytes::copy_from_slice(&member[32..]);
    let scope = scope(rest)?;
    rest.is_empty().then_some((id, scope))
}

/// A record's name in the other indexes, whose order is the order of ids.
pub(crate) fn id_from_member(member: &[u8]) -> Option<RecordId> {
    Some(RecordId::from_bytes(member.try_into().ok()?))
}

fn put_state(bytes: &mut Vec<u8>, state: &State) {
    match state {
        State::Started(started) => {
            bytes.put_u32(started.attempt);
            bytes.put_i64(started.lease_until.as_millis());
            bytes.put_slice(started.ticket.as_bytes());
            put(bytes, started.lapsed.as_str());
            bytes.put_u8(started.after_lapse.into());
        }
        State::Completed { answer, expires, retired_until, .. } => {
            bytes.put_i64(expires.as_millis());
            bytes.put_i64(retired_until.as_millis());
            bytes.put_u16(answer.status().as_u16());
            put(bytes, answer.headers_to_bytes());
            // The rest is the body; without this mark there is none, not an empty one.
            if let Some(body) = answer.body() {
                bytes.put_u8(BODY);
                bytes.put_slice(body);
            }
        }
        State::Unknown { attempt, since: at, .. }
        | State::Released { attempt, expires: at, .. } => {
            bytes.put_u32(*attempt);
            bytes.put_i64(at.as_millis());
        }
        State::Tombstone { expires, .. } => bytes.put_i64(expires.as_millis()),
    }
}

fn state(bytes: &mut Bytes, tag: u8, fence: Fence) -> Option<State> {
    Some(match tag {
        STARTED => State::Started(started(bytes, fence)?),
        COMPLETED => {
            let (expires, retired_until) = (timestamp(bytes)?, timestamp(bytes)?);
            let answer = answer(bytes)?;
            State::Completed { fence, answer, expires, retired_until }
        }
        UNKNOWN => {
            let attempt = bytes.try_get_u32().ok()?;
            State::Unknown { fence, attempt, since: timestamp(bytes)? }
        }
        RELEASED => {
            let attempt = bytes.try_get_u32().ok()?;
            State::Released { fence, attempt, expires: timestamp(bytes)? }
        }
        TOMBSTONE => State::Tombstone { fence, expires: timestamp(bytes)? },
        _ => return None,
    })
}

fn started(bytes: &mut Bytes, fence: Fence) -> Option<Started> {
    Some(Started {
        fence,
        attempt: bytes.try_get_u32().ok()?,
        lease_until: timestamp(bytes)?,
        ticket: Ticket::from_bytes(split(bytes, 16)?.as_ref().try_into().ok()?),
        lapsed: Lapsed::from_word(&text(bytes)?)?,
        after_lapse: flag(bytes)?,
    })
}

fn answer(bytes: &mut Bytes) -> Option<StoredAnswer> {
    let status = bytes.try_get_u16().ok()?;
    let headers = part(bytes)?;
    let body = match bytes.try_get_u8() {
        Ok(BODY) => Some(bytes.split_to(bytes.len())),
        Ok(_) => return None,
        Err(_) => None,
    };
    StoredAnswer::from_columns(status, &headers, body).ok()
}

fn put_scope(bytes: &mut Vec<u8>, scope: &Scope) {
    put(bytes, scope.kind());
    put(bytes, scope.name());
}

fn scope(bytes: &mut Bytes) -> Option<Scope> {
    Scope::from_parts(&text(bytes)?, &text(bytes)?)
}

fn put(bytes: &mut Vec<u8>, part: impl AsRef<[u8]>) {
    let part = part.as_ref();
    // A value of Redis has 512 MiB at most.
    bytes.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
    bytes.put_slice(part);
}

fn part(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.try_get_u32().ok()?;
    split(bytes, usize::try_from(length).ok()?)
}

fn text(bytes: &mut Bytes) -> Option<String> {
    Some(str::from_utf8(&part(bytes)?).ok()?.to_owned())
}

fn split(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn timestamp(bytes: &mut Bytes) -> Option<Timestamp> {
    bytes.try_get_i64().ok().map(Timestamp::from_millis)
}

fn flag(bytes: &mut Bytes) -> Option<bool> {
    match bytes.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Raised with every change of the layout. A store reads its own version alone, so that two
/// versions that run side by side during an upgrade refuse rather than guess.
pub(crate) const VERSION: u8 = 1;
const STARTED: u8 = 1;
const COMPLETED: u8 = 2;
const UNKNOWN: u8 = 3;
const RELEASED: u8 = 4;
const TOMBSTONE: u8 = 5;
const BODY: u8 = 1;
/// How many bytes they have.
const FINGERPRINT: usize = 33;
const ATTEMPT: usize = 4;
const NUMBER: usize = 8;

#[cfg(test)]
mod tests {
    use aplomb_core::Principal;
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn every_state_is_read_back() {
        for record in records() {
            let bytes = record_to_bytes(&record);
            assert_eq!(record_from_bytes(bytes.into()), Some(record));
        }
    }

    #[test]
    fn what_is_cut_short_is_never_taken_for_a_record() {
        for record in records() {
            let bytes = record_to_bytes(&record);
            let body = match &record.state {
                State::Completed { answer, .. } => answer.body().map_or(0, |body| body.len() + 1),
                _ => 0,
            };
            // A body has no length of its own: Redis keeps a value whole.
            for length in 0..bytes.len() - body {
                assert_eq!(
                    record_from_bytes(Bytes::copy_from_slice(&bytes[..length])),
                    None,
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn a_record_of_another_version_is_not_guessed_at() {
        let mut bytes = record_to_bytes(&records()[0]);
        bytes[0] = VERSION + 1;
        assert_eq!(record_from_bytes(bytes.into()), None);
    }

    #[test]
    fn the_layout_never_changes_under_one_version() {
        // Written down so that a release cannot orphan the records of the one before it.
        let State::Tombstone { .. } = records()[5].state else {
            panic!("the sixth is a tombstone")
        };
        let bytes = record_to_bytes(&records()[5]);
        let tail = [&[TOMBSTONE][..], &7_u64.to_be_bytes(), &9_i64.to_be_bytes()].concat();
        let head = [&[1][..], &records()[5].fingerprint.to_bytes(), &5_i64.to_be_bytes()].concat();
        let middle = b"\0\0\0\x09principal\0\0\0\x04shop\0\0\0\x04POST\0\0\0\x07/orders\0\0\0\x01k";
        assert_eq!(bytes, [&head[..], &middle[..], &tail[..]].concat());
    }

    #[test]
    fn a_claim_is_made_whole_by_the_numbers_that_were_left_out() {
        let record = &records()[0];
        let State::Started(started) = record.state else { panic!("the first is a claim") };
        let bytes = record_to_bytes(record);
        let [head, middle, attempt, tail] = around_numbers(&bytes, &started);
        let numbers = [
            record.created.as_millis(),
            i64::try_from(started.fence.get()).unwrap(),
            started.lease_until.as_millis(),
        ];
        let [created, fence, lease] = numbers.map(i64::to_be_bytes);
        assert_eq!([head, &created, middle, &fence, attempt, &lease, tail].concat(), bytes);
    }

    #[test]
    fn a_line_of_the_audit_is_read_back() {
        let entry = AuditEntry {
            at: Timestamp::from_millis(4),
            note: Note::new("ada", "found order 7"),
            action: Action::ResolvedNotApplied,
            id: records()[0].identity.id(),
            fence: fence(),
        };
        let bytes = audit_to_bytes(&entry);
        for length in 0..bytes.len() {
            assert_eq!(audit_from_bytes(bytes[..length].to_vec()), None, "{length}");
        }
        assert_eq!(audit_from_bytes(bytes), Some(entry));
    }

    #[test]
    fn a_member_of_the_due_index_names_the_record_with_its_scope() {
        let identity = &records()[0].identity;
        let member = due_member(identity);
        let read = due_from_member(&member);
        assert_eq!(read, Some((identity.id(), identity.scope.clone())));
        for length in 0..member.len() {
            assert_eq!(due_from_member(&member[..length]), None, "{length}");
        }
    }

    fn records() -> Vec<Record> {
        let (fence, at) = (fence(), Timestamp::from_millis);
        let mut headers = HeaderMap::new();
        headers.append("x-a", "1".parse().unwrap());
        headers.append("x-a", "2".parse().unwrap());
        let answer = |body| StoredAnswer::new(StatusCode::CREATED, &headers, body, 100);
        let completed = |body| State::Completed {
            fence,
            answer: answer(body),
            expires: at(8),
            retired_until: at(i64::MAX),
        };
        let started = Started {
            fence,
            attempt: 3,
            lease_until: at(-1),
            ticket: Ticket::from_bytes([9; 16]),
            lapsed: Lapsed::AtLeastOnce,
            after_lapse: true,
        };
        let states = [
            State::Started(started),
            completed(None),
            completed(Some(Bytes::new())),
            completed(Some(Bytes::from_static(b"\0\xff body"))),
            State::Unknown { fence, attempt: 2, since: at(3) },
            State::Tombstone { fence, expires: at(9) },
            State::Released { fence, attempt: 1, expires: at(2) },
        ];
        states.map(|state| Record::new(identity(), fingerprint(), at(5), state)).into()
    }

    fn identity() -> Identity {
        let scope = Scope::Principal(Principal::new("shop"));
        Identity::new(scope, Method::POST, "/orders", Key::try_from("k").unwrap())
    }

    fn fingerprint() -> Fingerprint {
        Fingerprint::from_bytes(&[7; 33]).unwrap()
    }

    fn fence() -> Fence {
        Fence::new(7).unwrap()
    }
}
