//! Keys for requests that go out.

mod layer;
mod make;
mod service;

pub use layer::KeyLayer;
pub use make::{Derived, MakeKey, Random};
pub use service::Keyed;
