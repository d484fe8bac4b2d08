//! What of a crate can be reached from outside, by rustdoc's description of it.

use std::collections::HashSet;

use serde_json::Value;

use crate::readmes::is_rust;

/// A public item.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) docs: String,
    /// What is said of its methods, variants and fields.
    pub(crate) below: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A type, a trait, a free function or a macro.
    Asked,
    /// Whatever else has a name.
    Other,
}

impl Item {
    pub(crate) fn has_example(&self) -> bool {
        [&self.docs, &self.below].iter().any(|docs| !examples(docs).is_empty())
    }

    pub(crate) fn words_of_examples(&self) -> impl Iterator<Item = &str> {
        let code = examples(&self.docs).into_iter();
        code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
    }
}

/// The lines of the Rust in a piece of documentation that compiles.
fn examples(docs: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut inside: Option<bool> = None;
    for line in docs.lines() {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(language), None) => {
                inside = Some(is_rust(language) && !language.contains("compile_fail"));
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) => lines.push(line),
            (None, _) => {}
        }
    }
    lines
}

/// Every public item of a description; nothing when it is not built as we know it.
pub(crate) fn public(described: &Value) -> Option<Vec<Item>> {
    let index = described.get("index")?;
    let mut walk = Walk { index, seen: HashSet::new(), items: Vec::new() };
    walk.visit(&described["root"], "", None)?;
    Some(walk.items)
}

struct Walk<'d> {
    index: &'d Value,
    seen: HashSet<String>,
    items: Vec<Item>,
}

impl<'d> Walk<'d> {
    fn get(&self, id: &Value) -> Option<&'d Value> {
        self.index.get(id.to_string().trim_matches('"'))
    }

    /// Notes the item with all that is below it, under the name that it is given where it is shown;
    /// what is another crate's is not there.
    fn visit(&mut self, id: &Value, path: &str, given: Option<&str>) -> Option<()> {
        let Some(found) = self.get(id).filter(|found| found["crate_id"] == 0) else {
            return Some(());
        };
        if !self.seen.insert(id.to_string()) {
            return Some(());
        }
        let (kind, inner) = found["inner"].as_object()?.iter().next()?;
        let name = given.or(found["name"].as_str()).unwrap_or_default();
        if kind == "use" {
            return self.reexported(inner, path);
        }
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
        let from = self.items.len();
        self.note(found, kind, inner, name, &path);
        for below in children(kind, inner) {
            self.visit(below, &path, None)?;
        }
        if kind != "module" {
            self.methods(inner, &path)?;
            let below = self.items[from + 1..].iter().map(|item| item.docs.as_str());
            self.items[from].below = below.collect::<Vec<_>>().join("\n");
        }
        Some(())
    }

    /// What a `pub use` shows; all of a module's items where it has a star.
    fn reexported(&mut self, inner: &Value, path: &str) -> Option<()> {
        let Some(target) = self.get(&inner["id"]) else { return Some(()) };
        match target["inner"].get("module") {
            Some(module) if inner["is_glob"] == true => {
                module["items"].as_array()?.iter().try_for_each(|item| self.visit(item, path, None))
            }
            _ => self.visit(&inner["id"], path, inner["name"].as_str()),
        }
    }

    /// The methods of its own that a type has; those of traits are said where the trait is.
    fn methods(&mut self, inner: &Value, path: &str) -> Option<()> {
        for block in inner["impls"].as_array().into_iter().flatten() {
            let Some(block) = self.get(block).map(|block| &block["inner"]["impl"]) else {
                continue;
            };
            if block["trait"].is_null() {
                block["items"]
                    .as_array()?
                    .iter()
                    .try_for_each(|item| self.visit(item, path, None))?;
            }
        }
        Some(())
    }

    fn note(&mut self, found: &Value, kind: &str, inner: &Value, name: &str, path: &str) {
        let is_type =
            matches!(kind, "struct" | "enum" | "union" | "trait" | "macro" | "proc_macro");
        // A function below a type is its method.
        let is_free = kind == "function" && !path.contains(is_upper);
        let is_asked = (is_type && !self.is_made_by_a_layer(inner)) || is_free;
        self.items.push(Item {
            name: name.to_owned(),
            path: path.to_owned(),
            kind: if is_asked { Kind::Asked } else { Kind::Other },
            docs: found["docs"].as_str().unwrap_or_default().to_owned(),
            below: String::new(),
        });
    }

    /// Whether it is what a layer makes and nobody names.
    fn is_made_by_a_layer(&self, inner: &Value) -> bool {
        let blocks = inner["impls"].as_array().into_iter().flatten();
        let mut traits =
            blocks.filter_map(|block| self.get(block)?["inner"]["impl"]["trait"]["path"].as_str());
        traits.any(|path| {
            path.rsplit("::")
                .next()
                .is_some_and(|name| ["Body", "Future", "Service"].contains(&name))
        })
    }
}

