//! What the pages hold that can be checked: code by its language, words in code, links.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page of the book.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path below `docs/book/src`, with slashes.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind its fence, or nothing when it is only indented.
    pub language: String,
    /// What it says.
    pub code: String,
}

/// The workspace that the book belongs to.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the pages lie.
pub fn source() -> PathBuf {
    repository().join("docs/book/src")
}

/// Documents beside the book that make claims as it does, by their paths in the repository.
pub const BESIDE: &[&str] =
    &["docs/CONTRIBUTING.md", "docs/RELEASING.md", "docs/SECURITY.md", "docs/compare/README.md"];

/// A file of the repository.
///
/// # Errors
///
/// When it cannot be read.
pub fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(repository().join(path))
}

/// All pages in the order of their names, the table of contents among them.
///
/// # Errors
///
/// When a file or folder cannot be read.
pub fn all() -> io::Result<Vec<Page>> {
    let mut pages = Vec::new();
    collect(&source(), "", &mut pages)?;
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(pages)
}

fn collect(folder: &Path, prefix: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_dir() {
            collect(&path, &format!("{name}/"), pages)?;
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(Page { name, text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}

impl Page {
    /// Its blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for event in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    blocks.push(Block { language, code: String::new() });
                    inside = true;
                }
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Text(text) if inside => {
                    if let Some(block) = blocks.last_mut() {
                        block.code.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        blocks
    }

    /// What stands in code within its sentences.
    pub fn words(&self) -> Vec<String> {
        let words = self.events().filter_map(|event| match event {
            Event::Code(word) => Some(word.into_string()),
            _ => None,
        });
        words.collect()
    }

    /// Where its links lead.
    pub fn links(&self) -> Vec<String> {
        let links = self.events().filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        });
        links.collect()
    }

    fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_words_and_links_are_told_apart() {
        let text = "# A `title`\n\n[away](b.md#c) and `x | y`\n\n```sh\ncargo xtask book\n```\n\n    indented\n";
        let page = Page { name: "a.md".into(), text: text.into() };
        let block =
            |language: &str, code: &str| Block { language: language.into(), code: code.into() };
        assert_eq!(page.blocks(), [block("sh", "cargo xtask book\n"), block("", "indented\n")]);
        assert_eq!(page.words(), ["title", "x | y"]);
        assert_eq!(page.links(), ["b.md#c"]);
    }
}
