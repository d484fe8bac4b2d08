//! What a policy file may say, and what is told of one that says it wrongly.

#![cfg(feature = "policy")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aplomb::Budget;
use aplomb::core::{OperationClass, Ratio};
use aplomb::policy::{
    Errors, OperationName, Owner, PolicyFile, Question, Reload, WhenExhausted, bounds, lint,
};
use http::{Method, Request};
use proptest::prelude::*;

const SERVICE: &str = "version = 1\n[service]\nname = 'shop'\n";

#[test]
fn what_is_written_is_what_a_stack_reads() {
    let file = parse(
        "version = 1\n[service]\nname = 'order-api'\nfleet = 40\ncalls_per_second = 1000\n\
         [dependency.inventory]\nauthority = 'inventory.internal:7001'\n\
         budget = { ratio = 0.2, cap = 5 }\ncapacity_per_second = 800\n\
         hops = [{ name = 'sdk', attempts = 1 }]\nin_flight = { limit = 8, wait = '50ms' }\n\
         breaker = { failure_ratio = 0.5, window = '10s', minimum_calls = 20 }\n\
         [dependency.inventory.operation.reserve]\nclass = 'keyed-write'\n\
         transient = 'standard'\nkey = { from = 'order line', kept = '24h' }\n\
         match = 'POST /inventory/reservations'\nattempts = 3\nattempt_timeout = '500ms'\n\
         total = '3s'\nbackoff = { jitter = 'full', base = '50ms', cap = '500ms' }\n\
         owner = 'order-api'\nobserve = { alert = 'retry_exhausted_total' }\n\
         when_exhausted = 'pending'\nmode = 'enforce'\n",
    )
    .unwrap();
    let dependency = file.dependency("inventory").unwrap();
    let terms = dependency.terms();
    assert_eq!(terms.authority.as_deref(), Some("inventory.internal:7001"));
    assert_eq!(terms.breaker.unwrap().failure_ratio, Ratio::percent(50));
    assert_eq!(terms.in_flight.unwrap().limit.get(), 8);
    assert_eq!(terms.hops[0].attempts.get(), 1);
    let policy = dependency.named("reserve").unwrap().policy();
    assert_eq!(policy.class(), OperationClass::KeyedWrite);
    assert_eq!(policy.attempts().get(), 3);
    assert_eq!(policy.attempt_timeout(), Duration::from_millis(500));
    assert_eq!(policy.total(), Duration::from_secs(3));
    assert_eq!(policy.backoff().unwrap().ceiling(2), Duration::from_millis(100));
    assert_eq!(*policy.owner(), Owner::Here);
    assert_eq!(policy.key().unwrap().kept(), Duration::from_secs(86_400));
    assert_eq!(policy.budget().unwrap().held_at_most(), 5);
    let budget = Budget::new(policy.budget().unwrap().terms());
    assert!((budget.balance() - 5.0).abs() < f64::EPSILON);
    assert_eq!(*policy.when_exhausted(), WhenExhausted::PENDING);
}

