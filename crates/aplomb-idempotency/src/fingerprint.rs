use std::fmt;

use http::{HeaderMap, HeaderName, Method, Uri, header};

use crate::digest::Digest;

/// What a key was used for, so that it cannot be used for something else.
///
/// A version stands before the hash and is kept on the record. Fingerprints of different versions
/// cannot be compared and count as alike: an upgrade must not turn live retries into 422.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    version: u8,
    hash: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of a request: method, path, query in sorted order, content type, the
    /// headers that `chosen` names, body.
    pub fn of(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        chosen: &[HeaderName],
        body: &[u8],
    ) -> Self {
        let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
        query.sort_unstable();
        let mut digest = Digest::of("fingerprint/1")
            .part(method.as_str())
            .part(uri.path())
            .list(&query)
            .list(&values(headers, &header::CONTENT_TYPE));
        for name in chosen {
            digest = digest.part(name.as_str()).list(&values(headers, name));
        }
        Self { version: VERSION, hash: digest.part(body).finish() }
    }

    /// Whether both may be of one request.
    pub fn matches(&self, other: &Self) -> bool {
        self.version != other.version || self.hash == other.hash
    }

    /// Its 33 bytes, the version first.
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut bytes = [self.version; 33];
        bytes[1..].copy_from_slice(&self.hash);
        bytes
    }

    /// The fingerprint of these bytes, as a store wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, hash) = bytes.split_first()?;
        let hash = hash.try_into().ok()?;
        Some(Self { version, hash })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = u32::from_be_bytes([self.hash[0], self.hash[1], self.hash[2], self.hash[3]]);
        write!(f, "Fingerprint({}, {start:08x}..)", self.version)
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect()
}

/// Raised whenever the same request would get another hash.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_order_of_a_query_does_not_matter() {
        assert_eq!(of("/x?a=1&b=2", "json", "body"), of("/x?b=2&a=1", "json", "body"));
    }

    #[test]
    fn everything_else_does() {
        let one = of("/x?a=1&b=2", "json", "body");
        for other in [
            of("/y?a=1&b=2", "json", "body"),
            of("/x?a=1", "json", "body"),
            of("/x?a=1&b=2&b=2", "json", "body"),
            of("/x?a=1&b=2", "text", "body"),
            of("/x?a=1&b=2", "json", "body "),
        ] {
            assert!(!one.matches(&other));
        }
    }

    #[test]
    fn a_chosen_header_tells_requests_apart() {
        let tenant = [HeaderName::from_static("x-tenant")];
        let with = |tenant_name| {
            let mut headers = HeaderMap::new();
            headers.insert("x-tenant", HeaderValue::from_static(tenant_name));
            Fingerprint::of(&Method::POST, &Uri::from_static("/x"), &headers, &tenant, b"")
        };
        assert!(!with("a").matches(&with("b")));
        assert!(with("a").matches(&with("a")));
    }

    #[test]
    fn another_version_never_makes_a_retry_a_mismatch() {
        let now = of("/x", "json", "body");
        let mut older = of("/x", "json", "other").to_bytes();
        older[0] = 0;
        assert!(now.matches(&Fingerprint::from_bytes(&older).unwrap()));
    }

    #[test]
    fn bytes_are_read_back() {
        let one = of("/x", "json", "body");
        assert_eq!(Fingerprint::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(Fingerprint::from_bytes(&[1; 32]), None);
    }

    fn of(uri: &'static str, content_type: &'static str, body: &str) -> Fingerprint {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let uri = Uri::from_static(uri);
        Fingerprint::of(&Method::POST, &uri, &headers, &[], body.as_bytes())
    }
}
