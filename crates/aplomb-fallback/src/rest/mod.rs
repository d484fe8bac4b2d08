//! What is left of a response that nobody wants.

mod future;

pub(crate) use future::Draining;