#[test]
fn each_question_left_open_is_named_where_it_is_open() {
    let whole = "transient = 'standard'\nrepeat = 'by-method'\nowner = 'shop'\nattempts = 2\n\
                 attempt_timeout = '1s'\ntotal = '3s'\n\
                 backoff = { jitter = 'full', base = '50ms', cap = '500ms' }\n\
                 when_exhausted = 'fail'\nobserve = { alert = 'dependency_calls_total' }\n";
    let head = format!("{SERVICE}[dependency.d]\nbudget = {{ ratio = 0.2 }}\n");
    let operation = "[dependency.d.operation.o]\n";
    parse(&format!("{head}{operation}{whole}")).unwrap();
    for (key, question) in [
        ("transient", Question::Transient),
        ("repeat", Question::Repeat),
        ("owner", Question::Owner),
        ("attempts", Question::Policy),
        ("attempt_timeout", Question::Policy),
        ("total", Question::Policy),
        ("backoff", Question::Policy),
        ("when_exhausted", Question::Exhausted),
        ("observe", Question::Observed),
    ] {
        let without: String = whole
            .split_inclusive('\n')
            .filter(|line| !line.starts_with(&format!("{key} ")))
            .collect();
        let errors = parse(&format!("{head}{operation}{without}")).unwrap_err();
        let [fault] = errors.faults() else { panic!("{key}: {errors}") };
        assert_eq!(fault.what, format!("`dependency.d.operation.o` leaves open: {question}"));
        assert_eq!(fault.at.line, 6);
    }
    let errors = parse(&format!("{SERVICE}{operation}{whole}")).unwrap_err();
    let [fault] = errors.faults() else { panic!("{errors}") };
    assert!(fault.what.ends_with("what is the policy?"), "{errors}");
    assert!(fault.mend.contains("budget = { ratio = 0.2 }` in [dependency.d]"), "{errors}");
    let errors = parse(&format!("{SERVICE}{operation}")).unwrap_err();
    assert_eq!(errors.faults().len(), 6, "{errors}");
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place_and_mend() {
    let errors = parse(
        "version = 1\n[service]\nname = 'shop'\nfleet = -3\n\
         [dependency.d]\ncapacity = 800\nbudget = { ratio = 20 }\n\
         [dependency.d.operation.o]\nclass = 'keyed_write'\nattempt_timeout = 500\n\
         total = '3 sec'\nbackoff = { jitter = 'ful', base = '5s', cap = '1s' }\n\
         when_exhausted = 'pendign'\n",
    )
    .unwrap_err();
    let told: Vec<String> =
        errors.faults().iter().map(|fault| format!("{} {}", fault.at, fault.what)).collect();
    let expected = [
        "4:9 `service.fleet` cannot be -3",
        "6:1 dependency.d has no key `capacity`; the nearest is `capacity_per_second`",
        "7:20 `dependency.d.budget.ratio` cannot be 20",
        "9:9 `dependency.d.operation.o.class` cannot be `keyed_write`; the nearest is `keyed-write`",
        "10:19 `dependency.d.operation.o.attempt_timeout` cannot be `500`: a time without its unit",
        "11:9 `dependency.d.operation.o.total` cannot be `3 sec`: `sec` is no unit of time",
        "12:22 `dependency.d.operation.o.backoff.jitter` cannot be `ful`; the nearest is `full`",
        "13:18 `dependency.d.operation.o.when_exhausted` cannot be `pendign`; the nearest is `pending`",
    ];
    assert_eq!(told, expected);
    assert!(errors.faults().iter().all(|fault| !fault.mend.is_empty()));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (operation, why) in [
        ("class = 'read'\nbackoff = { base = '1s' }", "longest wait is shorter than the first"),
        ("class = 'read'\nkey = { from = 'x', kept = '1h' }\nrepeat = 'never'", "it has a key"),
        ("class = 'keyed-write'\nrepeat = 'with-key'", "there is none"),
        ("class = 'read'\nwhen_exhausted = 'dead-letter'", "answers nobody"),
        ("class = 'deferred'\nrepeat = 'by-method'", "nothing keeps that from running twice"),
        (
            "class = 'keyed-write'\nkey = { from = 'x', kept = '1h' }\nwhen_exhausted = 'last-good'",
            "says nothing about this one",
        ),
        ("class = 'read'\nwhen_exhausted = 'drop'", "only what is best-effort"),
        ("class = 'confirm'\nrepeat = 'never'\nwhen_exhausted = 'pending'", "never safe to repeat"),
        (
            "class = 'read'\nwhen_exhausted = { answer = 'last-good', fresh_for = '2m' , stale_for = '1m' }",
            "fresh for longer",
        ),
        (
            "class = 'read'\nwhen_exhausted = { answer = 'call', dependency = 'e', time = '1s' }",
            "no dependency `e`",
        ),
        ("class = 'read'\nwhen_exhausted = 'call'", "must say whom"),
        ("class = 'read'\nwhen_exhausted = { answer = 'fail', time = '1s' }", "no key `time`"),
        ("class = 'read'\ntotal = '0s'", "no time at all"),
        ("class = 'read'\nattempts = 101", "cannot be 101"),
        ("class = 'read'\nobserve = { alert = 'retries' }", "nearest is `retry_"),
        ("class = 'read'\nmatch = 'get /x'", "`get` is no method"),
        ("class = 'read'\nmatch = '/x'", "a method and a path"),
        ("class = 'read'\nmatch = 'GET x'", "no path template"),
        ("class = 'read'\nmatch = 'GET /x?y'", "no path template"),
        ("class = 'read'\nmatch = 'GET /{a}{b}'", "no path template"),
        ("class = 'read'\nmatch = ['GET /{a}', 'GET /{b}']", "matched by operation `o` already"),
    ] {
        let text = format!("{SERVICE}[dependency.d.operation.o]\n{operation}\n");
        let errors = parse(&text).unwrap_err().to_string();
        assert!(errors.contains(why), "{operation}\n{errors}");
        assert_eq!(errors.matches("mend: ").count(), 1, "{operation}\n{errors}");
    }
}

#[test]
fn what_contradicts_in_a_dependency_is_refused() {
    for (terms, why) in [
        ("authority = 'http://x'", "no authority"),
        ("authority = 'user:secret@x:1'", "no authority"),
        ("budget = { cap = 3 }", "does not say what it earns"),
        ("budget = { ratio = 0.1, initial = 20 }", "more than the cap holds"),
        ("breaker = { slow_ratio = 0.5 }", "knows none"),
        ("breaker = { open_for = '1h', open_for_at_most = '1m' }", "shorter than its first"),
        ("breaker = { minimum_calls = 0 }", "cannot be 0"),
        ("in_flight = { limit = 3 }", "has no `wait`"),
        ("hops = [{ name = 'sdk' }]", "has no `attempts`"),
        ("hops = 'sdk'", "cannot be \"sdk\""),
        ("layers = ['retry', 'retry']", "stands there twice"),
        ("layers = ['retyr']", "nearest is `retry`"),
        ("capacity_per_second = 0", "cannot be 0"),
        ("capacity_per_second = inf", "cannot be inf"),
        ("calls_per_second = nan", "cannot be nan"),
        ("operation = 3", "is a number"),
    ] {
        let errors = parse(&format!("{SERVICE}[dependency.d]\n{terms}\n")).unwrap_err().to_string();
        assert!(errors.contains(why), "{terms}\n{errors}");
    }
    let twins = "[dependency.a]\nauthority = 'x:1'\n[dependency.b]\nauthority = 'x:1'\n";
    let errors = parse(&format!("{SERVICE}{twins}")).unwrap_err().to_string();
    assert!(errors.contains("`b` and `a` are both at x:1"), "{errors}");
}

#[test]
fn what_is_no_policy_file_is_refused() {
    for (text, why) in [
        ("", "does not say its version"),
        ("version = 2\n[service]\nname = 'a'", "not known here"),
        ("version = 1", "whose policies"),
        ("version = 1\nservice = 3", "`service` is a number"),
        ("version = 1\n[service]\nname = ''", "is empty"),
        ("version = 1\n[service]\nname = \"a\\nb\"", "more than one line"),
        ("version = 1\n[service]\nname = 'a'\n[service]\n", "no TOML"),
        ("version = 1\n[service\nname = 'a'", "no TOML"),
        ("version = 1\n[service]\nname = 'a'\n[dependency.'a.b']", "cannot name a dependency"),
        (
            "version = 1\n[service]\nname = 'a'\n[dependency.a.operation.'ö']\nclass='read'",
            "cannot name an operation",
        ),
        ("version = 1\n[service]\nname = 'a'\n[dependencies.a]", "nearest is `dependency`"),
    ] {
        let errors = parse(text).unwrap_err().to_string();
        assert!(errors.contains(why), "{text}\n{errors}");
    }
    let errors = PolicyFile::parse("big.toml", &" ".repeat(bounds::TEXT_MAX + 1)).unwrap_err();
    assert!(errors.to_string().contains("bytes"), "{errors}");
}

#[test]
fn a_preset_sends_once_what_is_not_safe_to_repeat_or_is_retried_elsewhere() {
    for (operation, attempts) in [
        ("class = 'read'\nmatch = 'GET /o'", 2),
        ("class = 'read'\nmatch = 'POST /o'", 1),
        ("class = 'read'\nmatch = 'POST /o'\nrepeat = 'always'", 2),
        ("class = 'read'\nmatch = 'GET /o'\nowner = 'mesh'", 1),
        ("class = 'best-effort'\nmatch = 'PUT /o'", 2),
        ("class = 'best-effort'\nmatch = ['PUT /o', 'PATCH /o']", 1),
        ("class = 'best-effort'\nmatch = 'POST /o'\nattempts = 2", 2),
    ] {
        let file = parse(&format!("{SERVICE}[dependency.d.operation.o]\n{operation}\n")).unwrap();
        let (_, one) = file.operations().next().unwrap();
        assert_eq!(one.policy().attempts().get(), attempts, "{operation}");
    }
}

#[test]
fn a_request_finds_its_operation_by_name_or_by_method_and_path() {
    let file = parse(&format!(
        "{SERVICE}[dependency.stock]\nauthority = 'stock:7001'\n\
         [dependency.stock.operation.look]\nclass = 'read'\nmatch = ['GET /p/{{sku}}', 'HEAD /p/{{sku}}']\n\
         [dependency.stock.operation.list]\nclass = 'read'\nmatch = 'GET /p/all'\n\
         [dependency.stock.operation.files]\nclass = 'read'\nmatch = 'GET /files/{{*rest}}'\n\
         [dependency.stock.operation.opaque]\nclass = 'confirm'\n\
         [dependency.ships.operation.ship]\nclass = 'confirm'\nmatch = 'POST /s'\n"
    ))
    .unwrap();
    let found = |method: &str, uri: &str, name: Option<&'static str>| {
        let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
        if let Some(name) = name {
            request.extensions_mut().insert(OperationName::new(name));
        }
        file.find(&request).map(|(at, one)| format!("{}.{}", at.name(), one.name()))
    };
    for (method, uri, name, operation) in [
        ("GET", "http://stock:7001/p/mug", None, Some("stock.look")),
        ("HEAD", "http://stock:7001/p/mug?fresh=1", None, Some("stock.look")),
        ("GET", "http://user:pass@stock:7001/p/all", None, Some("stock.list")),
        ("GET", "http://stock:7001/files/a/b/c", None, Some("stock.files")),
        ("GET", "http://stock:7001/p/mug/x", None, None),
        ("POST", "http://stock:7001/p/mug", None, None),
        ("GET", "http://other:7001/p/mug", None, None),
        ("POST", "http://stock:7001/rpc", Some("opaque"), Some("stock.opaque")),
        ("GET", "http://stock:7001/p/all", Some("look"), Some("stock.look")),
        ("POST", "/", Some("ships.ship"), Some("ships.ship")),
        ("POST", "/", Some("ships.none"), None),
        ("POST", "/s", None, None),
    ] {
        let found = found(method, uri, name);
        assert_eq!(found.as_deref(), operation, "{method} {uri} {name:?}");
    }
}

