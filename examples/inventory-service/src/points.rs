//! Named places where a process may be made to die or to stall.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

/// A place that every reservation passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Point {
    /// The key is claimed, nothing else is done.
    BeforeEffect,
    /// The rows are written, the transaction is open.
    AfterEffect,
    /// The transaction is committed.
    AfterRecord,
    /// The answer is about to be sent.
    BeforeResponse,
}

impl Point {
    /// All of them, in the order in which a reservation passes them.
    pub const ALL: [Self; 4] =
        [Self::BeforeEffect, Self::AfterEffect, Self::AfterRecord, Self::BeforeResponse];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeEffect => "before-effect",
            Self::AfterEffect => "after-effect",
            Self::AfterRecord => "after-record",
            Self::BeforeResponse => "before-response",
        }
    }
}

/// Is told of each point that a reservation passes, with the headers of its request. Does nothing
/// unless a test of crashes says what to do there.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<Told>>);

type Told = dyn Fn(Point, &HeaderMap) + Send + Sync;

impl Points {
    /// Tells `told`, which may well not return.
    pub fn tell(told: impl Fn(Point, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn reach(&self, point: Point, headers: &HeaderMap) {
        if let Some(told) = &self.0 {
            told(point, headers);
        }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Points").field(&self.0.is_some()).finish()
    }
}
