//! A table of a policy file, and which keys it may have.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::nearest::nearest;
use super::super::position::Marks;
use super::reader::Reader;

/// A value, where it stands.
pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// A table whose keys are asked for one by one. What was never asked for is unknown.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    table: &'a DeTable<'a>,
    /// What people call it: `dependency.inventory`.
    pub(crate) name: String,
    pub(crate) at: Range<usize>,
    pub(crate) marks: Marks,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(
        reader: &Reader<'_>,
        name: String,
        at: Range<usize>,
        table: &'a DeTable<'a>,
    ) -> Self {
        let marks = Marks::new(reader.position(at.start));
        Self { table, name, at, marks, known: Vec::new() }
    }

    /// The section of a value, which must be a table.
    pub(crate) fn of(reader: &mut Reader<'_>, name: String, value: &'a Value<'a>) -> Option<Self> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Self::new(reader, name, value.span(), table));
        }
        let what = format!("`{name}` is {}", kind(value.get_ref()));
        reader.refuse(&value.span(), what, format!("make it a table: [{name}]"));
        None
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&mut self, reader: &Reader<'_>, key: &'static str) -> Option<&'a Value<'a>> {
        self.known.push(key);
        let (written, value) = self.table.get_key_value(key)?;
        self.marks.mark(key, reader.position(written.span().start));
        Some(value)
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key holds a table without keys.
    pub(crate) fn is_empty_table(&self, key: &str) -> bool {
        let value = self.table.get(key).map(Spanned::get_ref);
        matches!(value, Some(DeValue::Table(table)) if table.is_empty())
    }

    /// Where the value of a key stands; the section itself when the key is not there.
    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.at.clone(), Spanned::span)
    }

    /// The sections below a key, each under the name that the file's author gave it.
    pub(crate) fn named(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Vec<(String, Section<'a>)> {
        let Some(value) = self.get(reader, key) else { return Vec::new() };
        let prefix = self.below(key);
        let Some(outer) = Section::of(reader, prefix.clone(), value) else { return Vec::new() };
        let mut sections = Vec::new();
        for (name, value) in outer.table {
            let name = name.get_ref().to_string();
            if let Some(section) = Section::of(reader, format!("{prefix}.{name}"), value) {
                sections.push((name, section));
            }
        }
        sections
    }

    /// The section below a key, if it is there.
    pub(crate) fn table(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<Section<'a>> {
        let value = self.get(reader, key)?;
        Section::of(reader, self.below(key), value)
    }

    /// What people call a key of it.
    pub(crate) fn below(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Refuses the keys that were never asked for.
    pub(crate) fn end(self, reader: &mut Reader<'_>) -> Marks {
        for key in self.table.keys() {
            let (written, at) = (key.get_ref(), key.span());
            if self.known.contains(&&**written) {
                continue;
            }
            if reader.is_full() {
                reader.count();
                continue;
            }
            let place = if self.name.is_empty() { "the file" } else { &self.name };
            let nearest = nearest(written, self.known.iter().copied());
            let mut known = self.known.clone();
            known.sort_unstable();
            reader.refuse(
                &at,
                format!("{place} has no key `{written}`; the nearest is `{nearest}`"),
                format!("write `{nearest}`, or another of {}", known.join(", ")),
            );
        }
        self.marks
    }
}

/// What a value is, for people.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
