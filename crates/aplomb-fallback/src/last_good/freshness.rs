//! The rule of freshness: how old an answer may be that is still served.

use std::time::Duration;

use crate::last_good::directives::Directives;

/// How old an answer may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Up to this age it is as good as new.
    pub(crate) fresh_for: Duration,
    /// Beyond this age it is never served. In between only where old is safe.
    pub(crate) stale_for: Duration,
}

/// How an answer's age stands to the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Fresh,
    Stale,
    TooOld,
}

impl Freshness {
    pub(crate) fn judge(self, age: Duration) -> Judged {
        if age > self.stale_for {
            Judged::TooOld
        } else if age > self.fresh_for {
            Judged::Stale
        } else {
            Judged::Fresh
        }
    }

    /// The rule for one answer: its origin may shorten it, and never lengthens it.
    ///
    /// `must-revalidate` forbids to serve it once it is stale (RFC 9111, section 5.2.2.2), by its
    /// origin's measure too. `stale-if-error` says how long after that it may stand in (RFC 5861).
    pub(crate) fn shortened_by(self, origin: &Directives) -> Self {
        let mut rule = self;
        let fresh_for = origin.max_age.map_or(self.fresh_for, |age| age.min(self.fresh_for));
        if origin.must_revalidate {
            rule = Self { fresh_for, stale_for: fresh_for.min(self.stale_for) };
        }
        if let Some(longer) = origin.stale_if_error {
            let since = origin.max_age.unwrap_or(self.fresh_for);
            rule.stale_for = rule.stale_for.min(since.saturating_add(longer));
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(fresh_for: u64, stale_for: u64) -> Freshness {
        Freshness { fresh_for: seconds(fresh_for), stale_for: seconds(stale_for) }
    }

    #[test]
    fn the_last_moment_of_a_time_belongs_to_it() {
        let just_over = |time| seconds(time) + Duration::from_nanos(1);
        let rule = rule(2, 10);
        assert_eq!(rule.judge(seconds(2)), Judged::Fresh);
        assert_eq!(rule.judge(just_over(2)), Judged::Stale);
        assert_eq!(rule.judge(seconds(10)), Judged::Stale);
        assert_eq!(rule.judge(just_over(10)), Judged::TooOld);
    }

    #[test]
    fn an_origin_that_wants_to_be_asked_again_is_not_served_stale() {
        let strict = |max_age: Option<u64>| Directives {
            must_revalidate: true,
            max_age: max_age.map(seconds),
            ..Directives::default()
        };
        assert_eq!(rule(5, 60).shortened_by(&strict(None)), rule(5, 5));
        assert_eq!(rule(5, 60).shortened_by(&strict(Some(1))), rule(1, 1));
        assert_eq!(rule(5, 60).shortened_by(&strict(Some(30))), rule(5, 5));
        assert_eq!(rule(5, 0).shortened_by(&strict(None)), rule(5, 0));
    }

    #[test]
    fn an_origin_says_how_long_it_may_be_stood_in_for() {
        let window = Directives {
            max_age: Some(seconds(3)),
            stale_if_error: Some(seconds(4)),
            ..Directives::default()
        };
        assert_eq!(rule(5, 60).shortened_by(&window), rule(5, 7));
        assert_eq!(rule(2, 6).shortened_by(&window), rule(2, 6));
    }

    proptest! {
        #[test]
        fn nothing_is_served_beyond_the_rule(
            fresh_for in 0_u64..100, stale_for in 0_u64..100, age in 0_u64..200,
            max_age in proptest::option::of(0_u64..100),
            stale_if_error in proptest::option::of(0_u64..100),
            must_revalidate: bool,
        ) {
            let own = rule(fresh_for, stale_for);
            let origin = Directives {
                max_age: max_age.map(seconds),
                stale_if_error: stale_if_error.map(seconds),
                must_revalidate,
                ..Directives::default()
            };
            let judged = own.shortened_by(&origin).judge(seconds(age));
            match judged {
                Judged::Fresh => prop_assert!(age <= fresh_for && age <= stale_for),
                Judged::Stale => prop_assert!(age <= stale_for && !must_revalidate),
                Judged::TooOld => {}
            }
            // It may only shorten.
            if own.judge(seconds(age)) == Judged::TooOld {
                prop_assert_eq!(judged, Judged::TooOld);
            }
            // What grows older never becomes better.
            let later = own.shortened_by(&origin).judge(seconds(age + 1));
            prop_assert!(rank(later) >= rank(judged));
        }
    }

    fn rank(judged: Judged) -> u8 {
        match judged {
            Judged::Fresh => 0,
            Judged::Stale => 1,
            Judged::TooOld => 2,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}
