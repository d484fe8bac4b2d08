//! What happens when retries fail.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::super::answers::WhenExhausted;
use super::super::nearest::nearest;
use super::dependency::Read;
use super::reader::Reader;
use super::scalar::told;
use super::section::Section;

/// A dependency that stands in for another, and where that is said.
pub(crate) type Fallback = (Arc<str>, Range<usize>);

#[derive(Clone, Copy)]
enum Answer {
    Fail,
    Pending,
    LastGood,
    Degraded,
    Call,
    DeadLetter,
    Drop,
}

const ANSWERS: &[(&str, Answer)] = &[
    ("fail", Answer::Fail),
    ("pending", Answer::Pending),
    ("last-good", Answer::LastGood),
    ("degraded", Answer::Degraded),
    ("call", Answer::Call),
    ("dead-letter", Answer::DeadLetter),
    ("drop", Answer::Drop),
];

/// A word, or a table with the word under `answer` and its terms beside it.
pub(crate) fn when_exhausted(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    fallbacks: &mut Vec<Fallback>,
) -> Option<WhenExhausted> {
    let value = section.get(reader, "when_exhausted")?;
    let name = section.below("when_exhausted");
    match value.get_ref() {
        DeValue::String(word) => {
            let at = value.span();
            let answer = section.one_of(reader, "when_exhausted", &at, word, ANSWERS)?;
            plain(reader, &at, answer)
        }
        DeValue::Table(_) => {
            let mut own = Section::of(reader, name, value)?;
            let answer = own.word(reader, "answer", ANSWERS);
            if answer.is_none() && !own.has("answer") {
                let mend = "write `answer`, such as { answer = \"last-good\", fresh_for = \"2s\" }";
                reader.refuse(&value.span(), format!("`{}` has no `answer`", own.name), mend);
            }
            let then = with_terms(reader, &mut own, answer?, fallbacks);
            own.end(reader);
            then
        }
        _ => {
            let mend = "give a word, such as \"pending\", or a table with `answer`";
            reader.refuse(&value.span(), format!("`{name}` cannot be {}", told(value)), mend);
            None
        }
    }
}

/// The answer with the terms that the presets have.
fn plain(reader: &mut Reader<'_>, at: &Range<usize>, answer: Answer) -> Option<WhenExhausted> {
    Some(match answer {
        Answer::Fail => WhenExhausted::Fail,
        Answer::Pending => WhenExhausted::PENDING,
        Answer::LastGood => WhenExhausted::LAST_GOOD,
        Answer::Degraded => WhenExhausted::Degraded,
        Answer::DeadLetter => WhenExhausted::DEAD_LETTER,
        Answer::Drop => WhenExhausted::Drop,
        Answer::Call => {
            let mend = "write { answer = \"call\", dependency = \"replica\", time = \"100ms\" }";
            reader.refuse(at, "a fallback that calls must say whom", mend);
            return None;
        }
    })
}

fn with_terms(
    reader: &mut Reader<'_>,
    own: &mut Section<'_>,
    answer: Answer,
    fallbacks: &mut Vec<Fallback>,
) -> Option<WhenExhausted> {
    let at = own.at.clone();
    Some(match answer {
        Answer::Pending => {
            let horizon = own.time(reader, "horizon");
            horizon.map_or(WhenExhausted::PENDING, |horizon| WhenExhausted::Pending { horizon })
        }
        Answer::DeadLetter => {
            let redrive = own.time(reader, "redrive");
            redrive
                .map_or(WhenExhausted::DEAD_LETTER, |redrive| WhenExhausted::DeadLetter { redrive })
        }
        Answer::LastGood => last_good(reader, own, &at),
        Answer::Call => call(reader, own, &at, fallbacks)?,
        other => plain(reader, &at, other)?,
    })
}

fn last_good(reader: &mut Reader<'_>, own: &mut Section<'_>, at: &Range<usize>) -> WhenExhausted {
    let WhenExhausted::LastGood { fresh_for, stale_for } = WhenExhausted::LAST_GOOD else {
        return WhenExhausted::LAST_GOOD;
    };
    let fresh_for = own.time(reader, "fresh_for").unwrap_or(fresh_for);
    let stale_for = own.time(reader, "stale_for").unwrap_or(stale_for.max(fresh_for));
    if fresh_for > stale_for {
        let mend = "give `stale_for` at least as long as `fresh_for`: older is never shown";
        reader.refuse(at, "an answer would be fresh for longer than it may be shown", mend);
    }
    WhenExhausted::LastGood { fresh_for, stale_for }
}

fn call(
    reader: &mut Reader<'_>,
    own: &mut Section<'_>,
    at: &Range<usize>,
    fallbacks: &mut Vec<Fallback>,
) -> Option<WhenExhausted> {
    let dependency = own.text(reader, "dependency");
    let time = own.time(reader, "time");
    for (key, is_missing) in [("dependency", dependency.is_none()), ("time", time.is_none())] {
        if is_missing && !own.has(key) {
            let mend = "write both: dependency = \"replica\", time = \"100ms\"";
            reader.refuse(at, format!("a fallback that calls has no `{key}`"), mend);
        }
    }
    fallbacks.extend(dependency.clone().map(|name| (name, at.clone())));
    Some(WhenExhausted::Call { dependency: dependency?, time: time? })
}

/// Refuses fallbacks to dependencies that the file does not have.
pub(crate) fn stands_in(reader: &mut Reader<'_>, known: &[Read], fallbacks: &[Fallback]) {
    for (name, at) in fallbacks {
        let known = || known.iter().map(|(dependency, _)| dependency.name());
        if known().any(|known| known == &**name) {
            continue;
        }
        let nearest = nearest(name, known());
        let what = format!("there is no dependency `{name}` to fall back on");
        reader.refuse(
            at,
            what,
            format!("the nearest is `{nearest}`, or write [dependency.{name}]"),
        );
    }
}
