//! What else stands between a call and its dependency: hops, and the layers in their order.

use toml::de::DeValue;

use super::super::bounds::{ATTEMPTS_MAX, HOPS_MAX};
use super::super::dependency::Hop;
use super::super::layers::Placed;
use super::reader::Reader;
use super::scalar::told;
use super::section::{Section, Value};

pub(crate) fn hops(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Vec<Hop> {
    let name = section.below("hops");
    let values = list(reader, section, "hops", HOPS_MAX);
    values.iter().filter_map(|value| hop(reader, &name, value)).collect()
}

fn hop(reader: &mut Reader<'_>, name: &str, value: &Value<'_>) -> Option<Hop> {
    let mut section = Section::of(reader, name.to_owned(), value)?;
    let own_name = section.text(reader, "name");
    let attempts = section.count(reader, "attempts", ATTEMPTS_MAX);
    let budget = section.table(reader, "budget").and_then(|mut budget| {
        let ratio = budget.share(reader, "ratio");
        budget.end(reader);
        ratio
    });
    for (key, is_missing) in [("name", own_name.is_none()), ("attempts", attempts.is_none())] {
        if is_missing && !section.has(key) {
            let at = section.at.clone();
            let mend = "write both: { name = \"sdk\", attempts = 1 }";
            reader.refuse(&at, format!("a hop has no `{key}`"), mend);
        }
    }
    section.end(reader);
    let hop = Hop::new(own_name?, attempts?);
    Some(match budget {
        Some(ratio) => hop.budget(ratio),
        None => hop,
    })
}

/// The layers that a file names, each once.
pub(crate) fn layers<L: Placed>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
) -> Option<Vec<L>> {
    if !section.has("layers") {
        section.get(reader, "layers");
        return None;
    }
    let values = list(reader, section, "layers", L::ORDER.len());
    let mut layers = Vec::new();
    for value in values {
        let DeValue::String(word) = value.get_ref() else {
            let what = format!("a layer cannot be {}", told(value));
            reader.refuse(&value.span(), what, "give the layers' names, outermost first");
            continue;
        };
        let layer = section.one_of(reader, "layers", &value.span(), word, L::ORDER);
        let Some(layer) = layer else { continue };
        if layers.contains(&layer) {
            let mend = "name each layer once, outermost first";
            reader.refuse(&value.span(), format!("the layer `{word}` stands there twice"), mend);
            continue;
        }
        layers.push(layer);
    }
    Some(layers)
}

/// The values of a list that is not too long; none when the key is not there.
pub(crate) fn list<'a>(
    reader: &mut Reader<'_>,
    section: &mut Section<'a>,
    key: &'static str,
    most: usize,
) -> Vec<&'a Value<'a>> {
    let Some(value) = section.get(reader, key) else { return Vec::new() };
    let name = section.below(key);
    let DeValue::Array(values) = value.get_ref() else {
        let what = format!("`{name}` cannot be {}", told(value));
        reader.refuse(&value.span(), what, "make it a list: [ … ]");
        return Vec::new();
    };
    if values.len() > most {
        let what = format!("`{name}` has {} entries", values.len());
        reader.refuse(&value.span(), what, format!("give at most {most}"));
        return Vec::new();
    }
    values.iter().collect()
}
