//! Finds the operation of a request, however many there are.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::Method;
use matchit::{InsertError, Router};

use super::operation::RequestPattern;

/// A trie of path templates for each method.
#[derive(Clone, Default)]
pub(crate) struct Index {
    by_method: BTreeMap<Box<str>, Router<Arc<str>>>,
}

impl Index {
    pub(crate) fn insert(
        &mut self,
        request: &RequestPattern,
        operation: &Arc<str>,
    ) -> Result<(), Conflict> {
        let (method, path) = (request.method.as_str(), &*request.path);
        let refused = |mend| Conflict { request: request.to_string(), why: Why::Template(mend) };
        // A path travels as visible ASCII; anything else could never match.
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused("begin it with `/` and write it as it is sent, in ASCII"));
        }
        let router = self.by_method.entry(method.into()).or_default();
        router.insert(path, Arc::clone(operation)).map_err(|error| match error {
            InsertError::Conflict { with } => {
                let other = router.at(&with).ok().map(|found| Arc::clone(found.value));
                Conflict { request: request.to_string(), why: Why::Taken { with, other } }
            }
            other => refused(mend(&other)),
        })
    }

    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&str> {
        let router = self.by_method.get(method.as_str())?;
        router.at(path).ok().map(|found| &**found.value)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_method.keys()).finish()
    }
}

fn mend(error: &InsertError) -> &'static str {
    match error {
        InsertError::InvalidParamSegment => "give each piece of the path one parameter, at its end",
        InsertError::InvalidCatchAll => "put `{*rest}` at the end of the path",
        _ => "name each parameter between braces, such as `/orders/{id}`",
    }
}

/// A pattern that cannot be added to those that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    request: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Taken { with: String, other: Option<Arc<str>> },
    Template(&'static str),
}

impl Conflict {
    /// What would mend it.
    pub(crate) fn mend(&self) -> String {
        match &self.why {
            Why::Taken { .. } => {
                "give the pattern to one operation; others are named by the request".to_owned()
            }
            Why::Template(mend) => (*mend).to_owned(),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, why } = self;
        match why {
            Why::Taken { with, other: Some(other) } => {
                write!(f, "`{request}` is matched by operation `{other}` already, as `{with}`")
            }
            Why::Taken { with, other: None } => {
                write!(f, "`{request}` is matched by another operation already, as `{with}`")
            }
            Why::Template(mend) => write!(f, "`{request}` has no path template; {mend}"),
        }
    }
}

impl Error for Conflict {}
