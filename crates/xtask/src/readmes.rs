//! Each published crate's README is its documentation, as a page for a registry and a repository.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cargo_metadata::{MetadataCommand, Package, TargetKind};

use crate::package::is_published;
use crate::report::Report;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail when they are not what the crates' documentation says now, instead of writing them
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(report: &mut Report, args: &Args) {
    all(report, args.check);
}

/// Makes the READMEs of all published crates, or says which are not what they should be.
pub(crate) fn all(report: &mut Report, check: bool) {
    report.work("READMEs of the crates", || {
        let metadata = match MetadataCommand::new().no_deps().exec() {
            Ok(metadata) => metadata,
            Err(error) => return vec![error.to_string()],
        };
        let packages = metadata.workspace_packages();
        let published = packages.into_iter().filter(|package| is_published(package));
        published.filter_map(|package| keep(package, check)).collect()
    });
}

fn keep(package: &Package, check: bool) -> Option<String> {
    let path = package.manifest_path.as_std_path().with_file_name("README.md");
    let made = match readme(package) {
        Ok(made) => made,
        Err(error) => return Some(error),
    };
    if fs::read_to_string(&path).is_ok_and(|stands| stands == made) {
        return None;
    }
    if check {
        let name = &package.name;
        return Some(format!(
            "the README of {name} is not what its documentation says; `cargo xtask readmes` writes it"
        ));
    }
    println!("{}", path.display());
    fs::write(&path, made).err().map(|error| format!("{}: {error}", path.display()))
}

fn readme(package: &Package) -> Result<String, String> {
    let is_front = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::Bin);
    let front = package.targets.iter().find(|target| target.kind.iter().any(is_front));
    let front = front.ok_or_else(|| format!("{} has no front", package.name))?;
    let path = front.src_path.as_std_path();
    let source =
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let docs = documentation(&source, path.parent().unwrap_or(Path::new(".")))?;
    let manifest = fs::read_to_string(&package.manifest_path);
    let manifest = manifest.map_err(|error| format!("{}: {error}", package.manifest_path))?;
    Ok(page(&package.name, &docs, &features(&manifest)))
}

/// A crate's documentation with all its features on: its `//!` lines, and what attributes between
/// them add.
fn documentation(source: &str, folder: &Path) -> Result<String, String> {
    let mut docs = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("//!") {
            docs.push_str(text.strip_prefix(' ').unwrap_or(text));
            docs.push('\n');
            continue;
        }
        if !line.starts_with("#![") {
            break;
        }
        let mut attribute = line.to_owned();
        while !attribute.ends_with(")]") {
            let Some(more) = lines.next() else { break };
            attribute.push_str(more.trim());
        }
        docs.push_str(&added(&attribute, folder)?);
    }
    Ok(docs)
}