/// Modules have lower-case names, types do not.
fn is_upper(letter: char) -> bool {
    letter.is_ascii_uppercase()
}

/// What an item holds that has a name of its own.
fn children<'d>(kind: &str, inner: &'d Value) -> Vec<&'d Value> {
    let held = match kind {
        "module" | "trait" => &inner["items"],
        "struct" => &inner["kind"]["plain"]["fields"],
        "enum" => &inner["variants"],
        "variant" => &inner["kind"]["struct"]["fields"],
        _ => &Value::Null,
    };
    held.as_array().into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described() -> Value {
        let item = |name: &str, docs: &str, inner: Value| json!({ "crate_id": 0, "name": name, "docs": docs, "inner": inner });
        json!({ "root": 0, "index": {
            "0": item("x", "Says.", json!({ "module": { "items": [1, 2, 8, 11] } })),
            "1": item("T", "A type.", json!({ "struct": {
                "kind": { "plain": { "fields": [3] } }, "impls": [4, 6] } })),
            "2": { "crate_id": 0, "inner": { "use": { "id": 7, "is_glob": true } } },
            "3": item("field", "", json!({ "struct_field": {} })),
            "4": { "crate_id": 0, "inner": { "impl": { "trait": null, "items": [5] } } },
            "5": item("new", "Makes one.\n\n```\nx::T::new();\n```", json!({ "function": {} })),
            "6": { "crate_id": 0, "inner": { "impl": { "trait": { "path": "Clone" }, "items": [] } } },
            "7": item("inner", "", json!({ "module": { "items": [1, 9] } })),
            "8": item("Answer", "Waits.", json!({ "struct": { "kind": "unit", "impls": [10] } })),
            "9": item("free", "Runs.", json!({ "function": {} })),
            "11": { "crate_id": 0, "inner": { "use": { "id": 12, "name": "told", "is_glob": false } } },
            "12": item("said", "Says.", json!({ "function": {} })),
            "10": { "crate_id": 0, "inner": { "impl": {
                "trait": { "path": "core::future::Future" }, "items": [] } } },
        } })
    }

    #[test]
    fn what_can_be_reached_is_found_once_wherever_it_lies() {
        let items = public(&described()).unwrap();
        let paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(
            paths,
            ["x", "x::T", "x::T::field", "x::T::new", "x::free", "x::Answer", "x::told"]
        );
    }

    #[test]
    fn a_type_has_the_examples_of_its_methods_and_what_a_layer_makes_needs_none() {
        let items = public(&described()).unwrap();
        let asked: Vec<(&str, bool)> = items
            .iter()
            .filter(|item| item.kind == Kind::Asked)
            .map(|item| (item.name.as_str(), item.has_example()))
            .collect();
        assert_eq!(asked, [("T", true), ("free", false), ("told", false)]);
    }

    #[test]
    fn what_must_not_compile_and_what_is_no_rust_is_no_example() {
        assert_eq!(examples("```toml\na = 1\n```\n```compile_fail\nb\n```"), [""; 0]);
        assert_eq!(examples("```no_run\nlet a = 1;\n```\nb"), ["let a = 1;"]);
    }

    #[test]
    fn a_description_of_another_build_is_refused() {
        assert!(public(&json!({ "items": [] })).is_none());
    }
}
