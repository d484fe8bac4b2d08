//! Links of a built site that lead nowhere.
//!
//! What is walked is the HTML that readers get, so that a page that was renamed, an anchor whose
//! heading was reworded, a picture that was not copied are all seen, whoever wrote the link.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Every link of every page whose target is missing: the page, the link, why.
///
/// Links to other hosts are left alone: whether they answer is not this repository's to decide.
///
/// # Errors
///
/// When the site cannot be read.
pub fn broken(site: &Path) -> io::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    let mut files = BTreeSet::new();
    walk(site, Path::new(""), &mut pages, &mut files)?;
    let anchors: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|(path, html)| (path.as_path(), values(html, &["id", "name"]))).collect();
    let mut broken = Vec::new();
    for (page, html) in &pages {
        for link in values(html, &["href", "src"]) {
            if let Some(why) = fault(page, &link, &files, &anchors) {
                broken.push(format!("{}: {link}: {why}", page.display()));
            }
        }
    }
    Ok(broken)
}

fn walk(
    site: &Path,
    below: &Path,
    pages: &mut BTreeMap<PathBuf, String>,
    files: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    for entry in fs::read_dir(site.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(site, &path, pages, files)?;
            continue;
        }
        if path.extension().is_some_and(|end| end == "html") {
            pages.insert(path.clone(), fs::read_to_string(entry.path())?);
        }
        files.insert(path);
    }
    Ok(())
}

fn fault(
    page: &Path,
    link: &str,
    files: &BTreeSet<PathBuf>,
    anchors: &BTreeMap<&Path, BTreeSet<String>>,
) -> Option<&'static str> {
    let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
    // The page of missing pages may be served from any depth: its links begin at the root.
    if is_elsewhere || link.starts_with("data:") || page == Path::new("404.html") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, id)| (file, Some(id)));
    let target = match file {
        "" => page.to_owned(),
        _ => resolved(page.parent().unwrap_or(Path::new("")), file)?,
    };
    if !files.contains(&target) {
        return Some("there is no such file in the book");
    }
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    let has = anchors.get(target.as_path()).is_some_and(|ids| ids.contains(anchor));
    (!has).then_some("the page has no such heading")
}

/// The path that a relative link means.
fn resolved(folder: &Path, link: &str) -> Option<PathBuf> {
    let link = link.split('?').next()?;
    let mut path = folder.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// The values of these attributes, wherever they stand in the page's tags.
fn values(html: &str, attributes: &[&str]) -> BTreeSet<String> {
    let found = attributes.iter().flat_map(|attribute| {
        let opening = format!(" {attribute}=\"");
        let starts: Vec<usize> =
            html.match_indices(&opening).map(|(at, _)| at + opening.len()).collect();
        let texts = starts.into_iter().filter_map(|start| html[start..].split('"').next());
        texts.map(|text| text.replace("&amp;", "&")).collect::<Vec<_>>()
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(link: &str) -> Option<&'static str> {
        let files = ["a.html", "in/b.html", "picture.svg"].map(PathBuf::from).into();
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
        let anchors =
            [(Path::new("a.html"), ids(&["top"])), (Path::new("in/b.html"), ids(&[]))].into();
        fault(Path::new("in/b.html"), link, &files, &anchors)
    }

    #[test]
    fn a_link_that_leads_somewhere_is_no_fault() {
        for link in ["../a.html", "../a.html#top", "b.html", "#", "../picture.svg", "https://x.y/z"]
        {
            assert_eq!(fault_of(link), None, "{link}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_one() {
        for link in ["a.html", "../a.html#gone", "#gone", "../a.md", "../../crates/x.rs"] {
            assert!(fault_of(link).is_some(), "{link}");
        }
    }

    #[test]
    fn attributes_are_found_wherever_they_stand() {
        let html = r#"<a class="x" href="y.html#z">, <h2 id="z"><img src="p.svg">"#;
        assert_eq!(values(html, &["href", "src"]), ["p.svg".into(), "y.html#z".into()].into());
        assert_eq!(values(html, &["id"]), ["z".into()].into());
    }
}