/// The text that an attribute adds.
fn added(attribute: &str, folder: &Path) -> Result<String, String> {
    let Some((_, value)) = attribute.split_once("doc = ") else { return Ok(String::new()) };
    let quoted = value.split('"').nth(1).unwrap_or_default();
    if !value.starts_with("include_str!") {
        return Ok(format!("{quoted}\n"));
    }
    let path = folder.join(quoted);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Each feature with the comment above it, in their order.
fn features(manifest: &str) -> Vec<(String, String)> {
    let lines = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    let mut features = Vec::new();
    let mut comment = String::new();
    for line in lines.take_while(|line| !line.starts_with('[')) {
        if let Some(words) = line.strip_prefix('#') {
            let gap = if comment.is_empty() { "" } else { " " };
            let _ = write!(comment, "{gap}{}", words.trim());
        } else if let Some((name, _)) = line.split_once(" = ") {
            if name != "default" {
                features.push((name.to_owned(), std::mem::take(&mut comment)));
            }
            comment.clear();
        }
    }
    features
}

fn page(name: &str, docs: &str, features: &[(String, String)]) -> String {
    let mut page = format!("# {name}\n\n{}", plain(docs).trim());
    // Most crates have a table of their own.
    if features.iter().any(|(feature, _)| !page.contains(&format!("`{feature}`"))) {
        page.push_str("\n\n## Features\n\n| feature | what it adds |\n|---|---|\n");
        for (feature, comment) in features {
            let _ = writeln!(page, "| `{feature}` | {} |", comment.trim_end_matches('.'));
        }
    }
    let page = page.trim_end();
    format!(
        "{page}\n\n## More\n\nThe documentation is on [docs.rs](https://docs.rs/{name}), where each name \
         leads to its item. This page is made from\nit by `cargo xtask readmes`.\n\nMIT or Apache-2.0, at \
         your option.\n"
    )
}

/// What rustdoc understands, as any reader of Markdown does.
fn plain(docs: &str) -> String {
    let mut plain = String::new();
    let mut code: Option<bool> = None;
    for line in docs.lines() {
        if let Some(language) = line.strip_prefix("```") {
            code = if code.is_some() { None } else { Some(is_rust(language)) };
            plain.push_str(if code == Some(true) { "```rust" } else { line });
        } else if code == Some(true) {
            // What rustdoc hides.
            if line == "#" || line.starts_with("# ") {
                continue;
            }
            plain.push_str(line);
        } else if code.is_some() {
            plain.push_str(line);
        } else if is_definition(line) {
            continue;
        } else {
            let heading = if line.starts_with('#') { "#" } else { "" };
            plain.push_str(heading);
            plain.push_str(&unlinked(line));
        }
        plain.push('\n');
    }
    plain
}

/// Whether a block with these words behind its fence is Rust.
pub(crate) fn is_rust(language: &str) -> bool {
    language.split(',').all(|word| RUST.contains(&word.trim()))
}

/// What may stand behind the fence of a block that is Rust.
const RUST: &[&str] = &["", "rust", "no_run", "compile_fail", "should_panic"];

/// Whether the line says where a name leads that brackets elsewhere show.
fn is_definition(line: &str) -> bool {
    line.starts_with("[`") && line.contains("`]: ")
}

/// The line without links to items, which lead nowhere outside of rustdoc.
fn unlinked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('[') {
        out.push_str(&rest[..start]);
        let Some((text, after)) = bracketed(&rest[start..]) else {
            out.push_str(&rest[start..]);
            return out;
        };
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        match target {
            Some((target, after)) if is_away(target) => {
                let _ = write!(out, "[{text}]({target})");
                rest = after;
            }
            Some((_, after)) => {
                out.push_str(text);
                rest = after;
            }
            None if text.starts_with('`') => {
                out.push_str(text);
                rest = after;
            }
            None => {
                let _ = write!(out, "[{text}]");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The text between a bracket and the one that ends it, and what stands behind.
fn bracketed(rest: &str) -> Option<(&str, &str)> {
    let end = rest.find(']')?;
    Some((&rest[1..end], &rest[end + 1..]))
}

fn is_away(target: &str) -> bool {
    target.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_items_become_their_text_and_links_away_stay() {
        for (line, plainly) in [
            ("see [`Budget`] and [attempts](Rules::attempts)", "see `Budget` and attempts"),
            ("[docs](https://docs.rs/x) of [it](crate::y)", "[docs](https://docs.rs/x) of it"),
            ("a [`x`](y) | [z]", "a `x` | [z]"),
            ("no link, [open", "no link, [open"),
        ] {
            assert_eq!(unlinked(line), plainly);
        }
    }

    #[test]
    fn hidden_lines_go_and_headings_sink() {
        let docs =
            "A.\n\n# B\n\n```\n# hidden\nlet x = 1;\n#\n```\n\n```toml\n# kept\n```\n[`q`]: r::q\n";
        assert_eq!(plain(docs), "A.\n\n## B\n\n```rust\nlet x = 1;\n```\n\n```toml\n# kept\n```\n");
    }

    #[test]
    fn what_attributes_add_is_read_where_it_stands() {
        let source =
            "//! a\n#![cfg_attr(\n    feature = \"x\",\n    doc = \"b\"\n)]\n//! c\n\nmod d;\n";
        assert_eq!(documentation(source, Path::new(".")).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn features_that_the_documentation_does_not_name_get_a_table() {
        let manifest = "[features]\ndefault = []\n# Real servers,\n# started here.\nservers = []\n\n[dependencies]\nx = \"1\"\n";
        let features = features(manifest);
        assert_eq!(features, [("servers".to_owned(), "Real servers, started here.".to_owned())]);
        assert!(
            page("x", "Says.\n", &features).contains("| `servers` | Real servers, started here |")
        );
        assert!(!page("x", "Has `servers`.\n", &features).contains("## Features"));
    }
}
