//! Builds the book, then walks its links.

use std::path::PathBuf;
use std::process::ExitCode;

use aplomb_book::{links, pages};
use mdbook_driver::MDBook;

fn main() -> ExitCode {
    match build() {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            for complaint in &complaints {
                eprintln!("{complaint}");
            }
            eprintln!("{} links lead nowhere", complaints.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> mdbook_driver::errors::Result<Vec<String>> {
    let root = pages::repository().join("docs/book");
    let mut book = MDBook::load(&root)?;
    // Beside what cargo builds, which nobody commits; mdBook takes it from the book's own folder.
    let site = std::env::args_os().nth(1).map_or_else(
        || pages::repository().join("target/book"),
        |given| std::env::current_dir().unwrap_or_default().join(PathBuf::from(given)),
    );
    book.config.build.build_dir.clone_from(&site);
    book.build()?;
    println!("{}", site.join("index.html").display());
    Ok(links::broken(&site)?)
}
