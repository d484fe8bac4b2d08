use std::fmt;
use std::sync::Arc;

/// Who is calling, as the application's authentication found out.
///
/// The application's authentication puts it into the request's extensions. Idempotency keys are
/// scoped by it, because keys made from business data can be guessed. `Debug` does not show it.
///
/// ```
/// use aplomb_core::Principal;
///
/// // What an application's authentication puts into the request's extensions.
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Principal::new("shop"));
/// assert_eq!(request.extensions().get::<Principal>().map(Principal::as_str), Some("shop"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The caller of this name: an account or client id, not a secret.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

/// The pattern of the route that serves a request, such as `/orders/{id}`.
///
/// Frameworks other than axum put it into the request's extensions themselves.
///
/// ```
/// use aplomb_core::RouteTemplate;
///
/// let mut request = http::Request::new(());
/// assert!(RouteTemplate::of(request.extensions()).is_none());
/// request.extensions_mut().insert(RouteTemplate::new("/orders/{id}"));
/// let route = RouteTemplate::of(request.extensions()).unwrap();
/// assert_eq!(route.as_str(), "/orders/{id}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteTemplate(Arc<str>);

impl RouteTemplate {
    /// This pattern.
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    /// The pattern that serves a request: its own extension, else axum's `MatchedPath`.
    pub fn of(extensions: &http::Extensions) -> Option<Self> {
        if let Some(own) = extensions.get::<Self>() {
            return Some(own.clone());
        }
        #[cfg(feature = "axum")]
        if let Some(matched) = extensions.get::<axum::extract::MatchedPath>() {
            return Some(Self::new(matched.as_str()));
        }
        None
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<RouteTemplate> for Arc<str> {
    fn from(template: RouteTemplate) -> Self {
        template.0
    }
}
