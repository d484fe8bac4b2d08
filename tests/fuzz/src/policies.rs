use aplomb::policy::{PolicyFile, lint};

/// A file that is read can be judged, and what is written of it is read as the same.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = match PolicyFile::parse("fuzzed.toml", text) {
        Ok(file) => file,
        Err(faults) => {
            // Each fault is shown beside its line.
            assert!(!faults.to_string().is_empty());
            return;
        }
    };
    _ = lint(&file);
    let written = file.to_toml();
    let again = PolicyFile::parse("fuzzed.toml", &written);
    let again = again.unwrap_or_else(|faults| panic!("we cannot read what we wrote: {faults}"));
    assert_eq!(again.to_toml(), written);
}
