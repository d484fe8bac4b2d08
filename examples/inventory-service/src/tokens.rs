//! Who may call: bearer tokens and the names behind them.

use std::error::Error;
use std::fmt;

use aplomb_core::Principal;
use sha2::{Digest, Sha256};

/// The callers that are known, each by the hash of its token.
///
/// Neither `Debug` nor any error shows a token.
#[derive(Clone)]
pub struct Tokens(Vec<(Hash, Principal)>);

impl Tokens {
    /// The tokens of a setting such as `order-api=…,backoffice=…`.
    ///
    /// A service that listens `on_loopback` only may go without a setting: it then knows
    /// `demo-order-api` and `demo-backoffice`. A name may have several tokens, so that they can be
    /// changed without a gap.
    ///
    /// # Errors
    ///
    /// [`TokensError`] when the setting cannot be read, or is missing where it may not be.
    pub fn configured(setting: Option<&str>, on_loopback: bool) -> Result<Self, TokensError> {
        match setting {
            Some(setting) => Self::parse(setting),
            None if on_loopback => Self::parse(DEMO),
            None => Err(TokensError::Missing),
        }
    }

    fn parse(setting: &str) -> Result<Self, TokensError> {
        let mut known: Vec<(Hash, Principal)> = Vec::new();
        for (index, entry) in setting.split(',').enumerate() {
            let position = index + 1;
            let (name, token) =
                entry.trim().split_once('=').ok_or(TokensError::NotAPair { position })?;
            if !is_name(name) {
                return Err(TokensError::Name { position });
            }
            if !is_token(token) {
                return Err(TokensError::Token { position });
            }
            let hash = hash(token.as_bytes());
            if known.iter().any(|(other, _)| *other == hash) {
                return Err(TokensError::Twice { position });
            }
            known.push((hash, Principal::new(name)));
        }
        Ok(Self(known))
    }

    /// Whose token this is.
    ///
    /// Hashes are compared, all of them and to their ends: how long it takes says nothing about
    /// how much of a guess was right.
    pub(crate) fn principal(&self, token: &[u8]) -> Option<&Principal> {
        let hash = hash(token);
        let mut found = None;
        for (known, principal) in &self.0 {
            if same(known, &hash) {
                found = Some(principal);
            }
        }
        found
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} known)", self.0.len())
    }
}

/// A setting of tokens that cannot be used. Positions count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokensError {
    /// There is none, and the service is reachable from elsewhere.
    Missing,
    /// An entry is not `name=token`.
    NotAPair {
        /// Which entry.
        position: usize,
    },
    /// A name is empty or has other characters than letters, digits, `-`, `_` and `.`.
    Name {
        /// Which entry.
        position: usize,
    },
    /// A token is empty or has characters that no header can carry.
    Token {
        /// Which entry.
        position: usize,
    },
    /// A token was given before, so that it would name two callers.
    Twice {
        /// Which entry.
        position: usize,
    },
}

impl fmt::Display for TokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "no tokens: set INVENTORY_TOKENS=\"order-api=…,backoffice=…\", or listen on loopback only",
            ),
            Self::NotAPair { position } => {
                write!(f, "entry {position} of INVENTORY_TOKENS is not name=token")
            }
            Self::Name { position } => write!(
                f,
                "the name in entry {position} of INVENTORY_TOKENS must be letters, digits, '-', '_' or '.'"
            ),
            Self::Token { position } => write!(
                f,
                "the token in entry {position} of INVENTORY_TOKENS must be printable ASCII without spaces"
            ),
            Self::Twice { position } => write!(
                f,
                "the token in entry {position} of INVENTORY_TOKENS was given before; every caller needs its own"
            ),
        }
    }
}

impl Error for TokensError {}

type Hash = [u8; 32];

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

fn same(one: &Hash, other: &Hash) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    differing == 0
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

const DEMO: &str = "order-api=demo-order-api,backoffice=demo-backoffice";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_names_its_caller() {
        let tokens = Tokens::configured(Some("a=one, b=two=2,a=three"), false).unwrap();
        let name = |token: &str| Some(tokens.principal(token.as_bytes())?.as_str().to_owned());
        assert_eq!(name("one").as_deref(), Some("a"));
        assert_eq!(name("two=2").as_deref(), Some("b"));
        assert_eq!(name("three").as_deref(), Some("a"));
        assert_eq!(name("on"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn only_on_loopback_are_the_demo_tokens_known() {
        let tokens = Tokens::configured(None, true).unwrap();
        assert!(tokens.principal(b"demo-backoffice").is_some());
        assert_eq!(Tokens::configured(None, false).unwrap_err(), TokensError::Missing);
        let own = Tokens::configured(Some("a=one"), true).unwrap();
        assert!(own.principal(b"demo-backoffice").is_none());
    }

    #[test]
    fn a_setting_that_cannot_be_read_names_the_entry_and_never_the_token() {
        for (setting, wrong) in [
            ("", TokensError::NotAPair { position: 1 }),
            ("a=one,", TokensError::NotAPair { position: 2 }),
            ("a=one,secret", TokensError::NotAPair { position: 2 }),
            ("=secret", TokensError::Name { position: 1 }),
            ("a b=secret", TokensError::Name { position: 1 }),
            ("a=", TokensError::Token { position: 1 }),
            ("a=sec ret", TokensError::Token { position: 1 }),
            ("a=secret,b=secret", TokensError::Twice { position: 2 }),
        ] {
            let error = Tokens::configured(Some(setting), true).unwrap_err();
            assert_eq!(error, wrong, "{setting}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let tokens = Tokens::configured(Some("a=secret"), true).unwrap();
        assert_eq!(format!("{tokens:?}"), "Tokens(1 known)");
    }
}
