//! The scenarios that come with the lab.

macro_rules! ours {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*]
    };
}

pub(crate) static OURS: [(&str, &str); 16] = ours![
    "free",
    "independent-failures",
    "layers",
    "pause",
    "surge",
    "brown-out",
    "restart",
    "article",
    "fleet-size",
    "herd",
    "aws-jitter",
    "retry-after-herd",
    "hedging",
    "dead-shard",
    "probe-storm",
    "last-item"
];

/// The policies that most of them compare.
pub(crate) const COMPARED: &str = include_str!("../scenarios/policies.toml");
