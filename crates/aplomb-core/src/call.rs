use http::{HeaderMap, HeaderName, Method};

/// The header that names a unit of work (IETF draft *The Idempotency-Key HTTP Header Field*).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

// Looking a header up by a name that is not made for it costs half as much.
static NAME: HeaderName = IDEMPOTENCY_KEY;

/// What policies must know of a request after it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// What repeating it could do.
    pub safety: Safety,
    /// Whether it is a write that carries an `Idempotency-Key` that is not empty.
    pub keyed: bool,
    /// Whether its author said that it must not be repeated, whatever its method and key say:
    /// [`Repeatable::No`](crate::Repeatable::No).
    pub once: bool,
}

impl Call {
    /// Reads a request's method and key.
    #[inline]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let safety = match *method {
            // Reads need no key, and looking for one would cost more than the rest of this.
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => {
                return Self { safety: Safety::Idempotent, keyed: false, once: false };
            }
            Method::PUT | Method::DELETE => Safety::Idempotent,
            _ => Safety::Unsafe,
        };
        let keyed = headers.get(&NAME).is_some_and(|key| !key.is_empty());
        Self { safety, keyed, once: false }
    }
}

/// What repeating a request could do, by its method (RFC 9110, section 9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a method is idempotent or it is not")]
pub enum Safety {
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE: twice has the effect of once.
    Idempotent,
    /// POST, PATCH and every method we do not know: twice may have two effects.
    Unsafe,
}

impl Safety {
    /// The safety of a method.
    pub fn of(method: &Method) -> Self {
        Call::of(method, &HeaderMap::new()).safety
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_names_nothing() {
        let mut headers = HeaderMap::new();
        for (key, keyed) in [("", false), ("k", true)] {
            headers.insert(IDEMPOTENCY_KEY, key.parse().unwrap());
            assert_eq!(Call::of(&Method::POST, &headers).keyed, keyed, "{key:?}");
        }
    }

    #[test]
    fn a_method_we_do_not_know_is_unsafe() {
        for unsafe_method in ["POST", "PATCH", "CONNECT", "LOCK", "get"] {
            let method = Method::from_bytes(unsafe_method.as_bytes()).unwrap();
            assert_eq!(Safety::of(&method), Safety::Unsafe, "{unsafe_method}");
        }
    }
}
