//! An operation of a dependency, and the requests that are meant for it.

use std::fmt;
use std::sync::Arc;

use aplomb_core::Safety;
use http::Method;

use super::position::{Marks, Position};
use super::value::Policy;

/// An operation: its name, the requests that it matches, its policy.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(super) name: Arc<str>,
    pub(super) matches: Vec<RequestPattern>,
    pub(super) calls_per_second: Option<f64>,
    pub(super) policy: Arc<Policy>,
    pub(super) marks: Marks,
}

impl Operation {
    /// An operation that is found by its name alone.
    pub fn new(name: impl Into<Arc<str>>, policy: Policy) -> Self {
        Self {
            name: name.into(),
            matches: Vec::new(),
            calls_per_second: None,
            policy: Arc::new(policy),
            marks: Marks::default(),
        }
    }

    /// Matching requests of this method and path template, such as `/orders/{id}`.
    #[must_use]
    pub fn matching(mut self, method: Method, path: impl Into<Arc<str>>) -> Self {
        self.matches.push(RequestPattern { method, path: path.into() });
        self
    }

    /// Its name within its dependency.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its policy, shared.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The requests that it matches.
    pub fn patterns(&self) -> &[RequestPattern] {
        &self.matches
    }

    /// How many of these calls are made a second, by all processes together, if that was said.
    pub const fn calls_per_second(&self) -> Option<f64> {
        self.calls_per_second
    }

    /// Where its file says this of it, such as `attempts`; nowhere when its preset says it, or no file
    /// was read.
    pub fn written_at(&self, key: &str) -> Option<Position> {
        self.marks.own(key)
    }

    /// Whether a request that it matches has a method that is not safe to repeat.
    pub fn has_unsafe_method(&self) -> bool {
        Self::any_is_unsafe(&self.matches)
    }

    pub(super) fn any_is_unsafe(matches: &[RequestPattern]) -> bool {
        matches.iter().any(|request| Safety::of(&request.method) == Safety::Unsafe)
    }

    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.policy == other.policy
            && self.matches == other.matches
            && self.calls_per_second == other.calls_per_second
    }
}

/// A method and a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestPattern {
    /// The method.
    pub method: Method,
    /// The template, as axum writes it: `/orders/{id}`, `/files/{*rest}`.
    pub path: Arc<str>,
}

impl fmt::Display for RequestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Names the operation that a request is part of: put it into the request's extensions.
///
/// It comes before method and path, and is the only way for a request whose path tells nothing.
///
/// ```
/// use aplomb::policy::OperationName;
///
/// // For a request that no pattern tells apart.
/// let mut request = http::Request::post("/graphql").body(()).unwrap();
/// request.extensions_mut().insert(OperationName::new("stock.look"));
/// let name = request.extensions().get::<OperationName>().unwrap();
/// assert_eq!(name.dependency(), Some("stock"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperationName(Arc<str>);

impl OperationName {
    /// `reserve`, or with its dependency `inventory.reserve`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The dependency, if one was named.
    pub fn dependency(&self) -> Option<&str> {
        self.0.split_once('.').map(|(dependency, _)| dependency)
    }

    /// The operation within this dependency; none when another one was named.
    pub(super) fn within(&self, dependency: &str) -> Option<&str> {
        match self.0.split_once('.') {
            Some((named, operation)) => (named == dependency).then_some(operation),
            None => Some(&self.0),
        }
    }
}
