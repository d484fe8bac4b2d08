//! The clauses, one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, header};

use super::BlackBox;
use super::wire::{Seen, Sent};

/// What each clause found.
pub(super) async fn judge(server: &BlackBox) -> Vec<String> {
    let before = count(server).await;
    let mut judge = Judge { server, findings: Vec::new(), units: 0, keys: 0 };
    judge.bad_keys().await;
    judge.replays().await;
    judge.a_crowd().await;
    judge.hang_up().await;
    judge.broken_upload().await;
    judge.bodies().await;
    if let (Some(before), Some(after)) = (before, count(server).await)
        && after.saturating_sub(before) != judge.keys
    {
        let (effects, keys) = (after.saturating_sub(before), judge.keys);
        judge.findings.push(format!("{keys} keys succeeded and there are {effects} effects"));
    }
    judge.findings
}

async fn count(server: &BlackBox) -> Option<u64> {
    match &server.effects {
        Some(count) => Some(count().await),
        None => None,
    }
}

struct Judge<'a> {
    server: &'a BlackBox,
    findings: Vec<String>,
    units: u64,
    /// Keys that were answered with success.
    keys: u64,
}

impl Judge<'_> {
    /// Requests without one readable key are refused.
    async fn bad_keys(&mut self) {
        let unit = self.unit();
        let body = (self.server.body)(unit);
        let with = |keys: Vec<HeaderValue>| Sent { keys, body: body.clone(), measured: true };
        let plain = HeaderValue::from_static("\"once\"");
        let twice = with(vec![plain.clone(), plain]);
        self.refused("no key", with(Vec::new()), 400).await;
        self.refused("the header twice", twice, 400).await;
        for (name, bytes) in MALFORMED {
            let key = HeaderValue::from_bytes(bytes).expect("HTTP lets these through");
            self.refused(name, with(vec![key]), 400).await;
        }
        let long = format!("\"{}\"", "k".repeat(256));
        let long = HeaderValue::from_str(&long).expect("it is printable");
        self.refused("a key of 256 characters", with(vec![long]), 400).await;
    }

    /// A request again, its key bare, and with another payload.
    async fn replays(&mut self) {
        let (unit, other) = (self.unit(), self.unit());
        let key = self.server.key("replay");
        let Some(first) = self.success("a first request", &key, unit, false).await else {
            return;
        };
        let again = self.success("the same again", &key, unit, true).await;
        self.same("the same again", &first, again.as_ref());
        let bare = HeaderValue::from_str(&key).expect("keys are plain");
        let bare = Sent { keys: vec![bare], ..self.server.keyed(&key, unit) };
        let bare = self.answered("the key bare", bare).await;
        self.same("the key bare", &first, bare.as_ref());
        let reused = self.server.keyed(&key, other);
        self.refused("the key with another payload", reused, 422).await;
        let after = self.success("the same after that", &key, unit, true).await;
        self.same("the same after that", &first, after.as_ref());
    }

    /// Fifty at once with one key.
    async fn a_crowd(&mut self) {
        let (unit, key) = (self.unit(), self.server.key("crowd"));
        let calls = (0..CROWD).map(|_| self.server.send(self.server.keyed(&key, unit)));
        let answers = join_all(calls).await;
        let mut bodies = BTreeSet::new();
        let mut firsts = 0;
        for answer in answers {
            match answer {
                Ok(seen) if seen.status.is_success() => {
                    firsts += u64::from(!seen.is_replay());
                    bodies.insert(seen.body);
                }
                Ok(seen) if seen.status == 409 => self.is_in_flight(&seen),
                Ok(seen) => self.found(format!("one of {CROWD} at once: {}", seen.status)),
                Err(error) => self.found(format!("one of {CROWD} at once: {error}")),
            }
        }
        if firsts > 1 || bodies.len() > 1 {
            let bodies = bodies.len();
            self.found(format!("{CROWD} at once: {firsts} first answers, {bodies} bodies"));
        }
        let last = self.until_success("the key of the crowd", &key, unit).await;
        if let Some(last) = last {
            self.keys += 1;
            if bodies.first().is_some_and(|body| *body != last.body) {
                self.found("the crowd was told otherwise than who came after it".to_owned());
            }
        }
    }

    /// A caller that hung up, and comes back.
    async fn hang_up(&mut self) {
        let (unit, key) = (self.unit(), self.server.key("hang-up"));
        if let Err(error) = self.server.hang_up(&self.server.keyed(&key, unit)).await {
            return self.found(format!("hanging up: {error}"));
        }
        let first = self.until_success("a retry after hanging up", &key, unit).await;
        let again = self.success("the retry again", &key, unit, true).await;
        if let Some(first) = first {
            self.keys += 1;
            self.same("the retry again", &first, again.as_ref());
        }
    }

    /// An upload that broke off begins nothing.
    async fn broken_upload(&mut self) {
        let (unit, key) = (self.unit(), self.server.key("broken-off"));
        if let Err(error) = self.server.break_off(&self.server.keyed(&key, unit)).await {
            return self.found(format!("breaking off: {error}"));
        }
        self.success("a request whose upload broke off before", &key, unit, false).await;
    }

    /// Bodies that are too long.
    async fn bodies(&mut self) {
        let long = Bytes::from(vec![b' '; self.server.body_cap + 1]);
        for (name, measured) in [("a long body", true), ("a long body of unknown length", false)] {
            let key = self.server.key(name).replace(' ', "-");
            let sent = Sent { body: long.clone(), measured, ..self.server.keyed(&key, 0) };
            self.refused(name, sent, 413).await;
            let unit = self.unit();
            self.success("the key of a body that was too long", &key, unit, false).await;
        }
    }

    /// Asks until it is not told any more that the work is under way.
    async fn until_success(&mut self, what: &str, key: &str, unit: u64) -> Option<Seen> {
        for _ in 0..POLLS {
            let seen = self.answered(what, self.server.keyed(key, unit)).await?;
            if seen.status.is_success() {
                return Some(seen);
            }
            if seen.status != 409 {
                self.found(format!("{what}: {}", seen.status));
                return None;
            }
            self.is_in_flight(&seen);
            tokio::time::sleep(PAUSE).await;
        }
        self.found(format!("{what}: in flight for ever"));
        None
    }

    async fn success(&mut self, what: &str, key: &str, unit: u64, replay: bool) -> Option<Seen> {
        let seen = self.answered(what, self.server.keyed(key, unit)).await?;
        if !seen.status.is_success() {
            self.found(format!("{what}: {} instead of success", seen.status));
            return None;
        }
        self.keys += u64::from(!replay);
        if seen.is_replay() != replay {
            let marked = if replay { "not marked" } else { "marked" };
            self.found(format!("{what}: {marked} as a replay"));
        }
        Some(seen)
    }

    async fn refused(&mut self, what: &str, sent: Sent, status: u16) {
        let Some(seen) = self.answered(what, sent).await else {
            return;
        };
        if seen.status != status {
            self.found(format!("{what}: {} instead of {status}", seen.status));
        } else if !seen.is_problem() {
            self.found(format!("{what}: a {status} that is no application/problem+json"));
        }
    }

    async fn answered(&mut self, what: &str, sent: Sent) -> Option<Seen> {
        match self.server.send(sent).await {
            Ok(seen) => Some(seen),
            Err(error) => {
                self.found(format!("{what}: {error}"));
                None
            }
        }
    }

    fn is_in_flight(&mut self, seen: &Seen) {
        if !seen.is_problem() || !seen.headers.contains_key(header::RETRY_AFTER) {
            self.found("a 409 in flight is a problem with Retry-After".to_owned());
        }
    }

    fn same(&mut self, what: &str, first: &Seen, again: Option<&Seen>) {
        let Some(again) = again else {
            return;
        };
        if (first.status, &first.body) != (again.status, &again.body) {
            self.found(format!("{what}: not the answer of the first time"));
        }
    }

    fn found(&mut self, what: String) {
        self.findings.push(what);
    }

    fn unit(&mut self) -> u64 {
        self.units += 1;
        self.units
    }
}

const CROWD: usize = 50;
/// Five seconds in all.
const POLLS: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// What no reading of RFC 9651 makes one string of.
const MALFORMED: [(&str, &[u8]); 11] = [
    ("an empty header", b""),
    ("an empty key", b"\"\""),
    ("a key without its end", b"\"open"),
    ("two keys in a list", b"\"a\", \"b\""),
    ("an inner list", b"(a b)"),
    ("a number", b"42"),
    ("a boolean", b"?1"),
    ("a byte sequence", b":YQ==:"),
    ("a date", b"@1659578233"),
    ("a tab in a key", b"\"a\tb\""),
    ("letters beyond ASCII", "\"ключ\"".as_bytes()),
];
