//! Documentation, built, and how much of what is public it covers.

mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};

use crate::package::is_published;
use crate::report::Report;
use crate::steps::{Line, Step};
use crate::toolchain;
use walk::{Item, Kind};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Asks for a sentence on every public item and an example of every type, trait and function
    /// instead (needs a nightly compiler)
    #[arg(long)]
    coverage: bool,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    if args.coverage {
        coverage(report);
    } else {
        report.run(&step());
    }
}

/// Builds the documentation of the workspace, with warnings denied.
pub(crate) fn step() -> Step {
    let line = Line::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    Step::new("docs", [line.env("RUSTDOCFLAGS", "-D warnings")])
}

const TITLE: &str = "documentation of what is public";

/// Every public item has a sentence; every public type, trait and free function has an example.
///
/// An example stands with the item, with one of its methods, or elsewhere in its crate's
/// documentation, where its code names the item: a getter needs none beside its type's, an event's
/// is its observer's. Services, futures and bodies need none: layers make them, and nobody names them.
fn coverage(report: &mut Report) {
    if let Some(missing) = toolchain::missing() {
        report.fail(TITLE, vec![missing]);
        return;
    }
    let metadata = match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => metadata,
        Err(error) => return report.fail(TITLE, vec![error.to_string()]),
    };
    let crates = libraries(&metadata);
    let target = metadata.target_directory.join("coverage");
    let mut is_built = false;
    report.judge(&described(&crates, target.as_str()), |failed| {
        is_built = failed.is_empty();
        failed.iter().map(|line| format!("repeat it with: {line}")).collect()
    });
    if is_built {
        report.work(TITLE, || judge(&crates, target.join("doc").as_std_path()));
    }
}

fn libraries(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let libraries = packages.into_iter().filter(|package| {
        is_published(package)
            && package.targets.iter().any(|target| target.kind.contains(&TargetKind::Lib))
    });
    let mut names: Vec<String> = libraries.map(|package| package.name.to_string()).collect();
    names.sort_unstable();
    names
}

/// Has rustdoc describe each crate to programs.
fn described(crates: &[String], target: &str) -> Step {
    let line = toolchain::nightly(&["doc", "--no-deps", "--lib", "--all-features"]);
    let named = crates.iter().flat_map(|name| ["--package".to_owned(), name.clone()]);
    let line = line.args(&["--target-dir".to_owned(), target.to_owned()]);
    let line = line.args(&named.collect::<Vec<_>>());
    let flags = "-Z unstable-options --output-format json";
    Step::new("descriptions of the crates", [line.env("RUSTDOCFLAGS", flags)])
}

fn judge(crates: &[String], folder: &Path) -> Vec<String> {
    println!("| crate | items | with a sentence | types, traits, functions | with an example |");
    println!("|---|---|---|---|---|");
    let mut mends = Vec::new();
    for name in crates {
        match read(folder, name) {
            Ok(items) => mends.extend(row(name, &items)),
            Err(error) => mends.push(format!("{name}: {error}")),
        }
    }
    mends
}

fn read(folder: &Path, name: &str) -> io::Result<Vec<Item>> {
    let path = folder.join(format!("{}.json", name.replace('-', "_")));
    let described = serde_json::from_str(&fs::read_to_string(path)?)?;
    walk::public(&described)
        .ok_or_else(|| io::Error::other("rustdoc describes crates otherwise now"))
}

/// Prints the crate's row; answers with what is missing.
fn row(name: &str, items: &[Item]) -> Vec<String> {
    let examples: BTreeSet<&str> = items.iter().flat_map(Item::words_of_examples).collect();
    let is_shown = |item: &Item| item.has_example() || examples.contains(item.name.as_str());
    let asked: Vec<&Item> = items.iter().filter(|item| item.kind == Kind::Asked).collect();
    let said = items.iter().filter(|item| !item.docs.trim().is_empty()).count();
    let shown = asked.iter().filter(|item| is_shown(item)).count();
    println!("| `{name}` | {} | {said} | {} | {shown} |", items.len(), asked.len());
    let silent = items.iter().filter(|item| item.docs.trim().is_empty());
    let silent = silent.map(|item| format!("{} says nothing", item.path));
    let bare = asked.iter().filter(|item| !is_shown(item));
    silent.chain(bare.map(|item| format!("{} has no example", item.path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustdoc_is_asked_for_what_programs_read() {
        let typed = described(&["a".into(), "b".into()], "t").lines[0].to_string();
        assert_eq!(
            typed,
            "RUSTDOCFLAGS='-Z unstable-options --output-format json' rustup run nightly cargo doc \
             --no-deps --lib --all-features --target-dir t --package a --package b"
        );
    }

    fn item(name: &str, kind: Kind, docs: &str) -> Item {
        Item {
            name: name.into(),
            path: format!("x::{name}"),
            kind,
            docs: docs.into(),
            below: String::new(),
        }
    }

    #[test]
    fn an_item_without_a_sentence_and_one_without_an_example_are_named() {
        let items = [
            item("x", Kind::Other, "Does it.\n```\nlet shown = x::Shown;\n```"),
            item("Shown", Kind::Asked, "It is in the crate's own example."),
            item("Bare", Kind::Asked, "It is in none."),
            item("silent", Kind::Other, " "),
        ];
        assert_eq!(row("x", &items), ["x::silent says nothing", "x::Bare has no example"]);
    }
}
