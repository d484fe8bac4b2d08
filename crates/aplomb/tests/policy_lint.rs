//! Every finding of the lint has a bad file, and the good files are clean.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aplomb::core::OperationClass;
use aplomb::policy::{
    Code, Dependency, DependencyTerms, Finding, Key, Operation, Policy, PolicyFile, Service, WIDTH,
    human, lint,
};
use std::time::Duration;

#[test]
fn each_bad_file_has_its_finding_and_no_other() {
    for (code, path) in corpus() {
        let findings = lint(&parsed(&path));
        let codes: BTreeSet<&str> = findings.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(codes, BTreeSet::from([&*code]), "{}", human(&findings));
    }
}

#[test]
fn each_finding_is_told_as_its_page_says() {
    for (code, path) in corpus() {
        let said = human(&lint(&parsed(&path)));
        let page = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(said, page, "{code}.txt should read:\n\n{said}");
    }
}

#[test]
fn every_code_has_a_bad_file_and_every_bad_file_a_code() {
    let files: BTreeSet<String> = corpus().into_iter().map(|(code, _)| code).collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(files, codes);
    let all = fs::read_dir(folder()).unwrap().count();
    assert_eq!(all, 2 * codes.len(), "a page beside each file, and nothing else");
}

#[test]
fn findings_say_where_and_with_what_numbers_in_eighty_columns() {
    for (code, path) in corpus() {
        for finding in lint(&parsed(&path)) {
            assert!(!finding.numbers.is_empty(), "{code}");
            assert!(finding.numbers.iter().all(|(_, number)| number.is_finite()), "{code}");
            assert!(finding.at.is_some_and(|at| at.line > 3), "{code}");
            let is_lower = |text: &str| text.starts_with(|c: char| !c.is_ascii_uppercase());
            assert!(is_lower(&finding.what) && is_lower(&finding.mend), "{code}");
            let lines = finding.to_string();
            assert!(lines.lines().all(|line| line.chars().count() <= WIDTH), "{lines}");
        }
    }
}

#[test]
fn presets_are_clean_as_toml() {
    for class in OperationClass::ALL {
        for (method, key) in [("GET", ""), ("PUT", ""), ("POST", KEY), ("PUT", KEY)] {
            let is_keyed = matches!(class, OperationClass::KeyedWrite | OperationClass::Deferred);
            if is_keyed && key.is_empty() {
                continue;
            }
            let text = format!(
                "version = 1\n[service]\nname = 'shop'\nfleet = 100\ncalls_per_second = 500\n\
                 [dependency.d]\ncapacity_per_second = 1000\nbreaker = {{}}\n\
                 [dependency.d.operation.o]\nclass = '{class}'\nmatch = '{method} /o'\n{key}"
            );
            let file = PolicyFile::parse("preset.toml", &text).unwrap();
            assert_clean(&lint(&file), &text);
        }
    }
}

#[test]
fn an_unkeyed_post_is_clean_because_it_is_sent_once() {
    for class in ["read", "confirm", "best-effort"] {
        let text = format!(
            "version = 1\n[service]\nname = 'shop'\n[dependency.d.operation.o]\n\
             class = '{class}'\nmatch = 'POST /o'\n"
        );
        let file = PolicyFile::parse("preset.toml", &text).unwrap();
        let (_, operation) = file.operations().next().unwrap();
        assert_eq!(operation.policy().attempts().get(), 1, "{class}");
        assert_clean(&lint(&file), &text);
    }
}

#[test]
fn presets_are_clean_as_values() {
    let key = Key::new("order", Duration::from_secs(8 * 24 * 3600));
    let policies = OperationClass::ALL.iter().map(|class| {
        Operation::new(class.as_str(), Policy::preset(*class).key(key.clone()).build().unwrap())
    });
    let dependency = Dependency::new("stock", DependencyTerms::default());
    let dependency = policies.fold(dependency, |all, one| all.operation(one).unwrap());
    let service = Service::new("shop").fleet(100).calls_per_second(500.0);
    let file = PolicyFile::new(service, [dependency]);
    assert_clean(&lint(&file), "values");
}

#[test]
fn the_demos_policies_are_clean() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo/aplomb.toml");
    let file = PolicyFile::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_clean(&lint(&file), "examples/demo/aplomb.toml");
    let classes: BTreeSet<_> = file.operations().map(|(_, one)| one.policy().class()).collect();
    assert_eq!(classes, OperationClass::ALL.iter().copied().collect(), "one of each class");
}

#[test]
fn what_is_not_declared_is_not_reckoned_with() {
    let text = "version = 1\n[service]\nname = 'shop'\n\
        [dependency.d]\nbreaker = { minimum_calls = 1000000 }\n\
        [dependency.d.operation.o]\nclass = 'read'\n";
    assert_clean(&lint(&PolicyFile::parse("bare.toml", text).unwrap()), text);
}

fn assert_clean(findings: &[Finding], what: &str) {
    assert!(findings.is_empty(), "{what}\n{}", human(findings));
}

fn parsed(path: &Path) -> PolicyFile {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    PolicyFile::parse(name, &text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn corpus() -> Vec<(String, PathBuf)> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

const KEY: &str = "key = { from = 'order', kept = '8d' }\n";
