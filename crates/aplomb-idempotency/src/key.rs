//! Reads a key off the wire (the IETF draft, RFC 9651).

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aplomb_core::IDEMPOTENCY_KEY;
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Item, Parser};

/// The name of one unit of work, as its caller chose it: 1 to 255 printable ASCII characters.
///
/// On the wire it is a structured-field string. Many clients send it bare, so `"K"` and `K` are
/// the same key. `Debug` does not show it, since keys made from business data say too much in a
/// log.
///
/// | header | key |
/// |---|---|
/// | `"8e03978e"`, `8e03978e` | `8e03978e` |
/// | `"a \"b\""` | `a "b"` |
/// | `"K";since=1` | `K`: parameters that are well formed are ignored, as RFC 9651 asks |
/// | `order_123`, `9f0c-11ee`, `a/b:c` | itself |
/// | `42`, `1.5`, `?1`, `:YQ==:`, `@1659578233`, `%"a"` | refused: a number, boolean, byte sequence, date or display string; quote it |
/// | `"a", "b"`, `(a b)`, `a b`, `K;since=1`, the header twice | refused |
/// | nothing, `""`, `"open`, control or non-ASCII characters, over 255 characters | refused |
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key that a request carries, or `None` when it carries none.
    ///
    /// # Errors
    ///
    /// [`MalformedKey`], with what to do about it. `Bare::Refused` takes only quoted keys.
    pub fn of(headers: &HeaderMap, bare: Bare) -> Result<Option<Self>, MalformedKey> {
        let mut values = headers.get_all(&NAME).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(MalformedKey::because("send the header once"));
        }
        Self::parse(value, bare).map(Some)
    }

    fn parse(value: &HeaderValue, bare: Bare) -> Result<Self, MalformedKey> {
        let value = value.as_bytes().trim_ascii();
        if value.is_empty() {
            return Err(MalformedKey::because("the key is empty"));
        }
        match plain(value, bare) {
            Some(key) => Self::measured(key),
            None => Self::parse_field(value, bare),
        }
    }

    fn parse_field(value: &[u8], bare: Bare) -> Result<Self, MalformedKey> {
        match Parser::new(value).parse::<Item>().map(|item| item.bare_item) {
            Ok(BareItem::String(key)) => Self::checked(key.as_str()),
            // A token is a bare key; with parameters behind it, nobody can say which was meant.
            Ok(BareItem::Token(_)) | Err(_) => Self::parse_bare(value, bare),
            Ok(_) => Err(MalformedKey::because("the key must be a string: put it in quotes")),
        }
    }

    fn parse_bare(value: &[u8], bare: Bare) -> Result<Self, MalformedKey> {
        if value.starts_with(b"\"") || !value.iter().all(|&byte| is_bare(byte)) {
            return Err(MalformedKey::because(
                "the key must be one string of printable ASCII in quotes",
            ));
        }
        if !is_first(value[0]) {
            return Err(MalformedKey::because(
                "a bare key starts with a letter, a digit or an underscore: put it in quotes",
            ));
        }
        if bare == Bare::Refused {
            return Err(MalformedKey::because("put the key in quotes"));
        }
        Self::checked(std::str::from_utf8(value).map_err(|_| MalformedKey::because(NOT_ASCII))?)
    }

    pub(crate) fn checked(key: &str) -> Result<Self, MalformedKey> {
        if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(MalformedKey::because(NOT_ASCII));
        }
        Self::measured(key)
    }

    /// The key of characters that are printable ASCII.
    fn measured(key: &str) -> Result<Self, MalformedKey> {
        match key.len() {
            0 => Err(MalformedKey::because("the key is empty")),
            1..=KEY_MAX => Ok(Self(key.into())),
            length => Err(MalformedKey::too_long(length)),
        }
    }

    /// The header's value, in quotes.
    #[expect(clippy::missing_panics_doc, reason = "a key is printable ASCII")]
    pub fn header_value(&self) -> HeaderValue {
        let mut quoted = String::with_capacity(self.0.len() + 2);
        quoted.push('"');
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        quoted.push('"');
        HeaderValue::try_from(quoted).expect("a key is printable ASCII")
    }

    /// The key, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl TryFrom<&str> for Key {
    type Error = MalformedKey;

    /// The key of these characters, which are not unquoted.
    fn try_from(key: &str) -> Result<Self, MalformedKey> {
        Self::checked(key)
    }
}

/// Whether a key without quotes is taken.
///
/// ```
/// use aplomb_idempotency::{Bare, Key};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("idempotency-key", "order_123".parse().unwrap());
/// assert!(Key::of(&headers, Bare::Taken).is_ok_and(|key| key.is_some()));
/// assert!(Key::of(&headers, Bare::Refused).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is or it is not")]
pub enum Bare {
    /// `K` is the key `"K"`.
    #[default]
    Taken,
    /// Only `"K"`.
    Refused,
}

/// A key that cannot be read, or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedKey(Fault);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Says(&'static str),
    Long(usize),
}

impl MalformedKey {
    pub(crate) const fn because(says: &'static str) -> Self {
        Self(Fault::Says(says))
    }

    const fn too_long(length: usize) -> Self {
        Self(Fault::Long(length))
    }
}

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::Says(says) => f.write_str(says),
            Fault::Long(length) => {
                write!(f, "the key has {length} characters; {KEY_MAX} are the most")
            }
        }
    }
}

impl Error for MalformedKey {}

