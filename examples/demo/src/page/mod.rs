//! The dashboard: what happens to the same orders in three lanes, while it happens.
//!
//! It is served beside the Order API. Twice a second it looks at everything an operator could look
//! at (the services' own audits, metrics, circuit) and sends that to every browser that listens.

mod count;
mod desk;
mod feed;
mod look;
#[cfg(unix)]
pub(crate) mod pictures;
mod routes;
mod scene;
mod stories;

pub(crate) use count::Counted;
pub(crate) use desk::Desk;
pub(crate) use look::Looker;
pub(crate) use scene::Scene;
