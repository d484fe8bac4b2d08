use std::error::Error;
use std::fmt;
use std::path::Path;

use aplomb_core::BoxError;

/// A service could not start: what, where, and what mends it.
#[derive(Debug)]
pub struct StartError {
    what: String,
    mend: &'static str,
    source: BoxError,
}

impl StartError {
    /// The data directory cannot be written to.
    pub fn directory(path: &Path, source: impl Into<BoxError>) -> Self {
        Self {
            what: format!("cannot write to the data directory {}", path.display()),
            mend: "choose another one with --data-dir",
            source: source.into(),
        }
    }

    /// The database cannot be opened.
    pub fn database(path: &Path, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let (what, mend) = match sqlite_code(&*source) {
            Some(BUSY | LOCKED) => (
                "the database is in use",
                "stop the other process that has it open, or choose another --data-dir",
            ),
            Some(CORRUPT | NOT_A_DATABASE) => {
                ("the database is damaged", "move the file away to start with an empty one")
            }
            _ => (
                "cannot open the database",
                "look at its permissions, or choose another --data-dir",
            ),
        };
        Self { what: format!("{what}: {}", path.display()), mend, source }
    }

    /// The database server cannot be used. Its URL is shown without the password.
    pub fn server(url: &str, source: impl Into<BoxError>) -> Self {
        Self {
            what: format!("cannot use the database {}", without_password(url)),
            mend: "start it, look at its log, or choose another --database",
            source: source.into(),
        }
    }

    /// A setting is wrong.
    pub fn setting(what: &str, mend: &'static str, source: impl Into<BoxError>) -> Self {
        Self { what: what.to_owned(), mend, source: source.into() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, mend, source } = self;
        write!(f, "{what}: {source}; {mend}")
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// A URL as it may be shown: what stands between `://` and `@` is the user's name and password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not a URL)".to_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://…@{place}"),
        None => format!("{scheme}://{rest}"),
    }
}

/// SQLite's primary result code, wherever in the chain it stands.
fn sqlite_code(error: &(dyn Error + 'static)) -> Option<u32> {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    let code = chain
        .filter_map(|error| error.downcast_ref::<sqlx::Error>())
        .find_map(|error| error.as_database_error()?.code()?.parse::<u32>().ok())?;
    // The upper bytes say more than we distinguish.
    Some(code & 0xff)
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let shown = without_password("postgres://shop:s3cret@db:5432/stock");
        assert_eq!(shown, "postgres://…@db:5432/stock");
        assert_eq!(without_password("postgres://db/stock"), "postgres://db/stock");
        assert_eq!(without_password("s3cret"), "(not a URL)");
    }
}
