/// First folders of absolute paths that exist on one machine and not on the next.
const ROOTS: &[&str] = &["work", "farm", "root", "home", "Users"];

pub(crate) const MEND: &str = "write the path relative to the repository";

pub(crate) fn mentions(path: &str, text: &str) -> Vec<String> {
    let guilty = text.lines().enumerate().filter(|(_, line)| has_machine_path(line));
    guilty.map(|(index, line)| format!("{path}:{}: {}", index + 1, line.trim())).collect()
}

fn has_machine_path(line: &str) -> bool {
    ROOTS.iter().any(|root| begins_at(root, line))
}

/// Whether the line has an absolute path that begins at this root.
fn begins_at(root: &str, line: &str) -> bool {
    line.match_indices(&format!("/{root}/")).any(|(at, found)| {
        let (before, after) = (&line[..at], &line[at + found.len()..]);
        let continues_a_path = |c: char| c.is_alphanumeric() || "._-~})]*/".contains(c);
        let is_absolute = before.ends_with("file://") || !before.ends_with(continues_a_path);
        is_absolute && after.starts_with(|c: char| c.is_alphanumeric() || c == '.')
    })
}

#[test]
fn an_absolute_path_is_found_and_a_relative_one_is_not() {
    for root in ROOTS {
        for path in ["x", ".cache"].map(|name| format!("/{root}/{name}")) {
            for line in [
                path.clone(),
                format!("see \"{path}\""),
                format!("a={path}:b"),
                format!("file://{path}"),
            ] {
                assert!(has_machine_path(&line), "{line}");
            }
            for line in [
                format!("crates{path}"),
                format!("..{path}"),
                format!("https://example.com{path}"),
                format!("${{base}}{path}"),
            ] {
                assert!(!has_machine_path(&line), "{line}");
            }
        }
        assert!(!has_machine_path(&format!("/{root}s/x")));
        assert!(!has_machine_path(&format!("/{root}/")));
    }
}

#[test]
fn a_mention_is_shown_with_its_line() {
    let text = format!("well\n  cd /{}/main\n", ROOTS[0]);
    assert_eq!(mentions("a.md", &text), [format!("a.md:2: cd /{}/main", ROOTS[0])]);
}
