//! What the pages say of the repository is held against the repository.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aplomb::telemetry::METRICS;
use aplomb_book::commands::{self, Command};
use aplomb_book::pages::{self, Page};

#[test]
fn every_event_that_a_pattern_names_is_announced() {
    let mut seen = 0;
    for page in all().into_iter().filter(|page| page.name.starts_with("patterns/")) {
        let name = page.name["patterns/".len()..].trim_end_matches(".md").to_owned();
        let events = pages::repository().join(format!("crates/aplomb-{name}/src/event.rs"));
        // What telemetry hears are the events of all others.
        let Ok(events) = fs::read_to_string(events) else { continue };
        let (_, rest) = page.text.split_once("## Events and metrics").unwrap();
        // Events stand in the first column of the part's tables.
        let rows = rest.split("\n## ").next().unwrap().lines();
        let cells = rows.filter_map(|row| row.strip_prefix('|')?.split('|').next());
        let part = Page { name, text: cells.collect::<Vec<_>>().join("\n") };
        let is_name = |word: &String| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(char::is_alphanumeric)
                && !word.starts_with("Aplomb")
        };
        for word in part.words().into_iter().filter(is_name) {
            seen += 1;
            assert!(events.contains(&word), "{}: no event {word}", page.name);
        }
    }
    assert!(seen > 20, "the events that pages name were not found: {seen}");
}

#[test]
fn every_metric_that_is_named_is_served() {
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let ends = ["_total", "_seconds", "_balance", "_state", "_per_call", "_running", "_waiting"];
    // Pages of findings name the numbers of their finding: see below.
    for page in all().into_iter().filter(|page| !page.name.starts_with("lint/")) {
        for word in page.words() {
            let name = word.split('{').next().unwrap();
            let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_plain && ends.iter().any(|end| name.ends_with(end)) {
                let is_served = names.contains(name) || OTHER_NAMES.contains(&name);
                assert!(is_served, "{}: {word} is no metric of ours", page.name);
            }
        }
    }
}

/// Words that end as metrics do and are methods.
const OTHER_NAMES: &[&str] = &["unlimited_total"];

#[test]
fn every_path_that_is_named_is_there() {
    const ROOTS: &[&str] = &["crates/", "docs/", "examples/", "tests/", ".ci/", ".github/"];
    for page in all_documents() {
        for word in page.words() {
            let is_path = ROOTS.iter().any(|root| word.starts_with(root));
            if !is_path || word.contains(['*', ' ', '<', '…']) {
                continue;
            }
            let path = word.split("::").next().unwrap();
            assert!(pages::repository().join(path).exists(), "{}: {word}", page.name);
        }
    }
}

#[test]
fn every_link_of_a_document_beside_the_book_leads_to_a_file() {
    let mut documents = vec!["README.md", "docs/ARCHITECTURE.md", "docs/STYLE.md"];
    documents.extend(pages::BESIDE);
    for document in documents {
        let page = Page { name: document.to_owned(), text: read(document) };
        let folder = pages::repository().join(document);
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            let path = link.split('#').next().unwrap();
            let is_there = path.is_empty() || folder.parent().unwrap().join(path).exists();
            assert!(is_there, "{document}: {link}");
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut seen = 0;
    for page in all_documents() {
        // `::name` is a test of the file that the page named last.
        let mut file = String::new();
        for word in page.words() {
            let (path, name) = word.split_once("::").unwrap_or((&word, ""));
            if Path::new(path).extension().is_some_and(|end| end == "rs") {
                path.clone_into(&mut file);
            }
            // Methods are named so too, and are shorter.
            let is_long = name.matches('_').count() > 2;
            let is_test = if path.is_empty() { is_long } else { path == file };
            if is_test && !name.is_empty() {
                seen += 1;
                assert!(read(&file).contains(&format!("fn {name}(")), "{}: {word}", page.name);
            }
        }
    }
    assert!(seen > 40, "the tests that pages name were not found: {seen}");
}

#[test]
fn each_of_our_own_cells_in_the_comparison_has_its_proof() {
    let text = read("docs/compare/README.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.trim_end_matches('|').split('|').map(str::trim).collect()).collect();
    let claims = rows.iter().filter(|row| row.len() == 8 && row[1] == "✓");
    let claims: BTreeSet<&str> = claims.map(|row| row[0]).collect();
    let proofs = rows.iter().filter(|row| row.len() == 2 && row[1].starts_with('`'));
    assert_eq!(proofs.map(|row| row[0]).collect::<BTreeSet<_>>(), claims);
    assert!(claims.len() > 20, "the table was not found");
}

#[test]
fn every_command_that_is_named_exists() {
    let mut seen = 0;
    for page in all_documents() {
        for command in commands::of(&page) {
            seen += 1;
            let fault = fault(&command);
            assert!(fault.is_none(), "{}: {command:?}: {}", page.name, fault.unwrap());
        }
    }
    assert!(seen > 20, "the commands of the pages were not found: {seen}");
}

#[test]
fn a_command_that_does_not_exist_is_noticed() {
    let command = |program, word: &str, flag: &str| Command {
        program,
        words: vec![word.into()],
        flags: vec![flag.into()],
    };
    assert_eq!(fault(&command("xtask", "book", "help")), None);
    assert!(fault(&command("xtask", "bock", "help")).is_some());
    assert!(fault(&command("demo", "check", "sead")).is_some());
}

/// What is wrong with a command, judged by the source of its command line.
fn fault(command: &Command) -> Option<String> {
    let source = sources(command.program);
    // A subcommand is a variant; deeper words may be values, and those name files or scenarios.
    if let Some(word) = command.words.first() {
        let variant = camel(word);
        let is_variant = source.lines().map(str::trim).any(|line| {
            line.strip_prefix(&variant).is_some_and(|rest| rest.starts_with([',', '(', ' ']))
        });
        if !is_variant {
            return Some(format!("no subcommand `{word}`"));
        }
    }
    let flags = command.flags.iter().filter(|flag| *flag != "help" && *flag != "version");
    flags
        .filter(|flag| {
            let field = format!("{}:", flag.replace('-', "_"));
            !source.contains(&format!(" {field}")) && !source.contains(&format!("\"{flag}\""))
        })
        .map(|flag| format!("no flag --{flag}"))
        .next()
}

fn camel(word: &str) -> String {
    let parts = word.split('-').map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
    });
    parts.flatten().collect()
}

/// The source of a program's command line.
fn sources(program: &str) -> String {
    let folder = match program {
        "xtask" => "crates/xtask/src",
        "demo" => "examples/demo/src",
        _ => "crates/aplomb-cli/src",
    };
    let files = fs::read_dir(pages::repository().join(folder)).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
    // `aplomb init` has a folder of its own.
    let init = pages::repository().join(folder).join("init/mod.rs");
    sources.chain(fs::read_to_string(init)).collect()
}

/// The pages, with the documents beside the book.
fn all_documents() -> Vec<Page> {
    let beside = pages::BESIDE.iter().map(|&path| Page { name: path.to_owned(), text: read(path) });
    all().into_iter().chain(beside).collect()
}

fn all() -> Vec<Page> {
    pages::all().unwrap()
}

fn read(path: &str) -> String {
    pages::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
