//! The laws of the retry machine and of the budget, for any failures in any order.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_core::time::{self, Duration};
use aplomb_core::{Call, Deadline, Failure, FailureKind, Pushback, Ratio, Reason, Rng};
use aplomb_retry::{Again, BodyIs, Budget, Cost, Rules, Terms};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_call_breaks_a_limit_or_repeats_what_might_be_done_twice(
        seed: u64,
        failures in proptest::collection::vec(failure(), 1..40),
        (method, keyed, honours_keys) in (method(), any::<bool>(), any::<bool>()),
        attempts in 1_u32..20,
        total in 1_u64..20_000,
    ) {
        let mut rules = Rules::default();
        rules.attempts = attempts.into();
        rules.total = Some(ms(total));
        rules.honours_keys = honours_keys;
        let call = call(&method, keyed);
        let rich = Budget::new(Terms::earning(Ratio::ONE).cap(1_000));
        let (begun, mut rng) = (time::now(), Rng::seeded(seed));
        let deadline = Deadline::after(begun, ms(total));
        let (mut progress, mut now, mut sends) = (rules.begin(call, None, begun), begun, 1);
        for failure in failures {
            let again = rules.judge(&mut progress, failure, BodyIs::Kept, now, &mut rng, &rich);
            let Ok(Again { wait, withdrawal }) = again else { break };
            withdrawal.sent().succeeded();
            progress.resent();
            sends += 1;
            now += wait;
            prop_assert!(sends <= attempts);
            prop_assert!(!deadline.is_over(now), "it starts while there is time");
            prop_assert!(failure.kind != FailureKind::Permanent);
            prop_assert!(failure.pushback != Pushback::Stop);
            if let Pushback::After(floor) = failure.pushback {
                prop_assert!(wait >= floor && floor <= rules.longest_pushback);
            }
            let twice_is_once = method.is_idempotent() || keyed && honours_keys;
            prop_assert!(twice_is_once || failure.kind == FailureKind::Unsent);
        }
    }

    #[test]
    fn a_refusal_costs_nothing(seed: u64, failure in failure(), keyed: bool, held in 0_u32..20) {
        let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(20).initial(held));
        let (rules, now) = (Rules::default(), time::now());
        let mut progress = rules.begin(call(&Method::POST, keyed), None, now);
        let mut rng = Rng::seeded(seed);
        match rules.judge(&mut progress, failure, BodyIs::Kept, now, &mut rng, &budget) {
            Ok(again) => drop(again),
            Err(reason) => prop_assert!(reason != Reason::Budget || held < 2),
        }
        prop_assert_eq!(budget.balance().to_string(), held.to_string());
    }

    #[test]
    fn the_granted_ratio_is_within_one_per_cent_of_the_asked_one(millionths in 10_000_u32..=1_000_000) {
        let ratio = Ratio::from_millionths(millionths).unwrap();
        let budget = Budget::new(Terms::earning(ratio).initial(0));
        let granted = (0..20_000)
            .filter(|_| {
                budget.deposit();
                budget.withdraw(Cost::ONE).map(|withdrawal| withdrawal.sent().succeeded()).is_some()
            })
            .count();
        let found = f64::from(u32::try_from(granted).unwrap()) / 20_000.0;
        prop_assert!((found / ratio.as_f64() - 1.0).abs() <= 0.01, "{found} of {ratio}");
    }

    #[test]
    fn what_a_layer_inside_held_back_costs_nothing(seed: u64, wait in 0_u64..100_000, held in 0_u32..20) {
        let budget = Budget::new(Terms::earning(Ratio::ZERO).cap(20).initial(held));
        let (rules, now, mut rng) = (Rules::default(), time::now(), Rng::seeded(seed));
        let mut progress = rules.begin(call(&Method::POST, false), None, now);
        let failure = Failure::held_back().pushback(Pushback::After(ms(wait)));
        match rules.judge(&mut progress, failure, BodyIs::Kept, now, &mut rng, &budget) {
            Ok(again) => {
                prop_assert!(again.wait >= ms(wait) && again.wait < ms(3_000));
                let _sent = again.withdrawal.sent();
            }
            Err(reason) => prop_assert!(reason == Reason::Time && wait > 2_000),
        }
        prop_assert_eq!(budget.balance().to_string(), held.to_string());
    }

    #[test]
    fn a_pause_of_our_own_making_is_waited_for_no_longer_than_told(seed: u64, wait in 0_u64..2_000) {
        let budget = Budget::new(Terms::earning(Ratio::ZERO));
        let mut rules = Rules::default();
        rules.longest_pause = ms(500);
        let mut rng = Rng::seeded(seed);
        let mut granted = |failure: Failure| {
            let mut progress = rules.begin(call(&Method::GET, false), None, time::now());
            let failure = failure.pushback(Pushback::After(ms(wait)));
            rules.judge(&mut progress, failure, BodyIs::Kept, time::now(), &mut rng, &budget).is_ok()
        };
        prop_assert_eq!(granted(Failure::held_back()), wait <= 500);
    }

    #[test]
    fn in_an_outage_a_budget_grants_less_than_it_holds(held in 1_u32..100) {
        let budget = Budget::new(Terms::earning(Ratio::percent(20)).cap(held));
        let mut granted = 0;
        while let Some(withdrawal) = budget.withdraw(Cost::ONE) {
            withdrawal.sent().failed();
            granted += 1;
        }
        // One at the lowest price, the others at sixteen times that.
        prop_assert_eq!(granted, 1 + (held - 1) / 16);
    }
}

fn failure() -> impl Strategy<Value = Failure> {
    let kind = prop::sample::select(vec![
        FailureKind::Unsent,
        FailureKind::Timeout,
        FailureKind::Transient,
        FailureKind::Throttled,
        FailureKind::Pending,
        FailureKind::Permanent,
    ]);
    let pushback = prop_oneof![
        4 => Just(Pushback::None),
        2 => (0_u64..100_000).prop_map(|millis| Pushback::After(ms(millis))),
        1 => Just(Pushback::Stop),
    ];
    let plain = (kind, pushback).prop_map(|(kind, pushback)| Failure::new(kind).pushback(pushback));
    prop_oneof![9 => plain, 1 => Just(Failure::stale())]
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::POST,
        Method::PATCH,
    ])
}

fn call(method: &Method, keyed: bool) -> Call {
    let mut headers = HeaderMap::new();
    if keyed {
        headers.insert("idempotency-key", HeaderValue::from_static("k"));
    }
    Call::of(method, &headers)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
