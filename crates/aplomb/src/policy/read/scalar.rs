//! The values that stand alone: times, numbers, words, texts.

use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::Ratio;
use toml::de::DeValue;

use super::super::bounds::{NAME_MAX, RATE_MAX, WORDS_MAX};
use super::super::duration;
use super::super::nearest::nearest;
use super::reader::Reader;
use super::section::{Section, Value, kind};

impl Section<'_> {
    /// A time above nothing.
    pub(crate) fn time(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Duration> {
        let value = self.get(reader, key)?;
        let name = self.below(key);
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            // A number alone is the commonest slip: is it milliseconds or seconds?
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.as_str().to_owned(),
            other => {
                let what = format!("`{name}` is {}, not a time", kind(other));
                reader.refuse(&value.span(), what, "write it as text, such as \"500ms\"");
                return None;
            }
        };
        match duration::read(&text) {
            Ok(Duration::ZERO) => {
                let mend = "give a time above 0, or leave the key out";
                reader.refuse(&value.span(), format!("`{name}` is no time at all"), mend);
                None
            }
            Ok(time) => Some(time),
            Err(wrong) => {
                let what = format!("`{name}` cannot be `{}`: {wrong}", short(&text));
                reader.refuse(&value.span(), what, wrong.mend());
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn whole(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        bounds: RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = self.get(reader, key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            return Some(number);
        }
        let (least, most) = (bounds.start(), bounds.end());
        let what = format!("`{}` cannot be {}", self.below(key), told(value));
        reader.refuse(&value.span(), what, format!("give a whole number from {least} to {most}"));
        None
    }

    /// A whole number from 1 up to `most`.
    pub(crate) fn count(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        most: u32,
    ) -> Option<NonZeroU32> {
        NonZeroU32::new(self.whole(reader, key, 1..=most)?)
    }

    /// A share between nothing and all.
    pub(crate) fn share(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Ratio> {
        let value = self.get(reader, key)?;
        if let Some(ratio) = number(value).and_then(Ratio::from_fraction) {
            return Some(ratio);
        }
        let what = format!("`{}` cannot be {}", self.below(key), told(value));
        reader.refuse(&value.span(), what, "give a share from 0.0 to 1.0; 20 per cent are 0.2");
        None
    }

    /// So many a second.
    pub(crate) fn rate(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<f64> {
        let value = self.get(reader, key)?;
        if let Some(rate) = number(value).filter(|rate| *rate > 0.0 && *rate <= RATE_MAX) {
            return Some(rate);
        }
        let what = format!("`{}` cannot be {}", self.below(key), told(value));
        reader.refuse(&value.span(), what, "give a number above 0, per second, for all processes");
        None
    }

    /// One of the known words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let value = self.get(reader, key)?;
        let DeValue::String(word) = value.get_ref() else {
            let what = format!("`{}` cannot be {}", self.below(key), told(value));
            reader.refuse(&value.span(), what, format!("give one of {}", words(known)));
            return None;
        };
        self.one_of(reader, key, &value.span(), word, known)
    }

    /// A word that is one of the known ones, or refused with the nearest.
    pub(crate) fn one_of<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        at: &Range<usize>,
        word: &str,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(own, _)| *own == word);
        if let Some((_, meant)) = found {
            return Some(*meant);
        }
        let nearest = nearest(word, known.iter().map(|(word, _)| *word));
        let name = self.below(key);
        let what = format!("`{name}` cannot be `{}`; the nearest is `{nearest}`", short(word));
        reader.refuse(at, what, format!("give one of {}", words(known)));
        None
    }

    /// A text for people, or a name of something outside.
    pub(crate) fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Arc<str>> {
        let value = self.get(reader, key)?;
        let name = self.below(key);
        text(reader, &name, value)
    }
}

/// A text that is neither empty nor endless, on one line.
pub(crate) fn text(reader: &mut Reader<'_>, name: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let mend = format!("give a text of 1 to {WORDS_MAX} letters");
    let DeValue::String(text) = value.get_ref() else {
        reader.refuse(&value.span(), format!("`{name}` cannot be {}", told(value)), mend);
        return None;
    };
    let is_plain = !text.trim().is_empty() && !text.contains(char::is_control);
    if is_plain && text.chars().count() <= WORDS_MAX {
        return Some(Arc::from(&**text));
    }
    let what = if is_plain { "is too long" } else { "is empty, or more than one line" };
    reader.refuse(&value.span(), format!("`{name}` {what}"), mend);
    None
}

/// Refuses a name that cannot be a label.
pub(crate) fn label(reader: &mut Reader<'_>, at: &Range<usize>, what: &str, name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits) {
        return true;
    }
    reader.refuse(
        at,
        format!("`{}` cannot name {what}", short(name)),
        format!("use 1 to {NAME_MAX} of a-z, A-Z, 0-9, `-` and `_`: names become labels"),
    );
    false
}

fn number(value: &Value<'_>) -> Option<f64> {
    let written = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    written.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A value, for people.
pub(crate) fn told(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("\"{}\"", short(text)),
        DeValue::Integer(number) => short(&number.to_string()),
        DeValue::Float(number) => short(number.as_str()),
        other => kind(other).to_owned(),
    }
}

/// The beginning of a text: what strangers write may be endless.
pub(crate) fn short(text: &str) -> String {
    let mut begin: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        begin.push('…');
    }
    begin
}

fn words<T>(known: &[(&'static str, T)]) -> String {
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

const SHOWN_MAX: usize = 40;
