//! Letters as JSON, for a log of lines and for the pages of operators.

use aplomb_core::BoxError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::operator::{Action, AuditEntry, Note};
use crate::{Cause, KeptRequest, LastFailure, Letter, LetterId, Record, State, Timestamp};

/// A record as JSON has it.
#[derive(Serialize, Deserialize)]
struct Wire {
    id: LetterId,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state_time: Option<Timestamp>,
    key: String,
    cause: String,
    redrives: u32,
    fence: u64,
    attempts: u32,
    rounds: u32,
    last_failure: Failed,
    first_failed_at: Timestamp,
    last_failed_at: Timestamp,
    stored_at: Timestamp,
    not_before: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    horizon: Option<Timestamp>,
    request: Request,
}

#[derive(Serialize, Deserialize)]
struct Failed {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    detail: String,
}

#[derive(Serialize, Deserialize)]
struct Request {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    #[serde(flatten)]
    body: Body,
}

/// A body that is text is written as such, so that people can read it.
#[derive(Serialize, Deserialize)]
enum Body {
    #[serde(rename = "body")]
    Text(String),
    #[serde(rename = "body_hex")]
    Hex(String),
}

impl Serialize for Record {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.read().map_err(serde::de::Error::custom)
    }
}

impl From<&Record> for Wire {
    fn from(record: &Record) -> Self {
        let Record { letter, state, redrives, fence, stored_at } = record;
        let failure = &letter.last_failure;
        Self {
            id: letter.id,
            state: state.as_str().to_owned(),
            state_time: state.ended_at().or(state.until()),
            key: letter.key.to_string(),
            cause: letter.cause.as_str().to_owned(),
            redrives: *redrives,
            fence: *fence,
            attempts: letter.attempts,
            rounds: letter.rounds,
            last_failure: Failed {
                kind: failure.word().to_owned(),
                status: failure.status.map(|status| status.as_u16()),
                reason: failure.reason.map(|reason| reason.as_str().to_owned()),
                detail: failure.detail.to_string(),
            },
            first_failed_at: letter.first_failed_at,
            last_failed_at: letter.last_failed_at,
            stored_at: *stored_at,
            not_before: letter.not_before,
            horizon: letter.horizon,
            request: Request {
                method: letter.request.method.to_string(),
                uri: letter.request.uri.to_string(),
                headers: letter.request.header_pairs(),
                body: Body::of(&letter.request.body),
            },
        }
    }
}

impl Wire {
    fn read(self) -> Result<Record, BoxError> {
        let Request { method, uri, headers, body } = self.request;
        let Failed { kind, status, reason, detail } = self.last_failure;
        let letter = Letter {
            id: self.id,
            request: KeptRequest::from_pairs(&method, &uri, &headers, body.read()?)?,
            key: self.key.into(),
            cause: Cause::from_word(&self.cause).ok_or("no such cause")?,
            attempts: self.attempts,
            rounds: self.rounds,
            last_failure: LastFailure::from_words(&kind, status, reason.as_deref(), &detail)
                .ok_or("no such failure")?,
            first_failed_at: self.first_failed_at,
            last_failed_at: self.last_failed_at,
            not_before: self.not_before,
            horizon: self.horizon,
        };
        let state = State::from_word(&self.state, self.state_time).ok_or("no such state")?;
        let (redrives, fence, stored_at) = (self.redrives, self.fence, self.stored_at);
        Ok(Record { letter, state, redrives, fence, stored_at })
    }
}

impl Body {
    fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex(bytes)),
        }
    }

    fn read(self) -> Result<Bytes, BoxError> {
        let hex = match self {
            Self::Text(text) => return Ok(text.into()),
            Self::Hex(hex) => hex,
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("a body of no hex digits");
        let bytes = hex.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Ok((digit(*high)? << 4 | digit(*low)?).to_le_bytes()[0]),
            _ => Err("half a byte"),
        });
        Ok(bytes.collect::<Result<Vec<u8>, _>>()?.into())
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// A line of the audit as JSON has it.
#[derive(Serialize, Deserialize)]
struct AuditWire {
    at: Timestamp,
    id: LetterId,
    action: String,
    fence: u64,
    #[serde(flatten)]
    note: Note,
    outcome: String,
}

impl Serialize for AuditEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { at, note, action, id, fence, outcome } = self.clone();
        let (action, outcome) = (action.as_str().to_owned(), outcome.into());
        AuditWire { at, id, action, fence, note, outcome }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuditEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = AuditWire::deserialize(deserializer)?;
        let action = Action::from_word(&wire.action);
        let action = action.ok_or_else(|| serde::de::Error::custom("no such action"))?;
        let AuditWire { at, id, fence, note, outcome, .. } = wire;
        Ok(Self { at, note, action, id, fence, outcome: outcome.into() })
    }
}
