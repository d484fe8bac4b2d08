use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::report::Report;
use crate::steps::{Line, Step};

pub(crate) fn run(report: &mut Report) {
    match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => report.run(&step(&metadata)),
        Err(error) => report.fail("packages", vec![error.to_string()]),
    }
}

/// Packs every published crate as a registry would get it.
///
/// What a manifest forgets is found here: a file outside of its folder, a dependency without a
/// version, two crates that can only be published after each other. They are not built once more:
/// that each compiles alone is a step of its own.
pub(crate) fn step(metadata: &Metadata) -> Step {
    let line = Line::cargo(&["package", "--no-verify", "--allow-dirty", "--quiet", "--workspace"]);
    let packages = metadata.workspace_packages();
    let mut kept: Vec<&str> = packages
        .into_iter()
        .filter(|package| !is_published(package))
        .map(|package| package.name.as_str())
        .collect();
    kept.sort_unstable();
    let excluded = kept.iter().flat_map(|name| ["--exclude".to_owned(), (*name).to_owned()]);
    Step::new("packages", [line.args(&excluded.collect::<Vec<_>>())])
}

pub(crate) fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_packed_and_nothing_else() {
        let metadata = MetadataCommand::new().no_deps().exec().unwrap();
        let typed = step(&metadata).lines[0].to_string();
        assert!(typed.contains("--exclude xtask") && typed.contains("--exclude aplomb-tests"));
        assert!(!typed.contains("--exclude aplomb-core"));
    }
}