/// Ten thousand operations are read, matched and checked without a walk through all of them for
/// each: quadratic work would take minutes here, not a moment.
#[test]
fn ten_thousand_operations_are_no_burden() {
    let mut text =
        format!("{SERVICE}calls_per_second = 1000000\n[dependency.d]\nauthority = 'd:1'\n");
    for number in 0..bounds::OPERATIONS_MAX {
        writeln!(text, "[dependency.d.operation.o{number}]\nclass = 'read'").unwrap();
        writeln!(text, "match = 'GET /things/{number}/{{id}}/parts'").unwrap();
    }
    let file = parse(&text).unwrap();
    let dependency = file.dependency("d").unwrap();
    for number in 0..bounds::OPERATIONS_MAX {
        let path = format!("/things/{number}/x/parts");
        let found = dependency.find(None, &Method::GET, &path).unwrap();
        assert_eq!(found.name(), format!("o{number}"));
    }
    assert!(lint(&file).is_empty());
    writeln!(text, "[dependency.d.operation.more]\nclass = 'read'").unwrap();
    let errors = parse(&text).unwrap_err().to_string();
    assert!(errors.contains("10001 operations") && errors.contains("at most 10000"), "{errors}");
}

#[test]
fn a_long_file_that_is_wrong_everywhere_is_told_of_briefly() {
    let mut text = SERVICE.to_owned();
    for number in 0..100_000 {
        writeln!(text, "wrong{number} = 1").unwrap();
    }
    let errors = parse(&text).unwrap_err();
    assert_eq!(errors.faults().len(), bounds::ERRORS_MAX);
    assert_eq!(errors.faults().len() + errors.more(), 100_000);
}

