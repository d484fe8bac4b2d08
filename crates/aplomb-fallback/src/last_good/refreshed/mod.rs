//! A second source for what is not fresh any more, asked once for all who wait.

mod flights;
mod future;
mod service;

pub use future::RefreshedFuture;
pub use service::Refreshed;
