use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::digest::Parts;

/// What a key was used for, so that it cannot be used for something else.
///
/// A version stands before the hash and is kept on the record. Fingerprints of different versions
/// cannot be compared and count as alike: an upgrade must not turn live retries into 422. What that
/// costs is that a key which was used before the upgrade is not refused for another payload until its
/// record has expired.
///
/// | version | hash |
/// |---|---|
/// | 1 | SHA-256 |
/// | 2 | BLAKE3, which is as safe, and a seventh of the work where the processor has no instructions for SHA |
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
        let parts = Parts::of(VERSION).part(method.as_str()).part(uri.path());
        let parts = with_query(parts, uri.query().unwrap_or_default());
        let mut parts = parts.list(values(headers, &header::CONTENT_TYPE));
        for name in chosen {
            parts = parts.part(name.as_str()).list(values(headers, name));
        }
        Self { version: VERSION, hash: parts.finish(body) }
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

fn with_query(parts: Parts, query: &str) -> Parts {
    if !query.contains('&') {
        return parts.list([query.as_bytes()].into_iter());
    }
    let mut pairs: Vec<_> = query.split('&').map(str::as_bytes).collect();
    pairs.sort_unstable();
    parts.list(pairs.into_iter())
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

/// Raised whenever the same request would get another hash.
const VERSION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_record_of_version_1_is_replayed() {
        // What version 1 wrote for this request.
        let mut written = [1; 33];
        written[1..].copy_from_slice(&bytes(
            "4b67e84e33a04dbf204710e851e01aafa7a70d91c9505d0e2e7079dc1dec7e6c",
        ));
        let written = Fingerprint::from_bytes(&written).unwrap();
        assert!(written.matches(&of("/x", "json", "body")));
    }

    #[test]
    fn the_hash_of_a_version_never_changes() {
        let now = of("/x?b=2&a=1", "json", "body");
        assert_eq!(now.version, 2);
        assert_eq!(now.hash, bytes(HASH));
    }

    #[test]
    fn bytes_are_read_back() {
        let one = of("/x", "json", "body");
        assert_eq!(Fingerprint::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(Fingerprint::from_bytes(&[1; 32]), None);
    }

    fn bytes(hexadecimal: &str) -> [u8; 32] {
        *hexadecimal.parse::<crate::RecordId>().unwrap().as_bytes()
    }

    const HASH: &str = "c74bd95ab0910b4211376c361e086964a1a53039147755f13650f6381ffd03e8";

    fn of(uri: &'static str, content_type: &'static str, body: &str) -> Fingerprint {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let uri = Uri::from_static(uri);
        Fingerprint::of(&Method::POST, &uri, &headers, &[], body.as_bytes())
    }
}
