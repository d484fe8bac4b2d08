//! The six answers of an operation, but for what happens when retries fail.

use aplomb_core::{Attempts, OperationClass};
use toml::de::DeValue;

use super::super::answers::{
    Alert, JITTERS, Key, Mode, Owner, Repeat, Transient, Waits, WhenPaused,
};
use super::super::bounds::ATTEMPTS_MAX;
use super::super::builder::PolicyBuilder;
use super::super::preset;
use super::reader::Reader;
use super::scalar::told;
use super::section::{Section, Value};

pub(crate) fn answers(
    reader: &mut Reader<'_>,
    me: &str,
    section: &mut Section<'_>,
) -> PolicyBuilder {
    let classes: Vec<_> =
        OperationClass::ALL.iter().map(|class| (class.as_str(), *class)).collect();
    let class = section.word(reader, "class", &classes);
    let mut builder = class.map_or_else(PolicyBuilder::default, preset::of);
    if let Some(transient) = section.word(reader, "transient", TRANSIENTS) {
        builder = builder.transient(transient);
    }
    if let Some(repeat) = repeat(reader, section) {
        builder = builder.repeat(repeat);
    }
    if let Some(owner) = section.text(reader, "owner") {
        let is_here = &*owner == me;
        builder = builder.owner(if is_here { Owner::Here } else { Owner::Elsewhere(owner) });
    }
    if let Some(attempts) = section.whole(reader, "attempts", 1..=ATTEMPTS_MAX) {
        builder = builder.attempts(Attempts::new(attempts));
    }
    if let Some(time) = section.time(reader, "attempt_timeout") {
        builder = builder.attempt_timeout(time);
    }
    if let Some(time) = section.time(reader, "total") {
        builder = builder.total(time);
    }
    if let Some(waits) = backoff(reader, section, builder.waits()) {
        builder = builder.backoff(waits);
    }
    if let Some(then) = section.word(reader, "when_paused", WHEN_PAUSED) {
        builder = builder.when_paused(then);
    }
    for alert in alerts(reader, section) {
        builder = builder.alert(alert);
    }
    match section.word(reader, "mode", MODES) {
        Some(mode) => builder.mode(mode),
        None => builder,
    }
}

/// From `key` and `repeat`, which must agree.
fn repeat(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Repeat> {
    let said = section.word(reader, "repeat", REPEATS);
    let key = key(reader, section);
    let at = section.span_of("repeat");
    match (said, key) {
        (None | Some(None), Some(key)) => Some(Repeat::WithKey(key)),
        (None, None) => None,
        (Some(None), None) => {
            if !section.has("key") {
                let mend = "write `key = { from = \"order line\", kept = \"24h\" }`";
                reader.refuse(&at, "it is safe to repeat with a key, and there is none", mend);
            }
            None
        }
        (Some(Some(repeat)), None) => Some(repeat.clone()),
        (Some(Some(repeat)), Some(_)) => {
            let what = format!("it has a key, and is repeated {}", repeat.as_str());
            reader.refuse(&at, what, "take `repeat` out, or the `key`");
            None
        }
    }
}

fn key(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Key> {
    let mut own = section.table(reader, "key")?;
    let from = own.text(reader, "from");
    let kept = own.time(reader, "kept");
    for (key, is_missing) in [("from", from.is_none()), ("kept", kept.is_none())] {
        if is_missing && !own.has(key) {
            let at = own.at.clone();
            let mend = "write both: { from = \"order line\", kept = \"24h\" }";
            reader.refuse(&at, format!("`{}` has no `{key}`", own.name), mend);
        }
    }
    own.end(reader);
    Some(Key::new(from?, kept?))
}

/// What is left out is the preset's.
fn backoff(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    preset: Option<Waits>,
) -> Option<Waits> {
    let mut own = section.table(reader, "backoff")?;
    let jitter = own.word(reader, "jitter", JITTERS);
    let base = own.time(reader, "base");
    let cap = own.time(reader, "cap");
    let at = own.at.clone();
    let missing = [("jitter", jitter.is_none()), ("base", base.is_none()), ("cap", cap.is_none())];
    for (key, is_missing) in missing {
        if is_missing && !own.has(key) && preset.is_none() {
            let mend = "write { jitter = \"full\", base = \"50ms\", cap = \"500ms\" }";
            reader.refuse(&at, format!("`{}` has no `{key}`", own.name), mend);
        }
    }
    own.end(reader);
    let jitter = jitter.or(preset.map(|preset| preset.jitter()))?;
    let base = base.or(preset.map(|preset| preset.base()))?;
    let cap = cap.or(preset.map(|preset| preset.cap()))?;
    if base > cap {
        let mend = "give `cap` at least as long as `base`";
        reader.refuse(&at, "the longest wait is shorter than the first", mend);
    }
    Some(Waits::new(jitter, base, cap))
}

/// One metric, or a list of them.
fn alerts(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<Alert> {
    let Some(mut own) = section.table(reader, "observe") else { return Vec::new() };
    let alerts = match own.get(reader, "alert") {
        Some(value) => match value.get_ref() {
            DeValue::Array(values) => {
                let values = values.iter().take(Alert::ALL.len());
                values.filter_map(|value| alert(reader, &own, value)).collect()
            }
            _ => alert(reader, &own, value).into_iter().collect(),
        },
        None => Vec::new(),
    };
    own.end(reader);
    alerts
}

fn alert(reader: &mut Reader<'_>, own: &Section<'_>, value: &Value<'_>) -> Option<Alert> {
    let DeValue::String(word) = value.get_ref() else {
        let what = format!("`{}` cannot be {}", own.below("alert"), told(value));
        reader.refuse(&value.span(), what, "give the name of a metric");
        return None;
    };
    let known: Vec<_> = Alert::ALL.iter().map(|alert| (alert.as_str(), *alert)).collect();
    own.one_of(reader, "alert", &value.span(), word, &known)
}

const TRANSIENTS: &[(&str, Transient)] =
    &[("standard", Transient::Standard), ("grpc", Transient::Grpc), ("unsent", Transient::Unsent)];

/// `with-key` needs the key beside it.
const REPEATS: &[(&str, Option<&Repeat>)] = &[
    ("by-method", Some(&Repeat::ByMethod)),
    ("with-key", None),
    ("always", Some(&Repeat::Always)),
    ("never", Some(&Repeat::Never)),
];

const WHEN_PAUSED: &[(&str, WhenPaused)] =
    &[("wait", WhenPaused::Wait), ("fail", WhenPaused::Fail)];

const MODES: &[(&str, Mode)] = &[("enforce", Mode::Enforce), ("observe", Mode::Observe)];
