use std::collections::{BTreeSet, HashMap};

use cargo_metadata::semver::Version;
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

pub(crate) const MEND: &str = "choose an older version of the dependency, or raise the crate's \
    rust-version where there is none; what only tests need is a dev-dependency";

/// What the users of a package build that asks for a newer compiler than the package says it needs.
pub(crate) fn too_new(metadata: &Metadata, package: &Package) -> Vec<String> {
    let packages: HashMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let said = package.rust_version.as_ref();
    built_with(metadata, &package.id)
        .into_iter()
        .filter_map(|id| packages.get(id))
        .filter(|built| built.rust_version.as_ref().is_some_and(|needs| Some(needs) > said))
        .map(|built| {
            let needs = built.rust_version.as_ref().map(Version::to_string).unwrap_or_default();
            let said = said.map(Version::to_string).unwrap_or_default();
            format!("{} says {said}, {} {} needs {needs}", package.name, built.name, built.version)
        })
        .collect()
}

/// A package with everything that its users build, every feature on.
fn built_with<'a>(metadata: &'a Metadata, root: &'a PackageId) -> BTreeSet<&'a PackageId> {
    let resolve = metadata.resolve.as_ref().expect("the metadata was asked for dependencies");
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let (mut built, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(id) = open.pop() {
        if !built.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let for_users = dependencies.filter(|dependency| {
            dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
        });
        open.extend(for_users.map(|dependency| &dependency.pkg));
    }
    built
}
