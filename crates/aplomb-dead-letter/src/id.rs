use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, Method, Uri};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use aplomb_core::IDEMPOTENCY_KEY;

/// The name of one unit of work: a hash of its method, its target and its key, as 32 hex digits.
///
/// The same work has the same name wherever it is computed, so a letter that is stored twice is one
/// letter, and a task in an outbox has the name that its letter would have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LetterId([u8; LEN]);

impl LetterId {
    /// The name of the work that a request with this key asks for. Credentials in its URI do not
    /// count.
    pub fn of(method: &Method, uri: &Uri, key: &str) -> Self {
        let authority = uri.authority().map_or("", |authority| {
            authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host)
        });
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut hash = Sha256::new();
        for part in [method.as_str(), authority, target, key] {
            // Length-prefixed: no two lists of parts are one string of bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut id = [0; LEN];
        id.copy_from_slice(&hash.finalize()[..LEN]);
        Self(id)
    }
}

/// The key that a request carries, without the quotes of a structured field; `None` when it carries
/// none, or more than one.
pub fn key_of(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() {
        return None;
    }
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let key = match quoted {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    };
    (!key.is_empty()).then_some(key)
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LetterId({self})")
    }
}

impl FromStr for LetterId {
    type Err = NoSuchId;

    fn from_str(text: &str) -> Result<Self, NoSuchId> {
        if text.len() != 2 * LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoSuchId);
        }
        let mut id = [0; LEN];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| NoSuchId)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoSuchId)?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for LetterId {
    type Error = NoSuchId;

    fn try_from(text: String) -> Result<Self, NoSuchId> {
        text.parse()
    }
}

impl From<LetterId> for String {
    fn from(id: LetterId) -> Self {
        id.to_string()
    }
}

/// A text that names no letter.
///
/// ```
/// use aplomb_dead_letter::{LetterId, NoSuchId};
///
/// let wrong: Result<LetterId, NoSuchId> = "what somebody typed".parse();
/// assert!(wrong.is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoSuchId;

impl fmt::Display for NoSuchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a letter's id is 32 hex digits")
    }
}

impl Error for NoSuchId {}

const LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = of("http://ships/shipments", "order_1");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in
            ["", "abc", "zz9a47b1f2f2f0a3f1d2c3b4a5968778", "é9a47b1f2f2f0a3f1d2c3b4a596877"]
        {
            assert_eq!(wrong.parse::<LetterId>(), Err(NoSuchId), "{wrong}");
        }
    }

    #[test]
    fn the_same_work_has_one_name_and_other_work_another() {
        let id = of("http://ships/shipments", "order_1");
        assert_eq!(of("http://me:secret@ships/shipments", "order_1"), id);
        assert_ne!(of("http://ships/shipments", "order_2"), id);
        assert_ne!(of("http://ships/shipment", "sorder_1"), id);
        assert_ne!(of("http://other/shipments", "order_1"), id);
    }

    #[test]
    fn a_key_is_read_with_and_without_quotes() {
        for (header, key) in [
            ("k", Some("k")),
            ("\"k\"", Some("k")),
            (r#""a \"b\"""#, Some("a \"b\"")),
            ("\"\"", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, header.parse().unwrap());
            assert_eq!(key_of(&headers).as_deref(), key, "{header}");
            headers.append(IDEMPOTENCY_KEY, header.parse().unwrap());
            assert_eq!(key_of(&headers), None, "two keys are none");
        }
    }

    fn of(uri: &str, key: &str) -> LetterId {
        LetterId::of(&Method::POST, &uri.parse().unwrap(), key)
    }
}
