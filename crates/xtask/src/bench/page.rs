//! The page of the docs that the benches write: each its own section.

use std::fs;

/// The sections of the page, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Layers,
    Threads,
    Keys,
    Http,
    Stores,
    Footprint,
}

impl Section {
    const ALL: [Self; 6] =
        [Self::Layers, Self::Threads, Self::Keys, Self::Http, Self::Stores, Self::Footprint];

    /// Its heading; no other line of the page begins as it does.
    const fn title(self) -> &'static str {
        match self {
            Self::Layers => "## Layers",
            Self::Threads => "## Two threads",
            Self::Keys => "## A million keys",
            Self::Http => "## Over HTTP",
            Self::Stores => "## Stores",
            Self::Footprint => "## What a build pays",
        }
    }
}

/// Writes one section. The others stay as they are.
pub(super) fn write(section: Section, text: &str) -> Result<(), String> {
    let page = fs::read_to_string(PAGE).map_err(|error| format!("no {PAGE}: {error}"))?;
    fs::write(PAGE, with(&page, section, text))
        .map_err(|error| format!("{PAGE} cannot be written: {error}"))
}

/// The page with this section, where the order of sections puts it.
fn with(page: &str, section: Section, text: &str) -> String {
    let text = text.trim();
    Section::ALL.iter().fold(INTRODUCTION.to_owned(), |made, &each| {
        let kept = if each == section { Some(text) } else { body(page, each) };
        kept.map_or_else(|| made.clone(), |kept| format!("{made}\n{}\n\n{kept}\n", each.title()))
    })
}

/// What stands under a section's heading, up to the next of its rank.
fn body(page: &str, section: Section) -> Option<&str> {
    let heading = format!("\n{}\n", section.title());
    let start = page.find(&heading)? + heading.len();
    let end = page[start..].find("\n## ").map_or(page.len(), |end| start + end);
    Some(page[start..end].trim())
}

const PAGE: &str = "docs/speed.md";

const INTRODUCTION: &str = "\
# Speed

What the layers cost, beside their peers: the same inner service, the same request, one build. Each
section is made by the command that it names, and has what must hold and what is meant beside each
row.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let page = with(&with(INTRODUCTION, Section::Layers, "old"), Section::Stores, "stores");
        let page = with(&page, Section::Layers, "new\n\n### below\n");
        assert_eq!(
            page,
            format!("{INTRODUCTION}\n## Layers\n\nnew\n\n### below\n\n## Stores\n\nstores\n")
        );
    }

    #[test]
    fn sections_stand_in_their_order_whichever_is_written_first() {
        let page = with(INTRODUCTION, Section::Footprint, "footprint");
        let page = with(&page, Section::Threads, "threads");
        let (threads, footprint) = (page.find("threads"), page.find("footprint"));
        assert!(threads < footprint, "{page}");
    }

    #[test]
    fn writing_the_same_again_changes_nothing() {
        let page = with(INTRODUCTION, Section::Keys, "keys");
        assert_eq!(with(&page, Section::Keys, "keys"), page);
    }
}
