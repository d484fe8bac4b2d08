//! The pages are whole: listed, compiled, made by one template, one for each finding and alert.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;

use aplomb::policy::{Code, PolicyFile, lint};
use aplomb_book::pages::{self, Page};

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let contents = page("SUMMARY.md").links();
    let listed: BTreeSet<String> = contents.iter().cloned().collect();
    assert_eq!(listed.len(), contents.len(), "a page is listed twice");
    // What other pages include is no page of its own.
    let pages = all().into_iter().map(|page| page.name);
    let pages = pages.filter(|name| name != "SUMMARY.md" && !name.starts_with("figures/"));
    assert_eq!(pages.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn every_block_of_code_says_what_it_is() {
    for page in all().into_iter().chain(beside()) {
        for block in page.blocks() {
            assert!(!block.language.is_empty(), "{}:\n{}", page.name, block.code);
        }
    }
}

#[test]
fn every_page_with_rust_in_it_is_compiled() {
    let compiled = read("crates/aplomb-book/src/compiled.rs");
    for page in all() {
        let has_rust = page.blocks().iter().any(|block| block.language.starts_with("rust"));
        let is_compiled = compiled.contains(&format!("{}\"", page.name));
        assert_eq!(has_rust, is_compiled, "{}: compiled.rs lists pages with Rust", page.name);
    }
}

#[test]
fn no_block_of_rust_escapes_the_compiler() {
    for page in all() {
        for block in page.blocks() {
            let words = || block.language.split(',').map(str::trim);
            let escapes = words().any(|word| word == "ignore" || word == "text");
            let is_rust = words().any(|word| word == "rust");
            assert!(!(is_rust && escapes), "{}:\n{}", page.name, block.code);
            // `rs` is Rust to a reader and not to rustdoc: for files that their own crate compiles.
            let is_included = block.code.starts_with("{{#include ") && block.code.contains(".rs");
            assert!(block.language != "rs" || is_included, "{}:\n{}", page.name, block.code);
        }
    }
}

#[test]
fn each_page_of_a_pattern_has_the_same_parts_and_can_be_read_in_one_go() {
    let patterns: Vec<Page> =
        all().into_iter().filter(|page| page.name.starts_with("patterns/")).collect();
    assert!(patterns.len() >= 10, "a page for each pattern");
    for page in patterns {
        // A heading stands outside of code, where two hashes begin no line.
        let headings = page.text.lines().filter_map(|line| line.strip_prefix("## "));
        assert_eq!(headings.collect::<Vec<_>>(), TEMPLATE, "{}", page.name);
        assert!(page.text.lines().count() <= 200, "{} is too long", page.name);
    }
}

/// The parts of a pattern's page, in their order.
const TEMPLATE: &[&str] = &[
    "About",
    "Smallest use",
    "What happens on failure",
    "Defaults and why",
    "Events and metrics",
    "Picture",
    "Composing",
    "Price",
    "Anti-patterns and their cost",
    "Testing",
];

#[test]
fn everything_that_is_included_is_there() {
    for page in all() {
        let folder = pages::source().join(&page.name);
        let folder = folder.parent().unwrap();
        for include in page.text.split("{{#include ").skip(1) {
            let path = include.split("}}").next().unwrap().split(".rs:").collect::<Vec<_>>();
            let path = if path.len() > 1 { format!("{}.rs", path[0]) } else { path[0].to_owned() };
            assert!(folder.join(&path).is_file(), "{} includes {path}", page.name);
        }
    }
}

#[test]
fn each_finding_of_the_lint_has_a_page_and_each_page_a_finding() {
    let pages = all()
        .into_iter()
        .filter_map(|page| Some(page.name.strip_prefix("lint/")?.strip_suffix(".md")?.to_owned()));
    let pages: BTreeSet<String> = pages.filter(|name| name != "index").collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(pages, codes);
    // What a finding calls its page is where mdBook puts it.
    let said: BTreeSet<String> = Code::ALL.iter().map(|code| code.page()).collect();
    assert_eq!(said, codes.iter().map(|code| format!("lint/{code}.html")).collect());
}

#[test]
fn each_page_of_a_finding_shows_the_file_and_what_the_lint_says_of_it() {
    for code in Code::ALL {
        let text = page(&format!("lint/{code}.md")).text;
        for end in ["toml", "txt"] {
            let include =
                format!("{{{{#include ../../../../crates/aplomb/tests/lint/{code}.{end}}}}}");
            assert!(text.contains(&include), "{code} lacks {include}");
        }
    }
}

#[test]
fn each_page_of_a_finding_names_its_numbers() {
    for code in Code::ALL {
        let words = page(&format!("lint/{code}.md")).words();
        let text = read(&format!("crates/aplomb/tests/lint/{code}.toml"));
        let file = PolicyFile::parse(code.as_str(), &text).unwrap();
        for (number, _) in lint(&file).iter().flat_map(|finding| &finding.numbers) {
            assert!(words.iter().any(|word| word == number), "{code} does not name {number}");
        }
    }
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let rules = read("docs/alerts/aplomb.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    let text = page("operate/alerts.md").text;
    let runbooks = text.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(runbooks.collect::<BTreeSet<_>>(), alerts);
}

fn page(name: &str) -> Page {
    all().into_iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn beside() -> impl Iterator<Item = Page> {
    pages::BESIDE.iter().map(|&path| Page { name: path.to_owned(), text: read(path) })
}

fn all() -> Vec<Page> {
    pages::all().unwrap()
}

fn read(path: &str) -> String {
    pages::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
