//! Every layer honours tower's contract.

use std::time::Duration;

use aplomb::policy::Policy;
use aplomb::stack::Stack;
use aplomb_admission::AdmissionLayer;
use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_chaos::{Chaos, Cut, EdgeLayer, ErrorsLayer, Knobs};
use aplomb_circuit_breaker::{CircuitBreakerLayer, Trip};
use aplomb_core::{BoxError, Dice, OperationClass, Principal, Ratio, Saturated, cause, time};
use aplomb_dead_letter::{DeadLetterLayer, Job, MemorySink};
use aplomb_deadline::DeadlineLayer;
use aplomb_fallback::{FallbackLayer, LastGood};
use aplomb_idempotency::{IdempotencyLayer, KeyLayer, MemoryStore, Waiting};
use aplomb_retry::{Budget, RetryLayer, Terms};
use aplomb_testkit::{Act, Applied, Clause, Contract, Request};
use http::{Method, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;

#[test]
fn retry() {
    Contract::new("retry", patient).check();
}

#[test]
fn retry_of_requests_with_keys() {
    Contract::new("retry, keyed", || patient().honours_keys())
        .requests(|number| keyed(&number.to_string()))
        .check();
}

#[test]
fn retry_of_what_may_not_be_repeated() {
    Contract::new("retry, unsafe", patient).requests(|number| post(&number.to_string())).check();
}

#[test]
fn applications_of_a_retry_share_its_budget() {
    Contract::new("retry, budget", || RetryLayer::new(Budget::percent(20)).dice(Dice::seeded(7)))
        .shares_state(|applied: Applied| async move {
            applied.probe().usually(Act::UNAVAILABLE);
            applied.call().await?;
            let sends = applied.probe().calls();
            applied.call().await?;
            // A retry that failed raised the price above what the budget holds.
            match (sends, applied.probe().calls() - sends) {
                (2, 1) => Ok(()),
                (first, second) => Err(format!("{first} sends, then {second}").into()),
            }
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn applications_of_a_retry_share_its_dice() {
    Contract::new("retry, dice", patient)
        .shares_state(|applied: Applied| async move {
            let mut waits = Vec::new();
            for _ in 0..3 {
                applied.probe().next([Act::UNAVAILABLE]);
                let begun = time::now();
                applied.call().await?;
                waits.push(time::now() - begun);
            }
            let alike = waits[0] == waits[1] && waits[1] == waits[2];
            if alike {
                return Err(format!("every application waited {:?}", waits[0]).into());
            }
            Ok(())
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn backoff() {
    Contract::new("backoff", || BackoffLayer::new(Backoff::interactive())).check();
}

#[test]
fn backoff_that_begins_with_the_first_failure() {
    Contract::new("backoff, provoked", || pacing(1)).check();
}

#[test]
fn applications_of_a_backoff_share_their_pace() {
    let contract = Contract::new("backoff, pace", || pacing(2));
    let contract = contract.shares_state(|applied: Applied| async move {
        applied.probe().next([Act::UNAVAILABLE, Act::UNAVAILABLE, Act::OK]);
        let mut waits = Vec::new();
        for _ in 0..3 {
            let begun = time::now();
            applied.call().await?;
            waits.push(time::now() - begun);
        }
        if waits[..2].iter().all(Duration::is_zero) && waits[2] >= PAUSE {
            return Ok(());
        }
        Err(format!("after two failures in a row calls waited {waits:?}").into())
    });
    contract.check_only(Clause::StateIsShared);
}

#[test]
fn circuit_breaker() {
    Contract::new("circuit breaker", never_open).check();
    Contract::new("circuit breaker, keyed", || never_open().per_authority().with_parent()).check();
    Contract::new("circuit breaker, observing", || CircuitBreakerLayer::default().observe_only())
        .check();
}

#[test]
fn applications_of_a_circuit_breaker_share_its_state() {
    Contract::new("circuit breaker", CircuitBreakerLayer::default)
        .shares_state(|applied: Applied| async move {
            applied.probe().usually(Act::UNAVAILABLE);
            for _ in 0..15 {
                let _answered_or_rejected = applied.call().await;
            }
            match applied.probe().calls() {
                10 => Ok(()),
                calls => Err(format!("{calls} of 15 calls went out instead of 10").into()),
            }
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn a_call_that_an_open_circuit_rejects_leaves_its_permit_to_others() {
    let open_for_one = || {
        let layer = CircuitBreakerLayer::default().per_authority();
        layer.handle().of("dead.test").force_open();
        layer
    };
    Contract::new("circuit breaker", open_for_one)
        .refuses(|_| {
            let mut request = Request::default();
            *request.uri_mut() = http::Uri::from_static("http://dead.test/");
            request
        })
        .check_only(REFUSALS);
}

#[test]
fn dead_letter() {
    Contract::new("dead letter", || DeadLetterLayer::new(MemorySink::new()))
        .requests(|number| queued(&format!("key-{number}"), LONG))
        .check();
    Contract::new("dead letter, at once", || DeadLetterLayer::new(MemorySink::new()))
        .requests(|number| queued(&format!("key-{number}"), Duration::ZERO))
        .check();
    Contract::new("dead letter, handed over", DeadLetterLayer::hand_over)
        .requests(|number| queued(&format!("key-{number}"), Duration::ZERO))
        .check();
}

#[test]
fn dead_letter_around_what_it_is_not_for() {
    Contract::new("dead letter, misused", || DeadLetterLayer::new(MemorySink::new())).check();
}

#[test]
fn applications_of_a_dead_letter_share_its_sink() {
    Contract::new("dead letter, sink", || DeadLetterLayer::new(MemorySink::bounded(2, 1 << 20)))
        .shares_state(|applied: Applied| async move {
            applied.probe().usually(Act::UNAVAILABLE);
            let mut stored = 0;
            for key in ["a", "b", "c", "d"] {
                let answer = applied.next().oneshot(queued(key, Duration::ZERO)).await;
                stored += u32::from(answer.is_ok());
            }
            exactly(2, stored)
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn deadline_of_a_call() {
    Contract::new("deadline, total", || DeadlineLayer::total(LONG)).check();
}

#[test]
fn deadline_of_an_attempt() {
    Contract::new("deadline, attempt", || DeadlineLayer::attempt(LONG)).check();
}

#[test]
fn deadline_of_a_caller() {
    Contract::new("deadline, inherit", DeadlineLayer::inherit)
        .requests(|number| hurried(number, "7200000"))
        .check();
}

#[test]
fn deadline_of_a_caller_that_has_none() {
    Contract::new("deadline, inherit", DeadlineLayer::inherit).check();
}

#[test]
fn deadline_around_retry_around_deadline() {
    use tower::layer::util::Stack;
    Contract::new("deadlines and retry", || {
        let inner = Stack::new(DeadlineLayer::attempt(LONG), patient());
        Stack::new(inner, DeadlineLayer::total(LONG))
    })
    .check();
}

#[test]
fn fallback_with_nothing_kept() {
    Contract::new("fallback", || FallbackLayer::last_good(LastGood::new(Duration::ZERO))).check();
}

#[test]
fn applications_of_a_fallback_share_what_it_keeps() {
    Contract::new("fallback, last good", || FallbackLayer::last_good(LastGood::new(LONG)))
        .requests(|_| Request::default())
        .shares_state(|applied: Applied| async move {
            applied.probe().next([Act::OK, Act::UNAVAILABLE]);
            let (kept, served) = (applied.call().await?, applied.call().await?);
            if served.body() == kept.body() && served.headers().contains_key("age") {
                return Ok(());
            }
            Err(format!("{kept:?} was kept and {served:?} was served").into())
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn idempotency() {
    Contract::new("idempotency", || IdempotencyLayer::new(MemoryStore::new()))
        .requests(|number| keyed(&format!("key-{number}")))
        .detached()
        .answers_panics()
        .shares_state(|applied: Applied| async move {
            for sent in ["first", "second"] {
                let answer = applied.next().oneshot(keyed("the-same-key")).await?;
                let is_replay = answer.headers().contains_key("idempotent-replayed");
                if is_replay != (sent == "second") {
                    return Err(format!("the {sent} was answered with {answer:?}").into());
                }
            }
            match applied.probe().calls() {
                1 => Ok(()),
                calls => Err(format!("one key ran {calls} times").into()),
            }
        })
        .check();
}

#[test]
fn idempotency_whose_duplicates_wait() {
    Contract::new("idempotency, waiting", || {
        IdempotencyLayer::new(MemoryStore::new()).wait(Waiting::default())
    })
    .requests(|number| keyed(&format!("key-{number}")))
    .detached()
    .answers_panics()
    .check();
}

#[test]
fn keys_that_go_out() {
    Contract::new("keys", KeyLayer::random).requests(|number| post(&number.to_string())).check();
    Contract::new("keys, needing none", KeyLayer::random).check();
}

#[test]
fn idempotency_around_what_needs_no_key() {
    Contract::new("idempotency, no key", || IdempotencyLayer::new(MemoryStore::new())).check();
}

#[test]
fn admission() {
    Contract::new("admission", || AdmissionLayer::new(100)).refuses(late).check();
}

#[test]
fn admission_that_only_observes() {
    Contract::new("admission, observing", || AdmissionLayer::new(100).observe_only()).check();
}

#[test]
fn admission_of_calls_that_all_wait_for_one_place() {
    let patient = || AdmissionLayer::new(1).longest_wait(LONG);
    for clause in [Clause::WorksAroundALimit, Clause::WorksAroundABuffer, Clause::DropsAtEveryPoll]
    {
        Contract::new("admission, one at a time", patient).check_only(clause);
    }
    let patient = || AdmissionLayer::outbound(1).longest_wait(LONG);
    for clause in [Clause::WorksAroundALimit, Clause::WorksAroundABuffer, Clause::DropsAtEveryPoll]
    {
        Contract::new("in-flight limit, one at a time", patient).check_only(clause);
    }
}

#[test]
fn an_in_flight_limit() {
    Contract::new("in-flight limit", || AdmissionLayer::outbound(100)).refuses(late).check();
}

#[test]
fn applications_of_an_admission_share_its_limit() {
    Contract::new("admission, one", || AdmissionLayer::new(1))
        .shares_state(|applied: Applied| async move {
            applied.probe().next([Act::Hang, Act::OK]);
            let mut first = Box::pin(applied.call());
            let hung = tokio::time::timeout(PAUSE, &mut first).await;
            let answer = applied.call().await?;
            match (hung, answer.status()) {
                (Err(_), StatusCode::SERVICE_UNAVAILABLE) => Ok(()),
                (_, status) => Err(format!("two at a time: {status}").into()),
            }
        })
        .check_only(Clause::StateIsShared);
    Contract::new("in-flight limit, one", || AdmissionLayer::outbound(1))
        .shares_state(|applied: Applied| async move {
            applied.probe().next([Act::Hang, Act::OK]);
            let mut first = Box::pin(applied.call());
            let hung = tokio::time::timeout(PAUSE, &mut first).await;
            match (hung, applied.call().await) {
                (Err(_), Err(error)) if cause::<Saturated>(&*error).is_some() => Ok(()),
                (_, second) => Err(format!("two at a time: {second:?}").into()),
            }
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn chaos_that_is_calm() {
    Contract::new("chaos, edge", || Chaos::seeded(7).edge()).check();
    Contract::new("chaos, errors", || Chaos::seeded(7).errors()).check();
}

#[test]
fn chaos_that_touches_other_requests() {
    Contract::new("chaos, edge", edge_that_is_down).check();
    Contract::new("chaos, errors", errors_that_always_fail).check();
}

#[test]
fn applications_of_chaos_share_its_knobs() {
    let lose_next = || {
        let chaos = Chaos::seeded(7);
        chaos.set(Knobs { lose_next: 2, ..Knobs::default() });
        chaos.edge().only(is_deletion)
    };
    Contract::new("chaos, losses", lose_next)
        .shares_state(|applied: Applied| async move {
            let mut lost = 0;
            for _ in 0..4 {
                match applied.next().oneshot(deletion()).await {
                    Ok(_) => {}
                    Err(error) if cause::<Cut>(&*error).is_some() => lost += 1,
                    Err(error) => return Err(error),
                }
            }
            exactly(2, lost)
        })
        .check_only(Clause::StateIsShared);
    let capacity = || {
        let chaos = Chaos::seeded(7);
        chaos.set(Knobs { capacity_per_second: 1, ..Knobs::default() });
        chaos.errors().only(is_deletion)
    };
    Contract::new("chaos, capacity", capacity)
        .shares_state(|applied: Applied| async move {
            let mut refused = 0;
            for _ in 0..4 {
                let answer = applied.next().oneshot(deletion()).await?;
                refused += u32::from(answer.status() == StatusCode::SERVICE_UNAVAILABLE);
            }
            exactly(3, refused)
        })
        .check_only(Clause::StateIsShared);
}

#[test]
fn a_call_that_is_late_leaves_its_permit_to_others() {
    Contract::new("deadline, total", || DeadlineLayer::total(LONG))
        .refuses(late)
        .check_only(REFUSALS);
    Contract::new("deadline, attempt", || DeadlineLayer::attempt(LONG))
        .refuses(late)
        .check_only(REFUSALS);
}

#[test]
fn a_request_whose_caller_has_gone_leaves_its_permit_to_others() {
    Contract::new("deadline, inherit", DeadlineLayer::inherit)
        .refuses(|number| hurried(number, "0"))
        .check_only(REFUSALS);
}

#[test]
fn a_request_without_the_key_it_needs_leaves_its_permit_to_others() {
    Contract::new("idempotency", || IdempotencyLayer::new(MemoryStore::new()))
        .requests(|number| keyed(&format!("key-{number}")))
        .refuses(|number| post(&number.to_string()))
        .check_only(REFUSALS);
}

#[test]
fn a_call_that_chaos_cuts_leaves_its_permit_to_others() {
    Contract::new("chaos, edge", edge_that_is_down).refuses(|_| deletion()).check_only(REFUSALS);
}

#[test]
fn a_call_that_chaos_answers_leaves_its_permit_to_others() {
    Contract::new("chaos, errors", errors_that_always_fail)
        .refuses(|_| deletion())
        .check_only(REFUSALS);
}

/// Retries with a budget that is never what stops them, and dice that always fall alike.
/// A stack is always ready, on purpose: what it is asked for it learns with the request, and waits
/// for its transport inside the attempt. All the rest of the contract it keeps.
#[test]
fn a_ready_stack() {
    let clauses = [
        Clause::OnlyTheReadyAreCalled,
        Clause::EndedFuturesRest,
        Clause::WorksAroundALimit,
        Clause::WorksInsideALimit,
        Clause::WorksAroundABuffer,
        Clause::WorksInsideABuffer,
        Clause::ClonesStandAlone,
        Clause::DropsBeforeTheFirstPoll,
        Clause::DropsWhilePending,
        Clause::DropsAtEveryPoll,
        Clause::DropsOfUnreadResponses,
        Clause::PanicsInCall,
        Clause::PanicsInFutures,
        Clause::ErrorsKeepTheirCause,
        Clause::ResponsesPass,
    ];
    let contract = Contract::new("stack", || {
        let policy = Policy::preset(OperationClass::Read).build();
        Stack::new(policy.expect("a preset of a read is whole")).breaker(None)
    });
    for clause in clauses {
        contract.check_only(clause);
    }
}

fn patient() -> RetryLayer {
    let rich = Terms::earning(Ratio::ONE).cap(1_000);
    RetryLayer::new(Budget::new(rich)).dice(Dice::seeded(7))
}

/// A circuit that no failure opens: the kit's failures are about other things.
fn never_open() -> CircuitBreakerLayer {
    let trip = Trip::default().at_least(u32::MAX);
    CircuitBreakerLayer::new(trip.unsent_in_a_row(u32::MAX).failures_in_a_row(u32::MAX))
}

/// Leaves its dependency alone for a while after so many failures in a row.
fn pacing(failures: u32) -> BackoffLayer {
    BackoffLayer::new(Backoff::exponential(PAUSE, PAUSE)).after_failures(failures)
}

fn edge_that_is_down() -> EdgeLayer<fn(&Request) -> bool> {
    let chaos = Chaos::seeded(7);
    chaos.set(Knobs { down: true, ..Knobs::default() });
    chaos.edge().only(is_deletion as fn(&Request) -> bool)
}

fn errors_that_always_fail() -> ErrorsLayer<fn(&Request) -> bool> {
    let chaos = Chaos::seeded(7);
    chaos.set(Knobs { error_rate: Ratio::ONE, ..Knobs::default() });
    chaos.errors().only(is_deletion as fn(&Request) -> bool)
}

fn post(body: &str) -> Request {
    let mut request = Request::new(Full::from(body.to_owned()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static("http://probe.test/orders");
    request.extensions_mut().insert(Principal::new("shop"));
    request
}

fn keyed(key: &str) -> Request {
    let mut request = post("a body");
    let key = key.parse().expect("an ASCII key is a header's value");
    request.headers_mut().insert("idempotency-key", key);
    request
}

/// A request that nobody waits for, from a queue in which it may wait for `left`.
fn queued(key: &str, left: Duration) -> Request {
    let mut request = keyed(key);
    request.extensions_mut().insert(OperationClass::Deferred);
    request.extensions_mut().insert(Job::new(left, time::now()));
    request
}

/// A request whose caller no longer waits.
fn late(_: u64) -> Request {
    let mut request = Request::default();
    let deadline = aplomb_core::Deadline::at(time::now());
    request.extensions_mut().insert(deadline);
    request
}

/// A request whose caller waits so many milliseconds more.
fn hurried(number: u64, millis: &'static str) -> Request {
    let mut request = Request::new(Full::from(number.to_string()));
    let millis = http::HeaderValue::from_static(millis);
    let headers = request.headers_mut();
    headers.insert(aplomb_core::EXPECTED_TIMEOUT, millis);
    request
}

fn deletion() -> Request {
    let mut request = Request::default();
    *request.method_mut() = Method::DELETE;
    request
}

fn is_deletion(request: &Request) -> bool {
    request.method() == Method::DELETE
}

fn exactly(expected: u32, seen: u32) -> Result<(), BoxError> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{seen} calls of 4 were met instead of {expected}").into())
}

/// How long a dependency is left alone.
const PAUSE: Duration = Duration::from_millis(50);
/// Longer than the kit waits for what never comes, so that no deadline ends what is stuck.
const LONG: Duration = Duration::from_secs(7_200);
/// A service that answers a call itself and is kept afterwards holds no permit.
const REFUSALS: Clause = Clause::RefusalsHoldNothing;
