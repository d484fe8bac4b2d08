use aplomb_core::{Principal, Request as _};
use http::{HeaderMap, HeaderName, Request, Uri, header};

/// What an answer is about: authority and path, whoever asked and however.
///
/// Evicting it evicts the answers to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target(Box<str>);

impl Target {
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        Self::new(request.authority().unwrap_or_default(), request.uri())
    }

    /// The target of a URI; one without an authority is on the host of `request`.
    pub(crate) fn beside<T>(request: &Request<T>, uri: &Uri) -> Self {
        match uri.authority() {
            Some(_) => Self::named(uri),
            None => Self::new(request.authority().unwrap_or_default(), uri),
        }
    }

    pub(crate) fn named(uri: &Uri) -> Self {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        Self::new(authority.rsplit_once('@').map_or(authority, |(_, host)| host), uri)
    }

    fn new(authority: &str, uri: &Uri) -> Self {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut target = authority.to_ascii_lowercase();
        target.push_str(path);
        Self(target.into())
    }

    pub(crate) fn authority(&self) -> &str {
        self.0.find('/').map_or(&*self.0, |path| &self.0[..path])
    }

    pub(crate) fn path(&self) -> &str {
        self.0.find('/').map_or("", |path| &self.0[path..])
    }

    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        // A prefix that is a path is one under every authority.
        let part = if prefix.starts_with('/') { self.path() } else { &self.0 };
        part.starts_with(prefix)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whose answer it is, and in which form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    bytes: Box<[u8]>,
    /// Whether it names a caller, so that an answer for that caller alone may be kept under it.
    pub(crate) names_a_caller: bool,
}

impl Variant {
    pub(crate) fn of<T>(request: &Request<T>, chosen: &[HeaderName], is_shared: bool) -> Self {
        let (mut bytes, headers) = (Vec::with_capacity(64), request.headers());
        put(&mut bytes, request.method().as_str().as_bytes());
        for name in chosen {
            put_all(&mut bytes, headers, name);
        }
        let mut names_a_caller = false;
        if !is_shared {
            let principal = request.extensions().get().map(Principal::as_str);
            put(&mut bytes, principal.unwrap_or_default().as_bytes());
            for name in &CREDENTIALS {
                put_all(&mut bytes, headers, name);
            }
            names_a_caller =
                principal.is_some() || CREDENTIALS.iter().any(|name| headers.contains_key(name));
        }
        Self { bytes: bytes.into(), names_a_caller }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// It may hold credentials.
impl std::fmt::Debug for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variant")
            .field("names_a_caller", &self.names_a_caller)
            .finish_non_exhaustive()
    }
}

/// Every value under its length, so that no two lists of values look alike.
fn put_all(bytes: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) {
    let values = headers.get_all(name);
    bytes.extend(values.iter().count().to_le_bytes());
    for value in &values {
        put(bytes, value.as_bytes());
    }
}

fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend(value.len().to_le_bytes());
    bytes.extend(value);
}

/// The headers that say who is asking.
pub(crate) const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_target_is_a_host_and_a_path_without_credentials() {
        let named = |uri: &'static str| Target::named(&Uri::from_static(uri));
        let target = named("http://user:secret@STOCK:7001/mugs?q=1");
        assert_eq!((target.authority(), target.path()), ("stock:7001", "/mugs?q=1"));
        let request = Request::get("/mugs?q=1").header("host", "stock:7001").body(()).unwrap();
        assert_eq!(Target::of(&request), target);
        assert!(target.starts_with("/mu") && target.starts_with("stock:7001/m"));
        assert!(!target.starts_with("/cups") && !target.starts_with("stock:70019"));
    }

    #[test]
    fn no_two_callers_share_a_variant() {
        let of = |headers: &[(&'static str, &'static str)], principal: Option<&str>| {
            let mut request = Request::new(());
            for (name, value) in headers {
                request.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            if let Some(principal) = principal {
                request.extensions_mut().insert(Principal::new(principal));
            }
            Variant::of(&request, &[header::ACCEPT], false)
        };
        let variants = [
            of(&[], None),
            of(&[], Some("ann")),
            of(&[("authorization", "ann")], None),
            of(&[("cookie", "ann")], None),
            of(&[("accept", "ann")], None),
            of(&[("accept", "an"), ("accept", "n")], None),
        ];
        for (i, one) in variants.iter().enumerate() {
            for other in &variants[i + 1..] {
                assert_ne!(one, other);
            }
        }
        assert_eq!(
            variants.each_ref().map(|it| it.names_a_caller),
            [false, true, true, true, false, false]
        );
        assert!(!format!("{:?}", variants[2]).contains("ann"));
    }

    #[test]
    fn what_is_shared_is_one_for_all_callers() {
        let mut request = Request::new(());
        let nobody = Variant::of(&request, &[], true);
        request.headers_mut().insert("authorization", HeaderValue::from_static("ann"));
        let ann = Variant::of(&request, &[], true);
        assert_eq!(ann, nobody);
        assert!(!ann.names_a_caller);
    }
}
