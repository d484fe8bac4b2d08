//! The policy files that pages print are policy files, and those that are shown as mended are clean.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb::policy::{PolicyFile, human, lint, sheet};
use aplomb_book::pages;

#[test]
fn every_policy_file_on_a_page_is_one_that_the_lint_passes() {
    let mut seen = 0;
    for page in pages::all().unwrap() {
        for block in page.blocks().iter().filter(|block| block.language == "toml") {
            // What is included has tests of its own; what has no version is no policy file.
            if block.code.contains("{{#include") || !block.code.starts_with("version = ") {
                continue;
            }
            seen += 1;
            let file = PolicyFile::parse(&*page.name, &block.code);
            let file = file.unwrap_or_else(|errors| panic!("{}:\n{errors}", page.name));
            let findings = lint(&file);
            assert!(findings.is_empty(), "{}:\n{}", page.name, human(&findings));
        }
    }
    assert!(seen >= 14, "the files on the pages were not found: {seen}");
}

#[test]
fn the_sheet_that_is_shown_is_the_one_that_the_lint_prints() {
    let pages = pages::all().unwrap();
    let page = pages.iter().find(|page| page.name == "start/decision-sheet.md").unwrap();
    let block = |language: &str| {
        let mut blocks = page.blocks().into_iter();
        blocks.find(|block| block.language == language).unwrap().code
    };
    let file = PolicyFile::parse("aplomb.toml", &block("toml")).unwrap();
    assert_eq!(sheet::text(&file), block("text"));
}