/// The key of a value that the grammar leaves no doubt about, as nearly all are: a string without
/// escapes and parameters, or a bare key that cannot be a number. The parser would allocate for it.
fn plain(value: &[u8], bare: Bare) -> Option<&str> {
    let key = match value {
        [b'"', key @ .., b'"'] if key.iter().all(|&byte| is_unescaped(byte)) => key,
        [first, ..] if bare == Bare::Taken && is_first(*first) && is_no_number(value) => value,
        _ => return None,
    };
    std::str::from_utf8(key).ok()
}

/// What stands for itself in a quoted string.
fn is_unescaped(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\')
}

/// What a bare key may begin with. Of the items of a field only numbers begin so too.
fn is_first(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether it may be a bare key and cannot be a number.
fn is_no_number(value: &[u8]) -> bool {
    let mut other = false;
    value.iter().all(|&byte| {
        other |= !matches!(byte, b'0'..=b'9' | b'.');
        is_bare(byte)
    }) && other
}

/// What a bare key may consist of: a token's characters and those of base 64, without the comma,
/// semicolon, space, quote and backslash that structure a field.
#[inline]
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
                | b':'
                | b'/'
                | b'='
                | b'@'
        )
}

/// Looked up by reference: a name that is made for it costs as much again.
static NAME: HeaderName = IDEMPOTENCY_KEY;
const NOT_ASCII: &str = "the key holds characters that are not printable ASCII";
/// The draft leaves the bound to the server.
const KEY_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_and_bare_are_one_key() {
        for (header, key) in [
            ("\"K\"", "K"),
            ("K", "K"),
            ("  K  ", "K"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("a3f0978e-40d5-43e8-bc93-6894a57f9324", "a3f0978e-40d5-43e8-bc93-6894a57f9324"),
            ("order_123_line_1", "order_123_line_1"),
            ("01JD3Q8Z5W", "01JD3Q8Z5W"),
            ("a/b:c=", "a/b:c="),
            ("\"a b, c;d\"", "a b, c;d"),
            (r#""a \"b\" \\""#, r#"a "b" \"#),
            ("\"K\";since=1", "K"),
            ("\"42\"", "42"),
        ] {
            assert_eq!(read(header.as_bytes(), Bare::Taken).as_deref(), Ok(key), "{header}");
        }
    }

    #[test]
    fn what_is_not_one_string_is_refused() {
        for header in [
            "",
            " ",
            "\"\"",
            "\"open",
            "open\"",
            "\"a\" \"b\"",
            "\"a\", \"b\"",
            "a, b",
            "(a b)",
            "a b",
            "K;since=1",
            "\"K\";",
            "42",
            "-1",
            "1.5",
            "?1",
            ":YQ==:",
            "@1659578233",
            "%\"a\"",
            "\"a\tb\"",
            "\"a\\n\"",
            "-a",
            "*a",
        ] {
            assert!(read(header.as_bytes(), Bare::Taken).is_err(), "{header}");
        }
        assert!(read("\"ключ\"".as_bytes(), Bare::Taken).is_err());
        assert!(read("ключ".as_bytes(), Bare::Taken).is_err());
        assert!(Key::try_from("a\u{7f}").is_err());
    }

    #[test]
    fn a_key_has_at_most_255_characters() {
        let (longest, longer) = ("k".repeat(255), "k".repeat(256));
        assert!(read(longest.as_bytes(), Bare::Taken).is_ok());
        assert!(read(longer.as_bytes(), Bare::Taken).is_err());
        assert!(read(format!("\"{longest}\"").as_bytes(), Bare::Taken).is_ok());
        assert!(read(format!("\"{longer}\"").as_bytes(), Bare::Taken).is_err());
    }

    #[test]
    fn a_strict_server_takes_only_quotes() {
        assert!(read(b"K", Bare::Refused).is_err());
        assert_eq!(read(b"\"K\"", Bare::Refused).as_deref(), Ok("K"));
    }

    #[test]
    fn the_header_comes_once_or_not_at_all() {
        let mut headers = HeaderMap::new();
        assert_eq!(Key::of(&headers, Bare::Taken), Ok(None));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("K"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("K"));
        assert!(Key::of(&headers, Bare::Taken).is_err());
    }

    #[test]
    fn a_key_that_is_too_long_says_how_long_it_is() {
        let error = Key::try_from("k".repeat(300).as_str()).unwrap_err();
        assert_eq!(error.to_string(), "the key has 300 characters; 255 are the most");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for key in ["K", "a b, c;d", r#"a "b" \"#, "order_123_line_1_reservation~2"] {
            let value = Key::try_from(key).unwrap().header_value();
            assert_eq!(read(value.as_bytes(), Bare::Refused).as_deref(), Ok(key));
        }
    }

    proptest! {
        #[test]
        fn the_way_around_the_grammar_says_what_the_grammar_says(
            value in r#"["a-cA9_.\-+:;/=@*?, \\(\x7f]{1,8}|"[ -~]{0,6}"|[0-9.]{1,20}|[a-z0-9-]{1,12}"#
        ) {
            let value = value.trim_ascii().as_bytes();
            prop_assume!(!value.is_empty());
            for bare in [Bare::Taken, Bare::Refused] {
                if let Some(key) = plain(value, bare) {
                    prop_assert_eq!(Key::measured(key), Key::parse_field(value, bare));
                }
            }
        }
    }

    fn read(header: &[u8], bare: Bare) -> Result<String, MalformedKey> {
        let value = HeaderValue::from_bytes(header).unwrap();
        Key::parse(&value, bare).map(|key| key.as_str().to_owned())
    }
}
