mod answer;
mod future;
mod layer;
mod service;

pub use answer::{
    Cause, DEPENDENCY_FAILED, DEPENDENCY_PAUSED, DEPENDENCY_SATURATED, DEPENDENCY_TIMEOUT, INTERNAL,
};
pub use future::ProblemFuture;
pub use layer::{ProblemEvent, ProblemLayer};
pub use service::Problems;
