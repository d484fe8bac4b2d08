use std::time::Duration;

use http::{HeaderMap, header};

/// What `Cache-Control` says, as far as it matters here (RFC 9111, section 5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word that is there or is not")]
pub(crate) struct Directives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
}

impl Directives {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            // Names are ASCII; what is not stands in an argument that says nothing here.
            let text = String::from_utf8_lossy(value.as_bytes());
            parts(&text).for_each(|part| all.add(part));
        }
        all
    }

    fn add(&mut self, directive: &str) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = || {
            let digits = argument.trim().trim_matches('"');
            // More than can be counted is long enough; what is no number is no time at all.
            match digits.parse::<u64>() {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                Err(_) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                    Some(Duration::MAX)
                }
                Err(_) => Some(Duration::ZERO),
            }
        };
        // A directive that names fields is taken for the whole answer: the stricter reading.
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
            "max-age" => self.max_age = self.max_age.min_some(seconds()),
            "stale-if-error" => self.stale_if_error = self.stale_if_error.min_some(seconds()),
            _ => {}
        }
    }
}

/// What is said twice counts by the shorter time.
trait MinSome {
    fn min_some(self, other: Self) -> Self;
}

impl MinSome for Option<Duration> {
    fn min_some(self, other: Self) -> Self {
        self.into_iter().chain(other).min()
    }
}

/// The directives of a list, in which a quoted argument may hold commas.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_whatever_their_case_and_place() {
        let none = Directives::default();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, said) in [
            ("", none),
            ("public, immutable", none),
            ("No-Store", Directives { no_store: true, ..none }),
            ("max-age=5,private", Directives { private: true, max_age: seconds(5), ..none }),
            (
                r#"private="set-cookie, x", no-cache"#,
                Directives { private: true, no_cache: true, ..none },
            ),
            (r#"x="no-store, private""#, none),
            ("stale-if-error=\"9\" ", Directives { stale_if_error: seconds(9), ..none }),
            ("max-age=7, max-age=3", Directives { max_age: seconds(3), ..none }),
            ("max-age=soon", Directives { max_age: seconds(0), ..none }),
            (
                "max-age=99999999999999999999999",
                Directives { max_age: Some(Duration::MAX), ..none },
            ),
            ("proxy-revalidate", Directives { must_revalidate: true, ..none }),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, text.parse().unwrap());
            assert_eq!(Directives::of(&headers), said, "{text}");
        }
    }

    #[test]
    fn every_line_of_the_header_counts() {
        let mut headers = HeaderMap::new();
        headers.append(header::CACHE_CONTROL, "max-age=5".parse().unwrap());
        headers.append(header::CACHE_CONTROL, "no-store".parse().unwrap());
        let said = Directives::of(&headers);
        assert!(said.no_store && said.max_age == Some(Duration::from_secs(5)));
    }
}
