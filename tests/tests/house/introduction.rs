use cargo_metadata::Package;

pub(crate) const MEND: &str = "a published crate has `description`, `license` and `rust-version` \
    (the last two from the workspace), its first `//!` paragraph says in one sentence, without \
    \"and\", what the crate does for its caller; the second paragraph says why it exists";

pub(crate) fn missing_fields(package: &Package) -> Vec<&'static str> {
    let describes = |text: &String| !text.trim().is_empty();
    let fields = [
        ("description", package.description.as_ref().is_some_and(describes)),
        ("license", package.license.is_some()),
        ("rust-version", package.rust_version.is_some()),
    ];
    let missing = fields.iter().filter(|(_, is_there)| !is_there);
    missing.map(|(field, _)| *field).collect()
}

/// What is wrong with the first paragraph of a crate's documentation.
pub(crate) fn poor_sentence(source: &str) -> Option<String> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(str::trim).take_while(|line| !line.is_empty());
    let words = lines.collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return Some("does not begin with a `//!` sentence".into());
    }
    if !words.ends_with('.') || words.contains(". ") {
        return Some(format!("`{words}` is not one sentence"));
    }
    words.contains(" and ").then(|| format!("`{words}` says \"and\""))
}

#[test]
fn an_introduction_is_one_sentence_about_one_thing() {
    for well in
        ["//! Retries that\n//! spend a budget.\n//!\n//! Why. And how.", "//! HTTP/1.1 kept."]
    {
        assert_eq!(poor_sentence(well), None);
    }
    for poor in ["", "mod a;", "//! Retries and waits.", "//! No full stop\n", "//! One. Two.\n"] {
        assert!(poor_sentence(poor).is_some(), "{poor}");
    }
}

#[test]
fn a_field_that_is_missing_is_named() {
    let manifest = |fields: &str| {
        let text = format!(
            r#"{{"name": "x", "version": "0.1.0", "id": "x", "dependencies": [], "targets": [],
                "features": {{}}, "manifest_path": "Cargo.toml"{fields}}}"#
        );
        serde_json::from_str::<Package>(&text).unwrap()
    };
    let fields = r#", "description": " ", "license": "MIT""#;
    assert_eq!(missing_fields(&manifest(fields)), ["description", "rust-version"]);
    let fields = r#", "description": "x", "license": "MIT", "rust_version": "1.85.0""#;
    assert!(missing_fields(&manifest(fields)).is_empty());
}
