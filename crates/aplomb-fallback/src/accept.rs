use aplomb_core::{Condition, Degraded};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::event::{FallbackEvent, Unanswered};
use crate::layer::Settings;
use crate::ready::{Told, is_failure};

/// Whether an answer of the fallback may be used; if so, it is made to say what it is.
pub(crate) fn accept(
    mut answer: Response<Bytes>,
    condition: Condition,
    settings: &Settings,
) -> Result<(Response<Bytes>, FallbackEvent), Unanswered> {
    if is_failure(&answer) {
        return Err(Unanswered::Failed);
    }
    let told = answer.extensions_mut().remove::<Told>();
    if settings.is_pending && answer.status() != StatusCode::ACCEPTED {
        return Err(Unanswered::NotPending);
    }
    let kind = told.map_or(settings.kind, |told| told.kind);
    let age = told.and_then(|told| told.age);
    let added = kind.map(|kind| {
        let source = told.map_or(settings.source, |told| told.source);
        let degraded = Degraded::new(kind, condition, source);
        age.map_or(degraded, |age| degraded.age(age))
    });
    let degraded = Degraded::of(answer.extensions()).or(added);
    if let Some(degraded) = degraded {
        answer.extensions_mut().insert(degraded);
    }
    if degraded.is_some() && !told.is_some_and(|told| told.is_cached) {
        // It stands in for one moment; a cache that kept it would hide the recovery.
        let headers = answer.headers_mut().entry(header::CACHE_CONTROL);
        headers.or_insert(HeaderValue::from_static("no-store"));
    }
    let age = degraded.and_then(|it| it.age).or(age);
    let kind = degraded.map(|it| it.kind);
    Ok((answer, FallbackEvent::Used { condition, kind, age }))
}
