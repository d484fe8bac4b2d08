//! What a served answer says of the cache (RFC 9211).

use std::fmt::Write;
use std::time::Duration;

use http::HeaderValue;

use crate::missed::Missed;

/// The member of `Cache-Status` that this cache adds.
///
/// The request went forward when anything was sent. It goes forward whatever is kept (`bypass`), unless
/// what is kept is stale anyway.
pub(crate) fn cache_status(
    name: &str,
    missed: Missed,
    age: Duration,
    fresh_for: Duration,
) -> Option<HeaderValue> {
    let is_stale = age > fresh_for;
    let mut member = quoted(name);
    if missed.is_sent {
        member.push_str(if is_stale { "; fwd=stale" } else { "; fwd=bypass" });
        if let Some(status) = missed.status {
            let _ = write!(member, "; fwd-status={}", status.as_u16());
        }
    } else {
        member.push_str("; hit");
    }
    let ttl = match fresh_for.checked_sub(age) {
        Some(left) => signed(left.as_secs()),
        // Rounded away from zero: what is stale has no second left.
        None => -signed(age.saturating_sub(fresh_for).saturating_add(ALMOST_A_SECOND).as_secs()),
    };
    let _ = write!(member, "; ttl={ttl}; detail={}", missed.condition.as_str());
    HeaderValue::try_from(member).ok()
}

/// A structured field's string: printable ASCII, quotes and backslashes escaped (RFC 9651, section
/// 3.3.3). Other characters are left out.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// As much as a structured field's integer holds (RFC 9651, section 3.3.1).
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(INTEGER_MAX).min(INTEGER_MAX)
}

const INTEGER_MAX: i64 = 999_999_999_999_999;
const ALMOST_A_SECOND: Duration = Duration::from_nanos(999_999_999);

#[cfg(test)]
mod tests {
    use super::*;
    use aplomb_core::Condition;
    use http::StatusCode;
    use sfv::{List, Parser};

    #[test]
    fn it_says_whether_the_request_went_forward_and_how_much_freshness_is_left() {
        let open = Missed::new(Condition::Open);
        let sent = Missed { is_sent: true, ..Missed::new(Condition::Upstream) };
        let answered = Missed { status: Some(StatusCode::BAD_GATEWAY), ..sent };
        for (missed, age, said) in [
            (open, 1, r#""aplomb"; hit; ttl=1; detail=open"#),
            (open, 9, r#""aplomb"; hit; ttl=-7; detail=open"#),
            (sent, 2, r#""aplomb"; fwd=bypass; ttl=0; detail=upstream"#),
            (answered, 3, r#""aplomb"; fwd=stale; fwd-status=502; ttl=-1; detail=upstream"#),
        ] {
            let value = cache_status("aplomb", missed, seconds(age), seconds(2)).unwrap();
            assert_eq!(value, said);
            parses(&value);
        }
    }

    #[test]
    fn any_name_and_any_time_make_a_list_that_parses() {
        for name in ["", "a b", "\"\\\"", "größer\u{7f}\n"] {
            let longest =
                cache_status(name, Missed::new(Condition::Open), Duration::MAX, seconds(0));
            parses(&longest.unwrap());
        }
    }

    fn parses(value: &HeaderValue) {
        let list: List = Parser::new(value.as_bytes()).parse().unwrap();
        assert_eq!(list.len(), 1);
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}
