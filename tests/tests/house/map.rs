use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The map: which of our crates a crate may depend on, in `[dependencies]` and
/// `[build-dependencies]`; `[dev-dependencies]` are free.
///
/// An arrow may skip a room, never turn back: what a named crate may know, its users may know.
/// Crates that are still to come have their row already.
#[rustfmt::skip]
const ROOMS: &[(&str, &[&str])] = &[
    ("aplomb-core", &[]),
    ("aplomb-backoff", &["aplomb-core"]),
    ("aplomb-retry", &["aplomb-core", "aplomb-backoff"]),
    ("aplomb-circuit-breaker", &["aplomb-core", "aplomb-backoff"]),
    ("aplomb-deadline", &["aplomb-core"]),
    ("aplomb-fallback", &["aplomb-core"]),
    ("aplomb-idempotency", &["aplomb-core"]),
    ("aplomb-idempotency-sqlx", &["aplomb-idempotency"]),
    ("aplomb-idempotency-redis", &["aplomb-idempotency"]),
    ("aplomb-admission", &["aplomb-core"]),
    ("aplomb-dead-letter", &["aplomb-core"]),
    ("aplomb-dead-letter-sqlx", &["aplomb-dead-letter"]),
    ("aplomb-chaos", &["aplomb-core"]),
    ("aplomb-telemetry", LAYERS),
    ("aplomb", &[
        "aplomb-telemetry",
        "aplomb-idempotency-sqlx",
        "aplomb-idempotency-redis",
        "aplomb-dead-letter-sqlx",
    ]),
    ("aplomb-lab", &["aplomb"]),
    ("aplomb-cli", &["aplomb-lab"]),
    ("aplomb-testkit", &["aplomb-core", "aplomb-idempotency"]),
    ("xtask", &[]),
];

/// The crates that hold a `tower::Layer`.
pub(crate) const LAYERS: &[&str] = &[
    "aplomb-backoff",
    "aplomb-retry",
    "aplomb-circuit-breaker",
    "aplomb-deadline",
    "aplomb-fallback",
    "aplomb-idempotency",
    "aplomb-admission",
    "aplomb-dead-letter",
    "aplomb-chaos",
];

/// Who may depend on everything: these use the crates. No published crate depends on them.
const USERS: &[&str] = &["examples", "tests", "crates/aplomb-bench", "crates/aplomb-book"];

pub(crate) const MEND: &str = "a word that two crates need moves to aplomb-core; what only tests \
    need is a dev-dependency; a new crate takes a row in ROOMS of tests/house/map.rs. Where the \
    map itself is wrong, change it there and write the reason into docs/ARCHITECTURE.md";

pub(crate) fn broken_arrows(package: &str, folder: &str, dependencies: &[&str]) -> Vec<String> {
    if USERS.iter().any(|user| Path::new(folder).starts_with(user)) {
        return Vec::new();
    }
    let Some(allowed) = may_know(package) else {
        return vec![format!("{folder}/Cargo.toml: {package} is not on the map")];
    };
    let strangers = dependencies.iter().filter(|name| !allowed.contains(*name));
    strangers
        .map(|name| format!("{folder}/Cargo.toml: {package} depends on {name}, a stranger to it"))
        .collect()
}

/// All that the map lets a crate depend on, or `None` when it is not on the map.
fn may_know(package: &str) -> Option<BTreeSet<&'static str>> {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut known = BTreeSet::new();
    let mut open: Vec<&'static str> = rooms.get(package)?.to_vec();
    while let Some(name) = open.pop() {
        if known.insert(name) {
            open.extend(rooms.get(name).copied().unwrap_or_default());
        }
    }
    Some(known)
}

#[test]
fn a_sibling_is_a_stranger() {
    let arrows = ["aplomb-core", "aplomb-chaos"];
    assert_eq!(
        broken_arrows("aplomb-retry", "crates/aplomb-retry", &arrows),
        ["crates/aplomb-retry/Cargo.toml: aplomb-retry depends on aplomb-chaos, a stranger to it"]
    );
}

#[test]
fn an_arrow_may_skip_a_room_and_never_turn_back() {
    let lab = broken_arrows("aplomb-lab", "crates/aplomb-lab", &["aplomb-core"]);
    assert!(lab.is_empty(), "{lab:?}");
    let core = broken_arrows("aplomb-core", "crates/aplomb-core", &["aplomb-retry"]);
    assert_eq!(core.len(), 1, "{core:?}");
}

#[test]
fn nobody_depends_on_users_or_on_chores() {
    for name in ["aplomb-order-api", "aplomb-tests", "aplomb-bench", "xtask"] {
        let complaints = broken_arrows("aplomb-cli", "crates/aplomb-cli", &[name]);
        assert_eq!(complaints.len(), 1, "{name}");
    }
    assert!(broken_arrows("aplomb-demo", "examples/demo", &["aplomb-order-api"]).is_empty());
}

#[test]
fn a_crate_without_a_room_is_told_so() {
    assert_eq!(
        broken_arrows("aplomb-hedge", "crates/aplomb-hedge", &[]),
        ["crates/aplomb-hedge/Cargo.toml: aplomb-hedge is not on the map"]
    );
}

#[test]
fn every_name_on_the_map_has_a_row() {
    let rows: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    let named = ROOMS.iter().flat_map(|(_, allowed)| allowed.iter());
    let unknown: Vec<_> = named.chain(LAYERS).filter(|name| !rows.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
