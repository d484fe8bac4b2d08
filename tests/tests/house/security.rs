use std::collections::BTreeSet;

pub(crate) const MEND: &str = "docs/SECURITY.md names a test beside each bound, as a link with the \
    test's name to the file it is in: name the test that shows it now";

/// A test that the document names, with the file that it should be in, relative to the root.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) test: String,
    pub(crate) file: String,
}

/// Every ``[`test`](../path)`` of the document.
pub(crate) fn named(document: &str) -> BTreeSet<Named> {
    let links = document.split("[`").skip(1);
    let named = links.filter_map(|rest| {
        let (test, rest) = rest.split_once("`](../")?;
        let (file, _) = rest.split_once(')')?;
        let is_rust = file.strip_suffix(".rs").is_some();
        is_rust.then(|| Named { test: test.to_owned(), file: file.to_owned() })
    });
    named.collect()
}

/// What is wrong with the tests that are named, given how to read a file.
pub(crate) fn missing(document: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let missing = named(document).into_iter().filter_map(|Named { test, file }| {
        let Some(source) = read(&file) else {
            return Some(format!("{test}: there is no {file}"));
        };
        let is_there = source.contains(&format!("fn {test}("));
        (!is_there).then(|| format!("{file} has no test {test}"))
    });
    missing.collect()
}

/// Rows of a table that promise a bound and name no test.
pub(crate) fn unshown(document: &str) -> Vec<String> {
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let heads = ["| it sends", "| it answers"];
    let promises = rows.filter(|row| !heads.iter().any(|head| row.starts_with(head)));
    promises.filter(|row| !row.contains("`](../")).map(|row| format!("no test: {row}")).collect()
}

#[test]
fn a_test_that_is_named_and_not_there_is_found() {
    let document = "| x | y | z | [`it_holds`](../a.rs), [`it_ends`](../b.rs) |";
    let read = |file: &str| (file == "a.rs").then(|| "fn it_holds() {}".to_owned());
    assert_eq!(missing(document, read), ["it_ends: there is no b.rs"]);
    let read = |_: &str| Some("fn it_holds() {}\nfn it_ends_late() {}".to_owned());
    assert_eq!(missing(document, read), ["b.rs has no test it_ends"]);
}

#[test]
fn a_promise_without_a_test_is_found() {
    let document = "| it sends | shown by |\n|---|---|\n| a | [`t`](../a.rs) |\n| b | trust us |";
    assert_eq!(unshown(document), ["no test: | b | trust us |"]);
}