#[test]
fn the_effective_policies_are_read_as_they_were_written() {
    let demo = include_str!("../../../examples/demo/aplomb.toml");
    let wild = format!(
        "{SERVICE}fleet = 7\nlayers = ['problems']\n[dependency.d]\nbudget = {{ ratio = 0.125, cap = 3, initial = 0 }}\n\
         hops = [{{ name = 'a \"b\" \\\\', attempts = 2, budget = {{ ratio = 0.5 }} }}]\n\
         breaker = {{ slow_after = '1.5ms', slow_ratio = 0.25 }}\ncapacity_per_second = 0.1\n\
         layers = ['retry', 'attempt']\n[dependency.d.operation.o]\nclass = 'read'\nmode = 'observe'\n\
         when_exhausted = {{ answer = 'call', dependency = 'e', time = '90m' }}\n\
         [dependency.e.operation.o]\nclass = 'best-effort'\ntransient = 'grpc'\ncalls_per_second = 3\n"
    );
    for text in [demo, &wild] {
        let file = parse(text).unwrap();
        let again = file.to_toml();
        let again = Arc::new(parse(&again).unwrap_or_else(|errors| panic!("{errors}\n{again}")));
        for (dependency, operation) in file.operations() {
            let other = again.dependency(dependency.name()).unwrap().named(operation.name());
            assert_eq!(operation.policy(), other.unwrap().policy());
        }
        let back = parse(&again.to_toml()).unwrap();
        assert!(Reload::between(&back, Arc::clone(&again)).is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "(\\[?(version|service|dependency|operation|match|class|key)[.= \\[\\]{}'\"a-z0-9/\n]{0,20}){0,12}") {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.faults().is_empty());
        }
    }

    #[test]
    fn no_pattern_breaks_the_index(paths in proptest::collection::vec("/[a-b{}*/.]{0,10}", 1..8)) {
        let list = paths.iter().map(|path| format!("'GET {path}'")).collect::<Vec<_>>().join(",");
        let file = parse(&format!("{SERVICE}[dependency.d.operation.o]\nclass = 'read'\nmatch = [{list}]\n"));
        if let Ok(file) = file {
            let found = |path: &str| file.dependency("d").unwrap().find(None, &Method::GET, path).is_some();
            for path in paths.iter().filter(|path| !path.contains(['{', '}'])) {
                prop_assert!(found(path), "{path}");
            }
        }
    }
}

fn parse(text: &str) -> Result<PolicyFile, Errors> {
    PolicyFile::parse("aplomb.toml", text)
}
