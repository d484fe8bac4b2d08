/// Which failures count as transient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transient {
    /// As [`HttpClassifier`](aplomb_core::HttpClassifier) says: unsent, timeouts, resets, 408, 425,
    /// 429, 500, 502, 503, 504.
    Standard,
    /// As [`GrpcClassifier`](aplomb_core::GrpcClassifier) says, by `grpc-status`.
    Grpc,
    /// What provably never reached the server, and nothing else.
    Unsent,
}

impl Transient {
    /// The word for it in a policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Grpc => "grpc",
            Self::Unsent => "unsent",
        }
    }
}
