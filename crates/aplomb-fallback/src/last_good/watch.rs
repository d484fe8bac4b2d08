use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Outcome;
use aplomb_core::time::Instant;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Uri, header};
use http_body::Frame;

use crate::last_good::directives::Directives;
use crate::last_good::key::Target;
use crate::last_good::store::{Kept, Key};
use crate::last_good::{Evict, Exchange, LastGood, keep};
use crate::rules::{Ended, Intent};

/// What is to be learnt from one call's answer.
#[derive(Debug)]
pub(crate) struct Watch {
    last_good: LastGood,
    what: What,
}

#[derive(Debug)]
enum What {
    Read { key: Key, sent: Instant },
    Write { target: Target, repeats: bool },
    Nothing,
}

impl Watch {
    pub(crate) fn new(
        last_good: LastGood,
        asked: &http::Request<()>,
        intent: Intent,
        sent: Instant,
    ) -> Self {
        let what = match intent {
            Intent::Write { repeats } => What::Write { target: Target::of(asked), repeats },
            Intent::Read if keep::is_asked_for(asked) => {
                let variant = last_good.variant(asked);
                let key = last_good.store.place(&Target::of(asked), variant);
                What::Read { key, sent }
            }
            Intent::Read => What::Nothing,
        };
        Self { last_good, what }
    }

    /// The call ended. Answers with what copies its response, if that is to be kept.
    pub(crate) fn settle(
        mut self,
        asked: &http::Request<()>,
        ended: &Ended,
        seen: Option<(StatusCode, &HeaderMap)>,
    ) -> Option<Tee> {
        let what = std::mem::replace(&mut self.what, What::Nothing);
        if let What::Write { target, repeats } = &what {
            if ended.may_have_changed(*repeats) {
                self.last_good.store.evict(target);
                self.evict_named(asked, target, seen);
            }
        }
        let (status, headers) = seen?;
        self.last_good.obey(asked, status, headers);
        let What::Read { key, sent } = what else { return None };
        match ended.outcome {
            Outcome::Failure(_) => None,
            Outcome::Success if status == StatusCode::NOT_MODIFIED => None,
            Outcome::Success => self.copy(key, sent, status, headers),
            // The dependency says what is so now, and it is not what was kept.
            Outcome::Neutral => {
                self.last_good.store.put(key, sent, None);
                None
            }
        }
    }

    fn copy(
        &self,
        key: Key,
        sent: Instant,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Tee> {
        let last_good = &self.last_good;
        let origin = Directives::of(headers);
        let settings = &last_good.settings;
        let names_a_caller = key.names_a_caller();
        if !keep::may_be_kept(status, headers, &origin, &settings.headers, names_a_caller) {
            last_good.store.put(key, sent, None);
            return None;
        }
        let answer = Kept {
            status,
            headers: keep::kept_headers(headers),
            body: Bytes::new(),
            sent,
            came_with: came_with(headers),
            rule: settings.rule.shortened_by(&origin),
        };
        Some(Tee { last_good: last_good.clone(), key, answer, copied: BytesMut::new() })
    }

    /// What a write's answer names as changed or made, on the same host (RFC 9111, section 4.4).
    fn evict_named(
        &self,
        asked: &http::Request<()>,
        target: &Target,
        seen: Option<(StatusCode, &HeaderMap)>,
    ) {
        let Some((_, headers)) = seen else { return };
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            let uri = headers.get(name).and_then(|uri| Uri::try_from(uri.as_bytes()).ok());
            let named = uri.map(|uri| Target::beside(asked, &uri));
            if let Some(named) = named.filter(|named| named.authority() == target.authority()) {
                self.last_good.store.evict(&named);
            }
        }
    }
}

/// A write whose caller went away may have been acted on.
impl Drop for Watch {
    fn drop(&mut self) {
        if let What::Write { target, .. } = &self.what {
            self.last_good.store.evict(target);
        }
    }
}

impl LastGood {
    /// Evicts what the caller's own rule says an answer makes untrue.
    fn obey(&self, request: &http::Request<()>, status: StatusCode, headers: &HeaderMap) {
        let Some(rule) = &self.settings.evict_when else { return };
        match rule(&Exchange { request, status, headers }) {
            Evict::Nothing => {}
            Evict::Target => self.store.evict(&Target::of(request)),
            Evict::Uri(uri) => self.store.evict(&Target::beside(request, &uri)),
            Evict::Prefix(prefix) => self.evict_prefix(&prefix),
            Evict::Everything => self.evict_all(),
        }
    }
}

/// An answer that is copied while its caller reads it. A copy that does not become whole is dropped.
pub struct Tee {
    last_good: LastGood,
    key: Key,
    answer: Kept,
    copied: BytesMut,
}

impl Tee {
    /// Whether an answer that is at least so long can be kept.
    pub(crate) fn has_room(&self, length: u64) -> bool {
        length <= self.last_good.settings.body_cap as u64
    }

    /// Copies what goes by, and says whether to go on.
    pub(crate) fn copy(&mut self, frame: &Frame<Bytes>) -> bool {
        // Trailers belong to a protocol that has more to say than an answer that can be kept.
        let Some(data) = frame.data_ref() else { return false };
        let is_short = self.copied.len() + data.remaining() <= self.last_good.settings.body_cap;
        if is_short {
            self.copied.extend_from_slice(data);
        }
        is_short
    }

    /// All of it went by.
    pub(crate) fn keep(self) {
        let Self { last_good, key, answer, copied } = self;
        let sent = answer.sent;
        let answer = Arc::new(Kept { body: copied.freeze(), ..answer });
        last_good.store.put(key, sent, Some(answer));
    }
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee").field("copied", &self.copied.len()).finish_non_exhaustive()
    }
}

/// The age that an answer came with. One that cannot be read is too old for anything.
pub(crate) fn came_with(headers: &HeaderMap) -> Duration {
    let Some(age) = headers.get(header::AGE) else { return Duration::ZERO };
    let seconds = age.to_str().ok().and_then(|age| age.trim().parse().ok());
    seconds.map_or(Duration::MAX, Duration::from_secs)
}
