//! A fallback that is being asked.

mod future;

pub(crate) use future::{Asking, whole};
