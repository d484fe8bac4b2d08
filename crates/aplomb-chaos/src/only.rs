/// Says which requests chaos may touch.
///
/// Any `Fn(&Request) -> bool` does; [`Everything`] is the default.
///
/// ```
/// use aplomb_chaos::{Everything, Matches};
///
/// let writes = |request: &http::Request<()>| request.method() == "POST";
/// let look = http::Request::new(());
/// assert!(!writes.matches(&look));
/// assert!(Everything.matches(&look));
/// ```
pub trait Matches<R> {
    /// Whether this request is fair game.
    fn matches(&self, request: &R) -> bool;
}

impl<R, F: Fn(&R) -> bool> Matches<R> for F {
    fn matches(&self, request: &R) -> bool {
        self(request)
    }
}

/// Every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit: it holds no state")]
pub struct Everything;

impl<R> Matches<R> for Everything {
    fn matches(&self, _: &R) -> bool {
        true
    }
}
