//! What each path does.

pub(crate) mod audit;
pub(crate) mod legacy;
pub(crate) mod products;
pub(crate) mod reservations;

use aplomb_core::Problem;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use crate::answer::bad_request;

/// The one name in a path.
fn name(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    match path {
        Ok(Path(name)) => Ok(name),
        Err(wrong) => Err(bad_request(wrong.body_text())),
    }
}
