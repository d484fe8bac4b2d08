//! The whole file.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::super::bounds::{DEPENDENCIES_MAX, FLEET_MAX, OPERATIONS_MAX, TEXT_MAX};
use super::super::error::Errors;
use super::super::file::PolicyFile;
use super::super::service::Service;
use super::dependency::dependency;
use super::exhausted::stands_in;
use super::reader::Reader;
use super::section::Section;

/// Reads a policy file.
pub(crate) fn file(name: Arc<str>, text: &str) -> Result<PolicyFile, Errors> {
    if text.len() > TEXT_MAX {
        let mut reader = Reader::of("");
        let mend = format!("keep it below {TEXT_MAX} bytes");
        reader.refuse(&(0..0), format!("the file has {} bytes", text.len()), mend);
        return reader.finish(name, None);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::of(text);
    let (table, broken) = DeTable::parse_recoverable(text);
    for error in &broken {
        let at = error.span().unwrap_or_default();
        reader.refuse(&at, format!("this is no TOML: {}", error.message()), "mend the syntax here");
    }
    let root = Section::new(&reader, String::new(), 0..0, table.get_ref());
    let read = document(&mut reader, root);
    reader.finish(Arc::clone(&name), read.map(|file| file.called(name)))
}

fn document(reader: &mut Reader<'_>, mut root: Section<'_>) -> Option<PolicyFile> {
    version(reader, &mut root);
    let service = match root.table(reader, "service") {
        Some(section) => service(reader, section),
        None if root.has("service") => None,
        None => {
            let mend = "write [service] with its `name`, `fleet` and `calls_per_second`";
            reader.refuse(&(0..0), "the file does not say whose policies these are", mend);
            None
        }
    };
    // Whoever owns retries is compared with this name; read on without one to find what else is wrong.
    let me = service.as_ref().map_or_else(|| Arc::from(""), |service| Arc::clone(&service.name));
    let sections = root.named(reader, "dependency");
    if sections.len() > DEPENDENCIES_MAX {
        let what = format!("the file has {} dependencies", sections.len());
        reader.refuse(&(0..0), what, format!("name at most {DEPENDENCIES_MAX}"));
        return None;
    }
    let mut dependencies = Vec::new();
    let mut fallbacks = Vec::new();
    for (name, section) in sections {
        let one = dependency(reader, &me, &name, section, &mut fallbacks);
        dependencies.extend(one);
    }
    if reader.operations > OPERATIONS_MAX {
        let what = format!("the file has {} operations", reader.operations);
        reader.refuse(&(0..0), what, format!("name at most {OPERATIONS_MAX}"));
    }
    one_each(reader, &dependencies);
    stands_in(reader, &dependencies, &fallbacks);
    root.end(reader);
    let dependencies = dependencies.into_iter().map(|(dependency, _)| dependency);
    Some(PolicyFile::new(service?, dependencies))
}

/// A file that a later version wrote says more than this one understands.
fn version(reader: &mut Reader<'_>, root: &mut Section<'_>) {
    let mend = "write `version = 1` at the top";
    match root.get(reader, "version") {
        Some(value) => {
            let is_ours =
                matches!(value.get_ref(), DeValue::Integer(number) if number.as_str() == "1");
            if !is_ours {
                reader.refuse(&value.span(), "this version of the file is not known here", mend);
            }
        }
        None => reader.refuse(&(0..0), "the file does not say its version", mend),
    }
}

fn service(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<Service> {
    let name = section.text(reader, "name");
    if name.is_none() && !section.has("name") {
        let at = section.at.clone();
        reader.refuse(&at, "the service has no name", "write `name`: it owns its retries by it");
    }
    let fleet = section.count(reader, "fleet", FLEET_MAX);
    let calls_per_second = section.rate(reader, "calls_per_second");
    let layers = super::hops::layers(reader, &mut section);
    let marks = section.end(reader);
    let fleet = fleet.map_or(1, u32::from);
    Some(Service { name: name?, fleet, calls_per_second, layers, marks })
}

/// Two dependencies at one authority would share its breaker and its budget without knowing.
fn one_each(reader: &mut Reader<'_>, dependencies: &[super::dependency::Read]) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (dependency, at) in dependencies {
        let Some(authority) = dependency.terms.authority.as_deref() else { continue };
        if let Some(other) = seen.insert(authority, &dependency.name) {
            reader.refuse(
                at,
                format!("`{}` and `{other}` are both at {authority}", dependency.name),
                "put the operations of one authority under one dependency: they share its state",
            );
        }
    }
}
